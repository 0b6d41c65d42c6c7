"""Figures of a whole system, taken from outside: ready, booked, decided."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from infra.applying import apply_campaign
from infra.console_client import ConsoleClient
from loadtests.http_client import HttpClient, NoAnswer
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running
from tests.bench.rush import rush
from tests.bench.wishes import wide_campaign, wishes
from tests.integration.cli_system import up

READY_REPEATS = 3
REPEATS = 3
CONNECTIONS = 512
WIDE_SLOTS = 9_000
BOOKINGS = 12_000
PLENTY = 100_000
IDLE_BOOKINGS = 150
BUSY_CONNECTIONS = 64
BUSY_BOOKINGS = 3_000


def ready() -> list[Figure]:
    """From the first line of `maskline up` to the first confirmed booking, the campaign applied in between."""
    values = []
    for _ in range(READY_REPEATS):
        with tempfile.TemporaryDirectory(prefix="maskline-bench-") as folder:
            began_s = time.perf_counter()
            with up(Path(folder) / "data") as system:
                campaign = wide_campaign("ready", 10, PLENTY)
                apply_campaign(ConsoleClient.of(system.data, system.endpoints["console"]), campaign)
                (wish,) = wishes(campaign, 1, 1, wait_s=10)
                asyncio.run(_first_confirmed(system.endpoints["front_door"], wish.body, wish.headers))
                values.append(time.perf_counter() - began_s)
    return [figure("ready_s", values, "s")]


async def _first_confirmed(url: str, body: bytes, headers: dict[str, str]) -> None:
    client = HttpClient(url, max_connections=1, timeout_s=15.0)
    while True:
        try:
            answer = await client.request("POST", "/v1/reservations", body, headers)
        except NoAnswer:
            continue
        if answer.status == 201:
            client.close()
            return
        await asyncio.sleep(0.01)


def decided() -> list[Figure]:
    """Bookings a second from the first request to the last decision, over many slots and over one."""
    with running() as bench:
        return asyncio.run(decided_on(bench, {"decided_per_s": WIDE_SLOTS, "decided_per_s_hot": 1}))


async def decided_on(bench: Bench, figures: Mapping[str, int]) -> list[Figure]:
    """A figure for each name, over so many slots."""
    found = []
    for name, slots in figures.items():
        values = await rates_on(bench, name.replace("_", "-"), slots)
        against = f"{CONNECTIONS} connections, {slots} slots, generator on the same cores"
        found.append(figure(name, values, "1/s", against))
    return found


async def rates_on(bench: Bench, campaign_name: str, slots: int) -> list[float]:
    """Bookings a second over so many slots of a new campaign, time after time."""
    campaign = wide_campaign(campaign_name, slots, PLENTY)
    await bench.apply(campaign)
    client = bench.client(CONNECTIONS)
    await rush(client, wishes(campaign, 1_000, 99), CONNECTIONS)  # the first thousand warm everything up
    await bench.decided()
    values = []
    for repeat in range(REPEATS):
        ready_wishes = wishes(campaign, BOOKINGS, repeat + 1)
        began_s = time.perf_counter()
        heard = await rush(client, ready_wishes, CONNECTIONS)
        await bench.decided()
        values.append(heard.statuses[202] / (time.perf_counter() - began_s))
    client.close()
    return values


def decision_times() -> list[Figure]:
    """POST with `Prefer: wait` to its decision: one at a time, and 64 connections at once."""
    with running() as bench:
        return asyncio.run(decision_times_on(bench))


async def decision_times_on(bench: Bench) -> list[Figure]:
    """One at a time, then 64 connections."""
    campaign = wide_campaign("decision-times", WIDE_SLOTS, PLENTY)
    await bench.apply(campaign)
    found = []
    for name, connections, count in (
        ("decision_p50_ms_idle", 1, IDLE_BOOKINGS),
        ("decision_p50_ms_64", BUSY_CONNECTIONS, BUSY_BOOKINGS),
    ):
        client = bench.client(connections)
        await rush(client, wishes(campaign, count, 1_000 + connections, wait_s=10), connections)
        values = []
        for repeat in range(REPEATS):
            heard = await rush(client, wishes(campaign, count, 10 * connections + repeat, wait_s=10), connections)
            assert heard.statuses[201] == count, heard.statuses
            values.append(statistics.median(heard.latencies_s) * 1000)
        client.close()
        found.append(figure(name, values, "ms", f"{connections} connections"))
    return found
