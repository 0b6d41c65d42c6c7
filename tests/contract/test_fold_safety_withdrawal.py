"""A pharmacy that got less: what must never happen, each with its control."""

from typing import Any

import pytest

from services.domain.rows import ReservationState
from tests import builders as b
from tests.contract import patched_library as patched
from tests.contract.test_fold_safety import found_by_comparison
from tests.contract.worlds import Records, at_noon, lua_world

MANY = 40


def a_delivery_of_two() -> Records:
    """Forty people were promised one each. While the pharmacy takes all but two back, some give theirs back and others
    ask, and so it goes on until everybody has been dealt with."""
    people = [b.reserve(f"resident {n}") for n in range(MANY)]
    meanwhile = [each for n in range(12) for each in (b.cancel(people[n]), b.reserve(f"late {n}"))]
    opened = [*b.definition(b.slots_of({"noon": MANY})), b.open_()]
    return at_noon(b.genesis(), *opened, *people, b.withdraw(keep=2), *meanwhile)


def places_in(rows: dict[str, Any], slot: str) -> int:
    """Units that people hold in a slot."""
    held = [row for name, row in rows.items() if name[:2] == "r:" and row.state == ReservationState.CONFIRMED]
    return sum(row.units for row in held if row.slot == slot)


@pytest.mark.safety
async def test_no_more_is_promised_than_the_pharmacy_got(redis_url: str) -> None:
    log = a_delivery_of_two()
    async with lua_world(redis_url) as world:
        await world.fold_batch(log)
        assert places_in(await world.rows(), "noon") <= 2
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_where_units_that_come_back_are_given_out_again_more_is_promised_than_there_is(redis_url: str) -> None:
    log = a_delivery_of_two()
    async with lua_world(redis_url, patched.without(*patched.WHAT_COMES_BACK_IS_GONE)) as world:
        await world.fold_batch(log)
        assert places_in(await world.rows(), "noon") > 2
        assert await found_by_comparison(log, world) != []


def a_move_in_a_rush() -> Records:
    """Forty people move to a slot that has just enough for them, and others want that one too."""
    people = [b.reserve(f"resident {n}") for n in range(MANY)]
    rush = [b.reserve(f"late {n}", "evening") for n in range(MANY)]
    opened = [*b.definition(b.slots_of({"noon": MANY, "evening": MANY})), b.open_()]
    return at_noon(b.genesis(), *opened, *people, b.move("noon", "evening"), *rush)


@pytest.mark.safety
async def test_whoever_is_moved_has_a_place_where_they_are_moved_to(redis_url: str) -> None:
    log = a_move_in_a_rush()
    async with lua_world(redis_url) as world:
        await world.fold_batch(log)
        rows = [await world.row(f"r:{b.reserve(f'resident {n}').pass_no}") for n in range(MANY)]
        assert {(row.state, row.slot) for row in rows} == {(ReservationState.CONFIRMED, "evening")}
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_where_nothing_is_kept_for_those_who_move_others_book_past_them(redis_url: str) -> None:
    log = a_move_in_a_rush()
    async with lua_world(redis_url, patched.without(*patched.KEPT_FOR_THOSE_WHO_MOVE)) as world:
        await world.fold_batch(log)
        rows = [await world.row(f"r:{b.reserve(f'resident {n}').pass_no}") for n in range(MANY)]
        assert ReservationState.CANCELLED in {row.state for row in rows}
        assert await found_by_comparison(log, world) != []
