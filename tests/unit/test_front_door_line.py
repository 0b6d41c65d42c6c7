"""The place in line and the end of the log: one look for many who ask."""

import asyncio
import math
from typing import cast

import pytest

from services.domain.rows import Head
from services.front_door.line import FRESH_S, READ_EVERY_S, WATCH_FOR_S, Line
from services.front_door.log_end import LogEnds
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import Reading, StateReader
from services.stream.errors import LogUnavailable
from services.stream.place import Offset, PartitionId, Place


class Positions:
    """A reader of heads."""

    def __init__(self) -> None:
        self.position = 0
        self.reads = 0
        self.looks: list[list[int]] = []
        self.error: Exception | None = None
        self.takes_s = 0.0
        self._seen = 0
        self._read_at_s = -math.inf

    async def read(self, partition: int, keys: tuple[str, ...]) -> Reading:
        self.reads += 1
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        self._hear()
        return Reading(Head(position=self.position), [])

    def look(self, partitions: list[int]) -> None:
        self.looks.append(partitions)
        if self.error is None:
            self._hear()

    def seen(self, partition: int) -> int:
        return self._seen

    def read_at_s(self, partition: int) -> float:
        return self._read_at_s

    def _hear(self) -> None:
        self._seen = self.position
        self._read_at_s = asyncio.get_running_loop().time()


def at(offset: int, partition: int = 0) -> Place:
    return Place(PartitionId(partition), Offset(offset))


@pytest.fixture
async def positions() -> Positions:
    return Positions()


def line_over(positions: Positions) -> Line:
    return Line(cast("StateReader", positions))


async def test_nothing_is_told_from_a_position_that_was_never_read(positions: Positions) -> None:
    line = line_over(positions)
    assert line.ahead_now(at(5)) is None
    positions.position = 3
    assert await line.ahead(at(5)) == 2
    assert line.ahead_now(at(5)) == 2


async def test_who_is_decided_has_nobody_ahead(positions: Positions) -> None:
    line = line_over(positions)
    positions.position = 9
    assert await line.ahead(at(5)) == 0


async def test_positions_are_read_for_all_while_people_ask_and_no_longer(positions: Positions) -> None:
    line = line_over(positions)
    await line.ahead(at(5))
    for _ in range(1_000):
        line.ahead_now(at(5))
        line.ahead_now(at(5, partition=1))
    positions.position = 4
    await asyncio.sleep(3 * READ_EVERY_S)
    assert line.ahead_now(at(5)) == 1
    assert positions.reads == 1
    assert positions.looks[0] == [0, 1]
    await asyncio.sleep(WATCH_FOR_S + 2 * READ_EVERY_S)
    looks = len(positions.looks)
    await asyncio.sleep(3 * READ_EVERY_S)
    assert len(positions.looks) == looks


async def test_a_position_that_is_looked_for_in_vain_is_not_told_for_long(positions: Positions) -> None:
    line = line_over(positions)
    await line.ahead(at(5))
    positions.error = StateUnavailableError(what="the test says so")
    await asyncio.sleep(FRESH_S)
    assert line.ahead_now(at(5)) is None
    positions.error = None
    await asyncio.sleep(3 * READ_EVERY_S)
    assert line.ahead_now(at(5)) == 5


@pytest.mark.parametrize(
    "error", [StateUnavailableError(what="the test says so"), CatchingUpError(partition=0, position=1, seen=2)]
)
async def test_a_place_that_redis_does_not_tell_is_not_guessed(positions: Positions, error: Exception) -> None:
    positions.error = error
    assert await line_over(positions).ahead(at(5)) is None


async def test_an_answer_is_not_held_for_a_slow_redis(positions: Positions) -> None:
    positions.takes_s = 5.0
    started_s = asyncio.get_running_loop().time()
    assert await line_over(positions).ahead(at(5)) is None
    assert asyncio.get_running_loop().time() - started_s < 1


class SlowEnd:
    """A log whose end takes a moment to look up."""

    def __init__(self) -> None:
        self.looks = 0
        self.end = Offset(0)
        self.error: LogUnavailable | None = None

    async def log_end(self, partition: PartitionId) -> Offset:
        self.looks += 1
        end = self.end
        await asyncio.sleep(0.02)
        if self.error is not None:
            raise self.error
        return end


async def test_all_who_ask_during_a_look_share_the_next_one() -> None:
    log = SlowEnd()
    ends = LogEnds(log)
    first = asyncio.create_task(ends.end(0))
    await asyncio.sleep(0.005)
    log.end = Offset(7)  # written after the first look began
    later = await asyncio.gather(*(ends.end(0) for _ in range(50)))
    assert (await first, set(later), log.looks) == (0, {7}, 2)


async def test_a_log_that_does_not_tell_its_end_tells_so_to_all() -> None:
    log = SlowEnd()
    log.error = LogUnavailable(why="the test says so")
    heard = await asyncio.gather(*(LogEnds(log).end(0) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(error, LogUnavailable) for error in heard)
    log.error = None
    assert await LogEnds(log).end(0) == 0
