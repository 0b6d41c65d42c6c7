"""How often one may try on one reservation: nobody uses up what others need, and a refusal for it stays one."""

import pytest

from services.domain import commands as c
from services.domain.limits import MAX_ACTIONS, MAX_REFUSED_ACTIONS
from services.domain.reasons import Reason
from services.domain.rows import ReservationState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes, without_bookkeeping

ELSEWHERE = refused(Reason.OTHER_PHARMACY, b.PHARMACY)
TOO_MANY = refused(Reason.TOO_MANY_TRIES)


@pytest.fixture
async def booking(world: World) -> c.Reserve:
    """A reservation, a terminal where it is picked up, and one of another pharmacy."""
    await open_campaign(world, {"noon": 10, "evening": 10})
    await pair_terminal(world)
    await pair_terminal(world, "elsewhere", pharmacy="pharmacy-2")
    booking = b.reserve("anna")
    await world.fold(booking)
    return booking


def tries(booking: c.Reserve, terminal: str = "elsewhere", count: int = MAX_REFUSED_ACTIONS) -> list[c.PickUp]:
    return [b.pick_up(booking, terminal=terminal, key=f"try {n}") for n in range(count)]


async def remembered(world: World, booking: c.Reserve) -> int:
    return len((await world.row(f"r:{booking.pass_no}")).history)


async def test_a_terminal_is_refused_ten_times_and_then_not_looked_at(world: World, booking: c.Reserve) -> None:
    assert (MAX_REFUSED_ACTIONS, MAX_ACTIONS) == (10, 40)
    *ten, eleventh = tries(booking, count=11)
    assert await fold_all(world, ten) == [ELSEWHERE] * 10
    assert await world.fold(eleventh) == TOO_MANY
    assert await world.fold(b.cancel(booking, terminal="elsewhere")) == TOO_MANY  # whatever it asks
    assert await world.fold(ten[0]) == repeated([Fact.REFUSED, Reason.OTHER_PHARMACY])
    assert await world.fold(ten[-1]) == repeated([Fact.REFUSED, Reason.OTHER_PHARMACY])
    assert await remembered(world, booking) == 10


async def test_the_eleventh_is_refused_the_same_way_however_late_it_comes_again(
    world: World, booking: c.Reserve
) -> None:
    *_, eleventh = commands = tries(booking, count=11)
    await fold_all(world, commands)
    before = without_bookkeeping(await world.rows())
    assert await world.fold(eleventh) == TOO_MANY
    await time_passes(world, b.HOUR_MS)
    assert await world.fold(eleventh) == TOO_MANY
    assert without_bookkeeping(await world.rows()) == before


async def test_the_eleventh_stays_refused_after_others_were_let_through(world: World, booking: c.Reserve) -> None:
    *_, eleventh = commands = tries(booking, count=11)
    await fold_all(world, [*commands, b.cancel(booking)])
    assert await world.fold(eleventh) == TOO_MANY


async def test_another_terminal_gets_through_after_one_was_refused_ten_times(world: World, booking: c.Reserve) -> None:
    await fold_all(world, tries(booking))
    assert await world.fold(b.pick_up(booking)) == done(Fact.PICKED_UP, b.CAMPAIGN, "noon", 1)
    assert (await world.fold(b.undo(booking)))[0][0] == Fact.PICK_UP_UNDONE
    assert await world.fold(b.cancel(booking, terminal=b.TERMINAL)) == done(Fact.CANCELLED, b.CAMPAIGN, "noon", 1)


async def test_the_owner_gets_through_after_a_terminal_was_refused_ten_times(world: World, booking: c.Reserve) -> None:
    await fold_all(world, tries(booking))
    assert await world.fold(b.cancel(booking)) == done(Fact.CANCELLED, b.CAMPAIGN, "noon", 1)
    assert (await world.row(f"r:{booking.pass_no}")).state == ReservationState.CANCELLED


async def test_a_terminal_gets_through_after_the_owner_was_refused_ten_times(world: World, booking: c.Reserve) -> None:
    *ten, eleventh = [b.change_slot(booking, "nowhere", key=str(n)) for n in range(11)]
    assert await fold_all(world, ten) == [refused(Reason.UNKNOWN_SLOT)] * 10
    assert await world.fold(eleventh) == TOO_MANY
    assert await world.fold(b.cancel(booking)) == TOO_MANY
    assert (await world.fold(b.pick_up(booking)))[0][0] == Fact.PICKED_UP


async def test_only_refusals_are_counted_against_a_terminal(world: World, booking: c.Reserve) -> None:
    for n in range(8):  # sixteen slips of the hand, and what puts them right
        answers = await fold_all(world, [b.pick_up(booking, key=str(n)), b.undo(booking, key=str(n))])
        assert [facts[0][0] for facts in answers] == [Fact.PICKED_UP, Fact.PICK_UP_UNDONE]
    undone = [b.undo(booking, key=f"refused {n}") for n in range(11)]
    assert await fold_all(world, undone) == [refused(Reason.NOT_PICKED_UP)] * 10 + [TOO_MANY]


async def test_forty_actions_are_remembered_on_one_reservation_and_no_more(world: World, booking: c.Reserve) -> None:
    tills = [f"till-{n}" for n in range(4)]
    for till in tills:
        await pair_terminal(world, till, pharmacy="pharmacy-2")
    *most, last = [command for till in tills for command in tries(booking, till)]
    assert await fold_all(world, most) == [ELSEWHERE] * 39
    assert await world.fold(last) == ELSEWHERE
    for beyond in (b.pick_up(booking), b.cancel(booking)):
        assert await fold_all(world, [beyond, beyond]) == [TOO_MANY, TOO_MANY]
    assert await world.fold(most[0]) == repeated([Fact.REFUSED, Reason.OTHER_PHARMACY])
    assert await remembered(world, booking) == 40
