"""What campaigns and slots count goes on counting: the second of everything, and the smallest of everything."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.limits import WAITING_PER_RECORD
from services.domain.reasons import Reason
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
