"""The waiting room: rounds, the count that is frozen, numbers for latecomers, who may come in, and what a ticket lets
in. Who waits is not in the fold."""

from typing import Any

import pytest

from services.domain import commands as c
from services.domain.places import commitment_of
from services.domain.reasons import Reason
from services.domain.rows import RoomRow, Valve
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests import room_builders as rooms
from tests.contract.worlds import World, fold_all, open_campaign

NO_ROOM = refused(Reason.NO_WAITING_ROOM)
UNKNOWN = refused(Reason.UNKNOWN_CAMPAIGN)
SEED = rooms.hex256("seed")


@pytest.fixture
async def scheduled(world: World) -> World:
    """A campaign with a waiting room that has not opened yet."""
    await fold_all(world, [*b.definition([b.slot()]), rooms.set_valve("automatic")])
    return world


@pytest.fixture
async def early(scheduled: World) -> World:
    """People come before the opening."""
    await scheduled.fold(rooms.prepare_room())
    return scheduled


@pytest.fixture
async def waiting(early: World) -> World:
    """Ten were there before the opening, and have places."""
    await fold_all(early, [b.open_(), rooms.freeze_room(10)])
    return early


async def room(world: World) -> RoomRow:
    row: RoomRow = await world.row("q:1")
    return row


# -- the valve ---------------------------------------------------------------------------------------------------------


async def test_a_campaign_has_no_waiting_room_until_somebody_turns_the_valve(world: World) -> None:
    await fold_all(world, b.definition([b.slot()]))
    assert await world.fold(rooms.prepare_room()) == NO_ROOM
    assert await world.row("q:1") is None


async def test_the_valve_says_what_it_is_set_to(scheduled: World) -> None:
    turned = rooms.set_valve("on", outflow_per_s=20, factor_per_mille=2_000)
    assert await scheduled.fold(turned) == done(Fact.VALVE_SET, 0, 0)
    assert await room(scheduled) == RoomRow(valve=int(Valve.ON), outflow_per_s=20, factor_per_mille=2_000)
    assert await scheduled.fold(turned) == repeated([Fact.VALVE_SET, 0, 0])


async def test_what_the_valve_does_not_say_is_as_ever(scheduled: World) -> None:
    await scheduled.fold(c.SetValve(id=b.digest("plain"), campaign=b.CAMPAIGN, valve="automatic"))
    assert await room(scheduled) == RoomRow(valve=int(Valve.AUTOMATIC), outflow_per_s=0, factor_per_mille=1_500)


async def test_a_campaign_that_is_not_sealed_has_no_valve(world: World) -> None:
    await world.fold(b.define(1))
    assert await fold_all(world, [rooms.set_valve(), rooms.prepare_room()]) == [UNKNOWN, UNKNOWN]


