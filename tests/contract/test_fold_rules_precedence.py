"""Who lost a place to a withdrawal books before others: from the reserve, on any day, and after the campaign's end."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.limits import SHEET_LINES
from services.domain.reasons import Reason
from services.domain.rows import Share
from services.domain.rules.answers import Fact
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal

FROM_RESERVE = b.confirmed(SHEET_LINES, Share.RESERVE)
LATE_MS = b.MIDNIGHT_MS + 30 * b.HOUR_MS


async def anna_lost_hers(world: World, **options: Any) -> c.Reserve:
    """This evening there are 9 units, 3 of them in reserve; Anna's two of noon are gone."""
    slots = [
        b.slot("noon", 2, hour=14),
        b.slot("evening", 9, hour=18, promote_until_ms=LATE_MS),
        b.slot("night", 9, hour=22),
    ]
    await open_campaign(world, slots, reserve_per_mille=340, **options)
    anna = b.reserve("anna", "noon", 2)
    await fold_all(world, [anna, b.withdraw("noon")])
    assert await precedence(world) == (1, 1)
    return anna


async def precedence(world: World) -> tuple[int, int]:
    """Anna's, and how many have it."""
    person = await world.row(f"p:{b.REGION}:{b.reserve('anna').resident}")
    return person.precedence, (await world.row(f"c:{b.CAMPAIGN}")).precedence


def again(units: int = 2, slot: str = "evening", key: str = "again", **about: Any) -> c.Reserve:
    return b.reserve("anna", slot, units, key=key, **about)


async def test_who_has_precedence_books_from_the_reserve_once(world: World) -> None:
    await anna_lost_hers(world)
    assert await world.fold(again()) == FROM_RESERVE
    row = await world.row("s:1:evening")
    assert (row.taken, row.reserve_quota, row.reserve_taken) == (0, 3, 2)
    assert await precedence(world) == (0, 0)
    await world.fold(b.cancel(again()))
    assert await world.fold(again(1, key="third")) == b.confirmed(SHEET_LINES + 1)


async def test_others_get_nothing_of_the_reserve(world: World) -> None:
    await anna_lost_hers(world)
    await fold_all(world, [b.reserve("ben", "evening", 5), b.reserve("cleo", "evening", 1)])
    assert await world.fold(b.reserve("dan", "evening")) == b.rejected(Reason.SLOT_FULL, 0)
    assert await precedence(world) == (1, 1)
    assert await world.fold(again()) == b.confirmed(SHEET_LINES + 2, Share.RESERVE)


async def test_where_the_reserve_has_too_little_who_has_precedence_books_like_everybody(world: World) -> None:
    await anna_lost_hers(world)
    assert await world.fold(again(4)) == b.confirmed(SHEET_LINES)
    row = await world.row("s:1:evening")
    assert (row.taken, row.reserve_taken) == (4, 0)
    assert await precedence(world) == (0, 0)


async def test_at_a_desk_as_well_the_reserve_comes_first(world: World) -> None:
    await anna_lost_hers(world, assisted_per_mille=340)
    await pair_terminal(world)
    assert await world.fold(again(terminal=b.TERMINAL)) == FROM_RESERVE
    ben = b.reserve("ben", "evening", terminal=b.TERMINAL)
    assert await world.fold(ben) == b.confirmed(SHEET_LINES + 1, Share.ASSISTED)


async def test_after_the_end_only_who_has_precedence_books_and_only_from_the_reserve(world: World) -> None:
    await anna_lost_hers(world)
    await world.fold(b.close())
    assert await world.fold(b.reserve("ben", "evening")) == b.rejected(Reason.CAMPAIGN_CLOSED)
    assert await world.fold(again(4, key="too much")) == [[Fact.REJECTED, Reason.SLOT_FULL, 3, Share.RESERVE]]
    assert await world.fold(again(3, key="all of it")) == FROM_RESERVE
    assert await world.fold(again(1, "night", key="more")) == b.rejected(Reason.CAMPAIGN_CLOSED)


async def test_after_the_end_what_ops_put_into_the_reserve_can_be_had(world: World) -> None:
    await anna_lost_hers(world)
    for slot in ("evening", "night"):
        await world.fold(b.change_quota(-3, slot, share="reserve"))
    await world.fold(b.close())
    assert await world.fold(again(key="early")) == [[Fact.REJECTED, Reason.SOLD_OUT, 0, Share.RESERVE]]
    await world.fold(b.change_quota(+2, "evening", share="reserve", key="more"))
    assert await world.fold(again()) == FROM_RESERVE


async def test_nobody_books_while_the_campaign_pauses(world: World) -> None:
    await anna_lost_hers(world)
    await world.fold(b.pause())
    assert (await world.fold(again()))[0][:2] == [Fact.REJECTED, Reason.PAUSED]
    assert await precedence(world) == (1, 1)


