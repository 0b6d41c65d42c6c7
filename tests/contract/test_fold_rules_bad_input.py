"""What comes from elsewhere: wrong values in any field, things of other partitions, offsets out of order, clocks."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from services.domain.commands import MAX_PURGED, MAX_PURGED_SHEETS, Command, encode
from services.domain.fold import apply
from services.domain.reasons import Reason
from services.domain.rows import HEAD, State
from services.domain.rules.answers import Fact, done, refused
from tests import builders as b
from tests.contract.worlds import LuaWorld, World, at_noon, fold_all, open_campaign, pair_terminal, without_bookkeeping
from tests.one_of_each import one_of_each

MALFORMED = refused(Reason.MALFORMED)
OVER_LONG = '"' + "n" * 120_000 + '"'
WRONG_FOR_ALL = ("null", "[]", "{}", "1e400", "-1e400")
WRONG_FOR = {
    # Lua's tonumber takes the first four of them.
    int: ('"0x10"', '"nan"', '"1"', '"1e3"', "1.5", "true", "9223372036854775808", str(-(10**40)), "NaN", "0x10"),
    str: ("5", "true", OVER_LONG, '"\\ud800"', "nan"),
    bool: ("1", "0", '"true"', '"0x1"'),
}
MARK = "\x01here\x01"


def places(told: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Where values stand in a command's JSON, and what they are."""
    items = told.items() if isinstance(told, dict) else enumerate(told)
    for name, value in items:
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, name))
        elif name != "type":
            yield (*path, name), value


def with_another(command: Command, path: tuple[Any, ...], literal: str) -> bytes:
    """The record with this JSON text in one place."""
    told = json.loads(encode(command))
    inner = told
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = MARK
    return json.dumps(told).replace(json.dumps(MARK), literal).encode()


def wrong_records(command: Command) -> Iterator[bytes]:
    """A command with each wrong value in each place."""
    for path, value in places(json.loads(encode(command))):
        for literal in (*WRONG_FOR[type(value)], *WRONG_FOR_ALL):
            yield with_another(command, path, literal)


def without_answers(rows: dict[str, Any]) -> dict[str, Any]:
    """Rows without the first answers that are remembered for repeats."""
    return {name: row for name, row in without_bookkeeping(rows).items() if not name.startswith("o:")}


async def city(world: World) -> None:
    """A campaign in which every command of `one_of_each` has something to act upon."""
    await open_campaign(world, {"noon": 10, "evening": 10})
    await pair_terminal(world)
    await world.fold(b.reserve("anna"))


@pytest.mark.parametrize("command", one_of_each(), ids=lambda command: type(command).__name__)
async def test_a_wrong_value_in_any_field_is_refused_as_malformed_and_changes_nothing(
    world: World, command: Command
) -> None:
    await city(world)
    before = without_bookkeeping(await world.rows())
    records = list(wrong_records(command))
    assert len(records) >= 15
    for record in records:
        assert await world.fold(record) == MALFORMED, record[:200]
    assert without_bookkeeping(await world.rows()) == before
    assert await world.fold(b.reserve("ben")) == b.confirmed(1)


@pytest.mark.parametrize("command", one_of_each(), ids=lambda command: type(command).__name__)
async def test_a_field_that_only_a_newer_version_knows_is_refused_as_malformed(world: World, command: Command) -> None:
    """Whoever writes it adopts the new rules first; a record from before that was written by mistake."""
    await city(world)
    before = without_bookkeeping(await world.rows())
    told = json.loads(encode(command))
    assert await world.fold(json.dumps({**told, "of_a_newer_version": 1}).encode()) == MALFORMED
    assert await world.fold(json.dumps({**told, "type": told["type"] + "_2"}).encode()) == MALFORMED
    assert without_bookkeeping(await world.rows()) == before


# -- the bounds of a command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "is_malformed"),
    [({}, False), ({"phones": ["p" * 16]}, True), ({"sheets": [{"pharmacy": "p", "day": b.TODAY, "sheet": 1}]}, True)],
)
async def test_a_purge_names_two_hundred_at_most(world: World, more: dict[str, object], is_malformed: bool) -> None:
    names = [b.digest("pass", number) for number in range(MAX_PURGED)]
    record = json.dumps({"type": "purge", "campaign": "unknown", "pass_nos": names} | more).encode()
    assert await world.fold(record) == (MALFORMED if is_malformed else refused(Reason.UNKNOWN_CAMPAIGN))


async def test_a_purge_names_few_sheets_for_behind_each_are_many_reservations(world: World) -> None:
    sheets = b.purge(sheets=range(MAX_PURGED_SHEETS), campaign="unknown")
    assert await world.fold(sheets) == refused(Reason.UNKNOWN_CAMPAIGN)
    assert await world.fold(b.purge(sheets=range(MAX_PURGED_SHEETS + 1))) == MALFORMED


