"""What the clock tells of partitions whose allocator is silent: ages, and copies of the log."""

from collections.abc import AsyncIterator, Mapping

import pytest
from prometheus_client import Gauge

from services.clock.watching import MAX_TICKS, CopiesWatch, Watch
from services.domain.commands import Tick
from services.platform import metrics
from services.stream.copies import Copies
from services.stream.errors import LogUnavailable
from services.stream.place import PartitionId, Place
from tests import builders as b
from tests.unit.folded_world import NOW_MS, FoldedWorld

FIRST, SECOND = PartitionId(0), PartitionId(1)


def told(metric: Gauge, partition: int) -> float:
    value: float = metric.labels(partition)._value.get()
    return value


class Watched:
    """A world, its watch, and the time that it reads."""

    def __init__(self, world: FoldedWorld) -> None:
        self.world = world
        self.now_s = NOW_MS / 1000
        self.ticks: dict[int, Place] = {}
        self.watch = Watch(world.reader, 2, self.ticks.get, now_s=lambda: self.now_s)

    def ticks_are_written(self) -> None:
        """One in each partition."""
        for partition in (FIRST, SECOND):
            at_ms = round(self.now_s * 1000)
            self.ticks[partition] = Place(partition, self.world.write(partition, Tick(at_ms=at_ms), at_ms=at_ms))

    async def a_second_passes(self, *folded: int) -> None:
        self.now_s += 1
        for partition in folded:
            await self.world.reader.read(partition, ())
        self.watch.look()


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    world = FoldedWorld(partitions=2)
    async with world.running():
        watched = Watched(world)
        world.reader.held = True
        yield watched


async def test_what_is_accepted_and_not_decided_is_as_old_as_the_oldest_tick_behind_it(watched: Watched) -> None:
    for _ in range(4):
        watched.ticks_are_written()
        watched.world.store.fold(SECOND)
        await watched.a_second_passes(SECOND)
    assert told(metrics.UNDECIDED_AGE_SECONDS, FIRST) == 3.0
    assert told(metrics.UNDECIDED_AGE_SECONDS, SECOND) == 0.0

    watched.world.store.fold(FIRST)
    await watched.a_second_passes(FIRST)
    assert told(metrics.UNDECIDED_AGE_SECONDS, FIRST) == 0.0


async def test_a_tick_that_the_log_has_not_acknowledged_is_nobodys_promise(watched: Watched) -> None:
    for _ in range(4):
        await watched.a_second_passes()
    assert told(metrics.UNDECIDED_AGE_SECONDS, FIRST) == 0.0


async def test_where_nothing_is_decided_for_long_the_oldest_tick_is_remembered(watched: Watched) -> None:
    for _ in range(MAX_TICKS + 10):
        watched.ticks_are_written()
        await watched.a_second_passes()
    assert told(metrics.UNDECIDED_AGE_SECONDS, FIRST) == MAX_TICKS + 9


async def test_a_clock_that_writes_no_ticks_is_told_by_the_folds_time(watched: Watched) -> None:
    watched.ticks_are_written()
    watched.world.store.fold(FIRST)
    for _ in range(7):
        await watched.a_second_passes(FIRST)
    assert told(metrics.TICK_AGE_SECONDS, FIRST) == pytest.approx(7.0)
    assert told(metrics.FOLD_AHEAD_SECONDS, FIRST) == 0.0


async def test_a_fold_whose_time_runs_ahead_is_told(watched: Watched) -> None:
    watched.ticks_are_written()
    watched.world.write(FIRST, b.reserve("anna"), at_ms=NOW_MS + 100_000)
    watched.world.store.fold(FIRST)
    await watched.a_second_passes(FIRST)
    assert told(metrics.FOLD_AHEAD_SECONDS, FIRST) == pytest.approx(99.0)


class Brokers:
    """What they answer."""

    def __init__(self) -> None:
        self.found: Mapping[PartitionId, Copies] | None = {FIRST: Copies(3, 3), SECOND: Copies(3, 3)}

    async def look(self) -> Mapping[PartitionId, Copies]:
        if self.found is None:
            raise LogUnavailable(why="the test says so")
        return self.found


async def test_copies_that_fall_behind_are_told_and_a_log_that_is_silent_has_none() -> None:
    brokers = Brokers()
    watch = CopiesWatch(brokers, 2)
    await watch.look()
    assert [told(metrics.LOG_REPLICAS_IN_SYNC, p) for p in (FIRST, SECOND)] == [3, 3]
    brokers.found = {FIRST: Copies(3, 1), SECOND: Copies(3, 3)}
    await watch.look()
    assert [told(metrics.LOG_REPLICAS_IN_SYNC, p) for p in (FIRST, SECOND)] == [1, 3]
    brokers.found = None
    await watch.look()
    assert [told(metrics.LOG_REPLICAS_IN_SYNC, p) for p in (FIRST, SECOND)] == [0, 0]
    assert [told(metrics.LOG_REPLICAS, p) for p in (FIRST, SECOND)] == [3, 3]
