"""A change of slot: the new one or the old one, never none, never both, and nobody is passed."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import ReservationRow, ReservationState, Share, SlotRow
from services.domain.rules.answers import Fact, done, refused
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

SIX_MS = b.MIDNIGHT_MS + 18 * b.HOUR_MS
TOMORROW_MS = b.MIDNIGHT_MS + b.DAY_MS
COOL_UNTIL_MS = TOMORROW_MS + 2 * b.DAY_MS


@pytest.fixture
async def city(world: World) -> World:
    """Four units a slot, of which one is a desk's; who is in the evening may change until five."""
    slots = [
        b.slot("evening", 4, hour=18, change_until_ms=SIX_MS - b.HOUR_MS, promote_until_ms=SIX_MS),
        b.slot(
            "tomorrow", 4, day=b.TODAY + 1, day_from_ms=TOMORROW_MS, promote_until_ms=TOMORROW_MS,
            cool_until_ms=COOL_UNTIL_MS,
        ),
        b.slot("night", 4, hour=22),
    ]  # fmt: skip
    await open_campaign(world, slots, waiting_per_mille=1_000, assisted_per_mille=250, cool_down=True)
    await pair_terminal(world)
    return world


def wish(who: str, units: int = 1, slot: str = "evening", **more: Any) -> c.Reserve:
    return b.reserve(who, slot, units, **more)


def changed(new: str, units: int, ordinal: int, old: str = "evening") -> list[list[Any]]:
    return done(Fact.SLOT_CHANGED, b.CAMPAIGN, old, new, units, ordinal)


async def slot(world: World, name: str) -> SlotRow:
    row: SlotRow = await world.row(f"s:1:{name}")
    return row


async def reservation(world: World, booking: c.Reserve) -> ReservationRow:
    row: ReservationRow = await world.row(f"r:{booking.pass_no}")
    return row


async def test_a_change_gives_the_old_units_back_and_takes_new_ones(city: World) -> None:
    anna = wish("anna", 2)
    await fold_all(city, [wish("ben", slot="tomorrow"), anna])
    assert await city.fold(b.change_slot(anna, "tomorrow")) == changed("tomorrow", 2, 1)
    assert ((await slot(city, "evening")).taken, (await slot(city, "tomorrow")).taken) == (0, 3)
    assert (await city.row(f"c:{b.CAMPAIGN}")).left == 9 - 3
    row = await reservation(city, anna)
    assert (row.state, row.slot, row.ordinal) == (ReservationState.CONFIRMED, "tomorrow", 1)


async def test_who_changed_is_handed_out_in_the_new_slot_and_waits_as_it_says(city: World) -> None:
    anna = wish("anna")
    await fold_all(city, [anna, b.change_slot(anna, "tomorrow")])
    assert (await city.fold(b.pick_up(anna)))[0][:2] == [Fact.REFUSED, Reason.WRONG_TIME]
    await time_passes(city, TOMORROW_MS - b.NOON_MS)
    assert await city.fold(b.pick_up(anna, key="2")) == done(Fact.PICKED_UP, b.CAMPAIGN, "tomorrow", 1)
    assert (await city.row(f"p:{b.REGION}:{anna.resident}")).cool_until_ms == COOL_UNTIL_MS


async def test_a_slot_that_makes_nobody_wait_takes_no_wait_back(city: World) -> None:
    anna = wish("anna", slot="tomorrow")
    await fold_all(city, [anna, b.change_slot(anna, "evening")])
    assert (await city.row(f"p:{b.REGION}:{anna.resident}")).cool_until_ms == COOL_UNTIL_MS


async def test_who_does_not_get_the_new_slot_keeps_the_old_one(city: World) -> None:
    anna = wish("anna", 2)
    await fold_all(city, [anna, wish("ben", 2, "tomorrow")])
    assert await city.fold(b.change_slot(anna, "tomorrow")) == refused(Reason.SLOT_FULL, 1)
    row = await reservation(city, anna)
    assert (row.state, row.slot) == (ReservationState.CONFIRMED, "evening")
    assert ((await slot(city, "evening")).taken, (await slot(city, "tomorrow")).taken) == (2, 2)


async def test_a_change_where_nothing_is_left_at_all_says_so(city: World) -> None:
    anna = wish("anna", 3)
    await fold_all(city, [anna, wish("ben", 3, "tomorrow"), wish("cleo", 3, "night")])
    assert await city.fold(b.change_slot(anna, "tomorrow")) == refused(Reason.SOLD_OUT, 0)


