"""What happens to a reservation: cancelled, picked up, taken back."""

import msgspec
import pytest

from services.domain.reasons import Reason
from services.domain.rows import ReservationState
from services.domain.rules.answers import Fact, refused
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

PICKED_UP = [[Fact.PICKED_UP, b.CAMPAIGN, "noon", 2]]


@pytest.fixture
async def city(world: World) -> World:
    """Open: noon with 4 units at one pharmacy, paired terminals here, next to it and elsewhere."""
    await open_campaign(world, {"noon": 4, "evening": 1})
    await pair_terminal(world, b.TERMINAL)
    await pair_terminal(world, "terminal-2")
    await pair_terminal(world, "elsewhere", pharmacy="pharmacy-2")
    return world


async def test_a_cancel_frees_the_units_for_others(city: World) -> None:
    booking = b.reserve("anna", units=4)
    await city.fold(booking)
    assert await city.fold(b.reserve("ben", units=2)) == b.rejected(Reason.SLOT_FULL)
    assert await city.fold(b.cancel(booking)) == [[Fact.CANCELLED, b.CAMPAIGN, "noon", 4]]
    assert await city.fold(b.reserve("ben", units=2, key="2")) == b.confirmed(1)
    campaign = await city.row(f"c:{b.CAMPAIGN}")
    assert (campaign.left, campaign.confirmed, campaign.cancelled) == (3, 2, 1)
    assert (await city.row("s:1:noon")).taken == 2


async def test_who_cancelled_may_book_again(city: World) -> None:
    booking = b.reserve("anna", key="1")
    await fold_all(city, [booking, b.cancel(booking)])
    assert await city.fold(b.reserve("anna", key="2")) == b.confirmed(1)


async def test_a_terminal_cancels_for_somebody_present(city: World) -> None:
    booking = b.reserve("anna")
    await city.fold(booking)
    assert (await city.fold(b.cancel(booking, terminal=b.TERMINAL)))[0][0] == Fact.CANCELLED
    (action,) = (await city.row(f"r:{booking.pass_no}")).history
    assert (action.fact, action.actor, action.at_ms) == (Fact.CANCELLED, b.TERMINAL, b.NOON_MS)


async def test_a_cancelled_reservation_cannot_be_cancelled_again_or_picked_up(city: World) -> None:
    booking = b.reserve("anna")
    await fold_all(city, [booking, b.cancel(booking)])
    assert await city.fold(b.cancel(booking, key="2")) == refused(Reason.CANCELLED)
    assert await city.fold(b.pick_up(booking)) == refused(Reason.CANCELLED)


async def test_what_nobody_booked_cannot_be_cancelled_or_picked_up(city: World) -> None:
    booking = b.reserve("anna")
    assert await city.fold(b.cancel(booking)) == refused(Reason.UNKNOWN_RESERVATION)
    assert await city.fold(b.pick_up(booking)) == refused(Reason.UNKNOWN_RESERVATION)
    assert await city.fold(b.undo(booking)) == refused(Reason.UNKNOWN_RESERVATION)


async def test_a_refused_reservation_has_nothing_to_cancel_or_to_pick_up(city: World) -> None:
    booking = b.reserve("anna", units=6)
    await city.fold(booking)
    expected = refused(Reason.NOT_CONFIRMED, Reason.UNITS_OVER_LIMIT)
    assert await fold_all(city, [b.cancel(booking), b.pick_up(booking), b.undo(booking)]) == [expected] * 3


async def test_a_pick_up_at_the_slots_pharmacy_on_its_day_hands_out_the_units(city: World) -> None:
    booking = b.reserve("anna", units=2)
    await city.fold(booking)
    assert await city.fold(b.pick_up(booking)) == PICKED_UP
    assert (await city.row(f"r:{booking.pass_no}")).state == ReservationState.PICKED_UP
    assert (await city.row(f"c:{b.CAMPAIGN}")).picked_up == 1
    assert (await city.row("s:1:noon")).taken == 2


async def test_nothing_is_picked_up_twice_and_the_answer_says_when_and_where(city: World) -> None:
    booking = b.reserve("anna", units=2)
    await city.fold(booking)
    await city.fold(b.pick_up(booking), at_ms=b.NOON_MS + 7)
    expected = refused(Reason.ALREADY_PICKED_UP, b.NOON_MS + 7, b.TERMINAL)
    assert await city.fold(b.pick_up(booking, terminal="terminal-2"), at_ms=b.NOON_MS + 9) == expected
    assert await city.fold(b.pick_up(booking, key="2")) == expected
    assert (await city.row(f"c:{b.CAMPAIGN}")).picked_up == 1


async def test_what_was_picked_up_cannot_be_cancelled(city: World) -> None:
    booking = b.reserve("anna")
    await fold_all(city, [booking, b.pick_up(booking)])
    assert await city.fold(b.cancel(booking)) == refused(Reason.ALREADY_PICKED_UP, b.NOON_MS, b.TERMINAL)
    assert (await city.row("s:1:noon")).taken == 1


async def test_another_pharmacy_is_told_which_one_is_right(city: World) -> None:
    booking = b.reserve("anna")
    await city.fold(booking)
    assert await city.fold(b.pick_up(booking, terminal="elsewhere")) == refused(Reason.OTHER_PHARMACY, b.PHARMACY)


