"""Reading the fold's state, and waiting for decisions: one read for many, and never a step back."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest

from services.domain.commands import encode
from services.domain.limits import DECISIONS_PER_CHUNK, DECISIONS_READABLE_MS
from services.state import readers
from services.state.decisions import DecisionGoneError, DecisionWaiter
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.keys import key
from services.state.readers import MAX_KEYS_PER_READ, StateReader
from services.state.redis_client import connect
from services.stream.place import Offset, PartitionId
from tests import builders as b
from tests.contract.worlds import LuaWorld, a_rush, at_noon, decided_by_the_model

RUSH = a_rush()
WAIT_S = 5.0


@pytest.fixture
async def reader(lua: LuaWorld) -> StateReader:
    """A process that has read nothing yet, from a partition in the middle of a rush."""
    await lua.fold_batch(RUSH)
    return StateReader(lua.store)


@pytest.fixture
async def waiter(reader: StateReader) -> DecisionWaiter:
    return DecisionWaiter(reader)


async def mgets(lua: LuaWorld) -> int:
    """How many MGETs Redis has answered since the last look."""
    stats: dict[str, Any] = await lua.redis.info("commandstats")
    await lua.redis.config_resetstat()
    return int(stats.get("cmdstat_mget", {}).get("calls", 0))


# -- rows --------------------------------------------------------------------------------------------------------------


async def test_rows_come_with_the_position_they_are_true_at(reader: StateReader) -> None:
    booking = b.reserve("resident 1")
    head, rows = await reader.read(0, [f"r:{booking.pass_no}", "s:1:noon", "r:nobody"])
    assert head.position == len(RUSH)
    assert (rows[0].slot, rows[1].quota, rows[2]) == ("noon", 6, None)


async def test_an_empty_partition_reads_as_position_zero(lua: LuaWorld) -> None:
    head, rows = await StateReader(lua.store).read(5, ["cat"])
    assert (head.position, head.log, rows) == (0, "", [None])


async def test_what_many_ask_in_one_tick_is_one_read(lua: LuaWorld, reader: StateReader) -> None:
    await mgets(lua)
    bookings = [b.reserve(f"resident {n}") for n in range(30)]
    readings = await asyncio.gather(*[reader.read(0, [f"r:{booking.pass_no}", "s:1:noon"]) for booking in bookings])
    assert await mgets(lua) == 1
    assert all(reading.rows[0] is not None for reading in readings)
    assert len({id(reading.rows[1]) for reading in readings}) == 1, "a key that all ask for is read once"


async def test_what_is_asked_while_a_read_is_away_goes_with_the_next(lua: LuaWorld, reader: StateReader) -> None:
    await mgets(lua)
    first = asyncio.create_task(reader.read(0, ["cat"]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [asyncio.create_task(reader.read(0, ["s:1:noon"])) for _ in range(10)]
    await asyncio.gather(first, *later)
    assert await mgets(lua) == 2


async def test_a_read_is_bounded_and_the_rest_goes_with_the_next(lua: LuaWorld, reader: StateReader) -> None:
    await mgets(lua)
    names = [[f"r:{who:08}{n:08}" for n in range(MAX_KEYS_PER_READ // 2)] for who in range(5)]
    await asyncio.gather(*[reader.read(0, keys) for keys in names])
    assert await mgets(lua) == 3


async def test_partitions_do_not_wait_for_each_other(lua: LuaWorld, reader: StateReader) -> None:
    readings = await asyncio.gather(reader.read(0, ["cat"]), reader.read(1, ["cat"]))
    assert [reading.head.position for reading in readings] == [len(RUSH), 0]


async def test_a_step_back_is_refused_until_redis_has_caught_up(lua: LuaWorld, reader: StateReader) -> None:
    await reader.read(0, ["cat"])
    assert reader.seen(0) == len(RUSH)
    await lua.redis.flushdb()
    with pytest.raises(CatchingUpError, match=f"position 0, behind {len(RUSH)}"):
        await reader.read(0, ["cat"])
    lua.position = 0
    await lua.fold_batch(RUSH[:-1])
    with pytest.raises(CatchingUpError):
        await reader.read(0, ["cat"])
    await lua.fold_batch(RUSH[-1:])
    assert (await reader.read(0, ["cat"])).rows == [[b.CAMPAIGN]]


async def test_the_head_is_the_one_of_now(lua: LuaWorld, reader: StateReader) -> None:
    await reader.read(0, [])
    await lua.fold_batch(at_noon(b.reserve("resident 99")))
    head = await reader.head(0)
    assert head is not None
    assert head.position == len(RUSH) + 1


async def test_where_redis_is_emptied_or_away_the_head_is_the_one_that_was_read_last(
    lua: LuaWorld, reader: StateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await StateReader(connect("redis://127.0.0.1:9/0", timeout_s=0.2)).head(0) is None
    known = await reader.head(0)
    assert known is not None
    await lua.redis.flushdb()
    assert await reader.head(0) == known
    monkeypatch.setattr(reader, "_redis", connect("redis://127.0.0.1:9/0", timeout_s=0.2))
    assert await reader.head(0) == known


async def test_another_process_that_has_seen_nothing_reads_what_is_there(lua: LuaWorld, reader: StateReader) -> None:
    await reader.read(0, ["cat"])
    await lua.redis.flushdb()
    assert (await StateReader(lua.store).read(0, ["cat"])).head.position == 0


@pytest.mark.usefixtures("reader")
async def test_another_process_that_knows_how_far_it_had_come_refuses_a_step_back(lua: LuaWorld) -> None:
    begun_later = StateReader(lua.store, {PartitionId(0): Offset(len(RUSH))})
    assert (await begun_later.read(0, ["cat"])).rows == [[b.CAMPAIGN]]
    await lua.redis.flushdb()
    begun_meanwhile = StateReader(lua.store, {PartitionId(0): Offset(len(RUSH))})
    with pytest.raises(CatchingUpError, match=f"position 0, behind {len(RUSH)}"):
        await begun_meanwhile.read(0, ["cat"])


# -- positions ---------------------------------------------------------------------------------------------------------


async def looked(reader: StateReader, *partitions: int) -> None:
    """A look at these, until every Redis has answered it."""
    reader.look(partitions)
    async with asyncio.timeout(WAIT_S):
        await asyncio.gather(*reader._looks.values())


async def test_the_positions_of_many_partitions_are_looked_at_together(lua: LuaWorld, reader: StateReader) -> None:
    assert reader.read_at_s(0) == -math.inf
    await lua.store.mget([key(0, "cat")])  # a cluster tells whom to ask with its first answer
    await mgets(lua)
    await looked(reader, 0, 1)
    assert (reader.seen(0), reader.seen(1), await mgets(lua)) == (len(RUSH), 0, 0)
    now_s = asyncio.get_running_loop().time()
    assert all(now_s - WAIT_S < reader.read_at_s(partition) <= now_s for partition in (0, 1))


async def test_a_look_that_finds_redis_behind_or_away_changes_nothing(
    lua: LuaWorld, reader: StateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reader.read(0, [])
    read_at_s = reader.read_at_s(0)
    await lua.redis.flushdb()
    await looked(reader, 0)
    monkeypatch.setattr(reader, "_redis", connect("redis://127.0.0.1:9/0", timeout_s=0.2))
    await looked(reader, 0)
    assert (reader.seen(0), reader.read_at_s(0)) == (len(RUSH), read_at_s)


async def test_a_redis_that_has_not_answered_a_look_is_not_asked_again(
    reader: StateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reader.read(0, [])
    may_answer = asyncio.Event()
    asked: list[Sequence[int]] = []

    async def waits(_node: Any, partitions: Sequence[int]) -> list[Any]:
        asked.append(partitions)
        await may_answer.wait()
        return [None] * len(partitions)

    monkeypatch.setattr(readers, "_heads_of", waits)
    for _ in range(3):
        reader.look([0])
        await asyncio.sleep(0)
    assert asked == [[0]]
    may_answer.set()
    await looked(reader)
    await looked(reader, 0)
    assert asked == [[0], [0]]


class OvertakenReader(StateReader):
    """For the control: a look sees further although a read is under way."""

    def _is_being_read(self, partition: int) -> bool:
        return False


async def a_look_overtakes_a_read(lua: LuaWorld, reader: StateReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read is answered, then something is folded, then a look is answered, and its answer arrives first."""
    await reader.read(0, [])
    mget, heads_of = lua.store.mget, readers._heads_of
    is_answered, may_arrive, may_ask = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def arrives_late(keys: Any) -> Any:
        values = await mget(keys)
        is_answered.set()
        await may_arrive.wait()
        return values

    async def asks_late(node: Any, partitions: Sequence[int]) -> list[Any]:
        await may_ask.wait()
        return await heads_of(node, partitions)

    monkeypatch.setattr(lua.store, "mget", arrives_late)
    monkeypatch.setattr(readers, "_heads_of", asks_late)
    reader.look([0])
    reading = asyncio.create_task(reader.read(0, ["cat"]))
    await is_answered.wait()
    await lua.fold_batch(at_noon(b.reserve("resident 99")))
    may_ask.set()
    await looked(reader)
    may_arrive.set()
    assert (await reading).head.position == len(RUSH)


