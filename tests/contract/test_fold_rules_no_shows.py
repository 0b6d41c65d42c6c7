"""The time to pick up, its grace, who did not come, and pharmacies of two cities that have the same name."""

import pytest

from services.domain import commands as c
from services.domain.limits import SHEET_LINES
from services.domain.reasons import Reason
from services.domain.rows import ReservationState, SheetRow
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

TOMORROW_MS = b.MIDNIGHT_MS + b.DAY_MS
UNTIL_MS = TOMORROW_MS + 9 * b.HOUR_MS


@pytest.fixture
async def city(world: World) -> World:
    """A slot at noon whose grace ends tomorrow at nine, another pharmacy beside it, a paired terminal."""
    slots = [
        b.slot("noon", 200, pick_until_ms=UNTIL_MS),
        b.slot("short", 10, pick_until_ms=TOMORROW_MS, change_until_ms=TOMORROW_MS),
        b.slot("next-door", 10, pharmacy="pharmacy-2"),
    ]
    await open_campaign(world, slots)
    await pair_terminal(world)
    return world


async def it_is(world: World, at_ms: int) -> None:
    await time_passes(world, at_ms - world.now_ms)


def crowd(size: int, slot: str = "noon") -> list[c.Reserve]:
    return [b.reserve(f"somebody {n}", slot) for n in range(size)]


def expired(*bookings: c.Reserve, slot: str = "noon") -> list[list[object]]:
    facts = [[Fact.EXPIRED, booking.pass_no, b.CAMPAIGN, slot, booking.units] for booking in bookings]
    return [[Fact.EXPIRY_DONE, len(bookings)], *facts]


# -- the time of a slot ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ms", "is_over"), [(-1, False), (0, True), (1, True)])
async def test_a_slot_that_has_ended_takes_nobody(city: World, ms: int, is_over: bool) -> None:
    await it_is(city, b.NOON_MS + b.HOUR_MS + ms)
    assert await city.fold(b.reserve("anna")) == (b.rejected(Reason.SLOT_OVER) if is_over else b.confirmed())


async def test_a_slot_that_is_over_is_over_for_a_desk_too_and_however_empty(city: World) -> None:
    await it_is(city, b.NOON_MS + b.HOUR_MS)
    assert await city.fold(b.reserve("anna", terminal=b.TERMINAL)) == b.rejected(Reason.SLOT_OVER)


@pytest.mark.parametrize(("ms", "is_right"), [(-1, True), (0, False)])
async def test_with_grace_a_pick_up_is_right_until_its_end(city: World, ms: int, is_right: bool) -> None:
    booking = b.reserve("anna", units=2)
    await city.fold(booking)
    await it_is(city, UNTIL_MS + ms)
    picked_up = [[Fact.PICKED_UP, b.CAMPAIGN, "noon", 2]]
    wrong = refused(Reason.WRONG_TIME, b.NOON_MS, b.NOON_MS + b.HOUR_MS)
    assert await city.fold(b.pick_up(booking)) == (picked_up if is_right else wrong)


async def test_picked_up_units_are_counted_in_the_slot_until_they_are_taken_back(city: World) -> None:
    booking = b.reserve("anna", units=3)
    await fold_all(city, [booking, b.pick_up(booking)])
    assert (await city.row("s:1:noon")).picked_up == 3
    await city.fold(b.undo(booking))
    row = await city.row("s:1:noon")
    assert (row.picked_up, row.taken) == (0, 3)


# -- no-shows ----------------------------------------------------------------------------------------------------------


async def test_who_did_not_come_is_a_no_show_and_the_units_go_back(city: World) -> None:
    booking = b.reserve("anna", units=2)
    await city.fold(booking)
    await it_is(city, UNTIL_MS)
    assert await city.fold(b.expire()) == expired(booking)
    assert (await city.row(f"r:{booking.pass_no}")).state == ReservationState.EXPIRED
    slot, campaign = await city.row("s:1:noon"), await city.row(f"c:{b.CAMPAIGN}")
    assert (slot.taken, slot.expired) == (0, 2)
    assert (campaign.left, campaign.expired, campaign.confirmed) == (220, 1, 1)