@pytest.mark.parametrize("terminal", ["nobody", "invited", "revoked"])
async def test_only_a_paired_terminal_may_act(city: World, terminal: str) -> None:
    await city.fold(b.invite("invited"))
    await pair_terminal(city, "revoked")
    await city.fold(b.revoke("revoked"))
    booking = b.reserve("anna")
    await city.fold(booking)
    assert await city.fold(b.pick_up(booking, terminal=terminal)) == refused(Reason.UNKNOWN_TERMINAL)
    assert await city.fold(b.cancel(booking, terminal=terminal)) == refused(Reason.UNKNOWN_TERMINAL)
    assert await city.fold(b.undo(booking, terminal=terminal)) == refused(Reason.UNKNOWN_TERMINAL)


@pytest.mark.parametrize(
    ("hour_of_day", "is_right"), [(-1, False), (0, True), (12, True), (23, True), (24, False), (36, False)]
)
async def test_a_slots_day_is_the_time_to_pick_up(world: World, hour_of_day: int, is_right: bool) -> None:
    tomorrow_ms = b.MIDNIGHT_MS + b.DAY_MS
    slot = b.slot("noon", day=b.TODAY + 1, day_from_ms=tomorrow_ms)
    await open_campaign(world, [slot])
    await pair_terminal(world)
    booking = b.reserve("anna", "noon", units=2)
    await world.fold(booking)
    await time_passes(world, tomorrow_ms + hour_of_day * b.HOUR_MS - world.now_ms)
    wrong = refused(Reason.WRONG_TIME, slot.starts_ms, slot.ends_ms)
    assert await world.fold(b.pick_up(booking)) == (PICKED_UP if is_right else wrong)


async def test_a_slot_that_ends_after_midnight_is_picked_up_until_its_end(world: World) -> None:
    slot = b.slot("noon", hour=23)
    late = msgspec.structs.replace(slot, ends_ms=slot.day_to_ms + b.HOUR_MS)
    await open_campaign(world, [late])
    await pair_terminal(world)
    in_time, too_late = b.reserve("anna", units=2), b.reserve("ben", units=2)
    await fold_all(world, [in_time, too_late])
    await time_passes(world, late.ends_ms - 1 - world.now_ms)
    assert await world.fold(b.pick_up(in_time)) == PICKED_UP
    await time_passes(world, 1)
    assert await world.fold(b.pick_up(too_late)) == refused(Reason.WRONG_TIME, late.starts_ms, late.ends_ms)


@pytest.mark.parametrize(("after_ms", "is_right"), [(0, True), (5 * b.MINUTE_MS, True), (5 * b.MINUTE_MS + 1, False)])
async def test_a_pick_up_is_taken_back_within_five_minutes(city: World, after_ms: int, is_right: bool) -> None:
    booking = b.reserve("anna", units=2)
    await fold_all(city, [booking, b.pick_up(booking)])
    await time_passes(city, after_ms)
    undone = [[Fact.PICK_UP_UNDONE, b.CAMPAIGN, "noon", 2]]
    assert await city.fold(b.undo(booking)) == (undone if is_right else refused(Reason.UNDO_TOO_LATE))
    state = ReservationState.CONFIRMED if is_right else ReservationState.PICKED_UP
    assert (await city.row(f"r:{booking.pass_no}")).state == state
    assert (await city.row(f"c:{b.CAMPAIGN}")).picked_up == int(not is_right)


async def test_only_the_terminal_that_confirmed_takes_a_pick_up_back(city: World) -> None:
    booking = b.reserve("anna")
    await fold_all(city, [booking, b.pick_up(booking)])
    assert await city.fold(b.undo(booking, terminal="terminal-2")) == refused(Reason.OTHER_TERMINAL)


async def test_what_was_not_picked_up_cannot_be_taken_back(city: World) -> None:
    booking = b.reserve("anna")
    await city.fold(booking)
    assert await city.fold(b.undo(booking)) == refused(Reason.NOT_PICKED_UP)


async def test_what_was_taken_back_can_be_picked_up_again_or_cancelled(city: World) -> None:
    anna, ben = b.reserve("anna", units=2), b.reserve("ben", units=2)
    for booking in (anna, ben):
        await fold_all(city, [booking, b.pick_up(booking), b.undo(booking)])
    await city.fold(b.pick_up(anna, terminal="terminal-2", key="2"), at_ms=b.NOON_MS + 3)
    expected = refused(Reason.ALREADY_PICKED_UP, b.NOON_MS + 3, "terminal-2")
    assert await city.fold(b.pick_up(anna, key="3")) == expected
    assert await city.fold(b.cancel(ben)) == [[Fact.CANCELLED, b.CAMPAIGN, "noon", 2]]


async def test_pick_ups_and_cancels_go_on_while_a_campaign_is_paused_or_closed(city: World) -> None:
    anna, ben = b.reserve("anna", units=2), b.reserve("ben", units=2)
    await fold_all(city, [anna, ben, b.pause()])
    assert await city.fold(b.pick_up(anna)) == PICKED_UP
    await city.fold(b.close())
    assert await city.fold(b.cancel(ben)) == [[Fact.CANCELLED, b.CAMPAIGN, "noon", 2]]
