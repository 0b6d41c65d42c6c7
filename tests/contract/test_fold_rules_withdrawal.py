"""A pharmacy gets less than was promised: what is cut, and who loses a place."""

import pytest

from services.domain.limits import SHEET_LINES
from services.domain.reasons import Reason
from services.domain.rows import PersonRow, ReservationState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.withdrawing import DONE, MANY, cut, people_in, shares, state_of, withdrawn
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

LATE_MS = b.MIDNIGHT_MS + 30 * b.HOUR_MS
COOL_UNTIL_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS

# -- what nobody has ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "gone", "stay"),
    [
        (17, (3, 0, 0), (7, 6, 4)),
        (10, (10, 0, 0), (0, 6, 4)),
        (9, (10, 0, 1), (0, 6, 3)),
        (5, (10, 1, 4), (0, 5, 0)),
        (0, (10, 6, 4), (0, 0, 0)),
        (20, (0, 0, 0), (10, 6, 4)),
        (99, (0, 0, 0), (10, 6, 4)),
    ],
)
async def test_what_nobody_has_is_cut_from_the_public_share_first_then_the_reserve_then_the_desks(
    world: World, keep: int, gone: tuple[int, int, int], stay: tuple[int, int, int]
) -> None:
    await open_campaign(world, {"noon": 20, "evening": 5}, assisted_per_mille=300, reserve_per_mille=200)
    assert await world.fold(b.withdraw("noon", keep=keep)) == [cut(*gone, 0)]
    assert await shares(world) == [(units, 0) for units in stay]
    campaign = await world.row(f"c:{b.CAMPAIGN}")
    assert campaign.quota == 25 - sum(gone)
    assert (campaign.left, campaign.assisted_left, campaign.reserve_left) == (stay[0] + 3, stay[1] + 1, stay[2] + 1)
    assert await world.row("withdrawals") is None


async def test_who_books_in_a_withdrawn_slot_hears_so_and_in_one_that_keeps_some_books(world: World) -> None:
    await open_campaign(world, [b.slot("noon", 5), b.slot("evening", 5, hour=18)])
    await fold_all(world, [b.withdraw("noon"), b.withdraw("evening", keep=2)])
    assert await world.fold(b.reserve("anna", "noon")) == b.rejected(Reason.SLOT_WITHDRAWN)
    assert await world.fold(b.reserve("ben", "evening", 3)) == b.rejected(Reason.SLOT_FULL, 2)
    assert await world.fold(b.reserve("cleo", "evening", 2)) == b.confirmed()
    refusal = await world.fold(b.change_slot(b.reserve("cleo", "evening", 2), "noon"))
    assert refusal == refused(Reason.SLOT_WITHDRAWN, 0)


async def test_what_is_not_there_cannot_be_withdrawn(world: World) -> None:
    await open_campaign(world, {"noon": 5})
    await fold_all(world, b.definition(b.slots_of({"noon": 5}), campaign="draft")[:-1])
    assert await world.fold(b.withdraw("nowhere")) == refused(Reason.UNKNOWN_SLOT)
    for campaign in ("unknown", "draft"):
        assert await world.fold(b.withdraw("noon", campaign=campaign)) == refused(Reason.UNKNOWN_CAMPAIGN)


# -- who has some ------------------------------------------------------------------------------------------------------


