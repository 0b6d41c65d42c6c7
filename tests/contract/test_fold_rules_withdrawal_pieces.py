"""Places are taken back piece by piece, a sheet a record; and what happens meanwhile."""

import pytest

from services.domain.limits import FOREIGN_SHEETS_PER_RECORD, SHEET_LINES
from services.domain.reasons import Reason
from services.domain.rows import ReservationState, WithdrawalRow
from services.domain.rules.answers import Fact, refused
from tests import builders as b
from tests.contract.withdrawing import DONE, MANY, cut, people_in, shares, state_of, withdrawn
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal

LATE_MS = b.MIDNIGHT_MS + 30 * b.HOUR_MS


async def test_each_record_goes_through_one_sheet_of_the_slot(world: World) -> None:
    await open_campaign(world, {"noon": MANY})
    people = await people_in(world, *(1,) * MANY)
    lost = [withdrawn(each) for each in reversed(people)]
    assert await world.fold(b.withdraw("noon")) == [cut(0, 0, 0, MANY), *lost[: MANY - SHEET_LINES]]
    assert (await world.row("s:1:noon")).to_withdraw == SHEET_LINES
    assert await world.fold(b.tick(b.NOON_MS)) == [[Fact.TICKED], *lost[MANY - SHEET_LINES :], DONE]
    assert await world.fold(b.tick(b.NOON_MS)) == [[Fact.TICKED]]
    assert await shares(world) == [(0, 0)] * 3
    row = await world.row("s:1:noon")
    assert (row.withdrawn, row.to_withdraw, row.withdrawal_work) == (1, 0, 0)


@pytest.mark.parametrize(
    ("others", "records"),
    [
        (FOREIGN_SHEETS_PER_RECORD - 1, 1),
        (FOREIGN_SHEETS_PER_RECORD, 2),
        (2 * FOREIGN_SHEETS_PER_RECORD - 1, 2),
        (2 * FOREIGN_SHEETS_PER_RECORD, 3),
    ],
)
async def test_each_record_passes_over_a_few_sheets_of_others(world: World, others: int, records: int) -> None:
    slots = {f"slot-{n}": 1 for n in range(others)}
    await open_campaign(world, {"noon": 1, **slots})
    (anna,) = await people_in(world, 1)
    for slot in slots:
        await people_in(world, 1, slot=slot)
    pieces = await fold_all(world, [b.withdraw("noon"), *(b.tick(b.NOON_MS + n) for n in range(1, records))])
    assert [facts[1:] for facts in pieces] == [[]] * (records - 1) + [[withdrawn(anna), DONE]]


async def test_each_record_leaves_word_of_how_far_it_came(world: World) -> None:
    await open_campaign(world, {"noon": SHEET_LINES + MANY})
    await people_in(world, *(1,) * (SHEET_LINES + MANY))
    await world.fold(b.withdraw("noon"))
    entry = WithdrawalRow(no=1, slot="noon", to="", kept=0, sheet=1)
    assert await world.row("withdrawals:0") == entry
    await world.fold(b.tick(b.NOON_MS))
    assert await world.row("withdrawals:0") == WithdrawalRow(no=1, slot="noon", to="", kept=0, sheet=0)
    await world.fold(b.tick(b.NOON_MS))
    assert await world.row("withdrawals:0") is None


async def test_who_has_changed_away_before_keeps_the_place_in_the_other_slot(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 2, hour=16), b.slot("evening", 2, hour=18)])
    anna, ben = await people_in(world, 1, 1)
    facts = await fold_all(world, [b.change_slot(ben, "evening"), b.withdraw("noon")])
    assert facts[1] == [cut(1, 0, 0, 1), withdrawn(anna), DONE]
    assert await state_of(world, ben) == ReservationState.CONFIRMED


async def test_who_has_come_back_stands_where_they_came_back_to(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 2, hour=16), b.slot("evening", 2, hour=18)])
    anna, ben = await people_in(world, 1, 1)
    await fold_all(world, [b.change_slot(anna, "evening"), b.change_slot(anna, "noon")])
    assert (await world.fold(b.withdraw("noon", keep=1)))[1:] == [withdrawn(anna), DONE]
    assert await state_of(world, ben) == ReservationState.CONFIRMED


async def test_places_in_a_slot_of_that_name_in_another_campaign_stay(world: World) -> None:
    await open_campaign(world, {"noon": 1})
    await open_campaign(world, {"noon": 1}, campaign="second")
    (anna,) = await people_in(world, 1)
    ben = b.reserve("ben", "noon", campaign="second")
    await world.fold(ben)
    assert await world.fold(b.withdraw("noon")) == [cut(0, 0, 0, 1), withdrawn(anna), DONE]
    assert await state_of(world, ben) == ReservationState.CONFIRMED


