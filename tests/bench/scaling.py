"""One, two and four regions on one to four allocators and front doors: what a booking costs stays what it was.

On two cores more processes cannot be faster; what can be seen is whether a booking costs more CPU as there are more.
"""

import asyncio
import time
from typing import Final, NamedTuple

from services.domain.campaign import Campaign
from tests.bench.cpu import cpu_with_ended_threads_s
from tests.bench.figure import Figure, figure
from tests.bench.on_kafka import region_campaign
from tests.bench.running import Bench, running_for_real
from tests.bench.wishes import Wish, wishes

BROKERS: Final = 3
REPEATS: Final = 5
BOOKINGS: Final = 6_400
CONNECTIONS: Final = 512
PARTITIONS: Final = 4
OURS: Final = ("front-door", "allocator")


class Step(NamedTuple):
    """How many of each."""

    regions: int
    allocators: int
    front_doors: int

    @property
    def figure(self) -> str:
        """Its name."""
        return f"cpu_us_{self.regions}_regions_{self.allocators}_allocators_{self.front_doors}_front_doors"


STEPS: Final = (Step(1, 1, 1), Step(2, 1, 1), Step(2, 2, 2), Step(4, 1, 1), Step(4, 2, 2), Step(4, 4, 4))
NAMES: Final = tuple(step.figure for step in STEPS)


def scaling() -> list[Figure]:
    """CPU of front doors and allocators for a booking, step by step."""
    return [_one_step(step) for step in STEPS]


def _one_step(step: Step) -> Figure:
    options = {"log-partitions": PARTITIONS, "allocators": step.allocators, "front-doors": step.front_doors}
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with running_for_real(BROKERS, *given) as bench:
        return asyncio.run(_measured(bench, step))


async def _measured(bench: Bench, step: Step) -> Figure:
    campaigns = [region_campaign(number, step.regions) for number in range(step.regions)]
    for campaign in campaigns:
        await bench.apply(campaign)
    client = bench.client(CONNECTIONS)
    costs_us, per_s = [], []
    for repeat in range(REPEATS + 1):
        began_s, before_s = time.perf_counter(), _cpu_s(bench)
        await bench.booked(client, _of_all(campaigns, repeat), CONNECTIONS, PARTITIONS)
        per_s.append(BOOKINGS / (time.perf_counter() - began_s))
        costs_us.append((_cpu_s(bench) - before_s) / BOOKINGS * 1e6)
    client.close()
    told = f"{sorted(per_s[1:])[REPEATS // 2]:.0f} decided a second, {CONNECTIONS} connections, {BROKERS} brokers"
    return figure(step.figure, costs_us[1:], "us", told)  # the first warms everything up


def _of_all(campaigns: list[Campaign], repeat: int) -> list[Wish]:
    """Wishes for each campaign in turn."""
    share = BOOKINGS // len(campaigns)
    each = [wishes(campaign, share, 100 * (repeat + 1) + n) for n, campaign in enumerate(campaigns)]
    return [wish for of_all in zip(*each, strict=True) for wish in of_all]


def _cpu_s(bench: Bench) -> float:
    return sum(cpu_with_ended_threads_s(pid) for name, pid in bench.pids.items() if name.startswith(OURS))
