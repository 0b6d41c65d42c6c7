"""F1: every kind of process killed with -9, in turn and at random."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.chaos.city import City, Plan, altered, tell
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

IN_TURN = ("allocator", "front-door-0", "clock", "counter", "valkey", "console", "front-door-1")
SEED = 20200131


async def killed(city: City, name: str) -> None:
    """One process; what the launcher does not keep alive is started again after a moment."""
    tell(f"kill -9 {name}")
    if name == "valkey":
        await city.kill_store(name)
        await asyncio.sleep(0.5)
        await city.start_store(name)
    else:
        city.send(name, signal.SIGKILL)


def kills(names: list[str], every_s: float) -> Fault:
    async def fault(city: City) -> None:
        """F1: kill -9 of each kind of process, in turn and at random"""
        for name in names:
            await killed(city, name)
            await asyncio.sleep(every_s)

    return fault


@pytest.mark.safety
async def test_processes_killed_in_turn_and_at_random_lose_nothing(tmp_path: Path) -> None:
    at_random = random.Random(SEED).choices(IN_TURN, k=5)
    verdict = await played(kills([*IN_TURN, *at_random], every_s=2.0), Plan(), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 500


@pytest.mark.control
async def test_without_the_position_check_killed_allocators_decide_twice(tmp_path: Path) -> None:
    plan = Plan(programs={"allocator": altered("position_check")})
    verdict = await played(kills(["allocator"] * 3, every_s=2.0), plan, tmp_path, gives_up_after_s=10.0)
    assert verdict.differing > 0
