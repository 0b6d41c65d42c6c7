"""What was handed out without a network and is told later: a fact, accepted whatever the state."""

import pytest

from services.domain import commands as c
from services.domain.limits import MAX_ACTIONS, MAX_REFUSED_ACTIONS
from services.domain.reasons import Reason
from services.domain.rows import ReservationState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

COOL_UNTIL_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
PICKED_UP = done(Fact.PICKED_UP, b.CAMPAIGN, "noon", 2)


def late(reason: Reason) -> list[list[object]]:
    return done(Fact.PICKED_UP_LATE, b.CAMPAIGN, "noon", 2, int(reason))


def conflict(at_ms: int, terminal: str) -> list[list[object]]:
    return done(Fact.PICK_UP_CONFLICT, b.CAMPAIGN, "noon", 2, at_ms, terminal)


@pytest.fixture
async def city(world: World) -> World:
    """Two terminals at the slot's pharmacy, one at another and one in another city."""
    evening = b.slot("evening", hour=18, cool_until_ms=COOL_UNTIL_MS)
    await open_campaign(world, [b.slot("noon", cool_until_ms=COOL_UNTIL_MS), evening], cool_down=True)
    await pair_terminal(world)
    await pair_terminal(world, "terminal-2")
    await pair_terminal(world, "elsewhere", pharmacy="pharmacy-2")
    await pair_terminal(world, "abroad", region="foshan")
    return world


async def anna_books(world: World) -> c.Reserve:
    booking = b.reserve("anna", units=2)
    assert (await world.fold(booking))[0][0] == Fact.CONFIRMED
    return booking


async def counted(world: World) -> tuple[int, int, int, int, int]:
    """Units taken, picked up and beside the quota; late ones and conflicts."""
    slot, campaign = await world.row("s:1:noon"), await world.row(f"c:{b.CAMPAIGN}")
    return slot.taken, slot.picked_up, slot.beside, campaign.picked_up_late, campaign.conflicts


async def test_what_was_right_when_it_happened_is_picked_up_then(city: World) -> None:
    booking = await anna_books(city)
    await time_passes(city, 2 * b.HOUR_MS)
    at_ms = b.NOON_MS + b.HOUR_MS
    assert await city.fold(b.record(booking, at_ms=at_ms)) == PICKED_UP
    row = await city.row(f"r:{booking.pass_no}")
    assert row.state == ReservationState.PICKED_UP
    assert [(action.fact, action.at_ms, action.actor) for action in row.history] == [
        (Fact.PICKED_UP, at_ms, b.TERMINAL)
    ]
    assert await counted(city) == (2, 2, 0, 0, 0)
    assert (await city.row(f"c:{b.CAMPAIGN}")).picked_up == 1


async def test_it_is_judged_by_its_own_time_even_if_the_time_is_over_when_it_is_told(city: World) -> None:
    booking = await anna_books(city)
    await time_passes(city, 3 * b.DAY_MS)
    assert await city.fold(b.record(booking, at_ms=b.NOON_MS + b.HOUR_MS)) == PICKED_UP


@pytest.mark.parametrize(("ms", "is_right"), [(-1, True), (0, False)])
async def test_handed_out_on_a_wrong_day_is_late_and_still_done(city: World, ms: int, is_right: bool) -> None:
    at_ms = b.MIDNIGHT_MS + b.DAY_MS + ms
    booking = await anna_books(city)
    await time_passes(city, 3 * b.DAY_MS)
    assert await city.fold(b.record(booking, at_ms=at_ms)) == (PICKED_UP if is_right else late(Reason.WRONG_TIME))
    assert (await city.row(f"r:{booking.pass_no}")).state == ReservationState.PICKED_UP
    assert await counted(city) == (2, 2, 0, int(not is_right), 0)


async def test_handed_out_before_its_day_is_late_and_still_done(world: World) -> None:
    await open_campaign(world, [b.slot("noon", day_from_ms=b.MIDNIGHT_MS + b.DAY_MS)])
    await pair_terminal(world)
    booking = await anna_books(world)
    assert await world.fold(b.record(booking)) == late(Reason.WRONG_TIME)


@pytest.mark.parametrize("terminal", ["elsewhere", "abroad"])
async def test_handed_out_by_another_pharmacy_is_late(city: World, terminal: str) -> None:
    booking = await anna_books(city)
    assert await city.fold(b.record(booking, terminal=terminal)) == late(Reason.OTHER_PHARMACY)
    assert await city.fold(b.pick_up(booking)) == refused(Reason.ALREADY_PICKED_UP, b.NOON_MS, terminal)


async def test_handed_out_after_a_cancel_is_late_and_beside_the_quota(city: World) -> None:
    booking = await anna_books(city)
    await fold_all(city, [b.cancel(booking), b.reserve("ben", units=5), b.reserve("cleo", units=5)])
    assert await city.fold(b.record(booking)) == late(Reason.CANCELLED)
    assert await counted(city) == (10, 0, 2, 1, 0)
    assert (await city.row(f"r:{booking.pass_no}")).state == ReservationState.CANCELLED


