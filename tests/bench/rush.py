"""Closed-loop load: so many connections, each sending its next wish as soon as it has its answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from loadtests.http_client import HttpClient
from tests.bench.wishes import Wish

MAX_RETRIES = 20


@dataclass
class Heard:
    """What came back: how many of each status, and how long each took."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0


async def rush(client: HttpClient, wishes: Sequence[Wish], connections: int) -> Heard:
    """Send all of them. Who is told to come back does so a moment later, and is counted each time."""
    heard = Heard()
    line = iter(wishes)
    await client.open(connections)
    began_s = time.perf_counter()
    await asyncio.gather(*(_one_connection(client, line, heard) for _ in range(connections)))
    heard.seconds = time.perf_counter() - began_s
    return heard


async def _one_connection(client: HttpClient, line: Iterator[Wish], heard: Heard) -> None:
    for wish in line:
        for _ in range(MAX_RETRIES):
            sent_s = time.perf_counter()
            answer = await client.request("POST", "/v1/reservations", wish.body, wish.headers)
            heard.latencies_s.append(time.perf_counter() - sent_s)
            heard.statuses[answer.status] += 1
            if answer.status != 503:
                break
            await asyncio.sleep(0.05)
