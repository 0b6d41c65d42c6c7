"""F12: the clocks of processes are five minutes apart, and step while people book.

The embedded broker keeps the time that a producer puts on a record, so here a front door's clock reaches the fold; a
real Kafka puts its own (`message.timestamp.type=LogAppendTime`).
"""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.city import City, Plan, altered, tell
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

OFF_S = 300.0
FOR_S = 4.0
SERVICES = ("front-door-0", "front-door-1", "clock", "allocator", "counter", "console")
STEPS = (
    {"front-door-0": OFF_S, "front-door-1": -OFF_S},
    {"front-door-0": -OFF_S, "front-door-1": OFF_S, "clock": OFF_S, "allocator": -OFF_S, "counter": OFF_S},
    {"clock": -OFF_S, "allocator": OFF_S, "console": -OFF_S},
)


def shift(folder: Path, name: str, seconds: float) -> None:
    """From now on the clock of a process is off by so much."""
    file = folder / f"shift-of-{name}"
    draft = file.with_suffix(".draft")
    draft.write_text(str(seconds))
    draft.replace(file)


def stepping_clocks(folder: Path) -> Fault:
    async def fault(_: City) -> None:
        """F12: clocks five minutes apart, and stepping"""
        for step in STEPS:
            tell(", ".join(f"{name} {seconds:+g} s" for name, seconds in step.items()))
            for name in SERVICES:
                shift(folder, name, step.get(name, 0.0))
            await asyncio.sleep(FOR_S)
        for name in SERVICES:
            shift(folder, name, 0.0)

    return fault


def plan(folder: Path, *alterations: str) -> Plan:
    """Every process with a clock of its own, true at first."""
    for name in SERVICES:
        shift(folder, name, 0.0)
    clocks = {name: altered(f"clock_of={folder / f'shift-of-{name}'}") for name in SERVICES}
    clocks["allocator"] = altered(f"clock_of={folder / 'shift-of-allocator'}", *alterations)
    return Plan(programs=clocks)


@pytest.mark.safety
async def test_clocks_that_are_minutes_apart_and_step_change_no_decision(tmp_path: Path) -> None:
    verdict = await played(stepping_clocks(tmp_path), plan(tmp_path), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300


@pytest.mark.control
async def test_without_the_bound_on_time_a_clock_that_is_ahead_moves_it(tmp_path: Path) -> None:
    verdict = await played(stepping_clocks(tmp_path), plan(tmp_path, "time_bound"), tmp_path)
    assert verdict.differing > 0
