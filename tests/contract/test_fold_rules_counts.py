"""What campaigns and slots count goes on counting: the second of everything, and the smallest of everything."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.limits import MAX_ACTIONS, MAX_REFUSED_ACTIONS, WAITING_PER_RECORD
from services.domain.reasons import Reason
from services.domain.rows import PersonRow
from services.domain.rules.answers import Fact, done, refused
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

EVENING_MS = b.MIDNIGHT_MS + 18 * b.HOUR_MS


async def campaign(world: World, name: str = b.CAMPAIGN) -> Any:
    return await world.row(f"c:{name}")


def wish(who: str, units: int = 2, **more: Any) -> c.Reserve:
    return b.reserve(who, units=units, **more)


async def test_a_campaign_and_its_slots_count_on(world: World) -> None:
    await open_campaign(world, {"noon": 40})
    await pair_terminal(world)
    people = [wish(who) for who in ("anna", "ben", "cleo", "dan", "eva", "finn")]
    too_much = [wish("gina", 9, key=str(n)) for n in range(2)]
    await fold_all(world, [*people, *too_much])
    assert ((await campaign(world)).confirmed, (await campaign(world)).rejected) == (6, 2)
    await fold_all(world, [b.cancel(people[0]), b.cancel(people[1]), b.pick_up(people[2]), b.pick_up(people[3])])
    assert ((await campaign(world)).cancelled, (await campaign(world)).picked_up) == (2, 2)
    assert (await world.row("s:1:noon")).picked_up == 4
    await world.fold(b.undo(people[3]))
    assert ((await campaign(world)).picked_up, (await world.row("s:1:noon")).picked_up) == (1, 2)
    await time_passes(world, b.DAY_MS)
    assert (await world.fold(b.expire()))[0] == [Fact.EXPIRY_DONE, 3]
    assert ((await campaign(world)).expired, (await world.row("s:1:noon")).expired) == (3, 6)


async def test_hand_outs_told_late_are_counted_on(world: World) -> None:
    await open_campaign(world, {"noon": 40})
    await pair_terminal(world)
    await pair_terminal(world, "terminal-2")
    right, gone = [wish("anna"), wish("ben")], [wish("cleo"), wish("dan")]
    await fold_all(world, [*right, *gone, *(b.cancel(who) for who in gone)])
    await fold_all(world, [b.record(who) for who in (*right, *gone)])
    await fold_all(world, [b.record(who, terminal="terminal-2") for who in right])
    row, slot = await campaign(world), await world.row("s:1:noon")
    assert (row.picked_up, row.picked_up_late, row.conflicts) == (2, 2, 2)
    assert (slot.picked_up, slot.beside) == (4, 8)
    (action,) = (await world.row(f"r:{gone[0].pass_no}")).history[1:]
    assert (action.fact, action.reason) == (Fact.PICKED_UP_LATE, Reason.CANCELLED)


async def test_lines_are_counted_on(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 4, hour=18, promote_until_ms=EVENING_MS)], waiting_per_mille=1_000)
    anna, ben, cleo = wish("anna", 4), wish("ben"), wish("cleo")
    await fold_all(world, [anna, ben, cleo, b.cancel(anna)])
    assert ((await campaign(world)).waitlisted, (await campaign(world)).promoted) == (2, 2)
    assert (await world.row("s:1:noon")).taken == 4


async def test_shares_of_several_slots_add_up(world: World) -> None:
    await open_campaign(world, {"noon": 20, "evening": 10}, assisted_per_mille=200, reserve_per_mille=100)
    row = await campaign(world)
    assert (row.quota, row.left, row.assisted_left, row.reserve_left) == (30, 21, 6, 3)
    await world.fold(b.change_quota(2, share="reserve"))
    assert ((await campaign(world)).quota, (await campaign(world)).reserve_left) == (32, 5)
    await world.fold(b.change_quota(3, "evening", share="assisted"))
    assert ((await campaign(world)).quota, (await campaign(world)).assisted_left) == (35, 9)


async def test_one_unit_that_waits_keeps_others_from_what_is_free(world: World) -> None:
    """A record promotes a few; the last one of a long line is still waiting when somebody else comes."""
    count = WAITING_PER_RECORD + 1
    slots = [b.slot("noon", count, hour=18, promote_until_ms=EVENING_MS)]
    await open_campaign(world, slots, waiting_per_mille=1_000, units_max=count)
    line = [wish(f"resident {n}", 1) for n in range(count)]
    await fold_all(world, [wish("anna", count), *line, b.cancel(wish("anna", count))])
    assert ((await world.row("s:1:noon")).waiting, (await world.row("s:1:noon")).taken) == (1, count - 1)
    answer, promotion = await world.fold(wish("eva", 1))
    assert answer == [Fact.WAITLISTED, 1]
    assert promotion[:2] == [Fact.PROMOTED, line[-1].pass_no]


@pytest.mark.parametrize("digits", [[0], [3, 0], [3, 1], [9, 3, 1, 0, 3], [0, 0, 2], list(range(9, -1, -1))])
async def test_digits_of_a_day_come_in_any_order_and_as_often_as_they_like(world: World, digits: list[int]) -> None:
    day = c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=b.MIDNIGHT_MS + b.DAY_MS, digits=digits)
    await open_campaign(world, {"noon": 10}, stagger=[day])
    answers = await fold_all(world, [b.reserve(f"resident {digit}", digit=digit) for digit in range(10)])
    assert [digit for digit, facts in enumerate(answers) if facts[0][0] == Fact.CONFIRMED] == sorted(set(digits))


async def test_one_refusal_in_another_campaign_is_remembered_there(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    await open_campaign(world, {"noon": 10}, campaign="next")
    await fold_all(world, [wish("anna", 9), wish("anna", campaign="next"), wish("anna", 9, key="2")])
    row = await world.row(f"p:{b.REGION}:{wish('anna').resident}")
    assert (row.no, row.refusals, row.aside) == (1, 2, 1)


async def test_a_pharmacy_is_kept_as_the_definition_tells_it(world: World) -> None:
    told = c.Pharmacy(id="p-1", name="Pharmacy", address="1 Road", lon_e6=-5, lat_e6=7, phone="+8620")
    await fold_all(world, [b.define(1), b.add_pharmacies([told])])
    (kept,) = await world.row("x:1:p:0")
    assert (kept.id, kept.name, kept.address, kept.lon_e6, kept.lat_e6, kept.phone) == (
        "p-1", "Pharmacy", "1 Road", -5, 7, "+8620",
    )  # fmt: skip


async def test_who_is_entitled_is_kept_as_one(world: World) -> None:
    await fold_all(world, b.definition(b.slots_of({"noon": 1}), entitled=["anna"]))
    assert await world.row(f"e:1:{wish('anna').resident}") == 1


async def test_of_a_decision_with_many_facts_the_first_is_the_answer_that_is_kept(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 10, release_ms=b.NOON_MS)], assisted_per_mille=500)
    release = b.release("noon")
    assert len(await world.fold(release)) == 2
    assert await world.row(f"o:{release.id}") == done(Fact.RELEASED, 5)


async def test_the_smallest_line_is_a_rule_too_that_needs_its_times(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    change = b.change_rules(waiting_per_mille=1)
    assert await world.fold(change) == refused(Reason.NOT_IN_MID_CAMPAIGN, "waiting_per_mille")


async def test_one_per_mille_of_a_thousand_units_is_a_line_of_one(world: World) -> None:
    slots = [b.slot("noon", 1_000, hour=18, promote_until_ms=EVENING_MS)]
    await open_campaign(world, slots, waiting_per_mille=1, units_max=100)
    await fold_all(world, [wish(f"resident {n}", 100) for n in range(10)])
    assert await world.fold(wish("anna")) == b.rejected(Reason.SOLD_OUT)
    assert await world.fold(wish("ben", 1)) == done(Fact.WAITLISTED, 0)


async def test_lines_that_end_are_counted_and_one_that_nobody_ended_ends_with_a_no_show(world: World) -> None:
    slots = [b.slot(name, 2, hour=18, promote_until_ms=EVENING_MS) for name in ("noon", "second", "third")]
    await open_campaign(world, slots, waiting_per_mille=1_000)
    names = ("noon", "second", "third")
    line = [wish(f"late {slot}", slot=slot) for slot in names]
    await fold_all(world, [*(wish(slot, slot=slot) for slot in names), *line])
    await time_passes(world, EVENING_MS - b.NOON_MS)
    assert (await world.fold(b.end_waiting("noon", "second")))[0] == [Fact.ENDING_WAITING, 2]
    await time_passes(world, b.DAY_MS)
    facts = await world.fold(b.expire(2))
    assert [fact[0] for fact in facts] == [Fact.EXPIRY_DONE, Fact.EXPIRED, Fact.WAITING_ENDED]
    assert facts[2][1] == line[2].pass_no


async def test_terminals_are_listed_in_the_order_of_their_invitations(world: World) -> None:
    await fold_all(world, [b.invite("first"), b.invite("second"), b.invite("third")])
    assert await world.row("tl") == ["first", "second", "third"]
    assert (await world.row("t:second")).since_ms == b.NOON_MS


async def test_what_stands_aside_is_counted_over_many_campaigns(world: World) -> None:
    campaigns = ["first", "second", "third"]
    for name in campaigns:
        await open_campaign(world, {"noon": 10}, campaign=name)
    await fold_all(world, [wish("anna", campaign=name) for name in campaigns])
    await world.fold(wish("anna", campaign="first", key="2"))
    row = await world.row(f"p:{b.REGION}:{wish('anna').resident}")
    assert (row.no, row.aside) == (1, 2)


async def test_of_a_wait_that_was_ended_nothing_is_left(world: World) -> None:
    slots = [b.slot("noon", hour=18, cool_until_ms=EVENING_MS + b.DAY_MS)]
    await open_campaign(world, slots, cool_down=True)
    await fold_all(world, [wish("anna"), b.cancel(wish("anna"))])
    assert await world.row(f"p:{b.REGION}:{wish('anna').resident}") == PersonRow(no=1)


async def test_a_wait_belongs_to_the_reservation_that_began_it_and_to_none_that_ends_at_the_same_time(
    world: World,
) -> None:
    until_ms = EVENING_MS + b.DAY_MS
    slots = [b.slot(name, hour=18, cool_until_ms=until_ms) for name in ("noon", "second")]
    await open_campaign(world, slots, cool_down=True)
    await pair_terminal(world)
    first, second = wish("anna"), wish("anna", slot="second", key="2")
    await fold_all(world, [first, b.cancel(first), second, b.record(first)])
    row = await world.row(f"p:{b.REGION}:{first.resident}")
    assert (row.cool_until_ms, row.cool_pass_no) == (until_ms, second.pass_no)


async def test_a_hand_out_in_the_first_moment_of_its_day_is_right(world: World) -> None:
    await open_campaign(world, [b.slot("noon", day_from_ms=b.MIDNIGHT_MS + b.DAY_MS)])
    await pair_terminal(world)
    booking = wish("anna")
    await world.fold(booking)
    await time_passes(world, b.DAY_MS)
    facts = await world.fold(b.record(booking, at_ms=b.MIDNIGHT_MS + b.DAY_MS))
    assert facts == done(Fact.PICKED_UP, b.CAMPAIGN, "noon", 2)


async def test_a_conflict_is_not_remembered_behind_the_last_action_that_has_room(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    booking, tills = wish("anna"), [f"till-{n}" for n in range(4)]
    await pair_terminal(world)
    await pair_terminal(world, "terminal-2")
    for till in tills:
        await pair_terminal(world, till, pharmacy="pharmacy-2")
    tries = [b.pick_up(booking, terminal=till, key=str(n)) for till in tills for n in range(MAX_REFUSED_ACTIONS)]
    await fold_all(world, [booking, *tries[:-1], b.record(booking), b.record(booking, terminal="terminal-2")])
    assert len((await world.row(f"r:{booking.pass_no}")).history) == MAX_ACTIONS


async def test_a_change_of_nothing_makes_nobody_look_at_a_line(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 2, hour=18, promote_until_ms=EVENING_MS)], waiting_per_mille=1_000)
    await fold_all(world, [wish("anna"), wish("ben")])
    assert await world.fold(b.change_quota(0)) == done(Fact.QUOTA_CHANGED, 2, 0, 0)
    assert await world.row("work") is None


async def test_a_purged_sheet_that_was_still_open_leaves_no_pass_number_in_its_slot(world: World) -> None:
    day_ms = b.MIDNIGHT_MS + b.DAY_MS
    await open_campaign(world, {"noon": 10}, delete_ms=day_ms)
    await world.fold(wish("anna"))
    await time_passes(world, day_ms - b.NOON_MS)
    await fold_all(world, [b.expire(), b.purge(wish("anna"), sheets=[0])])
    assert (await world.row("s:1:noon")).on_sheet == ""
    assert await world.row(f"m:{b.REGION}:{b.PHARMACY}:{b.TODAY}:0") is None
