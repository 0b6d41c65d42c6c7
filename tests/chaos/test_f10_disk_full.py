"""F10: a disk is full: Redis', a broker's (all brokers away: F3), or the ledger's database's (F11)."""

import asyncio
import os
from pathlib import Path
from typing import Final

import pytest

from infra.local.running import RunningKafka
from tests.chaos.city import PLENTY, City, Plan, altered, tell
from tests.chaos.disk import fill, free
from tests.chaos.story import Fault, played
from tests.real.stores import empty, leader_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

FULL_S: Final = 6.0
"""Longer than the longest time-out, 4 s."""
BACK_S: Final = 5.0
"""From room on the disk, or from a broker's end, to people served as ever."""
HEAL_S: Final = 8.0
KEPT: Final = 0.8
"""Of what Valkey has written; the rest was not yet synced to the disk."""
ENDS_WITHIN_S: Final = 10.0
MISCONF: Final = "MISCONF Errors writing to the AOF file"


class RedisFull:
    """F10: the disk of Valkey is full; its machine may die, with the end of a file that never reached the disk"""

    def __init__(self, *, dies: bool) -> None:
        self.dies = dies
        self.told: set[str] = set()

    async def __call__(self, city: City) -> None:
        tell(f"the disk of Valkey is full for {FULL_S:g} s" + (", and its machine dies" if self.dies else ""))
        fill(city.store_pid("valkey"))
        for _ in range(int(FULL_S)):
            await asyncio.sleep(1.0)
            self.told.add(await city.wrong_with("allocator"))
        if self.dies:
            await city.kill_store("valkey")
            (written,) = city.valkey_folder.glob("appendonlydir/*.incr.aof")
            os.truncate(written, int(written.stat().st_size * KEPT))
            await city.start_store("valkey")
        else:
            free(city.store_pid("valkey"))
        tell("there is room again")


@pytest.mark.embedded
@pytest.mark.real
@pytest.mark.safety
@pytest.mark.parametrize("dies", [False, True])
async def test_while_redis_cannot_write_people_are_accepted_and_decided_once_it_can(dies: bool, tmp_path: Path) -> None:
    fault = RedisFull(dies=dies)
    verdict = await played(fault, Plan(units=PLENTY), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300
    assert any(MISCONF in each for each in fault.told)
    assert (verdict.tally.shed, verdict.tally.unanswered) == (0, 0)
    assert verdict.decided_again_s is not None
    assert verdict.decided_again_s <= BACK_S


@pytest.mark.embedded
@pytest.mark.real
@pytest.mark.control
async def test_without_the_gap_check_what_the_full_disk_lacked_stays_lost(tmp_path: Path) -> None:
    plan = Plan(programs={"allocator": altered("gap_check")})
    verdict = await played(RedisFull(dies=True), plan, tmp_path, gives_up_after_s=3.0, settle_timeout_s=5.0)
    assert verdict.differing > 0


# -- brokers ----------------------------------------------------------------------------------------------------------


def leaders_disk_full(kafka: RunningKafka) -> Fault:
    async def fault(_: City) -> None:
        """F10: the disk of a broker that leads is full; nobody starts it again"""
        leader = await leader_of(kafka, 0)
        tell(f"the disk of {leader} is full")
        fill(kafka.pid(leader))
        async with asyncio.timeout(ENDS_WITHIN_S):  # a broker that cannot write its log ends
            while kafka.runs(leader):
                await asyncio.sleep(0.1)
        tell("it has ended")

    return fault


@pytest.mark.real
@pytest.mark.safety
async def test_a_leader_with_a_full_disk_ends_and_lets_nobody_down(
    brokers: RunningKafka, valkey: str, tmp_path: Path
) -> None:
    await empty(brokers.addresses, valkey)
    plan = Plan(kafka=brokers.addresses, redis=valkey, allocators=2, in_group=True, units=PLENTY)
    verdict = await played(leaders_disk_full(brokers), plan, tmp_path, heal_s=HEAL_S)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300
    assert verdict.longest_unaccepted_s <= BACK_S
    assert verdict.longest_undecided_s <= BACK_S
