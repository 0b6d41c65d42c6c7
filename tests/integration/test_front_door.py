"""The front door with a real broker, a real Valkey and a real allocator behind it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.front_door_system import System, ask, running_system
from tests.unit.front_door_world import wish

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("front-door")) as system:
        yield system


def book(system: System, key: str, wait_s: int = 0, **changes: Any) -> tuple[int, dict[str, str], Any]:
    headers = {"Idempotency-Key": key} | ({"Prefer": f"wait={wait_s}"} if wait_s else {})
    body = wish(**({"resident": system.passport()} | changes))
    status, headers, answer = ask("POST", f"{system.url}/v1/reservations", body, headers)
    return status, headers, json.loads(answer)


def test_a_resident_books_looks_and_cancels(system: System) -> None:
    status, headers, told = book(system, "way-1")
    assert (status, told["state"]) == (202, "pending")
    status, _, answer = ask("GET", f"{system.url}{headers['Location']}&wait=10")
    confirmed = json.loads(answer)
    assert (status, confirmed["state"], confirmed["id"]) == (200, "confirmed", told["id"])
    status, headers, picture = ask("GET", f"{system.url}/v1/reservations/{told['id']}/pass.svg")
    assert (status, headers["Content-Type"], picture[:4]) == (200, "image/svg+xml", b"<svg")
    status, _, answer = ask("DELETE", f"{system.url}/v1/reservations/{told['id']}?wait=10")
    assert (status, json.loads(answer)["state"]) == (200, "cancelled")
