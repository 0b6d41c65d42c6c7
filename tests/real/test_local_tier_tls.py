"""`make up TLS=1`: the whole tier by TLS, each service as a user of its own, and commands that find their way in."""

import http.client
import json
import ssl
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest

from infra.console_client import ConsoleClient, ConsoleUnreachable
from infra.launcher.endpoints import read_endpoints
from infra.local.guards import ACCESS
from infra.local.parts import check_parts
from infra.local.where import read_where
from tests.integration.cli_system import maskline
from tests.real.test_local_tier import TARGETS, local

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
CALL_TIMEOUT_S = 10.0


@pytest.fixture(scope="module")
def tier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a tier that asks who you are. Raises PartMissing."""
    check_parts()
    folder = tmp_path_factory.mktemp("tls") / "local"
    started = local("up", folder, "--tls")
    try:
        assert started.code == 0, started.out + started.err
        yield folder
    finally:
        local("down", folder, "--wipe")


def test_a_booking_goes_its_whole_way(tier: Path) -> None:
    tried = local("smoke", tier)
    assert tried.code == 0, tried.out + tried.err
    figures = json.loads(tried.out.splitlines()[-1])
    assert (figures["smoke"], figures["verify"], figures["targets_up"]) == ("ok", "ok", TARGETS)


@pytest.mark.parametrize("command", ["doctor", "verify", "rebuild"])
def test_a_command_comes_as_a_user_that_may_do_just_that(tier: Path, command: str) -> None:
    told = maskline(command, "--data", tier)
    assert told.code == 0, told.out + told.err
    assert "BAD" not in told.out


def test_who_comes_without_a_name_is_told_so_and_gets_nothing(tier: Path) -> None:
    found = read_endpoints(tier)
    plain = found.redis.replace("rediss:", "redis:")
    told = maskline("verify", "--kafka", found.kafka, "--redis", plain, "--data", tier, "--start-timeout-s", "2")
    assert told.code == 2
    assert "--kafka-ca-file FILE" in told.err
    nameless = ("--kafka-ca-file", tier / ACCESS / "ca.pem")
    told = maskline("verify", "--kafka", found.kafka, "--redis", plain, "--data", tier, *nameless)
    assert told.code == 2
    assert "--kafka-user" in told.err


def asked_by_tls(tier: Path, at: SplitResult, path: str) -> tuple[int, Message]:
    """What somebody hears who knows our certificate."""
    where = read_where(tier)
    assert where is not None
    trusted = ssl.create_default_context(cafile=where.ca)
    connection = http.client.HTTPSConnection(str(at.hostname), at.port, timeout=CALL_TIMEOUT_S, context=trusted)
    connection.request("GET", path)
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.headers


def comes_by_a_signed_certificate(tier: Path, url: str, path: str) -> SplitResult:
    """Whoever knows our certificate gets an answer that tells them to stay; who does not gets none."""
    at = urlsplit(url)
    status, headers = asked_by_tls(tier, at, path)
    assert (status, headers["Strict-Transport-Security"]) == (200, "max-age=31536000")
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection(str(at.hostname), at.port, timeout=CALL_TIMEOUT_S).request("GET", path)
    return at


def test_residents_come_by_a_certificate_that_is_signed_and_are_told_to_stay(tier: Path) -> None:
    where = read_where(tier)
    assert where is not None
    comes_by_a_signed_certificate(tier, where.edge["front_door_tls"], "/v1/campaigns")


def test_residents_who_come_plainly_are_only_told_where_to_come(tier: Path) -> None:
    where = read_where(tier)
    assert where is not None
    at = urlsplit(where.edge["front_door"])
    for method in ("GET", "POST"):
        plain = http.client.HTTPConnection(str(at.hostname), at.port, timeout=CALL_TIMEOUT_S)
        plain.request(method, "/v1/campaigns?a=b")
        answer = plain.getresponse()
        assert (answer.status, answer.headers["Location"]) == (308, where.edge["front_door_tls"] + "/v1/campaigns?a=b")
        plain.close()


@pytest.mark.parametrize("whose", ["counter", "console"])
def test_cookies_of_staff_are_for_tls_alone(tier: Path, whose: str) -> None:
    where = read_where(tier)
    assert where is not None
    _, headers = asked_by_tls(tier, urlsplit(where.edge[whose]), "/language/en")
    assert "Secure" in [each.strip() for each in headers["Set-Cookie"].split(";")]


@pytest.mark.parametrize("whose", ["counter", "console"])
def test_staff_come_by_a_certificate_that_is_signed_and_in_no_other_way(tier: Path, whose: str) -> None:
    where = read_where(tier)
    assert where is not None
    at = comes_by_a_signed_certificate(tier, where.edge[whose], "/openapi.json")
    assert at.scheme == "https"
    plain = http.client.HTTPConnection(str(at.hostname), at.port, timeout=CALL_TIMEOUT_S)
    plain.request("GET", "/openapi.json")
    assert plain.getresponse().status == 400
    plain.close()


def test_the_command_line_speaks_to_the_console_by_tls_and_to_no_stranger(tier: Path) -> None:
    where = read_where(tier)
    assert where is not None
    told = ConsoleClient.of(tier, where.edge["console"], ca=where.ca).get("/v1/campaigns")
    assert "campaigns" in told
    with pytest.raises(ConsoleUnreachable, match="certificate verify failed"):
        ConsoleClient.of(tier, where.edge["console"]).get("/v1/campaigns")


def test_no_password_stands_where_others_look(tier: Path) -> None:
    """On command lines, in endpoints and settings that are told, in what processes say."""
    passwords = [path.read_bytes().strip() for path in (tier / ACCESS).glob("*.password")]
    assert len(passwords) > 10
    found = read_endpoints(tier)
    texts = {f"command line of {each.pid}": Path(f"/proc/{each.pid}/cmdline").read_bytes() for each in found.processes}
    texts |= {path.name: path.read_bytes() for path in [*(tier / "logs").glob("*.log"), tier / "endpoints.json"]}
    texts |= {path.name: path.read_bytes() for path in (tier / "keeper").glob("*.*")}
    assert len(texts) > 20
    assert [name for name, text in texts.items() for password in passwords if password in text] == []


def test_a_folder_with_users_is_not_started_without_them(tier: Path) -> None:
    assert local("down", tier).code == 0
    told = local("up", tier)
    assert told.code != 0
    assert "made with TLS and users" in told.out
    again = local("up", tier, "--tls")
    assert again.code == 0, again.out + again.err
    told = maskline("verify", "--data", tier)
    assert (told.code, "Nothing differs." in told.out) == (0, True)
