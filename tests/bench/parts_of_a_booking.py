"""What each part of the real tier spends on a booking, and on what people look at: the planner's constants.

Nothing is compressed and nobody is refused: one unit each, over many slots, three brokers, a Redis Cluster with a
replica each. What a process does anyway (ticks, heartbeats, Java at its compiling) is in it: it cannot be told apart,
for under load there is less of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from loadtests.http_client import HttpClient
from tests.bench.cpu import cpu_with_ended_threads_s
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running_for_real
from tests.bench.rush import rush
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.bench.wishes import Wish, wide_campaign, wishes

BROKERS: Final = 3
REPEATS: Final = 5
BOOKINGS: Final = 6_400
READS: Final = 10_000
LOOKED_AT: Final = 200
CONNECTIONS: Final = 512
PARTS: Final = {"front-door": "front_door", "allocator": "allocator", "redis": "redis", "kafka": "kafka"}
"""What the names of processes begin with, and what their part is called in a figure."""
TOPICS: Final = ("commands", "events")

Spent = dict[str, float]
"""CPU seconds of each part."""


def parts_of_a_booking() -> list[Figure]:
    """CPU of each part for a booking and for a look, and what a booking adds to each copy of the log."""
    with running_for_real(BROKERS) as bench:
        return asyncio.run(_parts(bench))


async def _parts(bench: Bench) -> list[Figure]:
    campaign = wide_campaign("parts", WIDE_SLOTS, PLENTY)
    await bench.apply(campaign)
    client = bench.client(CONNECTIONS)
    await rush(client, wishes(campaign, BOOKINGS, 99), CONNECTIONS)  # Java is slow at first
    await bench.decided()
    spent: list[Spent] = []
    grown = []
    for repeat in range(REPEATS):
        before_bytes = _log_bytes(bench.folder)

        async def book(ready_wishes: Sequence[Wish] = wishes(campaign, BOOKINGS, repeat + 1)) -> None:
            heard = await rush(client, ready_wishes, CONNECTIONS)
            assert heard.statuses[202] == BOOKINGS, heard.statuses
            await bench.decided()

        spent.append(await _spent(bench, book, BOOKINGS))
        grown.append((_log_bytes(bench.folder) - before_bytes) / BROKERS / BOOKINGS)
    told = f"{BOOKINGS} bookings, {CONNECTIONS} connections, {BROKERS} brokers, three primaries and three replicas"
    found = [figure(f"cpu_us_booking_{part}", [each[part] for each in spent], "us", told) for part in PARTS.values()]
    found.append(figure("log_bytes_per_booking", grown, "B", f"commands and events, one copy of {BROKERS}"))
    found += await _looks(bench, client)
    client.close()
    return found


async def _looks(bench: Bench, client: HttpClient) -> list[Figure]:
    """A status that is decided, and the stock of a campaign of many slots."""
    campaign = wide_campaign("looks", LOOKED_AT, PLENTY)
    await bench.apply(campaign)
    statuses = [await _status_url(client, wish.body, wish.headers) for wish in wishes(campaign, LOOKED_AT, 7)]
    await bench.decided()
    stock = f"/v1/campaigns/{campaign.campaign}/stock"
    found = []
    for name, urls in (("cpu_us_status", statuses), ("cpu_us_stock", [stock])):

        async def look(urls: Sequence[str] = urls) -> None:
            line = iter([urls[number % len(urls)] for number in range(READS)])
            await asyncio.gather(*(_one_reader(client, line) for _ in range(CONNECTIONS)))

        spent = [await _spent(bench, look, READS) for _ in range(REPEATS)]
        told = f"front door and Redis, {READS} requests, {CONNECTIONS} connections, {LOOKED_AT} slots"
        found.append(figure(name, [each["front_door"] + each["redis"] for each in spent], "us", told))
    return found


async def _one_reader(client: HttpClient, line: Iterator[str]) -> None:
    for url in line:
        answer = await client.request("GET", url)
        assert answer.status == 200, answer


async def _status_url(client: HttpClient, body: bytes, headers: dict[str, str]) -> str:
    answer = await client.request("POST", "/v1/reservations", body, headers)
    assert answer.status == 202, answer
    url: str = msgspec.json.decode(answer.body)["status_url"]
    return url


async def _spent(bench: Bench, work: Callable[[], Awaitable[None]], count: int) -> Spent:
    """CPU µs of each part for one of so many."""
    before = _cpu_s(bench)
    await work()
    return {part: (now - before[part]) / count * 1e6 for part, now in _cpu_s(bench).items()}


def _cpu_s(bench: Bench) -> Spent:
    return {
        part: sum(cpu_with_ended_threads_s(pid) for name, pid in bench.pids.items() if name.startswith(begin))
        for begin, part in PARTS.items()
    }


def _log_bytes(folder: Path) -> int:
    """Of all copies of both topics."""
    return sum(
        segment.stat().st_size for topic in TOPICS for segment in (folder / "kafka").rglob(f"{topic}-*/*.log")
    )
