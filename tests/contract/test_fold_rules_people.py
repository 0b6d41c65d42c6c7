"""Who may come: households, cool-down, the list of the entitled, and staggering by a digit."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.limits import MAX_REFUSALS
from services.domain.reasons import Reason
from services.domain.rows import PersonRow, Phase, ReservationState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

TEN = {"noon": 10}
EVENING_MS = b.MIDNIGHT_MS + 18 * b.HOUR_MS
COOL_UNTIL_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
NO = b.rejected
COOLING_DOWN = b.rejected(Reason.COOLING_DOWN, COOL_UNTIL_MS // b.MINUTE_MS)

# -- households --------------------------------------------------------------------------------------------------------


def family(who: str, key: str = "1", **more: Any) -> c.Reserve:
    """Somebody for whom the family's phone acts."""
    return b.reserve(who, key=key, phone="family", **more)


async def test_a_phone_acts_for_as_many_people_as_it_may(world: World) -> None:
    await open_campaign(world, TEN, household_max=2)
    assert await fold_all(world, [family("anna"), family("ben")]) == [b.confirmed(0), b.confirmed(1)]
    assert await world.fold(family("cleo")) == NO(Reason.HOUSEHOLD_LIMIT)
    assert await world.fold(b.reserve("dan")) == b.confirmed(2)


async def test_without_the_rule_a_phone_acts_for_everybody_and_nobody_counts(world: World) -> None:
    await open_campaign(world, TEN)
    people = [family(who) for who in ("anna", "ben", "cleo")]
    assert [facts[0][0] for facts in await fold_all(world, people)] == [Fact.CONFIRMED] * 3
    assert not [name for name in await world.rows() if name.startswith("h:")]
    assert (await world.row(f"r:{people[0].pass_no}")).phone == ""


async def test_people_are_counted_and_not_tries(world: World) -> None:
    await open_campaign(world, {"noon": 1, "evening": 1}, household_max=1)
    anna = family("anna", key="right")
    await fold_all(world, [family("anna", units=2), family("ben", units=2), anna, anna])
    assert await world.row(f"h:1:{anna.phone_pseudonym}") == 1
    assert await world.fold(family("ben", key="2", slot="evening")) == NO(Reason.HOUSEHOLD_LIMIT)


async def test_a_cancel_frees_the_place_in_the_household(world: World) -> None:
    await open_campaign(world, TEN, household_max=1)
    anna = family("anna")
    await fold_all(world, [anna, b.cancel(anna)])
    assert await world.fold(family("ben")) == b.confirmed(1)
    assert await world.fold(family("anna", key="2")) == NO(Reason.HOUSEHOLD_LIMIT)


async def test_a_pick_up_frees_no_place_in_the_household(world: World) -> None:
    await open_campaign(world, TEN, household_max=1)
    await pair_terminal(world)
    anna = family("anna")
    await fold_all(world, [anna, b.pick_up(anna)])
    assert await world.fold(family("ben")) == NO(Reason.HOUSEHOLD_LIMIT)


async def test_a_no_show_frees_the_place_so_that_nobody_is_counted_twice(world: World) -> None:
    later = b.slot("later", day=b.TODAY + 2, day_from_ms=COOL_UNTIL_MS)
    await open_campaign(world, [b.slot("noon"), later], household_max=2)
    anna = family("anna")
    await world.fold(anna)
    await time_passes(world, b.DAY_MS)
    await world.fold(b.expire())
    again = family("anna", key="2", slot="later")
    assert (await world.fold(again))[0][0] == Fact.CONFIRMED
    assert await world.row(f"h:1:{anna.phone_pseudonym}") == 1
    assert (await world.fold(family("ben", slot="later")))[0][0] == Fact.CONFIRMED


async def test_the_limit_of_a_household_is_one_campaigns(world: World) -> None:
    await open_campaign(world, TEN, household_max=1)
    await open_campaign(world, TEN, campaign="second", household_max=1)
    assert await world.fold(family("anna")) == b.confirmed()
    assert (await world.fold(family("ben", campaign="second")))[0][0] == Fact.CONFIRMED
    assert await world.fold(family("cleo", campaign="second")) == NO(Reason.HOUSEHOLD_LIMIT)