# -- what lives in another partition ---------------------------------------------------------------------------------


async def test_what_names_a_campaign_or_a_reservation_of_another_partition_is_refused(world: World) -> None:
    await city(world)
    there = b.reserve("cleo", campaign="foshan-2020-02")
    before = without_answers(await world.rows())
    unknown = refused(Reason.UNKNOWN_CAMPAIGN)
    elsewhere: list[Command] = [
        there, b.open_(campaign=there.campaign), b.pause(campaign=there.campaign), b.close(campaign=there.campaign),
        b.seal(campaign=there.campaign), b.add_slots([b.slot()], campaign=there.campaign),
        b.change_quota(+5, campaign=there.campaign), b.release(campaign=there.campaign),
        b.end_waiting(campaign=there.campaign),
    ]  # fmt: skip
    assert await fold_all(world, elsewhere) == [unknown] * len(elsewhere)
    asked = await fold_all(world, [b.cancel(there), b.change_slot(there, "noon"), b.pick_up(there), b.undo(there)])
    assert asked == [refused(Reason.UNKNOWN_RESERVATION)] * 4
    assert without_answers(await world.rows()) == before


async def test_the_end_of_a_day_in_a_region_of_another_partition_takes_nothing_from_anybody_here(world: World) -> None:
    await city(world)
    await fold_all(world, [b.tick(b.NOON_MS + 2 * b.DAY_MS), b.tick(b.NOON_MS + 2 * b.DAY_MS)])
    assert await world.fold(b.expire(region="foshan")) == done(Fact.EXPIRY_DONE, 0)
    assert (await world.row("s:1:noon")).taken == 1


async def test_a_terminal_of_a_region_of_another_partition_hands_out_nothing_here(world: World) -> None:
    await city(world)
    await pair_terminal(world, "abroad", region="foshan")
    wish = b.pick_up(b.reserve("anna"), terminal="abroad")
    assert await world.fold(wish) == refused(Reason.OTHER_PHARMACY, b.PHARMACY)
    assert (await world.row("s:1:noon")).picked_up == 0


# -- offsets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 1, 3, 2**40])
def test_the_model_takes_no_offset_twice_and_leaves_none_out(offset: int) -> None:
    state = State()
    for at in range(2):
        apply(state, offset=at, timestamp_ms=b.NOON_MS, digest=0, command=b.genesis())
    before = dict(state.rows)
    with pytest.raises(ValueError, match="does not follow position 2"):
        apply(state, offset=offset, timestamp_ms=b.NOON_MS, digest=0, command=b.open_())
    assert state.rows == before


@pytest.mark.parametrize(("offset", "status"), [(0, "ok"), (1, "ok"), (3, "gap"), (2**40, "gap")])
async def test_the_library_applies_no_offset_twice_and_leaves_none_out(lua: LuaWorld, offset: int, status: str) -> None:
    await lua.fold_batch(at_noon(b.genesis(), b.assign_region("guangzhou", "masks")))
    before = await lua.values()
    folded = await lua.fold_batch(at_noon(b.assign_region("foshan", "others")), start=offset)
    assert (folded.status, folded.position) == (status, 2)
    assert await lua.values() == before


# -- clocks -----------------------------------------------------------------------------------------------------------


async def test_a_clock_service_years_ahead_moves_no_time_as_long_as_records_have_the_right_one(world: World) -> None:
    await city(world)
    for minutes in range(3):
        at_ms = b.NOON_MS + minutes * b.MINUTE_MS
        await world.fold(b.tick(b.YEAR_2100_MS), at_ms=at_ms)
        assert (await world.row(HEAD)).now_ms == at_ms
    assert await world.fold(b.reserve("ben"), at_ms=b.NOON_MS + 30 * b.MINUTE_MS) == b.confirmed(1)


async def test_a_front_door_years_ahead_moves_time_two_minutes_past_the_last_tick_and_no_further(world: World) -> None:
    await city(world)
    for who in ("ben", "cleo", "dan"):
        await world.fold(b.reserve(who), at_ms=b.YEAR_2100_MS)
        assert (await world.row(HEAD)).now_ms == b.NOON_MS + 2 * b.MINUTE_MS
    assert (await world.row("s:1:noon")).taken == 4


@pytest.mark.parametrize("at_ms", [-(2**63), -1, 2**53 + 1, 2**63 - 1])
async def test_a_time_stamp_that_no_clock_shows_stops_nothing_and_moves_time_two_minutes_at_most(
    world: World, at_ms: int
) -> None:
    await city(world)
    assert await world.fold(b.reserve("ben"), at_ms=at_ms) == b.confirmed(1)
    assert b.NOON_MS <= (await world.row(HEAD)).now_ms <= b.NOON_MS + 2 * b.MINUTE_MS
    assert await world.fold(b.reserve("cleo"), at_ms=b.NOON_MS + 5) == b.confirmed(2)
