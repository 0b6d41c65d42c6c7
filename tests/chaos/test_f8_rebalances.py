"""F8: allocators join and leave their group all the time, in order and by kill -9."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.chaos.city import EXTRAS, PRODUCT, City, Plan, altered, tell
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

EVERY_S = 5.0
LEAVINGS = (signal.SIGTERM, signal.SIGKILL)


def rebalances(times: int, program: tuple[str, ...] = (PRODUCT,)) -> Fault:
    async def fault(city: City) -> None:
        """F8: every five seconds an allocator joins or leaves the group"""
        for number in range(times):
            name = EXTRAS[number]
            tell(f"{name} joins")
            await city.begin(name, program)
            await asyncio.sleep(EVERY_S)
            leaving = LEAVINGS[number % len(LEAVINGS)]
            tell(f"{name} leaves by {leaving.name}")
            await city.end(name, leaving)
            await asyncio.sleep(EVERY_S)

    return fault


@pytest.mark.safety
async def test_a_storm_of_rebalances_delays_and_decides_nothing_twice(tmp_path: Path) -> None:
    verdict = await played(rebalances(3), Plan(in_group=True, partitions=4), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 500


@pytest.mark.control
async def test_without_the_position_check_a_storm_of_rebalances_decides_twice(tmp_path: Path) -> None:
    program = altered("position_check")
    plan = Plan(programs={"allocator": program}, in_group=True, partitions=4)
    # Three times, as above: one that leaves in order, with everything published, leaves nothing to decide again.
    verdict = await played(rebalances(3, program), plan, tmp_path, gives_up_after_s=20.0)
    assert verdict.differing > 0