async def test_a_cancel_frees_the_place_in_the_household_of_its_own_campaign(world: World) -> None:
    await open_campaign(world, {"noon": 9}, household_max=1)
    await open_campaign(world, {"noon": 9}, campaign="second", household_max=1)
    anna = b.reserve("anna", "noon", campaign="second", phone="family")
    await fold_all(world, [anna, b.cancel(anna)])
    assert (await world.fold(b.reserve("ben", "noon", campaign="second", phone="family")))[0][0] == Fact.CONFIRMED


async def test_who_has_no_phone_belongs_to_no_household(world: World) -> None:
    await open_campaign(world, TEN, household_max=1)
    people = [b.reserve(who, phone="") for who in ("anna", "ben", "cleo")]
    assert [facts[0][0] for facts in await fold_all(world, people)] == [Fact.CONFIRMED] * 3


async def test_who_has_a_reservation_hears_so_before_the_household_is_counted(world: World) -> None:
    await open_campaign(world, TEN, household_max=1)
    await world.fold(family("anna"))
    assert await world.fold(family("anna", key="2")) == NO(Reason.ALREADY_RESERVED)


# -- cool-down ---------------------------------------------------------------------------------------------------------


async def two_rounds(world: World, **second: Any) -> None:
    """Two campaigns of one region; who gets some in one has to wait for the other."""
    after_ms = COOL_UNTIL_MS + b.DAY_MS
    slots = [
        b.slot("noon", cool_until_ms=COOL_UNTIL_MS),
        b.slot("evening", hour=18, cool_until_ms=COOL_UNTIL_MS),
        b.slot("late", day=b.TODAY + 4, day_from_ms=after_ms, cool_until_ms=after_ms + 4 * b.DAY_MS),
    ]
    await open_campaign(world, slots, cool_down=True)
    rules: dict[str, Any] = {"campaign": "second", "cool_down": True} | second
    await open_campaign(world, slots, **rules)


def in_the_second(who: str, slot: str = "late", key: str = "1") -> c.Reserve:
    return b.reserve(who, slot, campaign="second", key=key)


async def test_who_got_some_waits_in_every_campaign_of_the_region(world: World) -> None:
    await two_rounds(world)
    await world.fold(b.reserve("anna"))
    assert await world.fold(in_the_second("anna")) == COOLING_DOWN
    assert (await world.fold(in_the_second("ben")))[0][0] == Fact.CONFIRMED


@pytest.mark.parametrize(("more_ms", "minutes"), [(0, 0), (59_999, 0), (60_000, 1)])
async def test_who_has_to_wait_hears_in_which_minute_it_ends_and_hears_it_again(
    world: World, more_ms: int, minutes: int
) -> None:
    await open_campaign(world, [b.slot(cool_until_ms=COOL_UNTIL_MS + more_ms)], cool_down=True)
    later = b.slot(day=b.TODAY + 1, day_from_ms=b.MIDNIGHT_MS + b.DAY_MS)
    await open_campaign(world, [later], campaign="second", cool_down=True)
    await world.fold(b.reserve("anna"))
    again, minute = b.reserve("anna", campaign="second"), COOL_UNTIL_MS // b.MINUTE_MS + minutes
    assert await world.fold(again) == NO(Reason.COOLING_DOWN, minute)
    assert (await world.row(f"r:{again.pass_no}")).left == minute
    await time_passes(world, b.HOUR_MS)
    assert await world.fold(again) == repeated([ReservationState.REJECTED, Reason.COOLING_DOWN, minute])


@pytest.mark.parametrize(("ms", "is_over"), [(-1, False), (0, True)])
async def test_a_cool_down_ends_at_its_moment(world: World, ms: int, is_over: bool) -> None:
    await two_rounds(world)
    await world.fold(b.reserve("anna"))
    await time_passes(world, COOL_UNTIL_MS - b.NOON_MS + ms)
    answer = await world.fold(in_the_second("anna"))
    assert answer[0][0] == (Fact.CONFIRMED if is_over else Fact.REJECTED)


async def test_a_campaign_that_demands_no_cool_down_takes_everybody(world: World) -> None:
    await two_rounds(world, cool_down=False)
    await world.fold(b.reserve("anna"))
    assert (await world.fold(in_the_second("anna")))[0][0] == Fact.CONFIRMED