@pytest.mark.safety
async def test_a_look_that_overtakes_a_read_does_not_make_it_one_step_back(
    lua: LuaWorld, reader: StateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_look_overtakes_a_read(lua, reader, monkeypatch)


@pytest.mark.control
@pytest.mark.usefixtures("reader")
async def test_a_reader_that_lets_itself_be_overtaken_refuses_what_is_true(
    lua: LuaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CatchingUpError):
        await a_look_overtakes_a_read(lua, OvertakenReader(lua.store), monkeypatch)


# -- what Redis does not tell ------------------------------------------------------------------------------------------


async def test_a_redis_that_does_not_answer_is_told_to_all_who_asked() -> None:
    redis = connect("redis://127.0.0.1:1/0", timeout_s=0.2)
    reader = StateReader(redis)
    answers = await asyncio.gather(*[reader.read(0, ["cat"]) for _ in range(3)], return_exceptions=True)
    assert [type(answer) for answer in answers] == [StateUnavailableError] * 3
    await redis.aclose()


async def test_who_comes_while_redis_does_not_answer_waits_for_one_time_out_and_not_for_many() -> None:
    redis = connect("redis://127.0.0.1:1/0", timeout_s=0.2)
    asked = 0

    async def silent(_keys: Sequence[str]) -> Any:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.1)
        raise TimeoutError

    redis.mget = silent  # type: ignore[assignment,method-assign]
    reader = StateReader(redis)
    first = asyncio.create_task(reader.read(0, ["cat"]))
    await asyncio.sleep(0.05)
    others = [reader.read(0, [f"c:{number}"]) for number in range(20 * MAX_KEYS_PER_READ)]
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StateUnavailableError}
    assert asked == 1
    await redis.aclose()


