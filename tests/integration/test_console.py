"""The console with a real broker, Valkey and allocator: a file becomes a campaign, and people run it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from services.console.users import Role, add_user
from services.domain.campaign import Campaign
from services.domain.campaign_check import Source, check
from services.domain.campaign_document import document
from tests.integration.console_system import Ops, running_ops, windowed
from tests.integration.front_door_system import ask
from tests.integration.tiers import Tier, in_front
from tests.morning import OFFSET

FUZZED_WITHIN_S = 45
PASSWORD = "a few words in a row"


@pytest.fixture(scope="module")
def ops(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ops]:
    with running_ops(tier, tmp_path_factory.mktemp("console"), with_ledger=True) as ops:
        yield ops


def large(name: str, slots: int) -> Campaign:
    """A campaign with so many slots."""
    base = document(windowed(name, (-60, 3_600)))
    first = base["slots"][0]
    day = first["starts_at"][:10]
    base["slots"] = [
        {**first, "id": f"s-{number:05d}", "pharmacy": f"p-{number // 900 + 1}",
         "starts_at": f"{day}T{number // 60 % 15:02d}:{number % 60:02d}:00{OFFSET}",
         "ends_at": f"{day}T23:59:00{OFFSET}", "units": 1 + number % 9}
        for number in range(slots)
    ]  # fmt: skip
    base["pharmacies"] = [{"id": f"p-{number}", "name": f"示范 {number}"} for number in range(1, slots // 900 + 2)]
    return check(Source(file="large", document=base))


def test_a_campaign_whose_window_has_begun_is_applied_and_open_at_once(ops: Ops) -> None:
    status, told = ops.applies(windowed("now-1", (-60, 3_600)))
    assert (status, told["change"], told["phase"], told["units"]) == (200, "created", "open", 200)
    status, told = ops.applies(windowed("later-1", (600, 3_600)))
    assert (status, told["phase"]) == (200, "scheduled")
    status, listed = ops.asks("GET", "/v1/campaigns")
    assert {"now-1", "later-1"} <= {one["campaign"] for one in listed["campaigns"]}


def test_the_same_again_is_the_same_and_the_same_content_unchanged(ops: Ops) -> None:
    chosen = windowed("again-1", (-60, 3_600))
    _, first = ops.applies(chosen, key="the-key")
    _, again = ops.applies(chosen, key="the-key")
    assert again == first
    _, another = ops.applies(chosen)
    assert another["change"] == "unchanged"
    status, told = ops.applies(windowed("again-1", (-30, 3_600)))
    assert (status, told["reason"], told["revision"]) == (409, "already_defined", first["revision"])
    assert told["differs"][0].startswith("windows: ")
    status, told = ops.applies(windowed("again-1", (-60, 3_600), region="foshan"))
    assert (status, told["reason"]) == (409, "campaign_elsewhere")


def test_regions_share_out_the_partitions(ops: Ops) -> None:
    _, here = ops.applies(windowed("here-1", (-60, 3_600)))
    _, there = ops.applies(windowed("there-1", (-60, 3_600), region="dongguan"))
    assert {here["partition"], there["partition"]} == {0, 1}


@pytest.mark.timeout(90)
def test_twenty_thousand_slots_are_applied_with_progress(ops: Ops) -> None:
    chosen = large("large-1", 20_000)
    body = json.dumps(document(chosen)).encode()
    headers = {
        "Authorization": f"Bearer {ops.token}", "Idempotency-Key": "large", "Accept": "application/x-ndjson"
    }  # fmt: skip
    began_s = time.monotonic()
    status, _, answer = ask("POST", f"{ops.url}/v1/campaigns/apply", body, headers, 60)
    took_s = time.monotonic() - began_s
    lines = [json.loads(line) for line in answer.splitlines()]
    assert status == 200
    assert lines[-1]["result"]["slots"] == 20_000
    assert lines[-1]["result"]["units"] == chosen.units
    assert [line["done"] for line in lines[:-1]] == list(range(1, lines[0]["of"] + 1))
    assert took_s < 30
    status, slots = ops.asks("GET", "/v1/campaigns/large-1/slots?first=19990")
    assert (status, slots["total"], len(slots["slots"]), slots["next"]) == (200, 20_000, 10, None)


def test_what_a_killed_console_began_another_one_finishes_with_the_same_key(ops: Ops) -> None:
    chosen = large("killed-1", 4_000)
    body = json.dumps(document(chosen)).encode()
    with ExitStack() as stack:
        url = ops.console(stack, "second")
        request = Request(f"{url}/v1/campaigns/apply", body, method="POST")  # noqa: S310 -- our own address
        for name, value in (("Idempotency-Key", "killed"), ("Accept", "application/x-ndjson")):
            request.add_header(name, value)
        request.add_header("Authorization", f"Bearer {ops.token}")
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            for _ in range(8):
                assert json.loads(answer.readline())["step"]
            ops.kill("second")
    status, told = ops.applies(chosen, key="killed")
    assert (status, told["change"], told["slots"]) == (200, "created", 4_000)
    _, trail = ops.asks("GET", f"/v1/audit?limit=500&partition={told['partition']}")
    sealed = [one for one in trail["entries"] if one["command"] == "seal_definition" and one["campaign"] == "killed-1"]
    assert len(sealed) == 1


def test_users_sign_in_with_what_the_command_line_kept(ops: Ops) -> None:
    add_user(ops.system.data, "olga", Role.OPERATOR, PASSWORD)
    add_user(ops.system.data, "vera", Role.VIEWER, PASSWORD)
    ops.applies(windowed("users-1", (600, 3_600)))
    for name, expected in (("vera", 403), ("olga", 200)):
        status, session = ops.asks("POST", "/v1/session", {"user": name, "password": PASSWORD})
        assert status == 201
        status, _ = ops.asks("POST", "/v1/campaigns/users-1/open", {"why": "by hand"}, token=session["token"])
        assert status == expected
    assert ops.asks("POST", "/v1/session", {"user": "olga", "password": "wrong"})[0] == 401
    _, trail = ops.asks("GET", "/v1/audit?limit=1")
    assert (trail["entries"][0]["actor"], trail["entries"][0]["outcome"]) == ("user:olga", "opened")


def test_terminals_are_invited_and_revoked(ops: Ops) -> None:
    ops.applies(windowed("tills-1", (600, 3_600), region="shenzhen", pharmacies=[{"id": "sz-1", "name": "One"},
                                                                              {"id": "p-1", "name": "P"},
                                                                              {"id": "p-2", "name": "Q"}]))  # fmt: skip
    wish = {"pharmacy": "sz-1", "terminal": "sz-till", "why": "a new till"}
    status, invited = ops.asks("POST", "/v1/terminals", wish)
    assert (status, invited["terminal"]) == (201, "sz-till")
    status, listed = ops.asks("GET", "/v1/terminals")
    assert ("sz-till", "invited") in {(one["terminal"], one["state"]) for one in listed["terminals"]}
    status, revoked = ops.asks("POST", "/v1/terminals/sz-till/revoke", {"why": "lost"})
    assert (status, revoked["state"]) == (200, "revoked")


def test_a_report_comes_out_of_the_ledger(ops: Ops) -> None:
    ops.applies(windowed("told-1", (-60, 3_600)))
    deadline_s = time.monotonic() + 10
    while True:
        status, told = ops.asks("GET", "/v1/reports/told-1")
        assert (status, told["campaign"], told["slots"]) == (200, "told-1", [])
        if told["behind"] == 0:
            break
        assert time.monotonic() < deadline_s, told


def test_the_live_view_comes_once_a_second(ops: Ops) -> None:
    request = Request(f"{ops.url}/v1/live", headers={"Authorization": f"Bearer {ops.token}"})  # noqa: S310
    found: list[Any] = []
    times_s: list[float] = []
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        while len(found) < 3:
            line = answer.readline()
            if line.startswith(b"data: "):
                found.append(json.loads(line[6:]))
                times_s.append(time.monotonic())
    assert all(partition["lag"] == 0 for partition in found[-1]["partitions"])
    assert found[-1]["partitions"][0]["log_end"] == found[-1]["partitions"][0]["position"] > 1
    assert 0.5 < times_s[2] - times_s[1] < 2.0


def test_nothing_secret_is_in_the_output_of_the_process(ops: Ops) -> None:
    ops.applies(windowed("quiet-1", (600, 3_600)))
    _, invited = ops.asks("POST", "/v1/terminals", {"pharmacy": "p-1", "why": "x", "region": "guangzhou"})
    add_user(ops.system.data, "quiet", Role.VIEWER, PASSWORD)
    _, session = ops.asks("POST", "/v1/session", {"user": "quiet", "password": PASSWORD})
    output = (ops.system.data.parent / "console.log").read_text()
    assert "terminal_invited" in output
    for private in (invited["pairing_code"], session["token"], ops.token, PASSWORD):
        assert private not in output


@in_front
@pytest.mark.slow
@pytest.mark.timeout(90)
def test_the_description_is_true_of_the_running_service(ops: Ops, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "schemathesis.cli", "run", f"{ops.url}/openapi.json", "--no-color"]
    options = ["--header", f"Authorization: Bearer {ops.token}", "--request-timeout", "12"]
    # The live view never ends, and signing in costs 150 ms a try on purpose; both have tests of their own.
    without = ["--exclude-path", "/v1/live", "--exclude-path", "/v1/session"]
    # No schema can say which campaign documents are right, or that 1.0 is no whole number here.
    without += ["--exclude-checks", "positive_data_acceptance"]
    bounds = ["--phases", "coverage,fuzzing", "--max-examples", "15", "--generation-deterministic"]
    tried = subprocess.run(
        [*program, *options, *without, *bounds],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=FUZZED_WITHIN_S,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout[-6_000:]
    assert ops.asks("GET", "/v1/campaigns")[0] == 200