async def test_a_cool_down_does_not_reach_another_region_of_the_same_partition(world: World) -> None:
    await two_rounds(world, region="foshan")
    await world.fold(b.reserve("anna"))
    assert (await world.fold(in_the_second("anna")))[0][0] == Fact.CONFIRMED


async def test_a_cancel_before_the_slot_begins_ends_the_cool_down(world: World) -> None:
    await two_rounds(world)
    booking = b.reserve("anna", "evening")
    await world.fold(booking)
    await time_passes(world, EVENING_MS - b.NOON_MS - 1)
    await world.fold(b.cancel(booking))
    assert (await world.fold(in_the_second("anna")))[0][0] == Fact.CONFIRMED


async def test_a_cancel_after_the_slot_began_does_not_end_it(world: World) -> None:
    await two_rounds(world)
    booking = b.reserve("anna", "evening")
    await world.fold(booking)
    await time_passes(world, EVENING_MS - b.NOON_MS)
    assert (await world.fold(b.cancel(booking)))[0][0] == Fact.CANCELLED
    assert await world.fold(in_the_second("anna")) == COOLING_DOWN


async def test_a_pick_up_and_a_no_show_keep_the_cool_down(world: World) -> None:
    await two_rounds(world)
    await pair_terminal(world)
    anna, ben = b.reserve("anna"), b.reserve("ben")
    await fold_all(world, [anna, ben, b.pick_up(anna)])
    await time_passes(world, b.DAY_MS)
    assert (await world.fold(b.expire()))[0] == [Fact.EXPIRY_DONE, 1]
    for who in ("anna", "ben"):
        assert await world.fold(in_the_second(who)) == COOLING_DOWN


async def test_a_cancel_of_another_reservation_does_not_end_it(world: World) -> None:
    short = b.slot("evening", hour=18, cool_until_ms=b.NOON_MS + b.HOUR_MS)
    await open_campaign(world, [short], cool_down=True)
    until_ms = COOL_UNTIL_MS + 5 * b.DAY_MS
    late = b.slot("late", day=b.TODAY + 4, day_from_ms=COOL_UNTIL_MS + b.DAY_MS, cool_until_ms=until_ms)
    await open_campaign(world, [late], campaign="second", cool_down=True)
    first, second = b.reserve("anna", "evening"), in_the_second("anna", "late")
    await world.fold(first)
    await time_passes(world, b.HOUR_MS)
    await fold_all(world, [second, b.cancel(first)])  # the second began one of its own
    assert await world.fold(b.reserve("anna", "evening", key="2")) == NO(Reason.COOLING_DOWN, until_ms // b.MINUTE_MS)
    await world.fold(b.cancel(second))
    assert (await world.fold(b.reserve("anna", "evening", key="3")))[0][0] == Fact.CONFIRMED


async def test_a_refused_try_begins_no_cool_down(world: World) -> None:
    await two_rounds(world)
    await world.fold(b.reserve("anna", units=9))
    assert (await world.fold(in_the_second("anna")))[0][0] == Fact.CONFIRMED


# -- the entitled ------------------------------------------------------------------------------------------------------


async def test_only_who_is_on_the_list_may_book(world: World) -> None:
    await open_campaign(world, TEN, entitled=["anna", "ben"])
    assert await fold_all(world, [b.reserve("anna"), b.reserve("ben")]) == [b.confirmed(0), b.confirmed(1)]
    assert await world.fold(b.reserve("cleo")) == NO(Reason.NOT_ELIGIBLE)


async def test_the_list_is_one_campaigns(world: World) -> None:
    await open_campaign(world, TEN, entitled=["anna"])
    await open_campaign(world, TEN, campaign="second", entitled=["ben"])
    assert await world.fold(b.reserve("anna", campaign="second")) == NO(Reason.NOT_ELIGIBLE)


async def test_a_list_that_is_not_whole_cannot_be_sealed(world: World) -> None:
    slots = [b.slot()]
    await fold_all(
        world,
        [b.define(1, rules=c.CampaignRules(entitled=3)), b.add_pharmacies([b.pharmacy()]), b.add_slots(slots)],
    )
    assert await world.fold(b.add_entitled(["anna", "ben"])) == done(Fact.ENTITLED_ADDED, 2)
    assert await world.fold(b.seal()) == refused(Reason.DEFINITION_INCOMPLETE, 1)
    assert await world.fold(b.add_entitled(["cleo"], 2)) == done(Fact.ENTITLED_ADDED, 3)
    assert await world.fold(b.seal(key="2")) == done(Fact.SEALED, 10)


async def test_a_list_comes_in_order_and_only_before_the_seal(world: World) -> None:
    await fold_all(world, [b.define(1, rules=c.CampaignRules(entitled=2))])
    assert await world.fold(b.add_entitled(["ben"], 1)) == refused(Reason.DEFINITION_INCOMPLETE, 0)
    await world.fold(b.add_entitled(["anna"]))
    assert await world.fold(b.add_entitled(["anna"], 0, key="2")) == refused(Reason.DEFINITION_INCOMPLETE, 1)
    assert await world.fold(b.add_entitled(["anna"], 1, text="b")) == refused(Reason.UNKNOWN_CAMPAIGN)
    await fold_all(world, [b.add_entitled(["ben"], 1, key="2"), b.add_pharmacies([b.pharmacy()])])
    await fold_all(world, [b.add_slots([b.slot()]), b.seal()])
    assert (await world.row(f"c:{b.CAMPAIGN}")).phase == Phase.SCHEDULED
    assert await world.fold(b.add_entitled(["cleo"], 2)) == refused(Reason.UNKNOWN_CAMPAIGN)


async def test_a_long_list_comes_in_chunks_of_five_hundred(world: World) -> None:
    people = [f"somebody {n}" for n in range(c.MAX_ENTITLED_CHUNK + 1)]
    await open_campaign(world, TEN, entitled=people)
    for who in (people[0], people[-2], people[-1]):
        assert (await world.fold(b.reserve(who)))[0][0] == Fact.CONFIRMED


# -- stagger -----------------------------------------------------------------------------------------------------------

TOMORROW_MS = b.MIDNIGHT_MS + b.DAY_MS
ODD_TODAY = [c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=TOMORROW_MS, digits=[1, 3, 5, 7, 9])]