async def test_a_row_that_cannot_be_read_is_told_and_nobody_waits_for_ever(lua: LuaWorld, reader: StateReader) -> None:
    await lua.redis.set(key(0, "s:1:noon"), b"\xc1 is never used in msgpack")
    async with asyncio.timeout(WAIT_S):
        answers = await asyncio.gather(*[reader.read(0, ["s:1:noon"]) for _ in range(3)], return_exceptions=True)
        assert all(isinstance(answer, StateUnavailableError) for answer in answers)
        assert (await reader.read(0, ["cat"])).rows == [[b.CAMPAIGN]]


async def test_a_broken_row_takes_no_other_answer_with_it(lua: LuaWorld, reader: StateReader) -> None:
    await lua.redis.set(key(0, "s:1:noon"), b"\xc1 is never used in msgpack")
    broken = asyncio.create_task(reader.read(0, ["cat", "s:1:noon"]))
    assert (await reader.read(0, ["cat"])).rows == [[b.CAMPAIGN]]
    with pytest.raises(StateUnavailableError, match="s:1:noon cannot be read by this version"):
        await broken


async def test_whoever_stops_waiting_for_a_read_takes_nothing_from_the_others(reader: StateReader) -> None:
    impatient = asyncio.create_task(reader.read(0, ["cat"]))
    patient = asyncio.create_task(reader.read(0, ["cat"]))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).rows == [[b.CAMPAIGN]]


