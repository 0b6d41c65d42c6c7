"""Sent again: every command has an id, and a repeat changes nothing, however late it comes."""

import pytest

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import ReservationState
from services.domain.rules.answers import Fact, refused, repeated
from tests import builders as b
from tests.contract.worlds import (
    World,
    fold_all,
    open_campaign,
    pair_terminal,
    time_passes,
    without_bookkeeping,
)


async def test_the_same_booking_again_gets_the_first_answer(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    booking = b.reserve("anna", units=2)
    assert await world.fold(booking) == b.confirmed()
    assert await world.fold(booking) == repeated([ReservationState.CONFIRMED, 0, 0])
    assert (await world.row("s:1:noon")).taken == 2


async def test_a_refused_booking_again_is_refused_with_the_same_reason(world: World) -> None:
    await open_campaign(world, {"noon": 2, "evening": 1})
    booking = b.reserve("anna", "noon", units=3)
    await world.fold(booking)
    await world.fold(b.change_quota(+10, "noon"))
    assert await world.fold(booking) == repeated([ReservationState.REJECTED, Reason.SLOT_FULL, 2])


async def test_a_booking_sent_again_after_it_was_cancelled_is_not_booked_again(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    booking = b.reserve("anna")
    await fold_all(world, [booking, b.cancel(booking)])
    assert await world.fold(booking) == repeated([ReservationState.CANCELLED, 0, 0])
    assert (await world.row("s:1:noon")).taken == 0


async def test_the_same_key_with_another_body_is_found_out(world: World) -> None:
    await open_campaign(world, {"noon": 10, "evening": 10})
    await world.fold(b.reserve("anna", "noon", units=1, key="1"))
    assert await world.fold(b.reserve("anna", "noon", units=2, key="1")) == refused(Reason.IDEMPOTENCY_KEY_REUSED)
    assert await world.fold(b.reserve("anna", "evening", key="1")) == refused(Reason.IDEMPOTENCY_KEY_REUSED)
    assert (await world.row("s:1:noon")).taken == 1


async def test_a_repeat_is_no_try(world: World) -> None:
    await open_campaign(world, {"noon": 10}, units_max=1)
    refusal = b.reserve("anna", units=2, key="refused")
    await fold_all(world, [refusal] * 25)
    assert await world.fold(b.reserve("anna", key="right")) == b.confirmed()


async def test_fifty_units_sent_twice_are_fifty_units(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    more = b.change_quota(+50)
    assert await world.fold(more) == [[Fact.QUOTA_CHANGED, 60, 60, 50]]
    assert await world.fold(more) == repeated([Fact.QUOTA_CHANGED, 60, 60, 50])
    assert (await world.row("s:1:noon")).quota == 60
    assert await world.fold(b.change_quota(+50, key="2")) == [[Fact.QUOTA_CHANGED, 110, 110, 50]]


async def test_a_cancel_sent_again_gets_its_first_answer_and_frees_nothing(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    first, second = b.reserve("anna", key="1"), b.reserve("anna", key="2")
    await fold_all(world, [first, b.cancel(first), second])
    assert await world.fold(b.cancel(first)) == repeated([Fact.CANCELLED, 0])
    assert (await world.row("s:1:noon")).taken == 1
    assert (await world.row(f"p:{b.REGION}:{second.resident}")).live == second.pass_no


async def test_a_refused_pick_up_sent_again_is_refused_although_it_would_be_right_by_now(world: World) -> None:
    await open_campaign(world, [b.slot("tomorrow", day=b.TODAY + 1, day_from_ms=b.MIDNIGHT_MS + b.DAY_MS)])
    await pair_terminal(world)
    booking = b.reserve("anna", "tomorrow")
    await fold_all(world, [booking, b.pick_up(booking)])
    await time_passes(world, b.DAY_MS)
    assert await world.fold(b.pick_up(booking)) == repeated([Fact.REFUSED, Reason.WRONG_TIME])
    assert await world.fold(b.pick_up(booking, key="2")) == [[Fact.PICKED_UP, b.CAMPAIGN, "tomorrow", 1]]


async def test_what_was_asked_of_nothing_is_not_remembered_and_is_decided_when_it_comes_again(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    booking = b.reserve("anna")
    assert await world.fold(b.cancel(booking)) == refused(Reason.UNKNOWN_RESERVATION)
    await world.fold(booking)
    assert (await world.fold(b.cancel(booking)))[0][0] == Fact.CANCELLED


def a_day_in_the_life() -> list[c.Command]:
    """Each kind of command, most of them more than once, accepted and refused."""
    anna, ben, cleo = b.reserve("anna", units=2), b.reserve("ben", units=2), b.reserve("cleo", "evening")
    return [
        b.assign_region(b.REGION, b.CAMPAIGN),
        *b.definition(b.slots_of({"noon": 4, "evening": 2})),
        b.reserve("dan"),  # too early
        b.open_(by_clock=True),
        *(anna, ben, b.reserve("eve"), cleo, b.reserve("anna", "evening", key="2")),
        b.invite(), b.pair(), b.invite("other", pharmacy="pharmacy-2"), b.pair("other"),
        b.pick_up(anna, terminal="other"), b.pick_up(anna), b.undo(anna), b.pick_up(anna, key="2"), b.cancel(anna),
        b.cancel(ben), b.cancel(ben, key="2"), b.pick_up(ben), b.cancel(cleo, terminal=b.TERMINAL),
        b.reserve("ben", "evening", key="2"),
        b.change_quota(+5), b.change_quota(-500, key="2"), b.change_quota(-1, "evening", terminal=b.TERMINAL),
        b.pause(), b.resume(), b.close(), b.open_(by_clock=True, key="2"), b.revoke("other"),
    ]  # fmt: skip


async def test_no_command_changes_anything_when_it_comes_again_at_the_end(world: World) -> None:
    commands = a_day_in_the_life()
    await fold_all(world, commands)
    before = without_bookkeeping(await world.rows())
    await time_passes(world, 3 * b.DAY_MS)
    for command in commands:
        (answer,) = await world.fold(command)
        assert answer[0] in {Fact.REPEATED, Fact.REFUSED}, command
    assert without_bookkeeping(await world.rows()) == before


@pytest.mark.parametrize("later", [1, 2, 7])
async def test_no_command_changes_anything_when_it_comes_again_along_the_way(world: World, later: int) -> None:
    commands = a_day_in_the_life()
    answers = []
    for at, command in enumerate(commands):
        answers.append(await world.fold(command))
        if at >= later:
            before = without_bookkeeping(await world.rows())
            await world.fold(commands[at - later])
            assert without_bookkeeping(await world.rows()) == before, commands[at - later]
    again = [facts[0][0] for facts in answers]
    assert Fact.REPEATED not in again, "the first time is never a repeat"