async def test_while_people_are_dealt_with_nobody_gets_what_comes_free(world: World) -> None:
    await open_campaign(world, {"noon": MANY, "evening": MANY})
    people = await people_in(world, *(1,) * MANY)
    await world.fold(b.withdraw("noon", keep=2))
    facts = await world.fold(b.cancel(people[0]))  # of what was to be withdrawn there is one less
    assert facts[0] == [Fact.CANCELLED, b.CAMPAIGN, "noon", 1]
    assert facts[-1] == DONE
    assert [await state_of(world, each) for each in people[1:4]] == [
        ReservationState.CONFIRMED, ReservationState.CONFIRMED, ReservationState.CANCELLED,
    ]  # fmt: skip
    assert await shares(world) == [(2, 2), (0, 0), (0, 0)]
    assert (await world.row(f"c:{b.CAMPAIGN}")).quota == MANY + 2


async def test_who_changes_away_meanwhile_leaves_one_more_their_place(world: World) -> None:
    await open_campaign(world, [b.slot("noon", MANY, hour=16), b.slot("evening", MANY, hour=18)])
    people = await people_in(world, *(1,) * MANY)
    await world.fold(b.withdraw("noon", keep=2))
    await world.fold(b.change_slot(people[0], "evening"))
    assert [await state_of(world, each) for each in people[:4]] == [
        ReservationState.CONFIRMED, ReservationState.CONFIRMED, ReservationState.CONFIRMED, ReservationState.CANCELLED,
    ]  # fmt: skip
    assert await shares(world) == [(2, 2), (0, 0), (0, 0)]
    assert await world.fold(b.change_slot(people[0], "noon", key="back")) == refused(Reason.SLOT_FULL, 0)


async def test_who_is_handed_theirs_out_meanwhile_has_it_and_somebody_else_keeps_no_place(world: World) -> None:
    await open_campaign(world, {"noon": MANY})
    people = await people_in(world, *(1,) * MANY)
    await pair_terminal(world)
    await world.fold(b.withdraw("noon"))
    facts = await world.fold(b.pick_up(people[3]))
    assert len(facts) == 1 + SHEET_LINES - 1 + 1
    assert await state_of(world, people[3]) == ReservationState.PICKED_UP
    assert await shares(world) == [(1, 1), (0, 0), (0, 0)]
    row = await world.row("s:1:noon")
    assert (row.to_withdraw, row.withdrawal_work) == (0, 0), "what was handed out cannot be taken back"


async def test_a_pick_up_that_is_taken_back_in_a_withdrawn_slot_can_be_given_back_to_nobody(world: World) -> None:
    await open_campaign(world, {"noon": 2})
    anna, _ = await people_in(world, 1, 1)
    await pair_terminal(world)
    await fold_all(world, [b.pick_up(anna), b.withdraw("noon"), b.undo(anna)])
    assert await state_of(world, anna) == ReservationState.CONFIRMED
    await world.fold(b.cancel(anna))
    assert await shares(world) == [(0, 0)] * 3
    campaign = await world.row(f"c:{b.CAMPAIGN}")
    assert (campaign.quota, campaign.left) == (0, 0)


async def test_a_slot_is_withdrawn_once_at_a_time(world: World) -> None:
    await open_campaign(world, {"noon": MANY, "evening": MANY})
    await people_in(world, *(1,) * MANY)
    await world.fold(b.withdraw("noon", keep=1))
    facts = await world.fold(b.withdraw("noon", key="again"))
    assert facts[0] == [Fact.REFUSED, Reason.WITHDRAWAL_UNDER_WAY]
    assert facts[-1] == DONE
    assert (await world.fold(b.withdraw("noon", key="later")))[0] == cut(0, 0, 0, 1)


async def test_two_slots_are_gone_through_one_after_the_other(world: World) -> None:
    await open_campaign(world, {"noon": MANY, "evening": 1})
    await people_in(world, *(1,) * MANY)
    (anna,) = await people_in(world, 1, slot="evening")
    await world.fold(b.withdraw("noon"))
    assert (await world.fold(b.withdraw("evening")))[-1] == DONE
    facts = await world.fold(b.tick(b.NOON_MS))
    assert facts == [[Fact.TICKED], withdrawn(anna), [Fact.WITHDRAWAL_DONE, b.CAMPAIGN, "evening"]]
    work = await world.row("withdrawals")
    assert (work.first, work.next) == (2, 2)


async def test_a_withdrawal_holds_up_no_promotion(world: World) -> None:
    evening = b.slot("evening", 1, hour=18, promote_until_ms=LATE_MS)
    await open_campaign(world, [b.slot("noon", 3 * MANY), evening], waiting_per_mille=1_000)
    await people_in(world, *(1,) * (3 * MANY))
    (anna,) = await people_in(world, 1, slot="evening")
    ben = b.reserve("ben", "evening")
    await fold_all(world, [ben, b.withdraw("noon")])
    facts = await world.fold(b.cancel(anna))
    assert facts[1][:2] == [Fact.PROMOTED, ben.pass_no]
    assert facts[2][0] == Fact.WITHDRAWN
