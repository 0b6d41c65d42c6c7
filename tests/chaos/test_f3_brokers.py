"""F3: brokers of Apache Kafka are killed, one, two or all of three: no 202 without two copies, all goes on after."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from infra.local.running import RunningKafka
from tests.chaos.city import PLENTY, City, Plan, altered, tell
from tests.chaos.story import Fault, Verdict, played
from tests.real.stores import empty, leader_of

pytestmark = [pytest.mark.chaos, pytest.mark.real, pytest.mark.timeout(240)]

BACK_S: Final = 5.0
"""From a broker's death, or from the start of those that were away, to people served as ever."""
AWAY_S: Final = 6.0
"""Longer than the longest time-out towards Kafka, 4 s."""
IN_FLIGHT_S: Final = 1
"""In the second of the fault what was written before is still acknowledged."""
HEAL_S: Final = 8.0


def a_leader_dies(kafka: RunningKafka) -> Fault:
    async def fault(_: City) -> None:
        """F3: kill -9 of a broker that leads; nobody starts it again"""
        leader = await leader_of(kafka, 0)
        tell(f"kill -9 of {leader}")
        kafka.kill(leader)

    return fault


WHO: Final = {"two, and the leader stays": slice(2), "the leader and another": slice(1, 3), "all three": slice(3)}
"""Which of the three; the one that leads stands last."""


def away(kafka: RunningKafka, who: str) -> Fault:
    async def fault(_: City) -> None:
        leader = await leader_of(kafka, 0)
        killed = sorted(kafka.names, key=lambda name: name == leader)[WHO[who]]
        tell(f"kill -9 of {', '.join(killed)}")
        kafka.kill(*killed)
        await asyncio.sleep(AWAY_S)
        tell("they are started again")
        await kafka.start_beside(*killed)
        tell("they are ready")

    fault.__doc__ = f"F3: kill -9 of brokers, {who}, and back again"
    return fault


@pytest.mark.safety
async def test_a_leader_that_dies_lets_nobody_down_and_bookings_flow_again_within_the_bound(
    brokers: RunningKafka, valkey: str, tmp_path: Path
) -> None:
    await empty(brokers.addresses, valkey)
    plan = Plan(kafka=brokers.addresses, redis=valkey, allocators=2, in_group=True, units=PLENTY)
    verdict = await played(a_leader_dies(brokers), plan, tmp_path, heal_s=HEAL_S)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300
    assert verdict.longest_unaccepted_s <= BACK_S
    assert verdict.longest_undecided_s <= BACK_S


@pytest.mark.safety
@pytest.mark.parametrize("who", WHO)
async def test_without_a_quorum_nobody_hears_202_first_unknown_then_503_and_nobody_is_let_down(
    who: str, brokers: RunningKafka, valkey: str, tmp_path: Path
) -> None:
    await empty(brokers.addresses, valkey)
    plan = Plan(kafka=brokers.addresses, redis=valkey, allocators=2, in_group=True, units=PLENTY)
    verdict = await played(away(brokers, who), plan, tmp_path, heal_s=HEAL_S)
    assert verdict.faults == []
    assert accepted_without_quorum(verdict) == 0
    assert sum(second.shed for second in verdict.seconds if second.phase == "fault") > 0
    if who == "two, and the leader stays":  # it takes what comes; to one that is dead perhaps nobody was on the way
        assert verdict.tally.unanswered > 0
    assert verdict.accepted_again_s is not None
    assert verdict.accepted_again_s <= BACK_S
    assert verdict.decided_again_s is not None


@pytest.mark.control
async def test_where_one_copy_is_enough_people_hear_202_without_a_quorum(
    brokers: RunningKafka, valkey: str, tmp_path: Path
) -> None:
    await empty(brokers.addresses, valkey)
    doors = {"front-door": altered("copies")}
    plan = Plan(kafka=brokers.addresses, redis=valkey, allocators=2, in_group=True, programs=doors)
    verdict = await played(away(brokers, "two, and the leader stays"), plan, tmp_path, heal_s=HEAL_S)
    assert accepted_without_quorum(verdict) > 0


def accepted_without_quorum(verdict: Verdict) -> int:
    """How many heard 202 while two of three were away, but for those who were under way."""
    fault = [second for second in verdict.seconds if second.phase == "fault"][: int(AWAY_S)]
    return sum(second.accepted for second in fault[1 + IN_FLIGHT_S :])
