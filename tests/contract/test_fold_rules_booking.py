"""Who gets what: the rules of a booking, on the model and on the library."""

import pytest

from services.domain.limits import PASS_NO_CHARS, SHEET_LINES
from services.domain.reasons import Reason
from services.domain.rows import PersonRow, ReservationState
from services.domain.rules.answers import refused
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, time_passes


async def test_a_booking_takes_units_from_its_slot_and_its_campaign(world: World) -> None:
    await open_campaign(world, {"noon": 10, "evening": 10})
    assert await world.fold(b.reserve("anna", "noon", units=3)) == b.confirmed(0)
    slot, campaign = await world.row("s:1:noon"), await world.row(f"c:{b.CAMPAIGN}")
    assert (slot.quota, slot.taken) == (10, 3)
    assert (campaign.quota, campaign.left, campaign.confirmed, campaign.rejected) == (20, 17, 1, 0)


async def test_a_reservation_keeps_what_its_owner_and_the_counter_need(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    booking = b.reserve("anna", "noon", units=2)
    await world.fold(booking, at_ms=b.NOON_MS + 5)
    row = await world.row(f"r:{booking.pass_no}")
    assert (row.state, row.slot, row.units, row.at_ms) == (ReservationState.CONFIRMED, "noon", 2, b.NOON_MS + 5)
    assert (row.resident, row.digest, row.last4_hash) == (booking.resident, booking.digest, booking.last4_hash)
    assert (row.ordinal, row.history) == (0, [])


async def test_a_refused_reservation_keeps_the_reason_and_nothing_of_the_person(world: World) -> None:
    await open_campaign(world, {"noon": 2, "evening": 2})
    booking = b.reserve("anna", "noon", units=3)
    await world.fold(booking)
    row = await world.row(f"r:{booking.pass_no}")
    assert (row.state, row.reason, row.left) == (ReservationState.REJECTED, Reason.SLOT_FULL, 2)
    assert (row.resident, row.last4_hash) == ("", "")
    assert (await world.row(f"c:{b.CAMPAIGN}")).rejected == 1


@pytest.mark.parametrize("units", [1, 5])
async def test_as_many_units_as_the_campaign_allows_are_given(world: World, units: int) -> None:
    await open_campaign(world, {"noon": 10}, units_max=5)
    assert await world.fold(b.reserve("anna", units=units)) == b.confirmed()


async def test_more_units_than_the_campaign_allows_are_refused(world: World) -> None:
    await open_campaign(world, {"noon": 10}, units_max=5)
    assert await world.fold(b.reserve("anna", units=6)) == b.rejected(Reason.UNITS_OVER_LIMIT)


async def test_a_resident_has_one_live_reservation_in_a_campaign(world: World) -> None:
    await open_campaign(world, {"noon": 10, "evening": 10})
    first = b.reserve("anna", "noon", key="1")
    await world.fold(first)
    assert await world.fold(b.reserve("anna", "evening", key="2")) == b.rejected(Reason.ALREADY_RESERVED)
    assert await world.fold(b.reserve("ben", "noon")) == b.confirmed(1)
    assert await world.row(f"p:{b.REGION}:{first.resident}") == PersonRow(no=1, live=first.pass_no, refusals=1)


async def test_a_resident_may_book_in_two_campaigns(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    await open_campaign(world, {"noon": 10}, campaign="gz-2020-03")
    assert await world.fold(b.reserve("anna")) == b.confirmed(0)
    assert await world.fold(b.reserve("anna", campaign="gz-2020-03")) == b.confirmed(SHEET_LINES)


async def test_a_slot_gives_out_its_quota_and_not_one_unit_more(world: World) -> None:
    await open_campaign(world, {"noon": 4, "evening": 9})
    assert await world.fold(b.reserve("anna", "noon", units=3)) == b.confirmed(0)
    assert await world.fold(b.reserve("ben", "noon", units=2)) == b.rejected(Reason.SLOT_FULL, left=1)
    assert await world.fold(b.reserve("cleo", "noon", units=1)) == b.confirmed(1)
    assert await world.fold(b.reserve("dan", "noon", units=1)) == b.rejected(Reason.SLOT_FULL, left=0)
    assert (await world.row("s:1:noon")).taken == 4


async def test_slot_full_says_what_is_left_and_sold_out_means_the_whole_campaign(world: World) -> None:
    await open_campaign(world, {"noon": 2, "evening": 3})
    await fold_all(world, [b.reserve("anna", "noon", units=2)])
    assert await world.fold(b.reserve("ben", "noon")) == b.rejected(Reason.SLOT_FULL, left=0)
    assert await world.fold(b.reserve("ben", "evening", units=4, key="2")) == b.rejected(Reason.SLOT_FULL, left=3)
    assert await world.fold(b.reserve("ben", "evening", units=3, key="3")) == b.confirmed(SHEET_LINES)
    assert await world.fold(b.reserve("cleo", "noon")) == b.rejected(Reason.SOLD_OUT)
    assert await world.fold(b.reserve("cleo", "evening", key="2")) == b.rejected(Reason.SOLD_OUT)


async def test_nobody_books_before_the_campaign_opens(world: World) -> None:
    await fold_all(world, b.definition(b.slots_of({"noon": 10})))
    assert await world.fold(b.reserve("anna")) == b.rejected(Reason.NOT_OPEN)
    await world.fold(b.open_())
    assert await world.fold(b.reserve("anna", key="2")) == b.confirmed()


async def test_nobody_books_while_the_campaign_is_paused(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    await world.fold(b.pause())
    assert await world.fold(b.reserve("anna")) == b.rejected(Reason.PAUSED)
    await world.fold(b.resume())
    assert await world.fold(b.reserve("anna", key="2")) == b.confirmed()


async def test_nobody_books_after_the_campaign_closed(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    await world.fold(b.close())
    assert await world.fold(b.reserve("anna")) == b.rejected(Reason.CAMPAIGN_CLOSED)


async def test_a_campaign_nobody_defined_is_unknown(world: World) -> None:
    assert await world.fold(b.reserve("anna")) == refused(Reason.UNKNOWN_CAMPAIGN)


async def test_a_campaign_whose_definition_is_not_sealed_is_unknown(world: World) -> None:
    await fold_all(world, b.definition(b.slots_of({"noon": 10}))[:-1])
    assert await world.fold(b.reserve("anna")) == refused(Reason.UNKNOWN_CAMPAIGN)


async def test_a_slot_nobody_defined_is_unknown_and_leaves_no_record(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    booking = b.reserve("anna", "midnight")
    assert await world.fold(booking) == refused(Reason.UNKNOWN_SLOT)
    assert await world.row(f"r:{booking.pass_no}") is None
    assert await world.row(f"p:{b.REGION}:{booking.resident}") is None


async def test_a_slot_of_another_campaign_is_unknown(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    await open_campaign(world, {"evening": 10}, campaign="gz-2020-03")
    assert await world.fold(b.reserve("anna", "evening")) == refused(Reason.UNKNOWN_SLOT)


async def test_after_twenty_recorded_refusals_a_resident_is_refused_without_a_record(world: World) -> None:
    await open_campaign(world, {"noon": 10}, units_max=1)
    tries = [b.reserve("anna", units=2, key=str(n)) for n in range(20)]
    assert await fold_all(world, tries) == [b.rejected(Reason.UNITS_OVER_LIMIT)] * 20
    one_more = b.reserve("anna", units=1, key="21")
    assert await world.fold(one_more) == refused(Reason.TOO_MANY_TRIES)
    assert await world.row(f"r:{one_more.pass_no}") is None
    assert await world.fold(b.reserve("ben")) == b.confirmed()


async def test_nineteen_refusals_do_not_keep_a_resident_from_booking(world: World) -> None:
    await open_campaign(world, {"noon": 10}, units_max=1)
    await fold_all(world, [b.reserve("anna", units=2, key=str(n)) for n in range(19)])
    assert await world.fold(b.reserve("anna", key="20")) == b.confirmed()


async def test_every_reservation_of_a_pharmacy_and_day_has_its_own_ordinal(world: World) -> None:
    tomorrow = b.slot("tomorrow", 99, day=b.TODAY + 1, day_from_ms=b.MIDNIGHT_MS + b.DAY_MS)
    slots = [b.slot("noon", 99), b.slot("evening", 99), tomorrow]
    await open_campaign(world, slots)
    assert await world.fold(b.reserve("anna", "noon")) == b.confirmed(0)
    assert await world.fold(b.reserve("ben", "evening")) == b.confirmed(SHEET_LINES)
    assert await world.fold(b.reserve("cleo", "tomorrow")) == b.confirmed(0)
    assert await world.fold(b.reserve("dan", "noon")) == b.confirmed(1)


async def test_sheets_of_a_pharmacy_and_day_name_everybody_in_order(world: World) -> None:
    await open_campaign(world, {"noon": 100})
    people = 2 * SHEET_LINES + 6
    bookings = [b.reserve(f"resident {n}") for n in range(people)]
    assert await fold_all(world, bookings) == [b.confirmed(n) for n in range(people)]
    day = f"m:{b.REGION}:{b.PHARMACY}:{b.TODAY}"
    slot, sheets = await world.row("s:1:noon"), [await world.row(f"{day}:{number}") for number in range(3)]
    assert await world.row(day) == 3
    assert [(sheet.no, sheet.slot) for sheet in sheets] == [(1, "noon")] * 3
    written = [*(sheet.pass_nos for sheet in sheets), slot.on_sheet]
    assert "".join(written) == "".join(booking.pass_no for booking in bookings)
    assert [len(pass_nos) // PASS_NO_CHARS for pass_nos in written] == [SHEET_LINES, SHEET_LINES, 0, 6]
    assert await world.row(f"{day}:3") is None


async def test_slots_of_a_day_fill_sheets_of_their_own(world: World) -> None:
    await open_campaign(world, {"noon": 100, "evening": 100})
    first = [b.reserve(f"resident {n}", "noon" if n % 2 == 0 else "evening") for n in range(2 * SHEET_LINES + 2)]
    ordinals = [b.confirmed(n // 2 + n % 2 * SHEET_LINES) for n in range(2 * SHEET_LINES)]
    assert await fold_all(world, first) == [*ordinals, b.confirmed(2 * SHEET_LINES), b.confirmed(3 * SHEET_LINES)]


async def test_the_time_of_a_reservation_is_the_records_time(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    await time_passes(world, b.HOUR_MS)
    booking = b.reserve("anna")
    await world.fold(booking)
    assert (await world.row(f"r:{booking.pass_no}")).at_ms == b.NOON_MS + b.HOUR_MS
