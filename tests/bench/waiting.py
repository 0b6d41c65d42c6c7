"""The waiting room of one process: polls a second while 300,000 wait, and what that many take of its memory."""

import asyncio
import gc
import itertools
import time
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from loadtests.http_client import HttpClient
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.bench.wishes import wide_campaign

CAMPAIGN: Final = "waiting-room"
TICKETS: Final = 300_000
WARM_UP: Final = 5_000
CONNECTIONS: Final = 128
POLL_S: Final = 30.0
PARTS: Final = 3
SEEN_WITHIN_S: Final = 2.0


def waiting() -> list[Figure]:
    """On the embedded tier, the front door being one process."""
    with running() as bench:
        return asyncio.run(_waiting(bench))


async def _waiting(bench: Bench) -> list[Figure]:
    await bench.apply(wide_campaign(CAMPAIGN, WIDE_SLOTS, PLENTY))
    valve = {"mode": "on", "outflow_per_s": 1, "admission_factor": 1, "why": "to be measured"}
    await asyncio.to_thread(bench.console.post, f"/v1/campaigns/{CAMPAIGN}/valve", valve)
    await asyncio.sleep(SEEN_WITHIN_S)
    client = bench.client(CONNECTIONS)
    tickets: list[str] = []
    numbers = itertools.count()
    await _join(client, tickets, numbers, WARM_UP)
    await _poll(client, tickets, 2.0)
    before_mib = _memory_mib(bench)
    began_s = time.perf_counter()
    await _join(client, tickets, numbers, TICKETS)
    joined_per_s = (len(tickets) - WARM_UP) / (time.perf_counter() - began_s)
    with_waiters_mib = _memory_mib(bench)
    gc.collect()
    gc.freeze()  # the generator's own hundreds of thousands of texts
    rates = [await _poll(client, tickets, POLL_S / PARTS) for _ in range(PARTS)]
    polled_mib = _memory_mib(bench)
    client.close()
    against = (
        f"{len(tickets):,} tickets, {CONNECTIONS} connections, generator on the same cores; "
        f"joined at {joined_per_s:,.0f}/s"
    )
    grown = (
        f"{before_mib:.1f} MiB with {WARM_UP:,} tickets, {with_waiters_mib:.1f} with all, {polled_mib:.1f} after "
        f"{POLL_S:g} s of polls"
    )
    return [
        figure("polls_per_s", rates, "1/s", against),
        figure("waiting_room_grown_mib", [polled_mib - before_mib], "MiB", grown),
    ]


async def _join(client: HttpClient, tickets: list[str], numbers: "itertools.count[int]", up_to: int) -> None:
    async def one_connection() -> None:
        while len(tickets) < up_to:
            document = {"document_type": "passport", "document_number": f"E{next(numbers):08d}"}
            body = msgspec.json.encode({"resident": document})
            answer = await client.request("POST", f"/v1/campaigns/{CAMPAIGN}/tickets", body)
            assert answer.status == 201, answer.body
            tickets.append(msgspec.json.decode(answer.body)["ticket"])

    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))


async def _poll(client: HttpClient, tickets: list[str], seconds: float) -> float:
    """Polls a second, over all tickets in turn; all of them were answered."""
    paths = itertools.cycle(tickets)
    statuses: Counter[int] = Counter()
    ends_s = time.perf_counter() + seconds

    async def one_connection() -> None:
        while time.perf_counter() < ends_s:
            answer = await client.request("GET", f"/v1/tickets/{next(paths)}")
            statuses[answer.status] += 1

    began_s = time.perf_counter()
    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    assert set(statuses) == {200}, statuses
    return statuses[200] / (time.perf_counter() - began_s)


def _memory_mib(bench: Bench) -> float:
    lines = Path(f"/proc/{bench.pids['front-door']}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024
