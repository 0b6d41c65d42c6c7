"""People of a slot that gets less than was promised move to another one, which keeps units for them."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.limits import SHEET_LINES
from services.domain.reasons import Reason
from services.domain.rows import ReservationState, Share
from services.domain.rules.answers import Fact, refused
from tests import builders as b
from tests.contract.withdrawing import DONE, MANY, people_in
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

LATE_MS = b.MIDNIGHT_MS + 30 * b.HOUR_MS
COOL_UNTIL_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
MORE = SHEET_LINES + MANY


def moved(booking: c.Reserve, ordinal: int, to: str = "evening") -> list[object]:
    return [Fact.MOVED, booking.pass_no, b.CAMPAIGN, booking.slot, to, booking.units, ordinal]


async def a_city(world: World, noon: int, evening: int, **options: Any) -> None:
    """A slot this afternoon, one in the evening and one tomorrow."""
    tomorrow: dict[str, Any] = {"day": b.TODAY + 1, "day_from_ms": b.MIDNIGHT_MS + b.DAY_MS}
    slots = [
        b.slot("noon", noon, hour=16), b.slot("evening", evening, hour=18, promote_until_ms=LATE_MS),
        b.slot("tomorrow", 50, **tomorrow),
    ]  # fmt: skip
    await open_campaign(world, slots, **options)


async def public(world: World, slot: str) -> tuple[int, int, int]:
    """Quota, taken, and what of it is kept for those on their way."""
    row = await world.row(f"s:1:{slot}")
    return row.quota, row.taken, row.moving_in


async def test_who_moves_has_a_place_in_the_other_slot_and_loses_nothing(world: World) -> None:
    await a_city(world, 5, 9)
    anna, ben = await people_in(world, 2, 3)
    facts = await world.fold(b.move("noon", "evening"))
    assert facts == [
        [Fact.SLOT_WITHDRAWN, 0, 0, 0, 5, "evening"], moved(ben, SHEET_LINES), moved(anna, SHEET_LINES + 1), DONE,
    ]  # fmt: skip
    assert (await public(world, "noon"), await public(world, "evening")) == ((0, 0, 0), (9, 5, 0))
    row = await world.row(f"r:{ben.pass_no}")
    assert (row.state, row.slot, row.ordinal) == (ReservationState.CONFIRMED, "evening", SHEET_LINES)
    assert [(entry.fact, entry.id) for entry in row.history] == [(Fact.MOVED, "")]
    assert (await world.row(f"p:{b.REGION}:{ben.resident}")).live == ben.pass_no
    campaign = await world.row(f"c:{b.CAMPAIGN}")
    assert (campaign.quota, campaign.left, campaign.precedence, campaign.cancelled) == (59, 54, 0, 0)
    assert await world.fold(b.reserve("cleo", "noon")) == b.rejected(Reason.SLOT_WITHDRAWN)


async def test_only_as_many_move_as_the_slot_cannot_keep(world: World) -> None:
    await a_city(world, 6, 9)
    anna, ben = await people_in(world, 2, 3)
    facts = await world.fold(b.move("noon", "evening", keep=2))
    assert facts == [[Fact.SLOT_WITHDRAWN, 1, 0, 0, 3, "evening"], moved(ben, SHEET_LINES), DONE]
    assert (await world.row(f"r:{anna.pass_no}")).slot == "noon"
    assert (await public(world, "noon"), await public(world, "evening")) == ((2, 2, 0), (9, 3, 0))


async def test_where_nobody_has_to_move_it_is_only_cut(world: World) -> None:
    await a_city(world, 12, 1, assisted_per_mille=200, reserve_per_mille=100)
    await people_in(world, 2)
    assert await world.fold(b.move("noon", "evening", keep=2)) == [[Fact.SLOT_WITHDRAWN, 7, 2, 1, 0, "evening"]]
    assert (await public(world, "noon"), await public(world, "evening")) == ((2, 2, 0), (1, 0, 0))
    assert await world.row("withdrawals") is None


async def test_what_was_had_from_a_desks_share_is_public_in_the_other_slot(world: World) -> None:
    await a_city(world, 4, 8, assisted_per_mille=500)
    await pair_terminal(world)
    anna = b.reserve("anna", "noon", 2, terminal=b.TERMINAL)
    await fold_all(world, [anna, b.move("noon", "evening")])
    assert (await world.row(f"r:{anna.pass_no}")).share == Share.PUBLIC
    assert await public(world, "evening") == (4, 2, 0)
    noon = await world.row("s:1:noon")
    assert (noon.assisted_quota, noon.assisted_taken) == (0, 0)


async def test_who_moves_waits_as_long_as_those_of_the_other_slot(world: World) -> None:
    slots = {"noon": COOL_UNTIL_MS, "evening": COOL_UNTIL_MS + 1}
    until = [b.slot(name, 1, cool_until_ms=until_ms) for name, until_ms in slots.items()]
    await open_campaign(world, until, cool_down=True)
    (anna,) = await people_in(world, 1)
    await world.fold(b.move("noon", "evening"))
    person = await world.row(f"p:{b.REGION}:{anna.resident}")
    assert (person.cool_until_ms, person.cool_pass_no) == (COOL_UNTIL_MS + 1, anna.pass_no)


# -- what is kept for them ---------------------------------------------------------------------------------------------


async def test_what_is_kept_for_people_on_their_way_nobody_else_gets(world: World) -> None:
    await a_city(world, MANY, MANY + 2, waiting_per_mille=1_000)
    people = await people_in(world, *(1,) * MANY)
    await world.fold(b.move("noon", "evening"))
    assert await public(world, "evening") == (MANY + 2, MANY, SHEET_LINES)
    facts = await world.fold(b.reserve("anna", "evening", 3))
    assert facts[0] == [Fact.WAITLISTED, 0], "two are left"
    assert facts[-1] == DONE
    rows = [await world.row(f"r:{each.pass_no}") for each in people]
    assert [(row.state, row.slot) for row in rows] == [(ReservationState.CONFIRMED, "evening")] * MANY
    assert await public(world, "evening") == (MANY + 2, MANY, 0)


async def test_what_is_left_beside_that_everybody_may_book(world: World) -> None:
    await a_city(world, MANY, MANY + 2)
    await people_in(world, *(1,) * MANY)
    await world.fold(b.move("noon", "evening"))
    assert (await world.fold(b.reserve("anna", "evening", 3)))[0] == [Fact.REJECTED, Reason.SLOT_FULL, 2]
    await world.fold(b.reserve("ben", "evening", 2))
    assert await public(world, "evening") == (MANY + 2, MANY + 2, 0)


async def test_what_was_kept_and_not_needed_goes_to_those_who_wait(world: World) -> None:
    await a_city(world, MORE, MORE, waiting_per_mille=1_000)
    people = await people_in(world, *(1,) * MORE)
    ben = b.reserve("ben", "evening")
    decisions = await fold_all(world, [b.move("noon", "evening"), ben, b.cancel(people[0])])
    assert decisions[1][0] == [Fact.WAITLISTED, 0]
    assert decisions[2][-1] == DONE
    assert (await world.fold(b.tick(b.NOON_MS)))[1][:2] == [Fact.PROMOTED, ben.pass_no]
    assert await public(world, "evening") == (MORE, MORE, 0)


async def test_units_kept_for_somebody_who_gave_theirs_back_are_for_everybody_again(world: World) -> None:
    await a_city(world, MANY, MANY, waiting_per_mille=1_000)
    people = await people_in(world, *(1,) * MANY)
    await fold_all(world, [b.move("noon", "evening"), b.cancel(people[0])])
    assert await public(world, "evening") == (MANY, MANY - 1, 0)
    assert (await world.row(f"c:{b.CAMPAIGN}")).left == 51
    assert await world.fold(b.reserve("ben", "evening")) == b.confirmed(SHEET_LINES * 3 + 3)


@pytest.mark.parametrize(("units", "has_room"), [(4, False), (5, True)])
async def test_the_last_one_moves_with_more_than_had_to_go_only_where_the_slot_has_more(
    world: World, units: int, has_room: bool
) -> None:
    await a_city(world, 10, units)
    _, ben = await people_in(world, 5, 5)
    facts = await world.fold(b.move("noon", "evening", keep=8))
    lost = [Fact.WITHDRAWN, ben.pass_no, b.CAMPAIGN, "noon", 5]
    assert facts[1] == (moved(ben, SHEET_LINES) if has_room else lost)
    assert await public(world, "evening") == (units, 5 if has_room else 0, 0)
    assert await public(world, "noon") == (8, 5, 0), "the three that did not have to go are free"


async def test_the_last_one_does_not_move_past_those_who_wait(world: World) -> None:
    await a_city(world, 2 * SHEET_LINES + 4, 2 * SHEET_LINES + 4, waiting_per_mille=1_000)
    (first, *_) = await people_in(world, 5, *(1,) * (2 * SHEET_LINES - 1))
    await world.fold(b.move("noon", "evening", keep=2))
    waits = b.reserve("ben", "evening", 3)
    facts = await world.fold(waits)
    assert facts[0] == [Fact.WAITLISTED, 0], "two are left"
    assert facts[-2:] == [[Fact.WITHDRAWN, first.pass_no, b.CAMPAIGN, "noon", 5], DONE]


async def test_who_was_to_move_to_a_slot_that_is_over_loses_the_place_and_has_precedence(world: World) -> None:
    await a_city(world, MORE, MORE)
    people = await people_in(world, *(1,) * MORE)
    await world.fold(b.move("noon", "evening"))
    await time_passes(world, 8 * b.HOUR_MS)  # a tick is believed from the next record on
    await world.fold(b.tick(world.now_ms))
    rows = [await world.row(f"r:{each.pass_no}") for each in people]
    assert [row.slot for row in rows] == ["noon"] * SHEET_LINES + ["evening"] * MANY
    assert {row.reason for row in rows[:SHEET_LINES]} == {Reason.SLOT_WITHDRAWN}
    assert await public(world, "evening") == (MORE, MANY, 0)
    assert (await world.row(f"c:{b.CAMPAIGN}")).precedence == SHEET_LINES


# -- refused at once ---------------------------------------------------------------------------------------------------


async def test_nobody_moves_where_not_all_have_room(world: World) -> None:
    await a_city(world, 5, 4)
    people = await people_in(world, 2, 3)
    before = [await world.row(f"s:1:{slot}") for slot in ("noon", "evening")]
    assert await world.fold(b.move("noon", "evening")) == refused(Reason.SLOT_FULL, 4)
    assert [await world.row(f"s:1:{slot}") for slot in ("noon", "evening")] == before
    assert (await world.row(f"r:{people[0].pass_no}")).slot == "noon"


async def test_nobody_moves_past_those_who_wait(world: World) -> None:
    await a_city(world, 1, 3, waiting_per_mille=1_000)
    await people_in(world, 1)
    await people_in(world, 2, slot="evening")
    await world.fold(b.reserve("ben", "evening", 2))
    assert await world.fold(b.move("noon", "evening")) == refused(Reason.SLOT_FULL, 0)


@pytest.mark.parametrize(
    ("slot", "to", "reason"),
    [
        ("noon", "nowhere", Reason.UNKNOWN_SLOT),
        ("nowhere", "evening", Reason.UNKNOWN_SLOT),
        ("noon", "noon", Reason.SAME_SLOT),
    ],
)
async def test_nobody_moves_between_slots_that_are_not_two(world: World, slot: str, to: str, reason: Reason) -> None:
    await a_city(world, 5, 9)
    assert await world.fold(b.move(slot, to)) == refused(reason)
    assert await world.fold(b.move(slot, to, campaign="unknown")) == refused(Reason.UNKNOWN_CAMPAIGN)


async def test_nobody_moves_to_a_slot_that_was_withdrawn_or_is_over(world: World) -> None:
    await a_city(world, 5, 9)
    await people_in(world, 1)
    await world.fold(b.withdraw("evening"))
    assert await world.fold(b.move("noon", "evening")) == refused(Reason.SLOT_WITHDRAWN, 0)
    await time_passes(world, 8 * b.HOUR_MS)
    assert await world.fold(b.move("noon", "evening", key="2")) == refused(Reason.SLOT_OVER, 0)


async def test_a_slot_that_people_are_on_their_way_to_is_not_withdrawn_under_their_feet(world: World) -> None:
    await a_city(world, 3 * MANY, 3 * MANY)
    await people_in(world, *(1,) * 3 * MANY)
    await world.fold(b.move("noon", "evening"))
    for wish in (b.withdraw("evening"), b.move("evening", "tomorrow"), b.move("noon", "tomorrow")):
        assert (await world.fold(wish))[0] == [Fact.REFUSED, Reason.WITHDRAWAL_UNDER_WAY]
    await world.fold(b.tick(b.NOON_MS))
    assert (await world.fold(b.withdraw("evening", key="2")))[0] == [Fact.SLOT_WITHDRAWN, 0, 0, 0, 3 * MANY]


async def test_nor_while_the_last_one_is_on_the_way(world: World) -> None:
    await a_city(world, SHEET_LINES + 1, 9)
    await people_in(world, *(1,) * (SHEET_LINES + 1))
    await world.fold(b.move("noon", "evening", keep=SHEET_LINES - 1))
    assert await public(world, "evening") == (9, 2, 1)
    assert (await world.fold(b.withdraw("evening")))[0] == [Fact.REFUSED, Reason.WITHDRAWAL_UNDER_WAY]


async def test_what_the_last_one_to_move_leaves_beyond_what_had_to_go_is_for_who_waits_there(world: World) -> None:
    noon = b.slot("noon", 4, hour=16, promote_until_ms=b.MIDNIGHT_MS + 15 * b.HOUR_MS)
    await open_campaign(world, [noon, b.slot("evening", 9, hour=18)], waiting_per_mille=1_000)
    _, ben = await people_in(world, 1, 3)
    cleo = b.reserve("cleo", "noon", 2)
    await world.fold(cleo)
    await world.fold(b.move("noon", "evening", keep=3))
    assert (await world.row(f"r:{ben.pass_no}")).slot == "evening"
    assert (await world.fold(b.tick(b.NOON_MS)))[1][:2] == [Fact.PROMOTED, cleo.pass_no]


async def test_two_slots_may_move_to_the_same_one_at_a_time(world: World) -> None:
    await a_city(world, MANY, 2)
    people = await people_in(world, *(1,) * MANY)
    (anna,) = await people_in(world, 2, slot="evening")
    assert (await world.fold(b.move("noon", "tomorrow")))[0] == [Fact.SLOT_WITHDRAWN, 0, 0, 0, MANY, "tomorrow"]
    assert (await world.fold(b.move("evening", "tomorrow")))[-1] == DONE
    assert await public(world, "tomorrow") == (50, MANY + 2, 2)
    await world.fold(b.tick(b.NOON_MS))
    assert await public(world, "tomorrow") == (50, MANY + 2, 0)
    assert {(await world.row(f"r:{each.pass_no}")).slot for each in (*people, anna)} == {"tomorrow"}
