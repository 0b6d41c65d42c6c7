"""Schedules that once showed a mistake, written out: what chance finds once in thousands is tried here always."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from services.allocator.loop import PartitionLoop
from services.allocator.publisher import Publisher
from services.domain.commands import encode
from services.domain.rows import Facts
from services.state.fold_call import Batch, Folded, LogIdentity
from services.state.recovery import Start
from services.stream.fake import FakeLog, FakeProducer
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS
from tests import builders as b
from tests.simulation import schedules
from tests.simulation.plan import drawn_plan
from tests.simulation.protections import ALL
from tests.simulation.schedules import real_code_in
from tests.simulation.world import World, wishes

PARTITION = PartitionId(0)
MOMENTS = 30
A_LONG_TIME_S = 3_600.0


class RedisBehindTheLog:
    """A fold call to a Redis that has lost everything: each batch is past its position."""

    def __init__(self) -> None:
        self.starts: list[int] = []

    async def send(self, batch: Batch, published: int) -> None:
        self.starts.append(batch.start)
        await asyncio.sleep(0)

    async def receive(self) -> Folded:
        await asyncio.sleep(0)
        return Folded("gap", 0, [])

    async def drop(self) -> None:
        await asyncio.sleep(0)


class OnePartition:
    """`LoopParts` and `LoopReport` of a loop whose batches are never applied."""

    def __init__(self) -> None:
        self.call = RedisBehindTheLog()
        self.log = FakeLog()
        self.log.write(COMMANDS, PARTITION, [encode(b.genesis())], b.NOON_MS)
        self.loop: PartitionLoop | None = None
        self.starts_at_all = True

    async def find_start(self, partition: PartitionId) -> Start:
        await asyncio.sleep(0 if self.starts_at_all else 3_600)
        return Start(LogIdentity(b.LOG, b.KEY_CHECK), 0, 0)

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        assert self.loop is not None
        asyncio.get_running_loop().call_soon(self.loop.feed, self.log.records[COMMANDS, partition])

    def fold_call(self, partition: PartitionId, start: Start) -> Any:
        return self.call

    def publisher(self, partition: PartitionId, start: Start) -> Publisher:
        return Publisher(FakeProducer(self.log), partition, b.LOG, 0, ack_timeout_s=1.0, now_ms=lambda: b.NOON_MS)

    def report(self) -> Any:
        return self

    def called(self, seconds: float) -> None: ...

    def waited(self, seconds: float) -> None: ...

    def folded(self, partition: PartitionId, position: int, decisions: list[Facts | bool]) -> None: ...

    def from_future(self, partition: PartitionId, count: int) -> None: ...

    def gap(self, partition: PartitionId) -> None: ...

    def stopped(self, partition: PartitionId, because: str | None) -> None: ...


@pytest.mark.parametrize("moment", range(MOMENTS))
async def test_a_loop_that_is_revoked_ends_also_when_it_is_just_seeking_back(moment: int) -> None:
    """A process that was paused finds both when it goes on: the answer that Redis is behind, and that its partition
    was given to another. The loop took the second for the end of its own publisher, and went on; the rebalance waited
    for its end, and nobody was told of any partition again."""
    parts = OnePartition()
    parts.loop = PartitionLoop(PARTITION, parts)
    running = asyncio.create_task(parts.loop.run())
    for _ in range(moment):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running}, timeout=0.2)
    parts.starts_at_all = False
    assert running.cancelled()
    assert moment < MOMENTS - 1 or len(parts.call.starts) > 1, "by then it has sought back more than once"


@contextmanager
def a_calm_world() -> Iterator[World]:
    """Nothing fails, and after a while nobody wants anything: no clock ticks."""
    plan = drawn_plan(3)
    plan.weather.calm()
    plan.disasters.clear()
    plan.tick_s = A_LONG_TIME_S
    plan.busy_s = 5.0
    world = World(3, plan, ALL, is_traced=False)
    with real_code_in(world):
        try:
            yield world
        finally:
            world.around.loop.clean_up()


def lose_redis_at_rest(world: World) -> None:
    """All is decided, published and committed when Redis falls back; no record comes any more."""
    world.begin(wishes(3, 30))
    world.around.loop.run_until_s(20.0)
    assert world.is_finished()
    for partition in world.rows():
        world.redis.put_back(partition, {})
    assert not world.is_finished()
    world.around.loop.run_until_s(40.0)


@pytest.mark.safety
def test_a_redis_that_loses_its_end_is_whole_again_although_nobody_wants_anything_any_more() -> None:
    """No batch met the gap, so Redis stayed behind, and people were told of reservations that nobody knew."""
    with a_calm_world() as world:
        lose_redis_at_rest(world)
        assert world.is_finished()
    assert world.around.broken == []


@pytest.mark.control
def test_a_redis_that_loses_its_end_stays_behind_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "IDLE_LOOK_S", A_LONG_TIME_S)
    with a_calm_world() as world:
        lose_redis_at_rest(world)
        assert not world.is_finished()
