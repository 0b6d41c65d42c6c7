"""The deletion day: what goes, what stays until it is over, and that nothing still to be decided misses its rows."""

import pytest
from msgspec.structs import replace

from services.domain import commands as c
from services.domain.limits import MAX_REFUSALS, SHEET_LINES
from services.domain.reasons import Reason
from services.domain.rows import PersonRow, ReservationState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes, without_bookkeeping

DELETE_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
COOL_UNTIL_MS = b.MIDNIGHT_MS + 6 * b.DAY_MS
IN_FIVE_DAYS = b.slot("noon", 3, day=b.TODAY + 5, day_from_ms=b.MIDNIGHT_MS + 5 * b.DAY_MS)
LATE = b.slot("late", 5, day=b.TODAY + 9, day_from_ms=b.MIDNIGHT_MS + 9 * b.DAY_MS)
TOO_EARLY = refused(Reason.TOO_EARLY_TO_PURGE, DELETE_MS)


def purged(
    reservations: int = 0, people: int = 0, phones: int = 0, entitled: int = 0, sheets: int = 0, waiting: int = 0
) -> list[list[object]]:
    return done(Fact.PURGED, reservations, people, phones, entitled, sheets, waiting)


EVERYTHING = purged(1, 1, 1, entitled=1, sheets=1)


async def it_is(world: World, at_ms: int) -> None:
    await time_passes(world, at_ms - world.now_ms)


async def the_day_has_come(world: World) -> None:
    """Who did not come is a no-show by then."""
    await it_is(world, DELETE_MS)
    await world.fold(b.expire())


async def campaign(world: World, units: int = 40, **rules: object) -> None:
    """A slot at noon; who has some in it waits until long after the deletion day, where there is a cool-down."""
    await open_campaign(world, [b.slot("noon", units, cool_until_ms=COOL_UNTIL_MS)], delete_ms=DELETE_MS, **rules)
    await pair_terminal(world)


# -- the day -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ms", "answer"), [(-1, TOO_EARLY), (0, EVERYTHING), (1, EVERYTHING)])
async def test_nothing_goes_before_the_day_begins_by_the_time_of_the_fold(
    world: World, ms: int, answer: list[list[object]]
) -> None:
    await open_campaign(world, {"noon": 1}, delete_ms=DELETE_MS, entitled=["anna"], household_max=2)
    anna = b.reserve("anna")
    await fold_all(world, [anna, b.cancel(anna)])
    await it_is(world, DELETE_MS + ms)
    everything = b.purge(anna, residents=["anna"], phones=["anna"], entitled=["anna"], sheets=[0])
    assert await world.fold(everything) == answer


async def test_a_campaign_without_a_deletion_day_is_never_purged(world: World) -> None:
    await open_campaign(world, {"noon": 1})
    await it_is(world, DELETE_MS)
    assert await world.fold(b.purge(b.reserve("anna"))) == refused(Reason.TOO_EARLY_TO_PURGE, 0)


async def test_nothing_of_a_campaign_that_is_not_there_or_not_sealed_is_purged(world: World) -> None:
    assert await world.fold(b.purge(campaign="unknown")) == refused(Reason.UNKNOWN_CAMPAIGN)
    await world.fold(b.define(1, campaign="draft", delete_ms=1))
    assert await world.fold(b.purge(campaign="draft")) == refused(Reason.UNKNOWN_CAMPAIGN)


async def test_a_campaign_remembers_when_its_deletion_day_begins(world: World) -> None:
    await campaign(world)
    assert (await world.row(f"c:{b.CAMPAIGN}")).delete_ms == DELETE_MS


async def test_from_its_day_on_nobody_books_in_it_and_nothing_is_written_of_who_tries(world: World) -> None:
    """Who had one is forgotten, so a second one could not be told from a first."""
    await open_campaign(world, [b.slot(), LATE], delete_ms=DELETE_MS)
    await pair_terminal(world)
    anna = b.reserve("anna")
    await fold_all(world, [anna, b.pick_up(anna)])
    await it_is(world, DELETE_MS)
    assert await world.fold(anna) == repeated([ReservationState.PICKED_UP, 0, 0])
    assert await world.fold(b.purge(anna, residents=["anna"])) == purged(1, 1)
    before = without_bookkeeping(await world.rows())
    for wish in (anna, b.reserve("anna", "late"), b.reserve("ben", "late", units=9)):
        assert await world.fold(wish) == refused(Reason.CAMPAIGN_CLOSED)
    assert without_bookkeeping(await world.rows()) == before


