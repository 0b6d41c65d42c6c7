"""Batches of many partitions are cut together, and no more of them than a process should write."""

import asyncio

import pytest

from services.stream.rounds import Rounds

PARTITIONS = 64
BATCHES_PER_S = 2_000.0


async def cut(rounds: Rounds, began: list[float], times: int) -> None:
    """What a partition does that always has something to write."""
    for _ in range(times):
        await rounds.turn()
        began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)


async def test_who_is_alone_begins_at_once() -> None:
    rounds = Rounds(0.001)  # a batch in a thousand seconds: any wait would be seen
    await asyncio.wait_for(rounds.turn(), 5)


async def test_those_that_wait_begin_together() -> None:
    rounds, began = Rounds(BATCHES_PER_S), list[float]()
    await asyncio.gather(*[cut(rounds, began, 1) for _ in range(PARTITIONS)])
    rounds_of = sorted(set(began))
    assert (began.count(rounds_of[0]), len(began)) == (1, PARTITIONS)
    assert rounds_of[-1] - rounds_of[1] < (PARTITIONS - 1) / BATCHES_PER_S, "the others had no round of their own each"


async def test_no_more_batches_are_cut_than_a_second_may_have() -> None:
    rounds, began = Rounds(BATCHES_PER_S), list[float]()
    await asyncio.gather(*[cut(rounds, began, 4) for _ in range(PARTITIONS)])
    last_round = PARTITIONS  # what it costs is waited for by the next one
    assert began[-1] - began[0] >= (len(began) - last_round) / BATCHES_PER_S * 0.9
    assert len(began) == 4 * PARTITIONS


async def test_who_stops_waiting_holds_nobody_up_and_costs_nothing() -> None:
    rounds, began = Rounds(BATCHES_PER_S), list[float]()
    await rounds.turn()
    waiting = [asyncio.create_task(cut(rounds, began, 1)) for _ in range(PARTITIONS)]
    await asyncio.sleep(0)
    for gone in waiting[1:]:
        gone.cancel()
    await asyncio.wait_for(waiting[0], 5)
    assert len(began) == 1
    await asyncio.wait_for(rounds.turn(), 5)
    with pytest.raises(asyncio.CancelledError):
        await waiting[1]