async def test_handed_out_to_a_no_show_is_late_and_beside_the_quota(city: World) -> None:
    booking = await anna_books(city)
    await time_passes(city, b.DAY_MS)
    await city.fold(b.expire())
    assert await city.fold(b.record(booking)) == late(Reason.EXPIRED)
    slot = await city.row("s:1:noon")
    assert (slot.taken, slot.expired, slot.picked_up, slot.beside) == (0, 2, 0, 2)


async def test_who_got_what_was_cancelled_has_to_wait_like_everybody(city: World) -> None:
    booking = b.reserve("anna", "evening", units=2)
    await fold_all(city, [booking, b.cancel(booking)])
    await city.fold(b.record(booking))
    minute = COOL_UNTIL_MS // b.MINUTE_MS
    assert await city.fold(b.reserve("anna", "noon", key="2")) == b.rejected(Reason.COOLING_DOWN, minute)


async def test_what_was_handed_out_late_shortens_no_longer_wait(world: World) -> None:
    longer_ms = COOL_UNTIL_MS + b.DAY_MS
    slots = [b.slot("two", hour=14, cool_until_ms=COOL_UNTIL_MS), b.slot("evening", hour=18, cool_until_ms=longer_ms)]
    await open_campaign(world, slots, cool_down=True)
    await pair_terminal(world)
    booking = b.reserve("anna", "two")
    await fold_all(world, [booking, b.cancel(booking), b.reserve("anna", "evening", key="2"), b.record(booking)])
    assert (await world.row(f"p:{b.REGION}:{booking.resident}")).cool_until_ms == longer_ms


async def test_handed_out_twice_is_a_conflict_that_says_when_and_where_the_first_was(city: World) -> None:
    booking = await anna_books(city)
    await fold_all(city, [b.record(booking, at_ms=b.NOON_MS)])
    await time_passes(city, b.HOUR_MS)
    second = b.record(booking, terminal="terminal-2", at_ms=b.NOON_MS + 5)
    assert await city.fold(second) == conflict(b.NOON_MS, b.TERMINAL)
    assert await city.fold(b.record(booking, key="other")) == conflict(b.NOON_MS, b.TERMINAL)
    assert await counted(city) == (2, 2, 4, 0, 2)


async def test_a_late_hand_out_conflicts_with_a_second_one_too(city: World) -> None:
    booking = await anna_books(city)
    await fold_all(city, [b.cancel(booking), b.record(booking)])
    assert await city.fold(b.record(booking, terminal="terminal-2")) == conflict(b.NOON_MS, b.TERMINAL)
    assert await counted(city) == (0, 0, 4, 1, 1)


async def test_what_was_picked_up_online_and_handed_out_again_offline_is_a_conflict(city: World) -> None:
    booking = await anna_books(city)
    await city.fold(b.pick_up(booking, terminal="terminal-2"))
    assert await city.fold(b.record(booking)) == conflict(b.NOON_MS, "terminal-2")


async def test_a_pick_up_whose_answer_was_lost_and_its_record_are_one_hand_out(city: World) -> None:
    booking = await anna_books(city)
    await city.fold(b.pick_up(booking, key="nonce"))
    record = b.record(booking, key="nonce")
    assert await city.fold(record) == repeated(PICKED_UP[0])
    assert await city.fold(record) == repeated(PICKED_UP[0])
    assert await counted(city) == (2, 2, 0, 0, 0)


async def test_a_pick_up_that_arrives_after_its_record_is_the_same_hand_out(city: World) -> None:
    booking = await anna_books(city)
    await city.fold(b.record(booking, key="nonce"))
    assert await city.fold(b.pick_up(booking, key="nonce")) == repeated([Fact.PICKED_UP, 0])


async def test_handed_out_although_it_had_been_refused_online_is_a_fact_all_the_same(city: World) -> None:
    booking = await anna_books(city)
    await city.fold(b.pick_up(booking, terminal="elsewhere", key="nonce"))
    assert await city.fold(b.record(booking, terminal="elsewhere", key="nonce")) == late(Reason.OTHER_PHARMACY)


async def test_a_record_sent_again_gets_its_first_answer_and_counts_once(city: World) -> None:
    booking = await anna_books(city)
    record, second = b.record(booking), b.record(booking, terminal="terminal-2")
    await fold_all(city, [record, second])
    before = await counted(city)
    assert await city.fold(record) == repeated(PICKED_UP[0])
    assert await city.fold(second) == repeated(conflict(b.NOON_MS, b.TERMINAL)[0])
    assert await counted(city) == before


