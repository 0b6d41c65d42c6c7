"""The front door with a real broker, a real Valkey and a real allocator behind it."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from infra.launcher.ports import free_ports
from services.domain import commands as c
from services.front_door.line import FRESH_S
from services.state.recovery import GROUP
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.integration.front_door_system import PARTITIONS, System, ask, running_system, start, wait_until_ready
from tests.integration.tiers import Tier, in_front
from tests.real.stores import empty_redis
from tests.unit.front_door_world import wish

FUZZED_WITHIN_S = 50
SLOW_REQUEST_TIMEOUT_S = 5
BACK_WITHIN_S = 20


@pytest.fixture(scope="module")
def system(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tier, tmp_path_factory.mktemp("front-door")) as system:
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


def test_who_sends_the_same_again_gets_the_same_reservation(system: System) -> None:
    resident = system.passport()
    answers = [book(system, "same", wait_s=10, resident=resident) for _ in range(3)]
    assert [status for status, _, _ in answers] == [201, 201, 201]
    assert len({told["id"] for _, _, told in answers}) == 1
    status, _, told = book(system, "another", wait_s=10, resident=resident)
    assert (status, told["reason"]) == (409, "already_reserved")


def test_many_who_wait_at_once_all_hear_their_own_decision(system: System) -> None:
    with ThreadPoolExecutor(40) as people:
        answers = list(people.map(lambda number: book(system, f"crowd-{number}", wait_s=20), range(200)))
    assert {status for status, _, _ in answers} == {201}
    assert len({told["id"] for _, _, told in answers}) == 200
    assert len({told["pass"] for _, _, told in answers}) == 200


def test_the_page_of_a_campaign_really_books(system: System) -> None:
    _, _, shown = ask("GET", f"{system.url}/campaigns/gz-2020-02/slots/s-1")
    nonce = re.search(r'name="nonce" value="([^"]+)"', shown.decode())
    assert nonce is not None
    fields = {"nonce": nonce[1], "units": "2", "phone": "13800000000"} | system.passport()
    status, _, page = ask(
        "POST",
        f"{system.url}/campaigns/gz-2020-02/slots/s-1",
        urlencode(fields).encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert status == 200  # after the redirect to the reservation's own page
    assert "Booked" in page.decode()


def test_a_front_door_that_is_asked_to_stop_answers_what_it_has_begun(system: System) -> None:
    port, admin_port = free_ports(2)
    with ExitStack() as stack:
        start(system, stack, "front_door", "FrontDoorSettings", port=port, admin_port=admin_port)
        process = system.processes["front_door"]
        other = System(f"http://127.0.0.1:{port}", "", system.stores, system.data, numbers=system.numbers)
        wait_until_ready(f"http://127.0.0.1:{admin_port}/readyz")
        wait_until_ready(f"{other.url}/v1/campaigns/gz-2020-02")
        os.kill(system.processes["allocator"].pid, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as person:
            waiting = person.submit(book, other, "while-stopping", 5)
            until(lambda: b'maskline_commands_offered_total{' in ask("GET", f"http://127.0.0.1:{admin_port}/metrics")[2])
            process.send_signal(signal.SIGTERM)
            until(lambda: not is_listening(port))
            os.kill(system.processes["allocator"].pid, signal.SIGCONT)
            assert waiting.result()[0] == 201
        assert process.wait(10) == 0


def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + BACK_WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


# -- F13: clients that misbehave ----------------------------------------------------------------------------------


@in_front
def test_slow_and_idle_clients_are_cut_and_nobody_else_notices(system: System) -> None:
    host, port = system.url.removeprefix("http://").split(":")

    def connected(first_bytes: bytes) -> socket.socket:
        client = socket.create_connection((host, int(port)), timeout=SLOW_REQUEST_TIMEOUT_S + 3)
        client.sendall(first_bytes)
        return client

    idle = [connected(b"") for _ in range(300)]
    slow_header = connected(b"POST /v1/reservations HTTP/1.1\r\nHost: x\r\n")
    slow_body = connected(
        b"POST /v1/reservations HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 100\r\n\r\n{"
    )
    garbage = connected(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    assert garbage.recv(4096).startswith(b"HTTP/1.1 400 ")
    started_s = time.monotonic()
    assert book(system, "among-slow-ones", wait_s=5)[0] == 201
    assert time.monotonic() - started_s < 2
    for slow in (slow_header, slow_body):
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started_s < SLOW_REQUEST_TIMEOUT_S + 2
    for client in (*idle, slow_header, slow_body, garbage):
        client.close()


# -- what it stands on goes away ----------------------------------------------------------------------------------


def test_a_redis_that_stands_still_takes_no_booking_away(system: System) -> None:
    with system.stores.redis_stands_still():
        time.sleep(2 * FRESH_S)  # what the front door read before it stood still is no answer any more
        status, headers, told = book(system, "no-redis")
        assert (status, told["state"], told["ahead"]) == (202, "pending", None)
        status, _, answer = ask("GET", f"{system.url}{headers['Location']}")
        assert (status, json.loads(answer)["reason"]) == (503, "catching_up")
    assert eventually(system, headers["Location"])["state"] == "confirmed"


def test_a_log_that_stands_still_is_unknown_first_and_then_refused_and_the_same_key_mends_it(system: System) -> None:
    assert book(system, "while-it-moves")[0] == 202
    resident = system.passport()
    with system.stores.kafka_stands_still():
        status, _, told = book(system, "no-log", resident=resident)
        assert (status, told["reason"]) == (504, "unknown_outcome")
        status, headers, told = book(system, "no-log", resident=resident)
        assert (status, told["reason"]) == (503, "log_unavailable")
        assert int(headers["Retry-After"]) >= 1
    deadline_s = time.monotonic() + BACK_WITHIN_S
    while (answer := book(system, "no-log", wait_s=10, resident=resident))[0] != 201:
        assert answer[0] in (202, 503, 504)
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_a_front_door_that_starts_while_redis_is_rebuilt_says_so_and_never_that_nothing_is_there(
    system: System,
) -> None:
    _, _, told = book(system, "before", wait_s=10)
    asyncio.run(until_committed(system))
    os.kill(system.processes["allocator"].pid, signal.SIGSTOP)
    try:
        asyncio.run(empty_redis(system.stores.root))
        with ExitStack() as stack:
            port, admin_port = free_ports(2)
            start(system, stack, "front_door", "FrontDoorSettings", port=port, admin_port=admin_port)
            late = f"http://127.0.0.1:{port}"
            wait_until_ready(f"{late}/livez")
            for path in (f"reservations/{told['id']}", "campaigns/gz-2020-02", "campaigns/gz-2020-02/stock"):
                status, headers, answer = ask("GET", f"{late}/v1/{path}")
                assert (status, json.loads(answer)["reason"]) == (503, "catching_up")
                assert int(headers["Retry-After"]) >= 1
            status, _, answer = ask("POST", f"{late}/v1/reservations", wish(), {"Idempotency-Key": "late"})
            assert (status, json.loads(answer)["reason"]) == (503, "catching_up")
            os.kill(system.processes["allocator"].pid, signal.SIGCONT)
            for partition in range(PARTITIONS):  # as a clock does every second: it is how an allocator finds the gap
                system.write(partition, c.Tick(at_ms=int(time.time() * 1000)))
            wait_until_ready(f"{late}/v1/reservations/{told['id']}")
    finally:
        os.kill(system.processes["allocator"].pid, signal.SIGCONT)
    wait_until_ready(f"{system.url}/v1/reservations/{told['id']}")


async def until_committed(system: System) -> None:
    """Until Kafka has been told that everything is published."""
    reader = PartitionReader(system.as_user("audit"), COMMANDS)
    try:
        async with asyncio.timeout(BACK_WITHIN_S):
            while await reader.committed(GROUP, PartitionId(0)) < await reader.log_end(PartitionId(0)):
                await asyncio.sleep(0.1)
    finally:
        await reader.stop()


def eventually(system: System, path: str) -> Any:
    """What a status tells once it is not 503 any more, and decided."""
    deadline_s = time.monotonic() + BACK_WITHIN_S
    while True:
        status, _, answer = ask("GET", f"{system.url}{path}&wait=1")
        told = json.loads(answer)
        if status == 200 and told["state"] != "pending":
            return told
        assert time.monotonic() < deadline_s, told
        time.sleep(0.1)


# -- its description ----------------------------------------------------------------------------------------------


@in_front
def test_the_service_answers_as_it_describes_itself(system: System, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "schemathesis.cli", "run", f"{system.url}/openapi.json", "--no-color"]
    bounds = ["--phases", "coverage,fuzzing", "--max-examples", "20", "--generation-deterministic"]
    # A made-up document number is valid by its type alone.
    bounds += ["--exclude-checks", "positive_data_acceptance"]
    tried = subprocess.run(
        [*program, *bounds, "--request-timeout", "35"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=FUZZED_WITHIN_S,
        check=False,
    )
    assert tried.returncode == 0, tried.stdout[-6_000:]
    assert ask("GET", f"{system.url}/v1/campaigns")[0] == 200
