"""The command line against a system that runs: what a person sees, and what commands end with."""

import asyncio
import base64
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.platform.campaign_files import load
from services.platform.crypto import key_id
from tests.integration.cli_system import Up, maskline, small_campaign, up
from tests.integration.tiers import Tier
from tests.real.stores import url_of


@pytest.fixture(scope="module")
def system(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("system")
    with up(folder / "data", *tier.options(folder / "data")) as running:
        yield running


@pytest.fixture(scope="module")
def applied(system: Up, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a campaign that was applied."""
    file = small_campaign(tmp_path_factory.mktemp("campaign"))
    told = maskline("campaign", "apply", file, "--data", system.data, "--why", "a test")
    assert told.code == 0, told.err
    assert "Applied campaign small (guangzhou)" in told.out
    assert "it is open" in told.out
    return file


def get(url: str, path: str, **headers: str) -> tuple[int, bytes]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_an_applied_campaign_is_on_offer_at_the_front_door(system: Up, applied: Path) -> None:
    status, body = get(system.endpoints["front_door"], "/v1/campaigns/small")
    assert status == 200
    assert json.loads(body)["campaign"] == "small"


def test_applying_the_same_file_again_changes_nothing(system: Up, applied: Path) -> None:
    told = maskline("campaign", "apply", applied, "--data", system.data)
    assert (told.code, told.out.startswith("Nothing changed")) == (0, True), told


def test_a_dry_run_says_what_would_change_and_changes_nothing(system: Up, applied: Path, tmp_path: Path) -> None:
    told = maskline("campaign", "apply", small_campaign(tmp_path, "other"), "--dry-run", "--data", system.data)
    assert told.code == 0, told.err
    assert told.out.startswith("Would create campaign other (guangzhou)")
    assert get(system.endpoints["front_door"], "/v1/campaigns/other")[0] == 404


def test_another_content_under_the_same_name_is_refused_in_words(system: Up, applied: Path, tmp_path: Path) -> None:
    told = maskline("campaign", "apply", small_campaign(tmp_path, units=61), "--data", system.data)
    assert told.code == 1
    assert told.err.startswith("maskline: The console refused: ")
    assert "Traceback" not in told.err


def test_an_exported_campaign_is_the_one_that_was_applied(system: Up, applied: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    told = maskline("campaign", "export", file, "--data", system.data)
    assert told.code == 0, told.err
    assert load(file) == load(applied)
    again = maskline("campaign", "export", "small", file, "--data", system.data)
    assert again.code == 2
    assert "there already" in again.err
    assert maskline("campaign", "export", "small", file, "--overwrite", "--data", system.data).code == 0


def test_a_campaign_that_is_not_there_cannot_be_exported(system: Up, applied: Path) -> None:
    told = maskline("campaign", "export", "nowhere", "--data", system.data)
    assert told.code == 2
    assert "There are: " in told.err


def test_verify_finds_nothing_and_says_so(system: Up, applied: Path) -> None:
    told = maskline("verify", "--data", system.data)
    assert told.code == 0, told
    assert told.out.splitlines()[-1] == "Nothing differs."


def test_doctor_finds_everything_in_order(system: Up, applied: Path) -> None:
    told = maskline("doctor", "--data", system.data)
    assert "BAD" not in told.out
    assert told.code == 0, told.err
    tier = f"a system runs on the {system.endpoints['tier']} tier"
    for seen in (tier, "front-door 0", "partition 3: log", "maxmemory-policy is noev"):
        assert seen in told.out


def test_doctor_tells_a_private_file_that_others_can_read(system: Up) -> None:
    token = system.data / "admin-token"
    token.chmod(0o644)
    try:
        told = maskline("doctor", "--data", system.data)
    finally:
        token.chmod(0o600)
    assert told.code == 1
    assert f"can read {token}: chmod go= {token}" in told.out


def test_doctor_tells_a_redis_that_would_throw_reservations_away(system: Up) -> None:
    import redis

    client = redis.Redis.from_url(asyncio.run(url_of(system.root, 0)))
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        told = maskline("doctor", "--data", system.data)
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.close()
    assert told.code == 1
    assert "maxmemory-policy is allkeys-lru" in told.out


def test_a_user_who_was_added_can_sign_in_and_one_who_was_removed_cannot(system: Up) -> None:
    where = urlsplit(system.endpoints["console"])

    def sign_in() -> int:
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
        body = json.dumps({"user": "lin", "password": "a few words in a row"})
        connection.request("POST", "/v1/session", body, {"Content-Type": "application/json", "Idempotency-Key": "k"})
        status = connection.getresponse().status
        connection.close()
        return status

    password = "a few words in a row\n"
    add = ("user", "add", "lin", "--role", "operator", "--password-stdin", "--data", system.data)
    assert maskline(*add, stdin=password).code == 0
    assert sign_in() == 201
    assert maskline(*add, stdin=password).code == 2
    assert maskline("user", "list", "--data", system.data).out == "lin  operator\n"
    assert maskline("user", "remove", "lin", "--data", system.data).code == 0
    assert sign_in() == 401


def test_a_system_runs_on_secrets_that_settings_name_and_tells_only_their_ids(tmp_path: Path) -> None:
    data, folder, pepper = tmp_path / "data", tmp_path / "kept", tmp_path / "mounted" / "pepper"
    pepper.parent.mkdir()
    pepper.write_bytes(base64.b64encode(bytes(range(32))))
    pepper.chmod(0o600)
    env = {"MASKLINE_PEPPER_FILE": str(pepper)}
    with up(data, "--secrets", folder, env=env) as system:
        told = maskline("doctor", "--data", data, "--secrets", folder, env=env)
        assert told.code == 0, told.out
        assert f"pepper {key_id(bytes(range(32)))}, id " in told.out
        assert len(system.endpoints["processes"]) == 6  # each loaded the same ones: the log has their check value
    assert not (data / "secrets").exists()
    assert not (folder / "pepper").exists()
    printed = b"".join(file.read_bytes() for file in [tmp_path / "up.log", *(data / "logs").iterdir()])
    for secret in (pepper, folder / "id", folder / "ticket", folder / "pass" / "0001.pem"):
        lines = [line for line in secret.read_bytes().splitlines() if not line.startswith(b"-----")]
        assert lines
        assert not [line for line in lines if line in printed + told.out.encode()]


def test_a_second_system_on_the_same_data_folder_is_refused_in_words(system: Up) -> None:
    told = maskline("up", "--data", system.data, "--ports-from", "0")
    assert told.code == 2
    assert "Another `maskline` system" in told.err
