"""F2: an allocator is frozen, another one takes over, and the first wakes and folds and publishes late."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.chaos.city import EXTRAS, PRODUCT, City, Plan, altered, tell
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

BOTH_S = 2.0
"""How long the sleeper and who took over work side by side."""


def pauses(*seconds: float, program: tuple[str, ...] = (PRODUCT,)) -> Fault:
    async def fault(city: City) -> None:
        """F2: SIGSTOP of the allocator while another one takes over, then SIGCONT"""
        for name, pause_s in zip(EXTRAS, seconds, strict=False):
            tell(f"the allocator sleeps {pause_s:g} s; another one comes")
            city.send("allocator", signal.SIGSTOP)
            await city.begin(name, program)
            await asyncio.sleep(pause_s)
            tell("it wakes")
            city.send("allocator", signal.SIGCONT)
            await asyncio.sleep(BOTH_S)
            await city.end(name, signal.SIGKILL)

    return fault


@pytest.mark.safety
async def test_an_allocator_that_slept_cannot_decide_twice(tmp_path: Path) -> None:
    verdict = await played(pauses(3, 10, 30), Plan(), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 500


@pytest.mark.control
async def test_without_the_position_check_an_allocator_that_slept_decides_twice(tmp_path: Path) -> None:
    program = altered("position_check")
    plan = Plan(programs={"allocator": program})
    verdict = await played(pauses(3, 3, program=program), plan, tmp_path, gives_up_after_s=10.0)
    assert verdict.differing > 0
