"""Times the earlier portal: the same calls, the same generator, the same machine, one after the other in one run.

The earlier portal comes first and last, and has the middle of all its runs; each side has the machine to itself.
"""

import asyncio
import itertools
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from loadtests.earlier_portal.running import EarlierPortal, running_earlier_portal
from loadtests.http_client import HttpClient
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running, running_for_real
from tests.bench.rush import rush
from tests.bench.through_the_door import CONNECTIONS, PLENTY, WIDE_SLOTS, rates_on
from tests.bench.wishes import wide_campaign, wishes

SLOTS: Final = {"uniform": WIDE_SLOTS, "hot": 1}
BOOKINGS: Final = {"uniform": 4_000, "hot": 1_500}
"""Of the earlier portal, which is slow: three seconds or so each time."""
WARM_UP: Final = 300
REPEATS: Final = 2
TIMEOUT_S: Final = 30.0
BROKERS: Final = 3


class Run(NamedTuple):
    """How the earlier portal was built and set, and over how many slots people booked."""

    variant: str
    commit: str
    load: str

    @property
    def campaign(self) -> str:
        """One for each, so that nobody has booked there before."""
        return f"{self.variant}-{self.commit}-{self.load}"


RUNS: Final = [Run(*each) for each in itertools.product(("client", "stored"), ("on", "off"), SLOTS)]


def versus_embedded() -> list[Figure]:
    """On the embedded tier."""
    return _versus(running)


def versus_real() -> list[Figure]:
    """On three brokers with three copies, and a Redis Cluster."""
    return _versus(lambda: running_for_real(BROKERS))


def _versus(system: Callable[[], AbstractContextManager[Bench]]) -> list[Figure]:
    earlier: dict[Run, list[float]] = {run: [] for run in RUNS}
    _measure_earlier(earlier, seed=1)
    with system() as bench:
        ours = asyncio.run(_ours(bench))
    _measure_earlier(earlier, seed=2)
    return [_figure(run, earlier, ours) for run in RUNS if run.commit == "on"]


def _figure(run: Run, earlier: dict[Run, list[float]], ours: dict[str, list[float]]) -> Figure:
    theirs, off = statistics.median(earlier[run]), statistics.median(earlier[run._replace(commit="off")])
    against = (
        f"{statistics.median(ours[run.load]):.0f} against {theirs:.0f} bookings/s ({off:.0f} with synchronous_commit "
        f"off), {CONNECTIONS} connections, {SLOTS[run.load]} slots, generator on the same cores"
    )
    return figure(f"versus_{run.variant}_{run.load}", [rate / theirs for rate in ours[run.load]], "1", against)


async def _ours(bench: Bench) -> dict[str, list[float]]:
    return {load: await rates_on(bench, f"versus-{load}", slots) for load, slots in SLOTS.items()}


def _measure_earlier(found: dict[Run, list[float]], seed: int) -> None:
    with running_earlier_portal() as portal:
        asyncio.run(_measure(portal, found, seed))


async def _measure(portal: EarlierPortal, found: dict[Run, list[float]], seed: int) -> None:
    for run in RUNS:
        campaign = wide_campaign(run.campaign, SLOTS[run.load], PLENTY)
        await portal.apply(campaign)
        async with portal.serving(run.variant, commit=run.commit) as url:
            client = HttpClient(url, max_connections=CONNECTIONS, timeout_s=TIMEOUT_S)
            await rush(client, wishes(campaign, WARM_UP, 99), CONNECTIONS)
            for repeat in range(REPEATS):
                ready = wishes(campaign, BOOKINGS[run.load], 100 * seed + repeat)
                heard = await rush(client, ready, CONNECTIONS)
                assert heard.statuses[201] >= 0.99 * len(ready), heard.statuses  # some people came twice by chance
                found[run].append(heard.statuses[201] / heard.seconds)
            client.close()
    assert await portal.oversold() == 0
