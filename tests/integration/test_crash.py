"""Allocators that die, stop and come back late: nothing is decided twice, nothing is left out.

Commands pour into the log as a rush would write them, and allocators are killed, paused and resumed under it. `verify`
judges. The controls play the same stories with a fold that does not look at its position.
"""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from loadtests.proof import prove, settled
from tests.integration.cli_system import maskline, rush, small_campaign, up
from tests.integration.rushed_log import PRODUCT, WITHOUT_CHECK, Story, World, played, position_moves
from tests.integration.tiers import Tier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PAUSE_S = 10.0
SHORT_PAUSE_S = 2.0


async def killed_and_replaced(world: World) -> None:
    """Three times an allocator dies in mid-rush, and another one takes over."""
    async with world.rush():
        for _ in range(3):
            allocator = world.allocator()
            await position_moves(world)
            await asyncio.sleep(0.4)
            allocator.kill()
            await asyncio.to_thread(allocator.wait, 10)
        world.allocator()
        await position_moves(world)
        await asyncio.sleep(0.5)


def paused_resumed_and_killed(pause_s: float) -> Story:
    """One of three allocators sleeps through the rush and wakes as a zombie; another one is killed."""

    async def story(world: World) -> None:
        async with world.rush():
            sleeper, third = world.allocator(), world.allocator()
            world.allocator()
            await position_moves(world)
            await asyncio.sleep(1.0)
            sleeper.send_signal(signal.SIGSTOP)
            await asyncio.sleep(pause_s / 2)
            third.kill()
            await asyncio.sleep(pause_s / 2)
            sleeper.send_signal(signal.SIGCONT)
            await asyncio.sleep(1.0)

    return story


@pytest.mark.safety
async def test_allocators_killed_in_mid_rush_decide_everything_once(tier: Tier, tmp_path: Path) -> None:
    report = await played(killed_and_replaced, PRODUCT, tier, tmp_path)
    assert report.differences == []
    assert (report.oversold, report.lost, report.duplicates) == (0, 0, 0)
    assert report.records > 2_000


@pytest.mark.control
async def test_without_the_position_check_killed_allocators_decide_twice(tier: Tier, tmp_path: Path) -> None:
    report = await played(killed_and_replaced, WITHOUT_CHECK, tier, tmp_path)
    assert report.differing > 0


@pytest.mark.safety
async def test_a_zombie_allocator_cannot_decide_twice(tier: Tier, tmp_path: Path) -> None:
    report = await played(paused_resumed_and_killed(PAUSE_S), PRODUCT, tier, tmp_path)
    assert report.differences == []
    assert (report.oversold, report.lost, report.duplicates) == (0, 0, 0)
    assert report.records > 10_000


@pytest.mark.control
async def test_without_the_position_check_a_zombie_allocator_decides_twice(tier: Tier, tmp_path: Path) -> None:
    report = await played(paused_resumed_and_killed(SHORT_PAUSE_S), WITHOUT_CHECK, tier, tmp_path)
    assert report.differing > 0


@pytest.mark.safety
async def test_residents_lose_nothing_when_the_allocator_is_killed_under_their_rush(tier: Tier, tmp_path: Path) -> None:
    """Through the front door: who was promised something has it, and everybody hears in the end."""
    with up(tmp_path / "data", *tier.options(tmp_path / "data")) as system:
        file = small_campaign(tmp_path / "campaign", units=400)
        applied = await asyncio.to_thread(maskline, "campaign", "apply", file, "--data", system.data)
        assert applied.code == 0, applied.err
        rushing = asyncio.create_task(rush(system, file, "small", 800, arrive_within_s=2.0))
        await asyncio.sleep(0.8)
        (victim,) = (each["pid"] for each in system.endpoints["processes"] if each["service"] == "allocator")
        os.kill(victim, signal.SIGKILL)
        tally = await rushing
        settings = system.settings()
        await settled(settings, 0)
        proof = await prove(settings, "small", tally)
        (successor,) = (each["pid"] for each in system.endpoints["processes"] if each["service"] == "allocator")
    assert successor != victim
    assert proof.report.differences == []
    assert (proof.oversold, proof.lost, proof.duplicates) == (0, 0, 0)
    assert (tally.unknown, tally.accepted) == (0, proof.confirmed + proof.rejected)
    assert proof.confirmed_units + proof.unused_units == 400