# -- decisions ---------------------------------------------------------------------------------------------------------


async def test_a_decision_that_is_there_is_handed_out(waiter: DecisionWaiter) -> None:
    _, facts = await decided_by_the_model(RUSH)
    found = await asyncio.gather(*[waiter.decision(0, offset, WAIT_S) for offset in range(len(RUSH))])
    assert found == facts


async def test_everybody_who_waits_hears_when_it_is_decided(lua: LuaWorld, waiter: DecisionWaiter) -> None:
    end = len(RUSH)
    waiting = [asyncio.create_task(waiter.decision(0, end + n % 2, WAIT_S)) for n in range(10)]
    await asyncio.sleep(0.02)
    assert not any(task.done() for task in waiting)
    await lua.fold_batch(at_noon(b.reserve("late"), b.reserve("resident 1")))
    answers = await asyncio.gather(*waiting)
    assert [answer and answer[0][0] for answer in answers] == [2, 4] * 5


async def test_who_waits_in_vain_hears_so_in_time(waiter: DecisionWaiter) -> None:
    assert await waiter.decision(0, len(RUSH), timeout_s=0.05) is None
    assert await waiter.decision(0, len(RUSH), timeout_s=0.05) is None


async def test_nobody_waiting_costs_nothing(lua: LuaWorld, waiter: DecisionWaiter) -> None:
    await waiter.decision(0, 0, WAIT_S)
    await waiter.decision(0, len(RUSH), timeout_s=0.02)
    async with asyncio.timeout(WAIT_S):  # the last look may still be on its way
        while await mgets(lua):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    assert await mgets(lua) == 0


async def test_a_thousand_who_wait_cost_one_read_a_look(lua: LuaWorld, waiter: DecisionWaiter) -> None:
    await mgets(lua)
    waiting = [asyncio.create_task(waiter.decision(0, len(RUSH) + n, WAIT_S)) for n in range(1_000)]
    await asyncio.sleep(0)
    await lua.fold_batch(at_noon(*[b.tick(b.NOON_MS)] * 1_000))
    await mgets(lua)
    async with asyncio.timeout(WAIT_S):
        assert await asyncio.gather(*waiting) == [[[21]]] * 1_000
    assert await mgets(lua) <= 3


async def test_a_decision_that_was_trimmed_is_told_as_gone(lua: LuaWorld, waiter: DecisionWaiter) -> None:
    await lua.fold_batch(at_noon(*[b.tick(b.NOON_MS)] * DECISIONS_PER_CHUNK))
    later_ms = b.NOON_MS + DECISIONS_READABLE_MS
    await lua.fold_batch([(encode(b.tick(later_ms)), later_ms)], published=DECISIONS_PER_CHUNK)
    with pytest.raises(DecisionGoneError):
        await waiter.decision(0, 3, WAIT_S)
    assert await waiter.decision(0, DECISIONS_PER_CHUNK, WAIT_S) is not None


async def test_who_waits_while_redis_is_behind_hears_that_it_is_catching_up(
    lua: LuaWorld, reader: StateReader, waiter: DecisionWaiter
) -> None:
    await reader.read(0, [])
    await lua.redis.flushdb()
    with pytest.raises(CatchingUpError):
        await waiter.decision(0, len(RUSH), WAIT_S)


async def test_who_waits_while_redis_is_away_hears_so() -> None:
    redis = connect("redis://127.0.0.1:1/0", timeout_s=0.2)
    with pytest.raises(StateUnavailableError):
        await DecisionWaiter(StateReader(redis)).decision(0, 5, WAIT_S)
    await redis.aclose()