async def test_without_a_pass_it_is_unproved_and_changes_no_reservation(city: World) -> None:
    booking = await anna_books(city)
    unproved = b.record(None)
    assert await city.fold(unproved) == done(Fact.PICK_UP_UNPROVED)
    assert await city.fold(unproved) == repeated([Fact.PICK_UP_UNPROVED])
    assert (await city.row(f"r:{booking.pass_no}")).state == ReservationState.CONFIRMED
    assert await counted(city) == (2, 0, 0, 0, 0)


async def test_a_pass_that_proves_nothing_here_is_unproved(city: World) -> None:
    refused_one = b.reserve("ben", units=9)
    await city.fold(refused_one)
    for booking in (b.reserve("nobody"), refused_one):
        assert await city.fold(b.record(booking)) == done(Fact.PICK_UP_UNPROVED)


@pytest.mark.parametrize("terminal", ["nobody", "invited", "revoked"])
async def test_a_terminal_that_is_none_is_not_believed(city: World, terminal: str) -> None:
    await city.fold(b.invite("invited"))
    await pair_terminal(city, "revoked")
    await city.fold(b.revoke("revoked"))
    booking = await anna_books(city)
    assert await city.fold(b.record(booking, terminal=terminal)) == refused(Reason.UNKNOWN_TERMINAL)
    assert await counted(city) == (2, 0, 0, 0, 0)


@pytest.mark.parametrize("at_ms", [0, b.NOON_MS - b.DAY_MS, b.NOON_MS + b.DAY_MS, b.YEAR_2100_MS])
async def test_a_terminals_wrong_clock_neither_makes_a_hand_out_late_nor_its_time_impossible(
    city: World, at_ms: int
) -> None:
    booking = await anna_books(city)
    await time_passes(city, b.HOUR_MS)
    assert await city.fold(b.record(booking, at_ms=at_ms)) == PICKED_UP
    (action,) = (await city.row(f"r:{booking.pass_no}")).history
    assert action.at_ms == (b.NOON_MS if at_ms < b.NOON_MS else b.NOON_MS + b.HOUR_MS)


async def test_a_record_that_was_a_slip_is_taken_back_like_a_pick_up(city: World) -> None:
    booking = await anna_books(city)
    await city.fold(b.record(booking))
    assert (await city.fold(b.undo(booking)))[0][0] == Fact.PICK_UP_UNDONE
    assert await counted(city) == (2, 0, 0, 0, 0)
    assert await city.fold(b.record(booking, terminal="terminal-2")) == PICKED_UP


async def test_a_late_one_is_taken_back_by_its_terminal_while_it_is_young(city: World) -> None:
    booking = await anna_books(city)
    await city.fold(b.record(booking, terminal="elsewhere"))
    assert await city.fold(b.undo(booking)) == refused(Reason.OTHER_TERMINAL)
    assert (await city.fold(b.undo(booking, terminal="elsewhere")))[0][0] == Fact.PICK_UP_UNDONE
    assert (await city.row(f"r:{booking.pass_no}")).state == ReservationState.CONFIRMED


async def test_facts_are_accepted_however_often_a_reservation_was_asked_about(city: World) -> None:
    booking = await anna_books(city)
    tills = [f"till-{n}" for n in range(MAX_ACTIONS // MAX_REFUSED_ACTIONS)]
    for till in tills:
        await pair_terminal(city, till, pharmacy="pharmacy-2")
    tries = [b.pick_up(booking, terminal=till, key=str(n)) for till in tills for n in range(MAX_REFUSED_ACTIONS)]
    assert (await fold_all(city, tries))[-1] == refused(Reason.OTHER_PHARMACY, b.PHARMACY)
    assert await city.fold(b.pick_up(booking)) == refused(Reason.TOO_MANY_TRIES)
    assert await city.fold(b.record(booking)) == PICKED_UP
    again = [b.record(booking, terminal="terminal-2", key=str(n)) for n in range(3)]
    assert await fold_all(city, again) == [conflict(b.NOON_MS, b.TERMINAL)] * 3
    assert await city.fold(again[0]) == repeated(conflict(b.NOON_MS, b.TERMINAL)[0])
    assert len((await city.row(f"r:{booking.pass_no}")).history) == MAX_ACTIONS + 1


async def test_the_units_of_a_slot_add_up_whatever_happened(city: World) -> None:
    people = [b.reserve(who, units=2) for who in ("anna", "ben", "cleo", "dan")]
    anna, ben, cleo, dan = people
    again = b.record(anna, terminal="terminal-2")
    await fold_all(city, [*people, b.pick_up(anna), b.cancel(ben), b.record(ben), again])
    await time_passes(city, b.DAY_MS)
    await fold_all(city, [b.expire(), b.record(cleo)])
    slot = await city.row("s:1:noon")
    assert (slot.quota, slot.taken, slot.picked_up, slot.expired, slot.beside) == (10, 2, 2, 4, 6)
    assert (await city.row(f"r:{dan.pass_no}")).state == ReservationState.EXPIRED