@pytest.mark.parametrize("digit", range(10))
async def test_a_day_takes_its_digits(world: World, digit: int) -> None:
    await open_campaign(world, TEN, stagger=ODD_TODAY)
    assert await world.fold(b.reserve("anna", digit=digit)) == (b.confirmed() if digit % 2 else NO(Reason.WRONG_DAY))


@pytest.mark.parametrize(("ms", "is_right"), [(-1, True), (0, False), (b.DAY_MS - 1, False), (b.DAY_MS, True)])
async def test_a_day_begins_and_ends_at_midnight(world: World, ms: int, is_right: bool) -> None:
    tomorrow = [c.StaggerDay(from_ms=TOMORROW_MS, to_ms=TOMORROW_MS + b.DAY_MS, digits=[1])]
    await open_campaign(world, [b.slot("noon", day_from_ms=b.MIDNIGHT_MS + 5 * b.DAY_MS)], stagger=tomorrow)
    await time_passes(world, TOMORROW_MS - b.NOON_MS + ms)
    assert await world.fold(b.reserve("anna", digit=2)) == (b.confirmed() if is_right else NO(Reason.WRONG_DAY))


async def test_where_the_digit_is_missing_nobody_knows_the_day_so_it_is_refused(world: World) -> None:
    await open_campaign(world, TEN, stagger=ODD_TODAY)
    assert await world.fold(b.reserve("anna")) == NO(Reason.WRONG_DAY)


@pytest.mark.parametrize(("ms", "is_right"), [(-1, False), (0, True), (b.DAY_MS, True)])
async def test_on_a_day_that_is_not_listed_everybody_may_book(world: World, ms: int, is_right: bool) -> None:
    slot = b.slot("noon", day=b.TODAY + 5, day_from_ms=b.MIDNIGHT_MS + 5 * b.DAY_MS)
    await open_campaign(world, [slot], stagger=ODD_TODAY)
    await time_passes(world, TOMORROW_MS - b.NOON_MS + ms)
    assert await world.fold(b.reserve("anna", digit=2)) == (b.confirmed() if is_right else NO(Reason.WRONG_DAY))
    assert (await world.fold(b.reserve("ben")))[0][0] == (Fact.CONFIRMED if is_right else Fact.REJECTED)


