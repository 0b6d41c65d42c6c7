"""Twice as many as this machine decides, with nothing held: how much of the peak is still accepted."""

import asyncio
import gc
from typing import Final

from loadtests.arrivals import offer
from loadtests.shape import Shape
from tests.bench.figure import Figure, figure
from tests.bench.overload import CONNECTIONS, OfferedWishes, in_words
from tests.bench.running import Bench, running
from tests.bench.rush import rush
from tests.bench.through_the_door import CONNECTIONS as PEAK_CONNECTIONS
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.bench.wishes import wide_campaign, wishes

TIMES: Final = 2
OFFERED_S: Final = 10.0
PEAK_BOOKINGS: Final = 12_000


def twice() -> list[Figure]:
    """On the embedded tier, the generator on the same cores: what it uses of them is not there for the system."""
    with running() as bench:
        return asyncio.run(_twice(bench))


async def _twice(bench: Bench) -> list[Figure]:
    campaign = wide_campaign("twice", WIDE_SLOTS, PLENTY)
    await bench.apply(campaign)
    client = bench.client(CONNECTIONS)
    await rush(client, wishes(campaign, 1_000, 1), PEAK_CONNECTIONS)
    heard = await rush(client, wishes(campaign, PEAK_BOOKINGS, 2), PEAK_CONNECTIONS)
    peak_per_s = heard.statuses[202] / heard.seconds
    come = round(TIMES * peak_per_s * OFFERED_S)
    crowd = OfferedWishes(client, await asyncio.to_thread(wishes, campaign, come, 3))
    gc.collect()
    gc.freeze()
    found = await offer(Shape.steady(come / OFFERED_S, OFFERED_S), crowd.visit, max_under_way=CONNECTIONS)
    await bench.decided()
    client.close()
    against = (
        f"{come / OFFERED_S:,.0f}/s offered for {OFFERED_S:g} s against a peak of {peak_per_s:,.0f}/s; heard: "
        f"{in_words(found)}; accepted within {found.latency_ms(202, 99):.0f} ms (p99); generator late by "
        f"{found.slip_ms(99):.1f} ms (p99){f'; VOID: {found.void_because}' if found.void_because else ''}"
    )
    return [figure("overload_twice_goodput", [found.answers[202] / OFFERED_S / peak_per_s], "1", against)]