@pytest.mark.parametrize(("ms", "count"), [(-1, 0), (0, 1)])
async def test_nobody_is_a_no_show_while_there_is_time(city: World, ms: int, count: int) -> None:
    await city.fold(b.reserve("anna"))
    await it_is(city, UNTIL_MS + ms)
    assert (await city.fold(b.expire()))[0] == [Fact.EXPIRY_DONE, count]


async def test_of_one_sheet_only_those_that_are_due_expire(city: World) -> None:
    due, not_yet = b.reserve("anna", "short"), b.reserve("ben", "short")
    await fold_all(city, [not_yet, due, b.change_slot(not_yet, "noon")])
    await it_is(city, TOMORROW_MS)
    assert await city.fold(b.expire()) == expired(due, slot="short")
    assert (await city.row(f"r:{not_yet.pass_no}")).state == ReservationState.CONFIRMED
    await it_is(city, UNTIL_MS)
    assert await city.fold(b.expire(key="2")) == expired(not_yet)


async def test_who_was_a_no_show_may_book_again_but_not_pick_up_or_cancel(city: World) -> None:
    booking = b.reserve("anna")
    await city.fold(booking)
    await it_is(city, UNTIL_MS)
    await city.fold(b.expire())
    assert await city.fold(b.pick_up(booking)) == refused(Reason.EXPIRED)
    assert await city.fold(b.cancel(booking)) == refused(Reason.EXPIRED)
    assert (await city.row(f"p:{b.REGION}:{booking.resident}")).live == ""
    assert await city.fold(b.reserve("anna", "noon", key="2")) == b.rejected(Reason.SLOT_OVER)  # and nothing else
    assert await city.fold(booking) == repeated([ReservationState.EXPIRED, 0, 0])


async def test_picked_up_and_cancelled_are_left_alone(city: World) -> None:
    anna, ben, cleo = b.reserve("anna"), b.reserve("ben"), b.reserve("cleo")
    await fold_all(city, [anna, ben, cleo, b.pick_up(anna), b.cancel(ben)])
    await it_is(city, UNTIL_MS)
    assert await city.fold(b.expire()) == expired(cleo)
    states = [(await city.row(f"r:{each.pass_no}")).state for each in (anna, ben, cleo)]
    assert states == [ReservationState.PICKED_UP, ReservationState.CANCELLED, ReservationState.EXPIRED]
    row = await city.row("s:1:noon")
    assert (row.taken, row.picked_up, row.expired) == (1, 1, 1)


async def test_a_second_expiry_changes_nothing(city: World) -> None:
    await city.fold(b.reserve("anna"))
    await it_is(city, UNTIL_MS)
    first = b.expire()
    await city.fold(first)
    before = await city.row("s:1:noon")
    assert await city.fold(first) == repeated([Fact.EXPIRY_DONE, 1])
    assert await city.fold(b.expire(key="2")) == done(Fact.EXPIRY_DONE, 0)
    assert await city.row("s:1:noon") == before


@pytest.mark.parametrize("size", [1, SHEET_LINES - 1, SHEET_LINES, SHEET_LINES + 1, 70])
async def test_a_long_day_expires_sheet_by_sheet(city: World, size: int) -> None:
    people = crowd(size)
    await fold_all(city, people)
    await it_is(city, UNTIL_MS)
    for sheet in range(6):
        due = people[sheet * SHEET_LINES : (sheet + 1) * SHEET_LINES]
        assert await city.fold(b.expire(sheet)) == expired(*due)
    assert (await city.row("s:1:noon")).expired == size


async def test_what_nobody_has_expires_nowhere(city: World) -> None:
    await city.fold(b.reserve("anna"))
    await it_is(city, UNTIL_MS)
    for nothing in (b.expire(1), b.expire(day=b.TODAY + 1), b.expire(region="foshan"), b.expire(pharmacy="pharmacy-2")):
        assert await city.fold(nothing) == done(Fact.EXPIRY_DONE, 0)


async def test_a_no_show_at_one_pharmacy_is_none_at_another(city: World) -> None:
    here, there = b.reserve("anna"), b.reserve("ben", "next-door")
    await fold_all(city, [here, there])
    await it_is(city, UNTIL_MS)
    assert await city.fold(b.expire(pharmacy="pharmacy-2")) == expired(there, slot="next-door")
    assert (await city.row(f"r:{here.pass_no}")).state == ReservationState.CONFIRMED