async def test_until_the_last_moment_before_its_day_somebody_may_book(world: World) -> None:
    await open_campaign(world, [LATE], delete_ms=DELETE_MS)
    await it_is(world, DELETE_MS - 1)
    assert await world.fold(b.reserve("anna", "late")) == b.confirmed()


# -- reservations ------------------------------------------------------------------------------------------------------


async def test_a_reservation_goes_once_it_is_over_however_it_ended(world: World) -> None:
    await campaign(world, units=4)
    came, gave_back, stayed_away = b.reserve("anna"), b.reserve("ben"), b.reserve("cleo")
    too_many = b.reserve("dan", units=5)
    everybody = (came, gave_back, stayed_away, too_many)
    await fold_all(world, [*everybody, b.pick_up(came), b.cancel(gave_back)])
    await the_day_has_come(world)
    states = [(await world.row(f"r:{each.pass_no}")).state for each in everybody]
    assert [ReservationState(state).word for state in states] == ["picked_up", "cancelled", "expired", "rejected"]
    assert await world.fold(b.purge(*everybody)) == purged(4)
    assert [await world.row(f"r:{each.pass_no}") for each in everybody] == [None] * 4


async def test_a_reservation_that_is_live_stays_with_all_that_belongs_to_it(world: World) -> None:
    await campaign(world, household_max=2)
    anna = b.reserve("anna")
    await world.fold(anna)
    await it_is(world, DELETE_MS)
    before = without_bookkeeping(await world.rows())
    assert await world.fold(b.purge(anna, residents=["anna"], sheets=[0])) == purged()
    assert without_bookkeeping(await world.rows()) == before
    assert await world.fold(b.expire()) == [[Fact.EXPIRY_DONE, 1], [Fact.EXPIRED, anna.pass_no, b.CAMPAIGN, "noon", 1]]
    assert await world.fold(b.purge(anna, residents=["anna"], sheets=[0])) == purged(1, 1, sheets=1)


