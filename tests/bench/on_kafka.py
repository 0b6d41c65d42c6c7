"""Figures of the real tier: Apache Kafka with one copy or three, Redis Cluster, many partitions."""

import asyncio
from typing import Final

import msgspec

from services.domain.campaign import Campaign
from tests.bench.cpu import cpu_with_ended_threads_s
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running_for_real
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS, decided_on, decision_times_on
from tests.bench.wishes import Wish, wide_campaign, wishes

PARTITIONS: Final = 64
REPEATS: Final = 5
BOOKINGS: Final = 6_400
CONNECTIONS: Final = 512


def on_three_brokers() -> list[Figure]:
    """Bookings a second, each acknowledged by three copies."""
    with running_for_real(3) as bench:
        return asyncio.run(decided_on(bench, {"decided_per_s": WIDE_SLOTS}))


def on_one_broker() -> list[Figure]:
    """Bookings a second, and times from the request to the decision."""
    with running_for_real(1) as bench:
        return asyncio.run(_on_one_broker(bench))


async def _on_one_broker(bench: Bench) -> list[Figure]:
    # In this order: among the many people of the other one somebody may be who has booked before.
    times = await decision_times_on(bench)
    return [*times, *await decided_on(bench, {"decided_per_s_1_broker": WIDE_SLOTS})]


def over_partitions() -> list[Figure]:
    """CPU of everything but the generator for a booking: a region in each of 64 partitions, against one region."""
    with running_for_real(1, "--log-partitions", str(PARTITIONS)) as bench:
        return asyncio.run(_over_partitions(bench))


async def _over_partitions(bench: Bench) -> list[Figure]:
    campaigns = [region_campaign(number, PARTITIONS) for number in range(PARTITIONS)]
    for campaign in campaigns:
        await bench.apply(campaign)
    quotients, one_us, many_us = [], [], []
    for repeat in range(REPEATS + 1):
        one_us.append(await _cost_us(bench, wishes(campaigns[0], BOOKINGS, 2 * repeat + 1)))
        share = BOOKINGS // PARTITIONS
        each = [wishes(campaign, share, 1_000 * (repeat + 1) + n) for n, campaign in enumerate(campaigns)]
        many_us.append(await _cost_us(bench, [wish for of_all in zip(*each, strict=True) for wish in of_all]))
        quotients.append(many_us[-1] / one_us[-1])
    told = f"{_middle(many_us):.0f} µs against {_middle(one_us):.0f} µs, {CONNECTIONS} connections"
    return [figure("cost_64_vs_1_partitions", quotients[1:], "1", told)]  # the first pair warms both up


def region_campaign(number: int, regions: int) -> Campaign:
    """Of a region of its own among so many, which the fold gives the least used partition."""
    campaign = wide_campaign(f"partition-{number:02d}", WIDE_SLOTS // regions, PLENTY)
    return msgspec.structs.replace(campaign, region=f"region-{number:02d}")


async def _cost_us(bench: Bench, ready_wishes: list[Wish]) -> float:
    client, before_s = bench.client(CONNECTIONS), _cpu_s(bench)
    await bench.booked(client, ready_wishes, CONNECTIONS, PARTITIONS)
    client.close()
    return (_cpu_s(bench) - before_s) / len(ready_wishes) * 1e6


def _middle(values: list[float]) -> float:
    return sorted(values[1:])[len(values[1:]) // 2]


def _cpu_s(bench: Bench) -> float:
    return sum(map(cpu_with_ended_threads_s, bench.pids.values()))