async def test_the_days_of_digits_do_not_hold_for_who_has_precedence(world: World) -> None:
    days = [c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=b.MIDNIGHT_MS + b.DAY_MS, digits=[1])]
    await open_campaign(world, {"noon": 1, "evening": 9}, stagger=days)
    await fold_all(world, [b.reserve("anna", "noon", digit=1), b.withdraw("noon")])
    assert await world.fold(again(digit=3)) == b.confirmed(SHEET_LINES)
    assert await world.fold(b.reserve("ben", "evening", digit=3)) == b.rejected(Reason.WRONG_DAY)


async def test_the_other_rules_hold_for_who_has_precedence(world: World) -> None:
    await anna_lost_hers(world, household_max=1)
    await world.fold(b.reserve("ben", "evening", phone="family"))
    assert (await world.fold(again(phone="family")))[0][1] == Reason.HOUSEHOLD_LIMIT
    assert (await world.fold(again(6, key="6")))[0][1] == Reason.UNITS_OVER_LIMIT
    assert await precedence(world) == (1, 1)


async def test_a_place_in_a_line_is_not_yet_what_was_lost_and_a_promotion_is(world: World) -> None:
    await anna_lost_hers(world, waiting_per_mille=1_000)
    ben, anna = b.reserve("ben", "evening", 4), again(4)
    assert [facts[0][0] for facts in await fold_all(world, [ben, anna])] == [Fact.CONFIRMED, Fact.WAITLISTED]
    assert await precedence(world) == (1, 1)
    assert (await world.fold(b.cancel(ben)))[1][:2] == [Fact.PROMOTED, anna.pass_no]
    assert await precedence(world) == (0, 0)


async def test_who_gives_up_a_place_in_a_line_has_precedence_still(world: World) -> None:
    await anna_lost_hers(world, waiting_per_mille=1_000)
    waits = again(4, key="waits")
    await fold_all(world, [b.reserve("ben", "evening", 4), waits, b.cancel(waits)])
    assert await world.fold(again(3)) == b.confirmed(SHEET_LINES + 1, Share.RESERVE)


async def test_who_was_handed_out_what_was_lost_has_no_precedence_any_more(world: World) -> None:
    lost = await anna_lost_hers(world)
    await pair_terminal(world)
    facts = await world.fold(b.record(lost, at_ms=b.NOON_MS))
    assert facts == [[Fact.PICKED_UP_LATE, b.CAMPAIGN, "noon", 2, Reason.SLOT_WITHDRAWN]]
    assert await precedence(world) == (0, 0)


async def test_a_hand_out_of_what_was_given_back_by_the_way_changes_no_precedence(world: World) -> None:
    await pair_terminal(world)
    await anna_lost_hers(world)
    before = b.reserve("ben", "evening")
    await fold_all(world, [before, b.cancel(before), b.record(before, at_ms=b.NOON_MS)])
    assert await precedence(world) == (1, 1)


async def test_who_loses_the_next_place_as_well_has_precedence_again(world: World) -> None:
    await anna_lost_hers(world)
    await fold_all(world, [b.close(), again(), b.open_(key="again"), b.withdraw("evening")])
    assert await precedence(world) == (1, 1)


async def test_precedence_is_of_one_campaign(world: World) -> None:
    await anna_lost_hers(world)
    await open_campaign(world, {"noon": 9}, campaign="second", reserve_per_mille=500)
    assert await world.fold(b.reserve("anna", "noon", campaign="second")) == b.confirmed(SHEET_LINES)
    assert await world.fold(again()) == b.confirmed(2 * SHEET_LINES, Share.RESERVE)


@pytest.mark.parametrize("has_come_since", [False, True])
async def test_the_deletion_day_forgets_who_had_precedence(world: World, has_come_since: bool) -> None:
    delete_ms = b.MIDNIGHT_MS + 3 * b.DAY_MS
    lost = await anna_lost_hers(world, delete_ms=delete_ms)
    if has_come_since:
        await open_campaign(world, {"noon": 9}, campaign="second")
        await world.fold(b.reserve("anna", "noon", campaign="second"))
    world.now_ms = delete_ms
    await fold_all(world, [b.tick(delete_ms), b.purge(lost, residents=["anna"])])
    assert (await world.row(f"c:{b.CAMPAIGN}")).precedence == 0
    assert await world.row(f"a:1:{lost.resident}") is None
    person = await world.row(f"p:{b.REGION}:{lost.resident}")
    assert (person is not None) == has_come_since


async def test_the_row_of_who_has_precedence_stays_when_another_campaign_is_deleted(world: World) -> None:
    delete_ms = b.MIDNIGHT_MS + 3 * b.DAY_MS
    await open_campaign(world, {"noon": 9}, campaign="earlier", delete_ms=delete_ms)
    night = b.slot("noon", 2, day=b.TODAY + 9, day_from_ms=b.MIDNIGHT_MS + 9 * b.DAY_MS)
    await open_campaign(world, [night])
    await fold_all(world, [b.reserve("anna", "noon"), b.withdraw("noon")])
    world.now_ms = delete_ms
    await fold_all(world, [b.tick(delete_ms), b.purge(residents=["anna"], campaign="earlier")])
    assert await precedence(world) == (1, 1)