async def test_who_waits_stays_until_the_waiting_has_ended(world: World) -> None:
    noon = b.slot("noon", 1, promote_until_ms=b.NOON_MS + b.HOUR_MS // 2)
    await open_campaign(world, [noon], delete_ms=DELETE_MS, waiting_per_mille=5000)
    has, waits = b.reserve("anna"), b.reserve("ben")
    await fold_all(world, [has, waits])
    await it_is(world, DELETE_MS)
    assert await world.fold(b.purge(waits, residents=["ben"], waiting={"noon": 0})) == purged()
    ended = [Fact.WAITING_ENDED, waits.pass_no, b.CAMPAIGN, "noon", 1]
    assert await world.fold(b.end_waiting()) == [[Fact.ENDING_WAITING, 1], ended]
    assert await world.fold(b.purge(waits, residents=["ben"], waiting={"noon": 0})) == purged(1, 1, waiting=1)


async def test_reservations_of_another_campaign_are_left_alone(world: World) -> None:
    await campaign(world)
    await open_campaign(world, {"noon": 3}, campaign="next")
    here, there = b.reserve("anna"), b.reserve("ben", campaign="next")
    await fold_all(world, [here, there, b.cancel(there)])
    await the_day_has_come(world)
    assert await world.fold(b.purge(there, residents=["ben"], phones=["ben"])) == purged(people=1)
    assert await world.row(f"r:{there.pass_no}") is not None


async def test_purging_again_finds_nothing(world: World) -> None:
    await campaign(world)
    anna = b.reserve("anna")
    await fold_all(world, [anna, b.cancel(anna)])
    await the_day_has_come(world)
    everything = b.purge(anna, anna, residents=["anna", "anna"], sheets=[0, 0])
    assert await world.fold(everything) == purged(1, 1, sheets=1)
    rows = without_bookkeeping(await world.rows())
    assert await world.fold(everything) == purged()
    assert without_bookkeeping(await world.rows()) == rows


async def test_what_is_asked_of_a_purged_reservation_finds_none_and_a_hand_out_told_late_is_unproved(
    world: World,
) -> None:
    await campaign(world)
    anna = b.reserve("anna")
    await fold_all(world, [anna, b.pick_up(anna)])
    await the_day_has_come(world)
    await world.fold(b.purge(anna))
    asked = [b.cancel(anna), b.change_slot(anna, "noon"), b.pick_up(anna, key="2"), b.undo(anna)]
    assert await fold_all(world, asked) == [refused(Reason.UNKNOWN_RESERVATION)] * 4
    assert await world.fold(b.record(anna, key="told late")) == done(Fact.PICK_UP_UNPROVED)


# -- residents ---------------------------------------------------------------------------------------------------------


async def test_of_a_resident_only_the_cool_down_is_kept_and_only_until_it_is_over(world: World) -> None:
    await campaign(world, cool_down=True)
    anna = b.reserve("anna")
    key = f"p:{b.REGION}:{anna.resident}"
    await fold_all(world, [anna, b.pick_up(anna)])
    await the_day_has_come(world)
    assert await world.fold(b.purge(anna, residents=["anna"])) == purged(1, 1)
    assert await world.row(key) == PersonRow(no=0, cool_until_ms=COOL_UNTIL_MS)
    await it_is(world, COOL_UNTIL_MS - 1)
    assert await world.fold(b.purge(residents=["anna"])) == purged()
    assert await world.row(key) == PersonRow(no=0, cool_until_ms=COOL_UNTIL_MS)
    await it_is(world, COOL_UNTIL_MS)
    assert await world.fold(b.purge(residents=["anna"])) == purged(people=1)
    assert await world.row(key) is None


async def test_a_cool_down_holds_in_the_next_campaign_after_the_purge_of_the_one_that_began_it(world: World) -> None:
    await campaign(world, cool_down=True)
    await open_campaign(world, [IN_FIVE_DAYS], campaign="next", cool_down=True)
    anna = b.reserve("anna")
    await fold_all(world, [anna, b.pick_up(anna)])
    await the_day_has_come(world)
    await world.fold(b.purge(anna, residents=["anna"]))
    wish = b.reserve("anna", campaign="next")
    assert await world.fold(wish) == b.rejected(Reason.COOLING_DOWN, COOL_UNTIL_MS // b.MINUTE_MS)


async def test_a_cool_down_does_not_tell_of_the_reservation_that_began_it_whoever_is_named(world: World) -> None:
    """Anna has come to the next campaign, so the purge of the first one leaves the rest of her row alone."""
    await campaign(world, cool_down=True)
    await open_campaign(world, {"noon": 3}, campaign="next")
    first, second = b.reserve("anna"), b.reserve("anna", campaign="next")
    await fold_all(world, [first, second])
    await the_day_has_come(world)
    key = f"p:{b.REGION}:{first.resident}"
    assert (await world.row(key)).cool_pass_no == first.pass_no
    await world.fold(b.purge(first))
    assert await world.row(key) == PersonRow(no=2, live=second.pass_no, cool_until_ms=COOL_UNTIL_MS, aside=1)


async def test_who_was_refused_only_leaves_nothing(world: World) -> None:
    await campaign(world)
    tries = [b.reserve("anna", units=9, key=str(n)) for n in range(MAX_REFUSALS + 1)]
    await fold_all(world, tries)
    await the_day_has_come(world)
    assert await world.fold(b.purge(*tries, residents=["anna"])) == purged(MAX_REFUSALS, 1)
    assert not [name for name in await world.rows() if name.partition(":")[0] in {"r", "p", "a"}]


async def test_who_was_refused_in_the_next_campaign_is_still_counted_there(world: World) -> None:
    await campaign(world)
    await open_campaign(world, {"noon": 3}, campaign="next")
    await world.fold(b.reserve("anna", units=9, campaign="next"))
    await the_day_has_come(world)
    assert await world.fold(b.purge(residents=["anna"])) == purged()
    assert await world.row(f"p:{b.REGION}:{b.reserve('anna').resident}") == PersonRow(no=2, refusals=1)


async def test_a_cool_down_that_another_reservation_began_still_tells_of_that_one(world: World) -> None:
    await campaign(world)
    later = replace(IN_FIVE_DAYS, cool_until_ms=COOL_UNTIL_MS)
    await open_campaign(world, [later], campaign="next", cool_down=True)
    first, second = b.reserve("anna"), b.reserve("anna", campaign="next")
    await fold_all(world, [first, second])
    await the_day_has_come(world)
    await world.fold(b.purge(first, residents=["anna"]))
    row = await world.row(f"p:{b.REGION}:{first.resident}")
    assert (row.cool_until_ms, row.cool_pass_no) == (COOL_UNTIL_MS, second.pass_no)


async def test_what_stands_aside_of_an_earlier_campaign_goes_on_that_ones_day(world: World) -> None:
    await campaign(world)
    await open_campaign(world, {"noon": 3}, campaign="next")
    first, second = b.reserve("anna"), b.reserve("anna", campaign="next")
    await fold_all(world, [first, b.pick_up(first), second])
    aside, key = f"a:1:{first.resident}", f"p:{b.REGION}:{first.resident}"
    assert await world.row(aside) == PersonRow(no=1, live=first.pass_no)
    assert (await world.row(key)).aside == 1
    await the_day_has_come(world)
    assert await world.fold(b.purge(residents=["anna"])) == purged()  # the reservation goes first
    assert await world.fold(b.purge(first, residents=["anna"])) == purged(1, 1)
    assert await world.row(aside) is None
    assert ((await world.row(key)).aside, (await world.row(key)).live) == (0, second.pass_no)


async def test_a_row_stays_while_something_stands_aside_so_that_nobody_gets_a_second_one(world: World) -> None:
    """Anna has one in the next campaign and came back to the first: without a row nobody looks at what is aside."""
    await open_campaign(world, {"noon": 3}, delete_ms=DELETE_MS)
    await open_campaign(world, [IN_FIVE_DAYS], campaign="next")
    there, here = b.reserve("anna", campaign="next"), b.reserve("anna", units=9)
    await fold_all(world, [there, here])
    await the_day_has_come(world)
    assert await world.fold(b.purge(here, residents=["anna"])) == purged(1, 1)
    assert await world.row(f"p:{b.REGION}:{here.resident}") == PersonRow(no=0, aside=1)
    assert await world.fold(b.reserve("anna", campaign="next", key="2")) == b.rejected(Reason.ALREADY_RESERVED)
    assert await world.fold(b.cancel(there)) == [[Fact.CANCELLED, "next", "noon", 1]]


async def test_who_comes_back_after_a_purge_is_like_somebody_new(world: World) -> None:
    await open_campaign(world, {"noon": 3}, delete_ms=DELETE_MS)
    await open_campaign(world, [IN_FIVE_DAYS], campaign="next")
    first = b.reserve("anna")
    await world.fold(first)
    await the_day_has_come(world)
    await world.fold(b.purge(first, residents=["anna"]))
    second = b.reserve("anna", campaign="next")
    cancelled = [[Fact.CANCELLED, "next", "noon", 1]]
    assert await fold_all(world, [second, b.cancel(second)]) == [b.confirmed(), cancelled]


async def test_what_happens_to_a_reservation_whose_resident_was_purged_with_another_campaign(world: World) -> None:
    """Anna's row says nothing any more when the first campaign goes; what was cancelled in the next one is handed out
    all the same, and she waits for it."""
    await open_campaign(world, {"noon": 3}, delete_ms=DELETE_MS)
    later_ms = b.MIDNIGHT_MS + 2 * b.DAY_MS
    later = b.slot("noon", 3, day=b.TODAY + 2, day_from_ms=later_ms, cool_until_ms=COOL_UNTIL_MS)
    await open_campaign(world, [later], campaign="next", cool_down=True)
    await pair_terminal(world)
    there, here = b.reserve("anna", campaign="next"), b.reserve("anna", units=9)
    await fold_all(world, [there, b.cancel(there), here])
    await the_day_has_come(world)
    key = f"p:{b.REGION}:{here.resident}"
    assert await world.fold(b.purge(here, residents=["anna"])) == purged(1, 1)
    assert await world.row(key) is None
    late = b.record(there, at_ms=DELETE_MS - b.HOUR_MS)
    assert await world.fold(late) == [[Fact.PICKED_UP_LATE, "next", "noon", 1, Reason.CANCELLED]]
    assert await world.row(key) == PersonRow(no=0, cool_until_ms=COOL_UNTIL_MS, cool_pass_no=there.pass_no)


# -- households, lists, sheets, waiting lists --------------------------------------------------------------------------


async def test_phones_and_the_list_of_the_entitled_go_and_are_not_written_again(world: World) -> None:
    await campaign(world, household_max=2, entitled=["anna", "ben"])
    anna = b.reserve("anna", phone="family")
    await world.fold(anna)
    await it_is(world, DELETE_MS)
    gone = b.purge(phones=["family", "ben"], entitled=["anna", "ben", "dan"])
    assert await world.fold(gone) == purged(phones=1, entitled=2)
    await world.fold(b.expire())  # counts one person less for the phone
    assert not [name for name in await world.rows() if name.partition(":")[0] in {"h", "e"}]


async def test_the_list_of_a_definition_that_was_begun_anew_goes_with_what_came_of_it(world: World) -> None:
    first = b.define(1, rules=c.CampaignRules(entitled=2), text="first")
    await fold_all(world, [first, b.add_entitled(["anna", "ben"], text="first"), b.define(1, campaign="other")])
    await campaign(world, entitled=["ben"])
    await it_is(world, DELETE_MS)
    assert await world.fold(b.purge(entitled=["anna", "ben"], draft=1)) == purged(entitled=2)
    assert await world.fold(b.purge(entitled=["anna", "ben"], draft=2)) == purged(entitled=1)  # another's: its own
    assert not [name for name in await world.rows() if name.startswith("e:")]


async def test_sheets_go_after_their_reservations_full_ones_and_the_open_one(world: World) -> None:
    await campaign(world)
    people = [b.reserve(f"somebody {n}") for n in range(SHEET_LINES + 2)]
    await fold_all(world, people)
    await it_is(world, DELETE_MS)
    await fold_all(world, [b.expire(0), b.expire(1)])
    assert await world.fold(b.purge(*people[1:-1], sheets=[0, 1, 2])) == purged(SHEET_LINES)
    last = b.purge(people[0], people[-1], sheets=[0, 1, 2])
    assert await world.fold(last) == purged(2, sheets=2)
    left = {name: row for name, row in (await world.rows()).items() if name.startswith(("m:", "s:"))}
    assert left.keys() == {"s:1:noon", f"m:{b.REGION}:{b.PHARMACY}:{b.TODAY}"}
    assert left["s:1:noon"].on_sheet == ""
    assert left[f"m:{b.REGION}:{b.PHARMACY}:{b.TODAY}"] == 2  # so that no short code is given out again


async def test_a_sheet_of_another_campaign_at_the_same_pharmacy_stays(world: World) -> None:
    await campaign(world)
    await open_campaign(world, {"noon": 3}, campaign="next")
    here, there = b.reserve("anna"), b.reserve("ben", campaign="next")
    await fold_all(world, [here, there])
    await the_day_has_come(world)
    await world.fold(b.expire(1))
    assert await world.fold(b.purge(here, there, sheets=[0, 1])) == purged(1, sheets=1)


async def test_the_waiting_list_goes_when_nobody_can_wait_any_more(world: World) -> None:
    noon = b.slot("noon", 1, promote_until_ms=DELETE_MS + b.HOUR_MS)
    await open_campaign(world, [noon], delete_ms=DELETE_MS, waiting_per_mille=5000)
    waits = b.reserve("ben")
    await fold_all(world, [b.reserve("anna"), waits, b.cancel(waits)])
    await it_is(world, DELETE_MS + b.HOUR_MS - 1)
    assert await world.fold(b.purge(waiting={"noon": 0})) == purged()
    await it_is(world, DELETE_MS + b.HOUR_MS)
    assert await world.fold(b.purge(waiting={"noon": 0, "unknown": 0})) == purged(waiting=1)
    assert not [name for name in await world.rows() if name.startswith("w:")]


async def test_a_waiting_list_passes_over_who_was_purged_before_somebody_who_still_waits(world: World) -> None:
    noon = b.slot("noon", 1, promote_until_ms=b.NOON_MS + b.HOUR_MS // 2)
    await open_campaign(world, [noon], delete_ms=DELETE_MS, waiting_per_mille=5000)
    left, waits = b.reserve("ben"), b.reserve("cleo")
    await fold_all(world, [b.reserve("anna"), left, waits, b.cancel(left)])
    await it_is(world, DELETE_MS)
    assert await world.fold(b.purge(left)) == purged(1)
    ended = [Fact.WAITING_ENDED, waits.pass_no, b.CAMPAIGN, "noon", 1]
    assert await world.fold(b.end_waiting()) == [[Fact.ENDING_WAITING, 1], ended]


async def test_counts_of_campaign_and_slot_stay(world: World) -> None:
    await campaign(world)
    anna, ben = b.reserve("anna"), b.reserve("ben", units=2)
    await fold_all(world, [anna, ben, b.pick_up(anna), b.cancel(ben)])
    await the_day_has_come(world)
    counted = await world.row(f"c:{b.CAMPAIGN}"), (await world.row("s:1:noon")).taken
    await world.fold(b.purge(anna, ben, residents=["anna", "ben"], sheets=[0]))
    assert (await world.row(f"c:{b.CAMPAIGN}"), (await world.row("s:1:noon")).taken) == counted