@pytest.mark.parametrize(("old", "until_ms"), [("evening", SIX_MS - b.HOUR_MS), ("night", SIX_MS + 4 * b.HOUR_MS)])
async def test_a_change_is_possible_until_the_slot_says_or_it_begins(city: World, old: str, until_ms: int) -> None:
    anna, ben = wish("anna", slot=old), wish("ben", slot=old)
    await fold_all(city, [anna, ben])
    await time_passes(city, until_ms - 1 - b.NOON_MS)
    assert await city.fold(b.change_slot(anna, "tomorrow")) == changed("tomorrow", 1, 0, old)
    await time_passes(city, 1)
    assert await city.fold(b.change_slot(ben, "tomorrow")) == refused(Reason.TOO_LATE_TO_CHANGE)


async def test_a_slot_that_is_over_is_no_new_slot(city: World) -> None:
    anna = wish("anna", slot="tomorrow")
    await city.fold(anna)
    await time_passes(city, SIX_MS + b.HOUR_MS - b.NOON_MS)
    assert await city.fold(b.change_slot(anna, "evening")) == refused(Reason.SLOT_OVER, 0)


async def test_a_change_to_the_same_slot_or_to_none_changes_nothing(city: World) -> None:
    anna = wish("anna")
    await city.fold(anna)
    assert await city.fold(b.change_slot(anna, "evening")) == refused(Reason.SAME_SLOT)
    assert await city.fold(b.change_slot(anna, "nowhere")) == refused(Reason.UNKNOWN_SLOT)
    assert (await slot(city, "evening")).taken == 1


async def test_nobody_changes_while_a_campaign_is_paused_and_everybody_once_it_is_closed(city: World) -> None:
    anna = wish("anna")
    await fold_all(city, [anna, b.pause()])
    assert await city.fold(b.change_slot(anna, "tomorrow")) == refused(Reason.PAUSED)
    await city.fold(b.close())
    assert await city.fold(b.change_slot(anna, "tomorrow", key="2")) == changed("tomorrow", 1, 0)


async def test_what_is_over_is_not_changed(city: World) -> None:
    came, went, missed = wish("anna"), wish("ben"), wish("cleo")
    await fold_all(city, [came, went, missed, b.pick_up(came), b.cancel(went)])
    for booking, state in ((came, ReservationState.PICKED_UP), (went, ReservationState.CANCELLED)):
        assert await city.fold(b.change_slot(booking, "tomorrow")) == refused(Reason.NOT_CONFIRMED, state)
    await time_passes(city, TOMORROW_MS - b.NOON_MS)
    await city.fold(b.expire())
    assert await city.fold(b.change_slot(missed, "tomorrow")) == refused(
        Reason.NOT_CONFIRMED, ReservationState.EXPIRED
    )
    assert (await slot(city, "tomorrow")).taken == 0


async def test_units_that_a_change_leaves_go_to_who_waits_for_them(city: World) -> None:
    anna, ben = wish("anna", 3), wish("ben", 2)
    await fold_all(city, [anna, ben])
    promoted = [Fact.PROMOTED, ben.pass_no, b.CAMPAIGN, "evening", 2, 1]
    assert await city.fold(b.change_slot(anna, "tomorrow")) == [*changed("tomorrow", 3, 0), promoted]


async def test_a_change_passes_nobody_who_waits(city: World) -> None:
    anna, dan = wish("anna", slot="night"), wish("dan")
    await fold_all(city, [anna, dan, wish("eva", 2), wish("ben", 2), b.cancel(dan)])
    assert units_free(await slot(city, "evening")) == 1
    assert await city.fold(b.change_slot(anna, "evening")) == refused(Reason.SLOT_FULL, 0)


def units_free(row: SlotRow) -> int:
    return row.quota - row.taken


async def test_who_waits_may_leave_the_line_for_a_slot_that_has_some(city: World) -> None:
    ben = wish("ben", 2)
    await fold_all(city, [wish("anna", 3), ben])
    assert await city.fold(b.change_slot(ben, "tomorrow")) == changed("tomorrow", 2, 0)
    old, new, row = await slot(city, "evening"), await slot(city, "tomorrow"), await reservation(city, ben)
    assert (old.taken, old.waiting, new.taken) == (3, 0, 2)
    assert (row.state, row.ordinal) == (ReservationState.CONFIRMED, 0)


async def test_what_a_desk_booked_stays_in_its_share(city: World) -> None:
    anna = wish("anna", terminal=b.TERMINAL)
    await city.fold(anna)
    assert await city.fold(b.change_slot(anna, "tomorrow", terminal=b.TERMINAL)) == changed("tomorrow", 1, 0)
    old, new = await slot(city, "evening"), await slot(city, "tomorrow")
    assert (old.assisted_taken, new.assisted_taken, old.taken, new.taken) == (0, 1, 0, 0)
    assert (await reservation(city, anna)).share == Share.ASSISTED