async def test_turned_on_in_a_rush_it_begins_at_once_and_nobody_was_there_before(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    assert await world.fold(rooms.set_valve("on")) == done(Fact.VALVE_SET, 1, 1)
    found = await room(world)
    assert (found.round, found.active, found.frozen, found.early) == (1, 1, 1, 0)


async def test_turned_on_where_people_wait_it_changes_no_place(waiting: World) -> None:
    await fold_all(waiting, [rooms.lease_numbers(5), rooms.admit(3)])
    assert await waiting.fold(rooms.set_valve("on", key="2")) == done(Fact.VALVE_SET, 1, 1)
    found = await room(waiting)
    assert (found.early, found.late, found.serving) == (10, 5, 3)


async def test_automatic_it_waits_for_the_clock(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    assert await world.fold(rooms.set_valve("automatic")) == done(Fact.VALVE_SET, 0, 0)


async def test_turned_off_nobody_needs_a_ticket(waiting: World) -> None:
    assert await waiting.fold(rooms.set_valve("off")) == done(Fact.VALVE_SET, 1, 0)
    assert await fold_all(waiting, [rooms.admit(1), rooms.prepare_room(key="2")]) == [NO_ROOM, NO_ROOM]


# -- a round -----------------------------------------------------------------------------------------------------------


async def test_a_round_begins_with_the_commitment_to_its_seed(scheduled: World) -> None:
    assert await scheduled.fold(rooms.prepare_room()) == done(Fact.ROOM_PREPARED, 1)
    found = await room(scheduled)
    assert (found.round, found.active, found.frozen, found.seed) == (1, 1, 0, "")
    assert found.commitment == commitment_of(SEED)


async def test_the_next_opening_has_a_round_of_its_own(waiting: World) -> None:
    await fold_all(waiting, [rooms.lease_numbers(5), rooms.admit(4), b.close()])
    assert await waiting.fold(rooms.prepare_room(seed="other", key="2")) == done(Fact.ROOM_PREPARED, 2)
    found = await room(waiting)
    assert (found.early, found.late, found.serving, found.frozen, found.seed) == (0, 0, 0, 0, "")
    assert found.commitment == commitment_of(rooms.hex256("other"))
    assert await waiting.fold(rooms.admit(4)) == NO_ROOM


@pytest.mark.parametrize("paused", [False, True])
async def test_while_people_wait_in_an_open_campaign_no_round_begins(waiting: World, paused: bool) -> None:
    phase = 3 if paused else 2
    if paused:
        await waiting.fold(b.pause())
    assert await waiting.fold(rooms.prepare_room(key="2")) == refused(Reason.WRONG_PHASE, phase)
    assert (await room(waiting)).round == 1


async def test_a_round_in_mid_campaign_has_nobody_before_it_and_no_seed(waiting: World) -> None:
    await waiting.fold(rooms.close_room())
    assert await waiting.fold(rooms.prepare_room(key="2")) == done(Fact.ROOM_PREPARED, 2)
    found = await room(waiting)
    assert (found.active, found.frozen, found.commitment) == (1, 1, "")


# -- who was there before the opening ----------------------------------------------------------------------------------


async def test_the_count_only_grows(early: World) -> None:
    told = [rooms.count_room(5), rooms.count_room(3), rooms.count_room(8)]
    assert await fold_all(early, told) == [done(Fact.ROOM_COUNTED, people) for people in (5, 5, 8)]


async def test_the_count_stands_once_it_is_frozen(early: World) -> None:
    await fold_all(early, [rooms.count_room(5), b.open_()])
    assert await early.fold(rooms.freeze_room(4)) == done(Fact.ROOM_FROZEN, 5)
    found = await room(early)
    assert (found.early, found.frozen, found.seed) == (5, 1, SEED)
    assert await fold_all(early, [rooms.count_room(9), rooms.freeze_room(9, key="2")]) == [NO_ROOM, NO_ROOM]
    assert (await room(early)).early == 5


async def test_the_last_count_may_be_the_highest(early: World) -> None:
    await fold_all(early, [rooms.count_room(5), b.open_()])
    assert await early.fold(rooms.freeze_room(7)) == done(Fact.ROOM_FROZEN, 7)


async def test_nobody_has_a_place_before_the_opening(early: World) -> None:
    assert await early.fold(rooms.freeze_room(10)) == refused(Reason.WRONG_PHASE, 1)
    assert await early.fold(rooms.admit(1)) == NO_ROOM
    assert (await room(early)).seed == ""


# -- who comes after it ------------------------------------------------------------------------------------------------


async def test_numbers_are_given_out_in_the_order_of_the_log(waiting: World) -> None:
    told = [rooms.lease_numbers(100), rooms.lease_numbers(50), rooms.lease_numbers(100)]
    firsts = [
        done(Fact.NUMBERS_LEASED, 0, 100),
        done(Fact.NUMBERS_LEASED, 100, 50),
        done(Fact.NUMBERS_LEASED, 150, 100),
    ]
    assert await fold_all(waiting, told) == firsts


async def test_numbers_are_for_those_who_come_after_the_opening(early: World) -> None:
    assert await early.fold(rooms.lease_numbers(10)) == refused(Reason.WRONG_PHASE, 1)
    await early.fold(b.open_())
    assert await early.fold(rooms.lease_numbers(10)) == done(Fact.NUMBERS_LEASED, 0, 10)
    await early.fold(b.pause())
    assert await early.fold(rooms.lease_numbers(10)) == done(Fact.NUMBERS_LEASED, 10, 10)


# -- coming in ---------------------------------------------------------------------------------------------------------


async def test_more_may_come_in_and_never_fewer(waiting: World) -> None:
    assert await fold_all(waiting, [rooms.admit(4), rooms.admit(2)]) == [done(Fact.ADMITTED, 4)] * 2
    assert (await room(waiting)).serving == 4


async def test_no_place_is_called_that_nobody_can_have(waiting: World) -> None:
    await waiting.fold(rooms.lease_numbers(5))
    assert await waiting.fold(rooms.admit(100)) == done(Fact.ADMITTED, 15)


async def test_when_nobody_waits_any_more_the_room_is_closed(waiting: World) -> None:
    assert await waiting.fold(rooms.close_room()) == done(Fact.ROOM_CLOSED)
    assert (await room(waiting)).active == 0
    assert await waiting.fold(rooms.close_room(key="2")) == NO_ROOM


@pytest.mark.parametrize(
    "command", [rooms.lease_numbers(1, round_=2), rooms.admit(1, round_=2), rooms.close_room(round_=2)]
)
async def test_what_is_about_another_round_changes_nothing(waiting: World, command: c.Command) -> None:
    before = await room(waiting)
    assert await waiting.fold(command) == NO_ROOM
    assert await room(waiting) == before


@pytest.mark.parametrize("command", [rooms.count_room(1, round_=2), rooms.freeze_room(1, round_=2)])
async def test_nor_does_a_count_of_another_round(early: World, command: c.Command) -> None:
    await early.fold(b.open_())
    assert await early.fold(command) == NO_ROOM
    assert (await room(early)).frozen == 0


@pytest.mark.parametrize(
    "command",
    [rooms.count_room(1), rooms.freeze_room(1), rooms.lease_numbers(1), rooms.admit(1), rooms.close_room()],
)
async def test_a_campaign_that_nobody_knows_has_no_room(world: World, command: c.Command) -> None:
    assert await world.fold(command) == NO_ROOM


# -- what a ticket lets in ---------------------------------------------------------------------------------------------


def with_ticket(who: str, of: str, **more: Any) -> c.Reserve:
    """Somebody books with a ticket, their own or another's."""
    return b.reserve(who, ticket=rooms.receipt(of) if who == of else "+" + rooms.receipt(of), **more)


async def test_a_ticket_lets_in_its_own_resident_first_and_then_as_many_as_a_household_has(world: World) -> None:
    await open_campaign(world, {"noon": 10}, household_max=2)
    told = await fold_all(world, [with_ticket(who, "anna") for who in ("ben", "anna", "ben", "cleo")])
    invalid, used_up = refused(Reason.TICKET_INVALID), refused(Reason.TICKET_USED_UP)
    assert told == [invalid, b.confirmed(0), b.confirmed(1), used_up]
    assert await world.row(f"h:1:{rooms.receipt('anna')}") == 2


async def test_its_own_resident_may_come_again(world: World) -> None:
    await open_campaign(world, {"noon": 10}, household_max=1)
    anna = with_ticket("anna", "anna")
    await fold_all(world, [anna, b.cancel(anna)])
    assert await world.fold(with_ticket("anna", "anna", key="2")) == b.confirmed(1)
    assert await world.row(f"h:1:{rooms.receipt('anna')}") == 1


async def test_who_got_nothing_has_not_used_the_ticket(world: World) -> None:
    await open_campaign(world, {"noon": 1}, household_max=2)
    await fold_all(world, [b.reserve("dan"), with_ticket("anna", "anna")])
    assert await world.row(f"h:1:{rooms.receipt('anna')}") is None
    assert await world.fold(with_ticket("ben", "anna")) == refused(Reason.TICKET_INVALID)
