"""The counter with a real broker, Valkey and allocator, and the front door that books: from wish to hand-out."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.launcher.ports import free_ports
from services.domain import commands as c
from services.platform.identities import Identities
from services.platform.pairing_codes import new_pairing_code, pairing_code_digest
from services.platform.secrets import Secrets
from tests.integration.front_door_system import System, ask, running_system, start, wait_until_ready
from tests.integration.tiers import Tier, in_front
from tests.unit.front_door_world import wish

SEEN_WITHIN_S = 5.0
FUZZED_WITHIN_S = 45


@dataclass
class Counter:
    """A counter process beside the system, and one paired terminal."""

    system: System
    url: str
    token: str = ""

    def asks(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        key = f"key-{next(self.system.numbers)}"
        headers = {"Authorization": f"Bearer {token or self.token}", "Idempotency-Key": key}
        status, _, answer = ask(method, self.url + path, body, headers)
        return status, json.loads(answer)

    def invites(self, terminal: str, pharmacy: str) -> str:
        """The console expects a terminal; its pairing code, once the counter can see it."""
        number = next(self.system.numbers)
        identities = Identities(Secrets.load(self.system.data / "secrets"))
        code = new_pairing_code(identities, 0, f"invitation-{number:05d}")
        digest = pairing_code_digest(identities, code)
        invitation = c.InviteTerminal(
            id=f"invite-{number:09d}",
            terminal=terminal,
            region="guangzhou",
            pharmacy=pharmacy,
            code_digest=digest,
            expires_ms=int(time.time() * 1000) + 3_600_000,
        )
        self.system.write(0, invitation)
        return code

    def pairs(self, terminal: str, pharmacy: str) -> str:
        code, deadline_s = self.invites(terminal, pharmacy), time.monotonic() + SEEN_WITHIN_S
        while True:
            status, paired = self.asks("POST", "/v1/terminals", {"pairing_code": code})
            if status == 201:
                return str(paired["token"])
            assert time.monotonic() < deadline_s, paired
            time.sleep(0.02)

    def books(self, **changes: Any) -> tuple[dict[str, str], Any]:
        """A resident books at the front door: the document, and the confirmed reservation."""
        resident = self.system.passport()
        headers = {"Idempotency-Key": f"key-{next(self.system.numbers)}", "Prefer": "wait=10"}
        body = wish(resident=resident, **changes)
        status, _, answer = ask("POST", f"{self.system.url}/v1/reservations", body, headers)
        told = json.loads(answer)
        assert (status, told["state"]) == (201, "confirmed")
        return resident, told


@pytest.fixture(scope="module")
def counter(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    folder = tmp_path_factory.mktemp("counter")
    with running_system(tier, folder) as system, ExitStack() as stack:
        port, admin_port = free_ports(2)
        start(system, stack, "counter", "CounterSettings", port=port, admin_port=admin_port)
        wait_until_ready(f"http://127.0.0.1:{admin_port}/readyz")
        counter = Counter(system, f"http://127.0.0.1:{port}")
        counter.token = counter.pairs("till-1", "p-1")
        yield counter


def test_what_the_front_door_confirmed_is_handed_out_by_its_pass(counter: Counter) -> None:
    _, told = counter.books(units=3)
    status, out = counter.asks("POST", "/v1/pickups", {"pass": told["pass"]})
    assert (status, out["state"], out["units"], out["slot"]) == (200, "picked_up", 3, "s-1")
    status, again = counter.asks("POST", "/v1/pickups", {"pass": told["pass"]})
    assert (status, again["reason"], again["when"]) == (409, "already_picked_up", out["picked_up_at"])
    status, _, answer = ask("GET", f"{counter.system.url}/v1/reservations/{told['id']}")
    assert (status, json.loads(answer)["state"]) == (200, "picked_up")
    assert out["pass_no"] not in told["id"]
    assert counter.asks("POST", f"/v1/pickups/{out['pass_no']}/undo", {"why": "slip"})[1]["state"] == "confirmed"


def test_the_short_code_of_the_front_door_is_the_one_the_counter_knows(counter: Counter) -> None:
    for _ in range(3):
        resident, told = counter.books()
        shown = {"short_code": told["short_code"], "document_last4": resident["document_number"][-4:]}
        status, out = counter.asks("POST", "/v1/pickups", shown)
        assert (status, out["state"]) == (200, "picked_up")


def test_the_document_finds_cancels_and_hands_out(counter: Counter) -> None:
    resident, _ = counter.books()
    status, found = counter.asks("POST", "/v1/lookups", resident)
    assert (status, [each["state"] for each in found["reservations"]]) == (200, ["confirmed"])
    pass_no = found["reservations"][0]["pass_no"]
    status, out = counter.asks("POST", f"/v1/reservations/{pass_no}/cancel", {"why": "asked for it at the desk"})
    assert (status, out["state"]) == (200, "cancelled")
    assert counter.asks("POST", "/v1/pickups", resident)[1]["reason"] == "unknown_pass"


def test_another_pharmacy_and_another_day_are_told(counter: Counter) -> None:
    elsewhere = counter.pairs("till-2", "p-2")
    _, today = counter.books()
    _, tomorrow = counter.books(slot="s-2")
    status, told = counter.asks("POST", "/v1/pickups", {"pass": today["pass"]}, token=elsewhere)
    assert (status, told["reason"], told["pharmacy"]) == (409, "other_pharmacy", "p-1")
    status, told = counter.asks("POST", "/v1/pickups", {"pass": tomorrow["pass"]}, token=elsewhere)
    assert (status, told["reason"], told["starts_at"]) == (409, "wrong_time", tomorrow["starts_at"])


def test_the_own_day_adds_up_and_stock_can_be_added(counter: Counter) -> None:
    counter.books()
    status, day = counter.asks("GET", "/v1/slots")
    assert status == 200
    (slot,) = day["slots"]
    assert slot["quota"] == slot["confirmed"] + slot["picked_up"] + slot["expired"] + slot["left"]
    status, changed = counter.asks("POST", "/v1/slots/s-1/quota", {"change": 50, "why": "delivery"})
    assert (status, changed["quota"]) == (200, slot["quota"] + 50)
    assert len(counter.asks("GET", "/v1/today")[1]["reservations"]) >= 1


def test_a_token_outlives_the_process_that_gave_it(counter: Counter) -> None:
    port, admin_port = free_ports(2)
    with ExitStack() as stack:
        start(counter.system, stack, "counter", "CounterSettings", port=port, admin_port=admin_port)
        wait_until_ready(f"http://127.0.0.1:{admin_port}/readyz")
        another = Counter(counter.system, f"http://127.0.0.1:{port}", counter.token)
        assert another.asks("GET", "/v1/today")[0] == 200


@in_front
def test_the_service_answers_as_it_describes_itself(counter: Counter, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "schemathesis.cli", "run", f"{counter.url}/openapi.json", "--no-color"]
    options = ["--header", f"Authorization: Bearer {counter.token}", "--request-timeout", "12"]
    bounds = ["--phases", "coverage,fuzzing", "--max-examples", "20", "--generation-deterministic"]
    tried = subprocess.run(
        [*program, *options, *bounds],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=FUZZED_WITHIN_S,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout[-6_000:]
    assert counter.asks("GET", "/v1/today")[0] == 200


def test_no_document_token_or_pass_is_in_the_output_of_the_process(counter: Counter) -> None:
    resident, told = counter.books()
    counter.asks("POST", "/v1/pickups", {"pass": told["pass"]})
    counter.asks("POST", "/v1/lookups", resident)
    output = (counter.system.data.parent / "counter.log").read_text()
    assert "serving" in output
    for private in (resident["document_number"], told["pass"], counter.token.rpartition(".")[2]):
        assert private not in output