async def test_each_day_has_its_own_digits_and_one_may_have_none(world: World) -> None:
    slot = b.slot("noon", day=b.TODAY + 5, day_from_ms=b.MIDNIGHT_MS + 5 * b.DAY_MS)
    nobody = c.StaggerDay(from_ms=TOMORROW_MS, to_ms=TOMORROW_MS + b.DAY_MS, digits=[])
    await open_campaign(world, [slot], stagger=[*ODD_TODAY, nobody])
    assert await world.fold(b.reserve("anna", digit=0)) == NO(Reason.WRONG_DAY)
    assert await world.fold(b.reserve("ben", digit=9)) == b.confirmed()
    await time_passes(world, b.DAY_MS)
    for digit in range(10):
        assert await world.fold(b.reserve(f"somebody {digit}", digit=digit)) == NO(Reason.WRONG_DAY)


async def test_a_digit_that_is_listed_twice_counts_once(world: World) -> None:
    day = c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=TOMORROW_MS, digits=[3, 3, 9, 3])
    await open_campaign(world, TEN, stagger=[day])
    assert (await world.row(f"c:{b.CAMPAIGN}")).stagger == [[b.MIDNIGHT_MS, TOMORROW_MS, 2**3 + 2**9]]
    assert await world.fold(b.reserve("anna", digit=4)) == NO(Reason.WRONG_DAY)

# -- one row for all campaigns of a region ----------------------------------------------------------------------------


def in_second(who: str, key: str = "1", slot: str = b.SLOT) -> c.Reserve:
    """Somebody's wish in another campaign of the region."""
    return b.reserve(who, slot, campaign="second", key=key)


async def two_campaigns(world: World) -> None:
    await open_campaign(world, {"noon": 10, "evening": 10})
    await open_campaign(world, {"noon": 10, "evening": 10}, campaign="second")


async def test_who_has_something_in_one_campaign_may_have_something_in_another(world: World) -> None:
    await two_campaigns(world)
    first, second = b.reserve("anna"), in_second("anna")
    assert await fold_all(world, [first, second]) == [b.confirmed(0), b.confirmed(16)]
    assert await world.fold(b.reserve("anna", "evening", key="2")) == NO(Reason.ALREADY_RESERVED)
    assert await world.fold(in_second("anna", "2", "evening")) == NO(Reason.ALREADY_RESERVED)
    about_second = PersonRow(no=2, live=second.pass_no, refusals=1, aside=1)
    assert await world.row(f"p:{b.REGION}:{first.resident}") == about_second
    assert await world.row(f"a:1:{first.resident}") == PersonRow(no=1, live=first.pass_no, refusals=1)
    assert await world.row(f"a:2:{first.resident}") is None


async def test_a_reservation_of_an_earlier_campaign_is_given_back_and_booked_again(world: World) -> None:
    await two_campaigns(world)
    first, second = b.reserve("anna"), in_second("anna")
    await fold_all(world, [first, second, b.cancel(first)])
    assert await world.fold(in_second("anna", "2")) == NO(Reason.ALREADY_RESERVED)
    assert await world.fold(b.reserve("anna", "evening", key="2")) == b.confirmed(32)
    assert await world.fold(b.reserve("anna", "noon", key="3")) == NO(Reason.ALREADY_RESERVED)


async def test_refusals_are_counted_for_each_campaign(world: World) -> None:
    await two_campaigns(world)
    await fold_all(world, [b.reserve("anna", units=9, key=str(n)) for n in range(MAX_REFUSALS)])
    assert await world.fold(in_second("anna", "2")) == b.confirmed(0)
    assert await world.fold(b.reserve("anna", key="again")) == refused(Reason.TOO_MANY_TRIES)
    assert await world.fold(in_second("anna", "3", "evening")) == NO(Reason.ALREADY_RESERVED)


async def test_who_did_nothing_in_the_earlier_campaign_leaves_nothing_there(world: World) -> None:
    await two_campaigns(world)
    first, second = b.reserve("anna"), in_second("anna")
    await fold_all(world, [first, b.cancel(first), second])
    assert not [name for name in await world.rows() if name.startswith("a:")]
    await world.fold(b.cancel(second))
    assert await world.row(f"p:{b.REGION}:{first.resident}") == PersonRow(no=2)
