"""CPU of the front door for an accepted booking, beside that of a handler that only reads and decodes it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loadtests.http_client import HttpClient
from tests.bench.cpu import cpu_s
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running
from tests.bench.rush import rush
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.bench.wishes import Wish, wide_campaign, wishes
from tests.integration.cli_system import ROOT

REPEATS = 15
BOOKINGS = 2_000
CONNECTIONS = 512


def cost() -> list[Figure]:
    """The quotient, each repeat with its own pair of measurements, one right after the other."""
    with running() as bench, _noop() as (pid, url):
        return asyncio.run(_cost(bench, pid, url))


async def _cost(bench: Bench, noop_pid: int, noop_url: str) -> list[Figure]:
    campaign = wide_campaign("cost", WIDE_SLOTS, PLENTY)
    await bench.apply(campaign)
    door, noop = bench.client(CONNECTIONS), HttpClient(noop_url, max_connections=CONNECTIONS, timeout_s=20.0)
    quotients, door_us, noop_us = [], [], []
    for repeat in range(REPEATS + 1):
        ready_wishes = wishes(campaign, BOOKINGS, repeat + 1)
        noop_us.append(await _cpu_us(noop, noop_pid, ready_wishes))
        door_us.append(await _cpu_us(door, bench.pids["front-door"], ready_wishes))
        quotients.append(door_us[-1] / noop_us[-1])
        await bench.decided()
    door.close()
    noop.close()
    beside = f"{_middle(noop_us):.0f} µs of a no-op web.Application"
    against = f"{_middle(door_us):.0f} µs against {beside}, {CONNECTIONS} connections"
    return [figure("front_door_cpu_vs_noop", quotients[1:], "1", against)]  # the first pair warms both up


async def _cpu_us(client: HttpClient, pid: int, ready_wishes: list[Wish]) -> float:
    before_s = cpu_s(pid)
    heard = await rush(client, ready_wishes, CONNECTIONS)
    assert heard.statuses[202] == len(ready_wishes), heard.statuses
    return (cpu_s(pid) - before_s) / len(ready_wishes) * 1e6


def _middle(values: list[float]) -> float:
    return sorted(values[1:])[len(values[1:]) // 2]


@contextmanager
def _noop() -> Iterator[tuple[int, str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.noop_server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.pid, f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)