async def test_who_came_last_loses_a_place_first(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    people = await people_in(world, 2, 1, 2, 3)
    facts = await world.fold(b.withdraw("noon", keep=4))
    assert facts == [cut(2, 0, 0, 4), withdrawn(people[3]), withdrawn(people[2]), DONE]
    assert [await state_of(world, each) for each in people] == [ReservationState.CONFIRMED] * 2 + [
        ReservationState.CANCELLED
    ] * 2
    # The last one to go had two where one had to go: the other one is free again.
    assert await shares(world) == [(4, 3), (0, 0), (0, 0)]
    campaign = await world.row(f"c:{b.CAMPAIGN}")
    assert (campaign.quota, campaign.left, campaign.cancelled, campaign.precedence) == (4, 1, 2, 2)
    assert await world.fold(b.reserve("anna", "noon")) == b.confirmed(4)


async def test_a_reservation_remembers_that_its_place_was_lost(world: World) -> None:
    await open_campaign(world, {"noon": 1})
    (anna,) = await people_in(world, 1)
    await world.fold(b.withdraw("noon"))
    row = await world.row(f"r:{anna.pass_no}")
    assert (row.state, row.reason) == (ReservationState.CANCELLED, Reason.SLOT_WITHDRAWN)
    (entry,) = row.history
    assert (entry.fact, entry.reason, entry.id, entry.at_ms) == (Fact.WITHDRAWN, row.reason, "", b.NOON_MS)
    await pair_terminal(world)
    assert await world.fold(b.pick_up(anna)) == refused(Reason.SLOT_WITHDRAWN)
    assert await world.fold(b.cancel(anna)) == refused(Reason.SLOT_WITHDRAWN)
    assert await world.fold(anna) == repeated([ReservationState.CANCELLED, Reason.SLOT_WITHDRAWN, 0])


async def test_who_was_cancelled_by_their_own_wish_does_not_hear_of_a_withdrawal(world: World) -> None:
    await open_campaign(world, {"noon": 1})
    (anna,) = await people_in(world, 1)
    await pair_terminal(world)
    await fold_all(world, [b.cancel(anna), b.withdraw("noon")])
    assert await world.fold(b.pick_up(anna)) == refused(Reason.CANCELLED)


async def test_what_was_picked_up_stays_and_counts_for_what_is_kept(world: World) -> None:
    await open_campaign(world, {"noon": 6})
    anna, ben, cleo = await people_in(world, 2, 2, 2)
    await pair_terminal(world)
    await fold_all(world, [b.pick_up(ben), b.pick_up(cleo)])
    assert await world.fold(b.withdraw("noon", keep=1)) == [cut(0, 0, 0, 2), withdrawn(anna), DONE]
    assert [await state_of(world, each) for each in (ben, cleo)] == [ReservationState.PICKED_UP] * 2
    assert await shares(world) == [(4, 4), (0, 0), (0, 0)]


async def test_a_place_is_lost_from_whichever_share_it_was(world: World) -> None:
    await open_campaign(world, {"noon": 10}, assisted_per_mille=300)
    await pair_terminal(world)
    await people_in(world, 2)
    at_desk = b.reserve("anna", "noon", 3, terminal=b.TERMINAL)
    await world.fold(at_desk)
    assert await world.fold(b.withdraw("noon", keep=3)) == [cut(5, 0, 0, 2), withdrawn(at_desk), DONE]
    assert await shares(world) == [(2, 2), (1, 0), (0, 0)]
    campaign = await world.row(f"c:{b.CAMPAIGN}")
    assert (campaign.left, campaign.assisted_left, campaign.quota) == (0, 1, 3)


async def test_who_loses_a_place_is_free_and_counts_no_more_in_the_household_and_need_not_wait(world: World) -> None:
    noon = b.slot("noon", 2, cool_until_ms=COOL_UNTIL_MS)
    await open_campaign(world, [noon, b.slot("evening", 9)], household_max=1, cool_down=True)
    await open_campaign(world, [b.slot("night", 9, hour=22)], campaign="second", cool_down=True)
    anna = b.reserve("anna", "noon", 2, phone="family")
    await world.fold(anna)
    await time_passes(world, 5 * b.HOUR_MS)  # the slot has begun: who cancels now would have to wait
    await world.fold(b.withdraw("noon"))
    assert await world.row(f"h:1:{anna.phone_pseudonym}") == 0
    assert await world.row(f"p:{b.REGION}:{anna.resident}") == PersonRow(no=1, precedence=1)
    assert await world.fold(b.reserve("anna", "night", campaign="second")) == b.confirmed(SHEET_LINES)


async def test_who_was_refused_too_often_may_try_again_after_a_lost_place(world: World) -> None:
    await open_campaign(world, {"noon": 1, "evening": 1})
    await people_in(world, 1)
    tries = [b.reserve("noon 0", "evening", key=f"again {n}") for n in range(20)]
    await fold_all(world, tries)
    assert await world.fold(b.reserve("noon 0", "evening", key="once more")) == refused(Reason.TOO_MANY_TRIES)
    await world.fold(b.withdraw("noon"))
    assert await world.fold(b.reserve("noon 0", "evening", key="now")) == b.confirmed(SHEET_LINES)


async def test_who_has_come_to_another_campaign_since_has_precedence_in_the_one_of_the_lost_place(world: World) -> None:
    await open_campaign(world, {"noon": 1})
    await open_campaign(world, {"noon": 1}, campaign="second")
    (anna,) = await people_in(world, 1)
    second = b.reserve("noon 0", "noon", campaign="second")
    await fold_all(world, [second, b.withdraw("noon")])
    assert await world.row(f"p:{b.REGION}:{anna.resident}") == PersonRow(no=2, live=second.pass_no, aside=1)
    assert await world.row(f"a:1:{anna.resident}") == PersonRow(no=1, precedence=1)


# -- who waits ---------------------------------------------------------------------------------------------------------


async def test_who_waits_for_a_withdrawn_slot_hears_so(world: World) -> None:
    noon = b.slot("noon", 2, hour=18, promote_until_ms=LATE_MS)
    await open_campaign(world, [noon], waiting_per_mille=1_000)
    (anna,) = await people_in(world, 2)
    ben = b.reserve("ben", "noon", 2)
    assert (await world.fold(ben))[0][0] == Fact.WAITLISTED
    facts = await world.fold(b.withdraw("noon"))
    ended = [Fact.WAITING_ENDED, ben.pass_no, b.CAMPAIGN, "noon", 2, Reason.SLOT_WITHDRAWN]
    assert facts == [cut(0, 0, 0, 2), ended, withdrawn(anna), DONE]
    row = await world.row(f"r:{ben.pass_no}")
    assert (row.state, row.reason) == (ReservationState.REJECTED, Reason.SLOT_WITHDRAWN)
    assert row.history[-1].reason == Reason.SLOT_WITHDRAWN
    assert (await world.row(f"p:{b.REGION}:{ben.resident}")).precedence == 0


async def test_who_waits_for_a_slot_that_is_withdrawn_and_had_nobody_in_it_hears_so(world: World) -> None:
    noon = b.slot("noon", 2, hour=18, promote_until_ms=LATE_MS)
    await open_campaign(world, [noon], waiting_per_mille=1_000)
    await pair_terminal(world)
    (anna,) = await people_in(world, 2)
    ben = b.reserve("ben", "noon", 2)
    world.now_ms = b.MIDNIGHT_MS + 18 * b.HOUR_MS
    await fold_all(world, [ben, b.tick(world.now_ms), b.pick_up(anna)])
    facts = await world.fold(b.withdraw("noon"))
    assert [fact[0] for fact in facts] == [Fact.SLOT_WITHDRAWN, Fact.WAITING_ENDED]


async def test_who_waits_for_a_slot_that_keeps_some_waits_on(world: World) -> None:
    noon = b.slot("noon", 4, hour=18, promote_until_ms=LATE_MS)
    await open_campaign(world, [noon], waiting_per_mille=1_000)
    anna, ben = await people_in(world, 1, 3)
    cleo = b.reserve("cleo", "noon", 2)
    await world.fold(cleo)
    await world.fold(b.withdraw("noon", keep=3))
    assert await state_of(world, ben) == ReservationState.CANCELLED, "one had to go, and the last one had three"
    assert await shares(world) == [(3, 1), (0, 0), (0, 0)]
    assert (await world.fold(b.tick(b.NOON_MS)))[1][:2] == [Fact.PROMOTED, cleo.pass_no]
    assert await state_of(world, anna) == ReservationState.CONFIRMED


# -- more after all ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", ["public", "assisted", "reserve"])
async def test_a_slot_that_gets_something_after_all_is_there_again(world: World, share: str) -> None:
    await open_campaign(world, {"noon": 5})
    await world.fold(b.withdraw("noon"))
    assert await world.fold(b.change_quota(+3, "noon", share=share)) == done(Fact.QUOTA_CHANGED, 3, 3, 3)
    assert (await world.row("s:1:noon")).withdrawn == 0
    expected = b.confirmed() if share == "public" else b.rejected(Reason.SOLD_OUT)
    assert await world.fold(b.reserve("anna", "noon")) == expected
    assert (await world.row(f"c:{b.CAMPAIGN}")).quota == 3


@pytest.mark.parametrize(("more", "kept"), [(1, 1), (3, 3), (SHEET_LINES - 1, 15), (SHEET_LINES + 2, SHEET_LINES)])
async def test_what_comes_while_people_are_dealt_with_leaves_as_many_their_places(
    world: World, more: int, kept: int
) -> None:
    await open_campaign(world, {"noon": MANY})
    people = await people_in(world, *(1,) * MANY)
    await world.fold(b.withdraw("noon"))
    facts = await world.fold(b.change_quota(+more, "noon"))
    left = more - kept
    assert facts[0] == [Fact.QUOTA_CHANGED, SHEET_LINES + left, left, more, kept]
    assert facts[-1] == DONE
    states = [await state_of(world, each) for each in people]
    assert states.count(ReservationState.CONFIRMED) == kept
    assert states[:kept] == [ReservationState.CONFIRMED] * kept
    assert await shares(world) == [(kept + left, kept), (0, 0), (0, 0)]
    assert (await world.row(f"c:{b.CAMPAIGN}")).quota == kept + left


async def test_a_change_of_nothing_leaves_nobody_a_place(world: World) -> None:
    await open_campaign(world, {"noon": MANY})
    await people_in(world, *(1,) * MANY)
    await world.fold(b.withdraw("noon"))
    facts = await world.fold(b.change_quota(0, "noon"))
    assert (facts[0], facts[-1]) == ([Fact.QUOTA_CHANGED, SHEET_LINES, 0, 0], DONE)
    assert await shares(world) == [(0, 0)] * 3


async def test_a_withdrawal_sent_again_is_answered_again_and_does_nothing(world: World) -> None:
    await open_campaign(world, {"noon": 2})
    await people_in(world, 1)
    wish = b.withdraw("noon", keep=1)
    await world.fold(wish)
    await world.fold(b.change_quota(+4, "noon"))
    assert await world.fold(wish) == repeated(cut(1, 0, 0, 0))
    assert await shares(world) == [(5, 1), (0, 0), (0, 0)]


async def test_a_no_show_of_a_withdrawn_slot_frees_nothing(world: World) -> None:
    await open_campaign(world, {"noon": 2})
    anna, _ = await people_in(world, 1, 1)
    await pair_terminal(world)
    await fold_all(world, [b.pick_up(anna), b.withdraw("noon"), b.undo(anna)])
    await time_passes(world, 2 * b.DAY_MS)
    facts = await world.fold(b.expire(0))
    assert [Fact.EXPIRED, anna.pass_no, b.CAMPAIGN, "noon", 1] in facts
    assert await shares(world) == [(0, 0)] * 3
