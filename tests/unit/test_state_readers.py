"""Reading state: what is asked in one tick goes together, nobody is told a step back, and nobody waits for ever."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest

from services.domain.rows import Head, PersonRow
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import StateReader
from services.state.redis_client import Redis

pack = msgspec.msgpack.encode


class Values:
    """A Redis of few values, which counts how often it is asked."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {"{p00}:head": pack(Head(log="l", position=10))}
        self.reads = 0

    async def mget(self, keys: Sequence[str]) -> list[Any]:
        self.reads += 1
        return [self.values.get(key) for key in keys]


@pytest.fixture
def values() -> Values:
    return Values()


@pytest.fixture
def reader(values: Values) -> StateReader:
    return StateReader(cast("Redis", values))


async def test_what_many_ask_in_one_tick_is_one_read(values: Values, reader: StateReader) -> None:
    values.values["{p00}:p:1:somebody"] = pack(PersonRow(live="x"))
    readings = await asyncio.gather(*(reader.read(0, ["p:1:somebody", f"p:1:{n}"]) for n in range(50)))
    assert {reading.rows[0].live for reading in readings} == {"x"}
    assert {reading.rows[1] for reading in readings} == {None}
    assert values.reads == 1


async def test_a_reading_behind_an_earlier_one_is_refused(values: Values, reader: StateReader) -> None:
    await reader.read(0, [])
    values.values.clear()
    with pytest.raises(CatchingUpError):
        await reader.read(0, ["cat"])


@pytest.mark.parametrize("value", [b"\xc1 no msgpack", pack(["another", "row"]), pack(b"bytes")])
async def test_a_row_that_cannot_be_read_is_told_and_leaves_nobody_waiting(
    values: Values, reader: StateReader, value: bytes
) -> None:
    values.values["{p00}:c:some"] = value
    async with asyncio.timeout(1):
        with pytest.raises(StateUnavailableError, match="cannot be read by this version"):
            await reader.read(0, ["c:some"])
        assert (await reader.read(0, ["p:1:somebody"])).rows == [None]


async def test_a_broken_row_takes_no_other_answer_with_it(values: Values, reader: StateReader) -> None:
    values.values["{p00}:c:some"] = b"\xc1"
    broken = asyncio.create_task(reader.read(0, ["p:1:a", "c:some"]))
    assert (await reader.read(0, ["p:1:a"])).rows == [None]
    with pytest.raises(StateUnavailableError):
        await broken
    assert values.reads == 1
