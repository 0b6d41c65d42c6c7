"""The line of a slot that is full: who waits, who is next, how long, and how much of it one record looks at."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.limits import WAITING_PER_CHUNK, WAITING_PER_RECORD
from services.domain.reasons import Reason
from services.domain.rows import Facts, ReservationState, SlotRow, WorkRow
from services.domain.rules.answers import Fact, done, refused
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

EVENING_MS = b.MIDNIGHT_MS + 18 * b.HOUR_MS
FULL = b.rejected(Reason.SLOT_FULL)


async def city(world: World, units: int = 4, **rules: Any) -> None:
    """A slot this evening, another one tomorrow, and lines as long as the slots."""
    evening = b.slot("evening", units, hour=18, promote_until_ms=EVENING_MS, release_ms=EVENING_MS - b.HOUR_MS)
    tomorrow_ms = b.MIDNIGHT_MS + b.DAY_MS
    tomorrow = b.slot("tomorrow", 4, day=b.TODAY + 1, day_from_ms=tomorrow_ms, promote_until_ms=tomorrow_ms)
    await open_campaign(world, [evening, tomorrow], **{"waiting_per_mille": 1_000} | rules)


def wish(who: str, units: int = 1, **more: Any) -> c.Reserve:
    return b.reserve(who, **{"slot": "evening"} | more, units=units)


def waits(units_before: int) -> Facts:
    return done(Fact.WAITLISTED, units_before)


def promoted(booking: c.Reserve, ordinal: int) -> list[Any]:
    return [Fact.PROMOTED, booking.pass_no, b.CAMPAIGN, "evening", booking.units, ordinal]


def cancelled(booking: c.Reserve) -> list[Any]:
    return [Fact.CANCELLED, b.CAMPAIGN, "evening", booking.units]


async def evening(world: World) -> SlotRow:
    row: SlotRow = await world.row("s:1:evening")
    return row


async def state(world: World, booking: c.Reserve) -> ReservationState:
    return ReservationState((await world.row(f"r:{booking.pass_no}")).state)


# -- who waits ---------------------------------------------------------------------------------------------------------


async def test_who_finds_a_slot_full_waits_and_hears_how_many_units_wait_before(world: World) -> None:
    await city(world)
    ben, cleo = wish("ben", 2), wish("cleo")
    assert await fold_all(world, [wish("anna", 4), ben, cleo]) == [b.confirmed(), waits(0), waits(2)]
    row = await evening(world)
    assert (row.taken, row.waiting, row.waiting_next) == (4, 3, 2)
    assert await world.row("w:1:evening:0") == ben.pass_no + cleo.pass_no
    assert (await world.row(f"c:{b.CAMPAIGN}")).waitlisted == 2


async def test_who_finds_everything_sold_out_waits_as_well(world: World) -> None:
    await city(world)
    assert await fold_all(world, [wish("anna", 4), wish("ben", 4, slot="tomorrow")]) == [b.confirmed(), b.confirmed()]
    assert await world.fold(wish("cleo")) == waits(0)


async def test_a_line_is_as_long_as_the_campaign_says_and_counts_units(world: World) -> None:
    await city(world, waiting_per_mille=500)
    assert await fold_all(world, [wish("anna", 4), wish("ben", 3), wish("cleo", 2)]) == [b.confirmed(), FULL, waits(0)]
    assert await world.fold(wish("dan")) == FULL


async def test_without_a_line_nobody_waits(world: World) -> None:
    await city(world, waiting_per_mille=0)
    assert await fold_all(world, [wish("anna", 4), wish("ben")]) == [b.confirmed(), FULL]


@pytest.mark.parametrize(("ms", "answer"), [(-1, waits(0)), (0, FULL)])
async def test_nobody_waits_for_what_nobody_is_promoted_to_any_more(world: World, ms: int, answer: Facts) -> None:
    await city(world)
    await world.fold(wish("anna", 4))
    await time_passes(world, EVENING_MS + ms - b.NOON_MS)
    assert await world.fold(wish("ben")) == answer


async def test_who_may_not_come_does_not_wait_either(world: World) -> None:
    await city(world, household_max=1)
    await fold_all(world, [wish("anna", 4, phone="family"), wish("ben")])
    assert await world.fold(wish("anna", key="2", phone="other")) == b.rejected(Reason.ALREADY_RESERVED)
    assert await world.fold(wish("ben", key="2", phone="third")) == b.rejected(Reason.ALREADY_RESERVED)
    assert await world.fold(wish("cleo", phone="family")) == b.rejected(Reason.HOUSEHOLD_LIMIT)


async def test_while_somebody_waits_nobody_takes_units_past_the_line(world: World) -> None:
    await city(world)
    anna, dan = wish("anna"), wish("dan", 3)
    await fold_all(world, [anna, dan, wish("ben", 2), b.cancel(anna)])
    assert await world.fold(wish("cleo")) == waits(2)
    assert (await evening(world)).taken == 3


async def test_a_desk_books_from_its_own_units_while_the_public_waits(world: World) -> None:
    await city(world, assisted_per_mille=250)
    await pair_terminal(world)
    await fold_all(world, [wish("anna", 3), wish("ben")])
    assert await world.fold(wish("cleo", terminal=b.TERMINAL)) == b.confirmed(1, share=2)
    assert await world.fold(wish("dan", terminal=b.TERMINAL)) == waits(1)


async def test_what_somebody_only_waits_for_is_not_handed_out(world: World) -> None:
    await city(world)
    await pair_terminal(world)
    ben = wish("ben")
    await fold_all(world, [wish("anna", 4), ben])
    assert await world.fold(b.pick_up(ben)) == refused(Reason.NOT_CONFIRMED, 0)
    assert await state(world, ben) == ReservationState.WAITLISTED


# -- who is next -------------------------------------------------------------------------------------------------------


async def test_units_that_come_free_go_to_who_waits_longest_in_the_same_moment(world: World) -> None:
    await city(world)
    anna, ben, cleo, dan = wish("anna", 4), wish("ben", 2), wish("cleo"), wish("dan")
    await fold_all(world, [anna, ben, cleo, dan])
    facts = await world.fold(b.cancel(anna))
    assert facts == [cancelled(anna), promoted(ben, 1), promoted(cleo, 2), promoted(dan, 3)]
    row, campaign = await evening(world), await world.row(f"c:{b.CAMPAIGN}")
    assert (row.taken, row.waiting) == (4, 0)
    assert (campaign.left, campaign.promoted) == (4, 3)
    assert (await world.row(f"r:{cleo.pass_no}")).ordinal == 2
    assert await world.fold(wish("eva")) == waits(0)


async def test_nobody_passes_somebody_who_asks_for_more(world: World) -> None:
    await city(world)
    anna, dan, ben, cleo = wish("anna"), wish("dan", 3), wish("ben", 2), wish("cleo")
    await fold_all(world, [anna, dan, ben, cleo])
    assert await world.fold(b.cancel(anna)) == [cancelled(anna)]
    assert await world.fold(b.cancel(dan)) == [cancelled(dan), promoted(ben, 2), promoted(cleo, 3)]
    assert (await evening(world)).taken == 3


async def test_who_left_the_line_is_passed_over(world: World) -> None:
    await city(world)
    anna, ben, cleo = wish("anna", 4), wish("ben", 2), wish("cleo")
    await fold_all(world, [anna, ben, cleo, b.cancel(ben)])
    assert (await evening(world)).waiting == 1
    assert await world.fold(b.cancel(anna)) == [cancelled(anna), promoted(cleo, 1)]
    assert await state(world, ben) == ReservationState.CANCELLED
    assert (await evening(world)).taken == 1


async def test_who_went_from_a_line_to_another_slot_is_passed_over(world: World) -> None:
    await city(world)
    anna, ben, cleo = wish("anna", 4), wish("ben", 2), wish("cleo")
    await fold_all(world, [anna, ben, cleo, b.change_slot(ben, "tomorrow")])
    assert await world.fold(b.cancel(anna)) == [cancelled(anna), promoted(cleo, 1)]
    assert (await world.row(f"r:{ben.pass_no}")).slot == "tomorrow"


async def test_a_line_that_everybody_left_takes_nothing(world: World) -> None:
    await city(world)
    anna, ben = wish("anna", 4), wish("ben")
    await fold_all(world, [anna, ben, b.cancel(ben), b.cancel(anna)])
    assert await world.row("work") is None
    assert await world.fold(wish("cleo", 4)) == b.confirmed(1)


async def test_more_stock_goes_to_who_waits(world: World) -> None:
    await city(world)
    ben, cleo = wish("ben", 2), wish("cleo")
    await fold_all(world, [wish("anna", 4), ben, cleo])
    facts = await world.fold(b.change_quota(2, "evening"))
    assert facts == [*done(Fact.QUOTA_CHANGED, 6, 2, 2), promoted(ben, 1)]
    assert await world.fold(b.change_quota(-1, "tomorrow")) == done(Fact.QUOTA_CHANGED, 3, 3, -1)


async def test_what_desks_have_not_used_goes_to_who_waits(world: World) -> None:
    await city(world, assisted_per_mille=250)
    ben = wish("ben")
    await fold_all(world, [wish("anna", 3), ben])
    await time_passes(world, EVENING_MS - b.HOUR_MS - b.NOON_MS)
    assert await world.fold(b.release("evening")) == [*b.released({"evening": 1}), promoted(ben, 1)]


# -- how much of it one record looks at --------------------------------------------------------------------------------


async def a_long_line(world: World, people: int) -> list[c.Reserve]:
    """One has everything, and so many wait for one unit each."""
    await city(world, people, units_max=people)
    crowd = [wish(f"resident {n}") for n in range(people)]
    await fold_all(world, [wish("anna", people), *crowd])
    return crowd


async def test_a_record_looks_at_a_few_entries_and_the_next_ones_go_on(world: World) -> None:
    crowd = await a_long_line(world, 2 * WAITING_PER_RECORD + 3)
    first = await world.fold(b.cancel(wish("anna", len(crowd))))
    assert first[1:] == [promoted(who, 1 + at) for at, who in enumerate(crowd[:WAITING_PER_RECORD])]
    assert (await evening(world)).waiting_work == 1
    second = await world.fold(b.tick(world.now_ms))
    assert second == [*done(Fact.TICKED), *(promoted(who, 9 + at) for at, who in enumerate(crowd[8:16]))]
    assert len(await world.fold(b.tick(world.now_ms))) == 1 + 3
    assert await world.fold(b.tick(world.now_ms)) == done(Fact.TICKED)
    assert ((await evening(world)).waiting_work, (await evening(world)).waiting) == (0, 0)


async def test_a_line_with_work_left_stands_in_the_queue_once(world: World) -> None:
    crowd = await a_long_line(world, 2 * WAITING_PER_RECORD)
    await world.fold(b.cancel(wish("anna", len(crowd))))
    await world.fold(b.cancel(crowd[0]))
    assert (await world.row("work")).next == 1
    while len(await world.fold(b.tick(world.now_ms))) > 1:
        pass
    assert await world.row("work") == WorkRow(first=1, next=1)
    assert await world.row("work:0") is None


async def test_a_very_long_line_is_written_in_chunks_that_go_when_they_are_read(world: World) -> None:
    crowd = await a_long_line(world, WAITING_PER_CHUNK + 2)
    assert await world.row("w:1:evening:0") == "".join(who.pass_no for who in crowd[:WAITING_PER_CHUNK])
    assert await world.row("w:1:evening:1") == "".join(who.pass_no for who in crowd[WAITING_PER_CHUNK:])
    facts = await world.fold(b.cancel(wish("anna", len(crowd))))
    while len(facts) > 1:
        facts = await world.fold(b.tick(world.now_ms))
    assert [await state(world, who) for who in crowd] == [ReservationState.CONFIRMED] * len(crowd)
    assert await world.row("w:1:evening:0") is None
    assert await world.row("w:1:evening:1") is not None, "it is written on"


async def test_two_lines_get_their_units_one_after_the_other(world: World) -> None:
    await city(world, assisted_per_mille=250)
    here, there = wish("ben"), wish("cleo", slot="tomorrow")
    await fold_all(world, [wish("anna", 3), wish("dan", 3, slot="tomorrow"), here, there])
    await fold_all(world, [b.change_quota(1, "tomorrow"), b.change_quota(1, "evening")])
    assert await world.row("work") == WorkRow(first=2, next=2)
    assert [await state(world, who) for who in (here, there)] == [ReservationState.CONFIRMED] * 2


# -- how long ----------------------------------------------------------------------------------------------------------


async def test_who_waited_in_vain_is_refused_when_the_line_ends_and_may_book_elsewhere(world: World) -> None:
    await city(world, household_max=1)
    ben = wish("ben", 2, phone="family")
    await fold_all(world, [wish("anna", 4), ben])
    await time_passes(world, EVENING_MS - b.NOON_MS)
    ended = [Fact.WAITING_ENDED, ben.pass_no, b.CAMPAIGN, "evening", 2]
    assert await world.fold(b.end_waiting("evening")) == [*done(Fact.ENDING_WAITING, 1), ended]
    row = await world.row(f"r:{ben.pass_no}")
    assert (row.state, row.reason) == (ReservationState.REJECTED, Reason.SLOT_FULL)
    assert (await evening(world)).waiting == 0
    assert await world.row(f"h:1:{ben.phone_pseudonym}") == 0
    assert await world.fold(wish("ben", slot="tomorrow", key="2", phone="family")) == b.confirmed()


async def test_units_that_come_free_too_late_go_to_nobody_who_waits(world: World) -> None:
    await city(world)
    anna, ben = wish("anna", 4), wish("ben", 2)
    await fold_all(world, [anna, ben])
    await time_passes(world, EVENING_MS - b.NOON_MS)
    ended = [Fact.WAITING_ENDED, ben.pass_no, b.CAMPAIGN, "evening", 2]
    assert await world.fold(b.cancel(anna)) == [cancelled(anna), ended]
    assert (await evening(world)).taken == 0


async def test_no_line_ends_before_its_time_and_none_that_is_empty(world: World) -> None:
    await city(world)
    ben = wish("ben")
    await fold_all(world, [wish("anna", 4), ben])
    await time_passes(world, EVENING_MS - 1 - b.NOON_MS)
    assert await world.fold(b.end_waiting("evening", "tomorrow", "nowhere")) == done(Fact.ENDING_WAITING, 0)
    await time_passes(world, b.DAY_MS)
    facts = await world.fold(b.end_waiting("evening", "tomorrow", "nowhere", key="2"))
    assert facts[0] == [Fact.ENDING_WAITING, 1]
    assert await world.fold(b.end_waiting(campaign="unknown")) == refused(Reason.UNKNOWN_CAMPAIGN)
