"""A sealed campaign gets other rules: whoever comes from then on is decided by them, and what was decided stays."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.limits import RULES_KNOWN_MS
from services.domain.reasons import Reason
from services.domain.rows import Phase, ReservationState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, time_passes, without_bookkeeping

NO = b.rejected
CHANGED = done(Fact.RULES_CHANGED)
TEN = {"noon": 10, "evening": 10}
TOMORROW_MS = b.MIDNIGHT_MS + b.DAY_MS
COOL_UNTIL_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
ODD_TODAY = c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=TOMORROW_MS, digits=[1, 3, 5, 7, 9])
EVEN_TODAY = c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=TOMORROW_MS, digits=[0, 2, 4, 6, 8])


def family(who: str, key: str = "1", slot: str = "noon") -> c.Reserve:
    """A booking from one phone for all."""
    return b.reserve(who, slot, phone="family", key=key)


def slots(**times_ms: Any) -> list[c.Slot]:
    """Two slots with the times of rules."""
    return [b.slot("noon", **times_ms), b.slot("evening", hour=18, **times_ms)]


async def campaign(world: World) -> Any:
    return await world.row(f"c:{b.CAMPAIGN}")


def without_answers(rows: dict[str, Any]) -> dict[str, Any]:
    return {name: row for name, row in without_bookkeeping(rows).items() if not name.startswith("o:")}


# -- what a change is --------------------------------------------------------------------------------------------------


async def test_rules_and_definition_are_those_of_the_new_revision_from_then_on(world: World) -> None:
    await open_campaign(world, TEN, household_max=3)
    change = b.change_rules(units_max=2, household_max=1, stagger=[ODD_TODAY])
    assert await world.fold(change) == CHANGED
    row = await campaign(world)
    assert (row.revision, row.units_max, row.household_max, row.demands) == (b.revision("b"), 2, 1, 1)
    assert (row.phase, row.no, row.quota, row.left) == (Phase.OPEN, 1, 20, 20)
    assert await world.row("x:1") == change.definition
    assert (await world.row("cat"), await world.row("n:1")) == ([b.CAMPAIGN], b.CAMPAIGN)


async def test_a_change_of_a_revision_that_is_no_more_in_force_is_refused_with_the_one_that_is(world: World) -> None:
    await open_campaign(world, TEN)
    await world.fold(b.change_rules(units_max=2))
    before = without_answers(await world.rows())
    late = b.change_rules(before="a", text="c", units_max=4)
    assert await world.fold(late) == refused(Reason.REVISION_CHANGED, b.revision("b"))
    assert without_answers(await world.rows()) == before
    assert await world.fold(b.change_rules(before="b", text="c", units_max=4)) == CHANGED
    assert (await campaign(world)).units_max == 4


async def test_a_change_sent_again_gets_its_first_answer_and_takes_nothing_back(world: World) -> None:
    await open_campaign(world, TEN)
    first = b.change_rules(units_max=2)
    await fold_all(world, [first, b.change_rules(before="b", text="a", units_max=3)])
    assert await world.fold(first) == repeated([Fact.RULES_CHANGED])
    assert (await campaign(world)).units_max == 3


async def test_there_and_back_again_is_the_first_revision_and_the_first_rules(world: World) -> None:
    await open_campaign(world, TEN)
    before = await campaign(world)
    await fold_all(world, [b.change_rules(units_max=2), b.change_rules(before="b", text="a", units_max=5)])
    assert await campaign(world) == before


async def test_only_what_is_sealed_is_changed(world: World) -> None:
    assert await world.fold(b.change_rules()) == refused(Reason.UNKNOWN_CAMPAIGN)
    await fold_all(world, b.definition(b.slots_of(TEN))[:-1])
    assert await world.fold(b.change_rules(key="2")) == refused(Reason.UNKNOWN_CAMPAIGN)
    await world.fold(b.seal())
    assert await world.fold(b.change_rules(key="3")) == CHANGED


@pytest.mark.parametrize("phase", [Phase.SCHEDULED, Phase.OPEN, Phase.PAUSED, Phase.CLOSED])
async def test_rules_change_in_every_phase_and_leave_it_as_it_is(world: World, phase: Phase) -> None:
    await fold_all(world, b.definition(b.slots_of(TEN)))
    ways: dict[Phase, list[c.Command]] = {
        Phase.OPEN: [b.open_()], Phase.PAUSED: [b.open_(), b.pause()], Phase.CLOSED: [b.close()]
    }  # fmt: skip
    await fold_all(world, ways.get(phase, []))
    assert await world.fold(b.change_rules(units_max=1)) == CHANGED
    assert (await campaign(world)).phase == phase


async def test_a_change_to_the_same_revision_is_malformed(world: World) -> None:
    await open_campaign(world, TEN)
    record = c.encode(b.change_rules()).replace(b.revision("b").encode(), b.revision("a").encode())
    assert await world.fold(record) == refused(Reason.MALFORMED)


@pytest.mark.parametrize(
    ("rule", "value"), [("assisted_per_mille", 100), ("reserve_per_mille", 30), ("entitled", 2), ("entitled", 0)]
)
async def test_what_was_counted_out_cannot_be_changed_any_more(world: World, rule: str, value: int) -> None:
    rules: dict[str, Any] = {"assisted_per_mille": 300, "reserve_per_mille": 20}
    await open_campaign(world, TEN, entitled=["anna"], **rules)
    before = without_answers(await world.rows())
    change = b.change_rules(units_max=1, **{"entitled": 1, **rules, rule: value})
    assert await world.fold(change) == refused(Reason.NOT_IN_MID_CAMPAIGN, rule)
    assert without_answers(await world.rows()) == before
    assert await world.fold(b.change_rules(key="2", units_max=1, entitled=1, **rules)) == CHANGED


# -- who comes from then on --------------------------------------------------------------------------------------------


async def test_a_lower_limit_holds_for_whoever_comes_and_takes_nothing_away(world: World) -> None:
    await open_campaign(world, slots())
    anna = b.reserve("anna", "evening", units=5)
    await world.fold(anna)
    await world.fold(b.change_rules(units_max=2))
    assert await world.fold(b.reserve("ben", units=3)) == NO(Reason.UNITS_OVER_LIMIT)
    assert await world.fold(b.reserve("cleo", "evening", units=2)) == b.confirmed(1)
    assert await world.fold(anna) == repeated([ReservationState.CONFIRMED, 0, 0])
    assert (await world.fold(b.change_slot(anna, "noon")))[0][0] == Fact.SLOT_CHANGED
    assert (await world.row(f"r:{anna.pass_no}")).units == 5


async def test_a_refusal_of_before_stays_one_and_another_wish_is_decided_anew(world: World) -> None:
    await open_campaign(world, TEN, units_max=2)
    wish = b.reserve("anna", units=3)
    await world.fold(wish)
    await world.fold(b.change_rules(units_max=3))
    assert await world.fold(wish) == repeated([ReservationState.REJECTED, Reason.UNITS_OVER_LIMIT, 0])
    assert await world.fold(b.reserve("anna", units=3, key="2")) == b.confirmed()


async def test_a_household_limit_that_is_lowered_refuses_only_who_comes(world: World) -> None:
    await open_campaign(world, TEN, household_max=3)
    await fold_all(world, [family("anna"), family("ben")])
    await world.fold(b.change_rules(household_max=1))
    assert await world.fold(family("cleo")) == NO(Reason.HOUSEHOLD_LIMIT)
    await world.fold(b.cancel(family("anna")))
    assert await world.fold(family("cleo", key="2")) == NO(Reason.HOUSEHOLD_LIMIT)
    await world.fold(b.cancel(family("ben")))
    assert (await world.fold(family("cleo", key="3")))[0][0] == Fact.CONFIRMED


async def test_a_household_limit_counts_from_when_it_is_there(world: World) -> None:
    await open_campaign(world, TEN)
    await fold_all(world, [family("anna"), family("ben")])
    await world.fold(b.change_rules(household_max=1))
    assert await world.fold(family("cleo")) == b.confirmed(2)
    assert await world.fold(family("dan")) == NO(Reason.HOUSEHOLD_LIMIT)
    await fold_all(world, [b.cancel(family("anna")), b.cancel(family("ben"))])  # who came before was not counted
    assert await world.fold(family("dan", key="2")) == NO(Reason.HOUSEHOLD_LIMIT)


async def test_a_household_limit_that_was_taken_away_still_counts_down_whom_it_counted(world: World) -> None:
    await open_campaign(world, TEN, household_max=1)
    await world.fold(family("anna"))
    await world.fold(b.change_rules())
    assert (await campaign(world)).demands == 0
    assert await world.fold(family("ben")) == b.confirmed(1)
    await fold_all(world, [b.cancel(family("anna")), b.change_rules(before="b", text="c", household_max=1)])
    assert await world.fold(family("cleo")) == b.confirmed(2)
    assert await world.fold(family("dan")) == NO(Reason.HOUSEHOLD_LIMIT)


# -- stagger -----------------------------------------------------------------------------------------------------------


async def test_a_stagger_that_is_switched_on_holds_once_every_door_has_read_of_it(world: World) -> None:
    """Until then a door tells no digit, and nobody may be refused for that."""
    await open_campaign(world, TEN)
    await world.fold(b.change_rules(stagger=[ODD_TODAY]))
    await time_passes(world, RULES_KNOWN_MS - 1)
    assert await fold_all(world, [b.reserve("anna"), b.reserve("ben", digit=2)]) == [b.confirmed(0), b.confirmed(1)]
    await time_passes(world, 1)
    assert await world.fold(b.reserve("cleo", digit=2)) == NO(Reason.WRONG_DAY)
    assert await world.fold(b.reserve("dan", digit=3)) == b.confirmed(2)


async def test_other_digits_for_those_who_stagger_already_hold_at_once(world: World) -> None:
    await open_campaign(world, TEN, stagger=[ODD_TODAY])
    await world.fold(b.change_rules(stagger=[EVEN_TODAY]))
    assert await world.fold(b.reserve("anna", digit=3)) == NO(Reason.WRONG_DAY)
    assert await world.fold(b.reserve("ben", digit=2)) == b.confirmed()


async def test_a_stagger_begins_on_its_day_where_that_is_later(world: World) -> None:
    await open_campaign(world, [b.slot("late", day=b.TODAY + 5, day_from_ms=b.MIDNIGHT_MS + 5 * b.DAY_MS)])
    tomorrow = c.StaggerDay(from_ms=TOMORROW_MS, to_ms=TOMORROW_MS + b.DAY_MS, digits=[1])
    await world.fold(b.change_rules(stagger=[ODD_TODAY, tomorrow]))
    assert (await campaign(world)).stagger == [
        [b.NOON_MS + RULES_KNOWN_MS, TOMORROW_MS, 682], [TOMORROW_MS, TOMORROW_MS + b.DAY_MS, 2]
    ]  # fmt: skip


async def test_a_stagger_that_is_switched_off_lets_everybody_come(world: World) -> None:
    await open_campaign(world, TEN, stagger=[ODD_TODAY])
    await world.fold(b.change_rules())
    assert await world.fold(b.reserve("anna", digit=2)) == b.confirmed()


# -- what needs times in the slots -------------------------------------------------------------------------------------


async def test_a_cool_down_that_is_switched_off_makes_nobody_wait_here_and_begins_none(world: World) -> None:
    await open_campaign(world, slots(cool_until_ms=COOL_UNTIL_MS), cool_down=True)
    await open_campaign(world, slots(cool_until_ms=COOL_UNTIL_MS), cool_down=True, campaign="second")
    await fold_all(world, [b.reserve("anna"), b.change_rules(campaign="second")])
    assert (await world.fold(b.reserve("anna", campaign="second")))[0][0] == Fact.CONFIRMED
    assert (await world.fold(b.reserve("ben", campaign="second")))[0][0] == Fact.CONFIRMED
    assert (await world.fold(b.reserve("ben")))[0][0] == Fact.CONFIRMED  # who got some there need not wait here


async def test_a_cool_down_that_began_before_it_was_switched_off_still_holds_elsewhere(world: World) -> None:
    await open_campaign(world, slots(cool_until_ms=COOL_UNTIL_MS), cool_down=True)
    await open_campaign(world, slots(), cool_down=True, campaign="second")
    await fold_all(world, [b.reserve("anna"), b.change_rules()])
    minute = COOL_UNTIL_MS // b.MINUTE_MS
    assert await world.fold(b.reserve("anna", campaign="second")) == NO(Reason.COOLING_DOWN, minute)


async def test_a_cool_down_can_be_switched_on_again(world: World) -> None:
    await open_campaign(world, slots(cool_until_ms=COOL_UNTIL_MS), cool_down=True)
    await open_campaign(world, slots(), cool_down=True, campaign="second")
    await fold_all(world, [b.change_rules(), b.reserve("anna")])
    assert await world.fold(b.change_rules(before="b", text="c", cool_down=True)) == CHANGED
    await world.fold(b.reserve("ben"))
    assert (await world.fold(b.reserve("anna", campaign="second")))[0][0] == Fact.CONFIRMED
    assert (await world.fold(b.reserve("ben", campaign="second")))[0][1] == Reason.COOLING_DOWN


@pytest.mark.parametrize(
    ("rules", "rule", "time"),
    [
        ({"cool_down": True}, "cool_down", "cool_until_ms"),
        ({"waiting_per_mille": 500}, "waiting_per_mille", "promote_until_ms"),
    ],
)
async def test_what_needs_a_time_in_every_slot_is_not_switched_on_where_one_has_none(
    world: World, rules: dict[str, Any], rule: str, time: str
) -> None:
    """It would be a rule that nobody keeps."""
    times_ms: dict[str, Any] = {time: COOL_UNTIL_MS}
    await open_campaign(world, [b.slot("noon", **times_ms), b.slot("evening", hour=18)])
    assert await world.fold(b.change_rules(**rules)) == refused(Reason.NOT_IN_MID_CAMPAIGN, rule)
    await open_campaign(world, slots(**times_ms), campaign="second")
    assert await world.fold(b.change_rules(campaign="second", **rules)) == CHANGED
    assert await world.fold(b.change_rules(campaign="second", before="b", text="c", **rules)) == CHANGED


async def test_a_waiting_list_that_is_switched_off_takes_nobody_more_and_leaves_nobody_out(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 1, promote_until_ms=COOL_UNTIL_MS)], waiting_per_mille=5_000)
    anna = b.reserve("anna")
    assert await fold_all(world, [anna, b.reserve("ben")]) == [b.confirmed(0), done(Fact.WAITLISTED, 0)]
    await world.fold(b.change_rules())
    assert await world.fold(b.reserve("cleo")) == NO(Reason.SOLD_OUT)
    answer = await world.fold(b.cancel(anna))
    assert answer[1][:2] == [Fact.PROMOTED, b.reserve("ben").pass_no]


async def test_a_longer_waiting_list_takes_more(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 2, promote_until_ms=COOL_UNTIL_MS)], waiting_per_mille=500)
    await fold_all(world, [b.reserve("anna", units=2), b.reserve("ben")])
    assert await world.fold(b.reserve("cleo")) == NO(Reason.SOLD_OUT)
    await world.fold(b.change_rules(waiting_per_mille=1_000))
    assert await world.fold(b.reserve("cleo", key="2")) == done(Fact.WAITLISTED, 1)