async def test_who_went_to_another_pharmacys_slot_is_a_no_show_on_its_list_alone(city: World) -> None:
    booking = b.reserve("anna", "short")
    await fold_all(city, [booking, b.change_slot(booking, "next-door")])
    await it_is(city, UNTIL_MS)
    assert await city.fold(b.expire()) == done(Fact.EXPIRY_DONE, 0)
    assert await city.fold(b.expire(pharmacy="pharmacy-2")) == expired(booking, slot="next-door")


async def test_units_of_a_desks_no_show_go_back_to_the_assisted_share(world: World) -> None:
    await open_campaign(world, {"noon": 10}, assisted_per_mille=500)
    await pair_terminal(world)
    await world.fold(b.reserve("anna", units=2, terminal=b.TERMINAL))
    await it_is(world, TOMORROW_MS)
    assert (await world.fold(b.expire()))[0] == [Fact.EXPIRY_DONE, 1]
    row = await world.row("s:1:noon")
    assert (row.taken, row.assisted_taken, row.expired) == (0, 0, 2)
    assert (await world.row(f"c:{b.CAMPAIGN}")).assisted_left == 5


# -- two cities in one partition ---------------------------------------------------------------------------------------


@pytest.fixture
async def cities(world: World) -> World:
    """Guangzhou and Foshan, each with a campaign, a pharmacy "pharmacy-1" and a terminal there."""
    await open_campaign(world, {"noon": 10})
    await open_campaign(world, {"noon": 10}, campaign="foshan-2020-02", region="foshan")
    await pair_terminal(world)
    await pair_terminal(world, "foshan-1", region="foshan")
    return world


def in_foshan(who: str) -> c.Reserve:
    return b.reserve(who, campaign="foshan-2020-02")


async def test_a_pharmacy_of_the_same_name_in_another_city_does_not_serve_its_passes(cities: World) -> None:
    here, there = b.reserve("anna"), in_foshan("ben")
    await fold_all(cities, [here, there])
    assert await cities.fold(b.pick_up(here, terminal="foshan-1")) == refused(Reason.OTHER_PHARMACY, b.PHARMACY)
    assert await cities.fold(b.pick_up(there)) == refused(Reason.OTHER_PHARMACY, b.PHARMACY)
    assert (await cities.fold(b.pick_up(there, terminal="foshan-1")))[0][0] == Fact.PICKED_UP


async def test_nor_does_it_cancel_or_change_what_is_booked_there(cities: World) -> None:
    booking = b.reserve("anna")
    await cities.fold(booking)
    elsewhere = refused(Reason.OTHER_PHARMACY, b.PHARMACY)
    assert await cities.fold(b.cancel(booking, terminal="foshan-1")) == elsewhere
    assert await cities.fold(b.change_slot(booking, "noon", terminal="foshan-1")) == elsewhere
    assert (await cities.fold(b.cancel(booking, terminal=b.TERMINAL)))[0][0] == Fact.CANCELLED


async def test_nor_does_it_change_its_stock(cities: World) -> None:
    assert await cities.fold(b.change_quota(+5, terminal="foshan-1")) == refused(Reason.OTHER_PHARMACY, b.PHARMACY)


async def test_each_city_has_its_own_list_of_the_day(cities: World) -> None:
    here, there = b.reserve("anna"), in_foshan("ben")
    assert await fold_all(cities, [here, there]) == [b.confirmed(0), b.confirmed(0)]
    assert (await cities.row("s:1:noon")).on_sheet == here.pass_no
    assert (await cities.row("s:2:noon")).on_sheet == there.pass_no
    for region, no in ((b.REGION, 1), ("foshan", 2)):
        assert await cities.row(f"m:{region}:{b.PHARMACY}:{b.TODAY}") == 1
        assert await cities.row(f"m:{region}:{b.PHARMACY}:{b.TODAY}:0") == SheetRow(no=no, slot="noon")
    await it_is(cities, TOMORROW_MS)
    assert await cities.fold(b.expire()) == expired(here)
    assert (await cities.row(f"r:{there.pass_no}")).state == ReservationState.CONFIRMED
