"""What it costs to say no, beside what a booking costs: all processes of the service, stores included.

What they use while nobody comes is taken off, and each rush begins when the one before has left no work behind.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.bench.cpu import cpu_with_ended_threads_s
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running
from tests.bench.rush import Heard, rush
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.bench.wishes import Wish, wide_campaign, wishes

ACCEPTED: Final = 202
SOLD_OUT: Final = 409
BUSY: Final = 503
REPEATS: Final = 5
BOOKINGS: Final = 4_000
CONNECTIONS: Final = 512
KNOWN_WITHIN_S: Final = 10.0
FILLED_BY: Final = 14_000
"""Bookings after which a front door takes no more while nothing is decided: `max_undecided`, and some beyond it."""
QUIET_S: Final = 0.5
QUIET_WITHIN_S: Final = 20.0
IDLE_S: Final = 3.0
IN_VAIN: Final = 400
"""Who hears 503, and tries twenty times."""


def refusals() -> list[Figure]:
    """The quotient of the dearer of the two answers, each repeat with its own three measurements."""
    with running() as bench:
        return asyncio.run(_refusals(bench))


async def _refusals(bench: Bench) -> list[Figure]:
    plenty, few = wide_campaign("plenty", WIDE_SLOTS, PLENTY), wide_campaign("sold-out", 1, 1)
    for campaign in (plenty, few):
        await bench.apply(campaign)
    await _sold_out(bench, wishes(few, 20, 999_999))
    await _rushed(bench, wishes(plenty, BOOKINGS, 999_998))
    meter = await Meter.of(bench)
    accepted_us, sold_out_us, busy_us, quotients = [], [], [], []
    for repeat in range(REPEATS + 1):
        seed = 10 * repeat
        accepted_us.append(await _cost_us(meter, wishes(plenty, BOOKINGS, seed), ACCEPTED))
        sold_out_us.append(await _cost_us(meter, wishes(few, BOOKINGS, seed + 1), SOLD_OUT))
        with _nothing_is_decided(bench):
            await _filled(bench, wishes(plenty, FILLED_BY, seed + 2))
            busy_us.append(await _cost_us(meter, wishes(plenty, IN_VAIN, seed + 3), BUSY))
        await bench.decided()
        await _rushed(bench, wishes(plenty, BOOKINGS, seed + 4))  # opens the limits that the pause has cut
        await bench.decided()
        quotients.append(max(sold_out_us[-1], busy_us[-1]) / accepted_us[-1])
    told = f"sold_out {_middle(sold_out_us):.0f} µs, 503 {_middle(busy_us):.0f} µs"
    against = f"{told} against {_middle(accepted_us):.0f} µs, all processes, {CONNECTIONS} connections"
    return [figure("refusal_cpu_vs_accepted", quotients[1:], "1", against)]  # the first ones warm it up


async def _sold_out(bench: Bench, tries: Sequence[Wish]) -> None:
    """The only unit is gone, and the front door says so before the log."""
    client = bench.client(1)
    async with asyncio.timeout(KNOWN_WITHIN_S):
        for wish in tries:
            if (await client.request("POST", "/v1/reservations", wish.body, wish.headers)).status == 409:
                break
            await asyncio.sleep(0.5)
    client.close()


async def _filled(bench: Bench, ready_wishes: list[Wish]) -> None:
    heard = await _rushed(bench, ready_wishes)
    assert heard.statuses[503] > 0, heard.statuses


class Meter:
    """CPU of all processes, without what they use while nobody comes."""

    def __init__(self, bench: Bench, idle: float) -> None:
        self.bench = bench
        self._idle = idle

    @classmethod
    async def of(cls, bench: Bench) -> "Meter":
        """Takes some seconds: what a service does that is up, with nobody there."""
        await bench.decided()
        await asyncio.sleep(IDLE_S)  # the ledger comes after
        return cls(bench, (await _cpu_over(bench, IDLE_S)) / IDLE_S)

    async def quiet(self) -> None:
        """Until nothing is left of the last rush."""
        async with asyncio.timeout(QUIET_WITHIN_S):
            while await _cpu_over(self.bench, QUIET_S) > 1.5 * self._idle * QUIET_S:
                pass

    def begin(self) -> tuple[float, float]:
        """A reading: CPU and wall clock, both in seconds."""
        return _cpu_s(self.bench), time.monotonic()

    def since(self, before: tuple[float, float]) -> float:
        """CPU seconds since a reading."""
        return _cpu_s(self.bench) - before[0] - self._idle * (time.monotonic() - before[1])


async def _cost_us(meter: Meter, ready_wishes: list[Wish], status: int) -> float:
    """CPU for each answer of this status; accepted ones until the ledger has them. A few more may be 503."""
    if status != BUSY:
        await meter.quiet()
    before = meter.begin()
    heard = await _rushed(meter.bench, ready_wishes)
    assert heard.statuses[status] > 0.9 * heard.statuses.total(), heard.statuses
    if status == ACCEPTED:
        await meter.bench.decided()
        await meter.quiet()
    return meter.since(before) / heard.statuses[status] * 1e6


async def _cpu_over(bench: Bench, seconds: float) -> float:
    before_s = _cpu_s(bench)
    await asyncio.sleep(seconds)
    return _cpu_s(bench) - before_s


async def _rushed(bench: Bench, ready_wishes: list[Wish]) -> Heard:
    client = bench.client(CONNECTIONS)
    try:
        return await rush(client, ready_wishes, CONNECTIONS)
    finally:
        client.close()


@contextmanager
def _nothing_is_decided(bench: Bench) -> Iterator[None]:
    os.kill(bench.pids["allocator"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(bench.pids["allocator"], signal.SIGCONT)


def _cpu_s(bench: Bench) -> float:
    return sum(map(cpu_with_ended_threads_s, bench.pids.values()))


def _middle(values: list[float]) -> float:
    return sorted(values[1:])[len(values[1:]) // 2]
