"""Open arrivals: everybody comes when the shape says, however many are still waiting.

A closed loop of so many connections sends less as soon as the service is slow, and so hides what it wants to measure
(coordinated omission). Here a request counts from the moment at which it should have been sent. A generator that comes
too late itself measures itself: its slip is counted, and too much of it makes the run void.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from hdrh.histogram import HdrHistogram

from loadtests.shape import Shape

TICK_S: Final = 0.001
"""Who is due within a tick comes at its end: a timer for each arrival would cost as much as the request."""
AT_ONCE: Final = 64
"""So many are sent before answers are looked at again."""
MAX_SLIP_P99_MS: Final = 20.0
LONGEST_S: Final = 60
HIGHEST_US: Final = LONGEST_S * 1_000_000
DIGITS: Final = 3
NO_ANSWER: Final = 0

Visit = Callable[[int], Awaitable[int]]
"""What the arrival of this number does; the HTTP status of its answer, NO_ANSWER where there was none in time."""


def latencies() -> HdrHistogram:
    """An empty histogram, microseconds up to a minute, three digits."""
    return HdrHistogram(1, HIGHEST_US, DIGITS)


@dataclass(slots=True)
class Second:
    """One second of a run, by when its people should have come."""

    offered: int = 0
    answers: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Offered:
    """What came, what it heard, and how late the generator was."""

    slip_us: HdrHistogram = field(default_factory=latencies)
    latencies_us: dict[int, HdrHistogram] = field(default_factory=dict)
    """By status; from the moment at which somebody should have come."""
    seconds: list[Second] = field(default_factory=list)
    turned_away: int = 0
    """Arrivals that the generator itself did not send, since too many of its own were under way."""

    @property
    def offered(self) -> int:
        """Who came, whether or not they were sent."""
        return sum(second.offered for second in self.seconds)

    @property
    def answers(self) -> Counter[int]:
        """How many heard each status."""
        total: Counter[int] = Counter()
        for second in self.seconds:
            total += second.answers
        return total

    @property
    def void_because(self) -> str:
        """Why this run proves nothing, in words; empty where it does."""
        slip_ms = self.slip_ms(99)
        if self.turned_away:
            return f"{self.turned_away} of {self.offered} were not sent: too many were under way in the generator"
        if slip_ms > MAX_SLIP_P99_MS:
            return f"the generator was late itself: one in a hundred by {slip_ms:.1f} ms (bound {MAX_SLIP_P99_MS:g})"
        return ""

    def slip_ms(self, percentile: float) -> float:
        """How late requests were sent."""
        return float(self.slip_us.get_value_at_percentile(percentile)) / 1000

    def latency_ms(self, status: int, percentile: float) -> float:
        """Of the answers with this status; 0 where there are none."""
        found = self.latencies_us.get(status)
        return float(found.get_value_at_percentile(percentile)) / 1000 if found is not None else 0.0


async def offer(shape: Shape, visit: Visit, *, max_under_way: int) -> Offered:
    """Until all have come and heard. `visit` must end by itself, and is cancelled where this is."""
    loop = asyncio.get_running_loop()
    found = Offered()
    under_way = 0
    begins_s = loop.time()

    async def one(number: int, due_s: float, second: Second) -> None:
        nonlocal under_way
        status = await visit(number)
        under_way -= 1
        second.answers[status] += 1
        took_us = round((loop.time() - due_s) * 1e6)
        histogram = found.latencies_us.get(status)
        if histogram is None:
            histogram = found.latencies_us[status] = latencies()
        histogram.record_value(min(max(took_us, 1), HIGHEST_US))

    async with asyncio.TaskGroup() as visits:
        for number, at_s in enumerate(shape.times_s()):
            due_s = begins_s + at_s
            now_s = loop.time()
            if due_s > now_s:
                await asyncio.sleep(max(due_s - now_s, TICK_S))
                now_s = loop.time()
            elif number % AT_ONCE == 0:
                await asyncio.sleep(0)
                now_s = loop.time()
            while len(found.seconds) <= at_s:
                found.seconds.append(Second())
            second = found.seconds[int(at_s)]
            second.offered += 1
            found.slip_us.record_value(min(max(round((now_s - due_s) * 1e6), 1), HIGHEST_US))
            if under_way >= max_under_way:
                found.turned_away += 1
                continue
            under_way += 1
            visits.create_task(one(number, due_s, second))
    return found
