"""Who waited in a line: what their reservation remembers of it, and whether they have to wait for the next campaign."""

import pytest

from services.domain import commands as c
from services.domain.limits import READABLE_BEFORE_MS
from services.domain.reasons import Reason
from services.domain.rows import ReservationState
from services.domain.rules.answers import Fact, done, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, time_passes

EVENING_MS = b.MIDNIGHT_MS + 18 * b.HOUR_MS
COOL_UNTIL_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
BY_RULES = ("", "")  # no command's id, and no terminal

Entry = tuple[int, int, int, str, str]


@pytest.fixture
async def waits(world: World) -> c.Reserve:
    """Ben waits, since noon, for what Anna has this evening."""
    evening = b.slot("evening", 2, hour=18, cool_until_ms=COOL_UNTIL_MS, promote_until_ms=EVENING_MS)
    tomorrow = b.slot("tomorrow", day=b.TODAY + 1, day_from_ms=b.MIDNIGHT_MS + b.DAY_MS)
    await open_campaign(world, [evening], waiting_per_mille=1_000, cool_down=True)
    await open_campaign(world, [tomorrow], campaign="second", cool_down=True)
    anna, ben = b.reserve("anna", "evening", 2), b.reserve("ben", "evening", 2)
    facts = await fold_all(world, [anna, ben])
    assert [decision[0][0] for decision in facts] == [Fact.CONFIRMED, Fact.WAITLISTED]
    return ben


async def history(world: World, booking: c.Reserve) -> list[Entry]:
    """Fact, reason, time, command and terminal of all that a reservation remembers."""
    row = await world.row(f"r:{booking.pass_no}")
    return [(action.fact, action.reason, action.at_ms, action.id, action.actor) for action in row.history]


JOINED: Entry = (Fact.WAITLISTED, 0, b.NOON_MS, *BY_RULES)


async def anna_cancels(world: World) -> None:
    assert (await world.fold(b.cancel(b.reserve("anna", "evening", 2))))[0][0] == Fact.CANCELLED


async def test_who_waits_has_it_in_the_history_and_who_is_confirmed_at_once_has_not(
    world: World, waits: c.Reserve
) -> None:
    assert await history(world, waits) == [JOINED]
    assert await history(world, b.reserve("anna", "evening", 2)) == []


async def test_who_was_promoted_has_both_in_the_history(world: World, waits: c.Reserve) -> None:
    await time_passes(world, b.HOUR_MS)
    await anna_cancels(world)
    promoted = (Fact.PROMOTED, 0, b.NOON_MS + b.HOUR_MS, *BY_RULES)
    assert await history(world, waits) == [JOINED, promoted]
    row = await world.row(f"r:{waits.pass_no}")
    assert (row.state, row.at_ms) == (ReservationState.CONFIRMED, b.NOON_MS)


async def test_who_waited_in_vain_has_both_in_the_history(world: World, waits: c.Reserve) -> None:
    await time_passes(world, 6 * b.HOUR_MS)
    await world.fold(b.end_waiting("evening"))
    ended = (Fact.WAITING_ENDED, Reason.SLOT_FULL, EVENING_MS, *BY_RULES)
    assert await history(world, waits) == [JOINED, ended]
    row = await world.row(f"r:{waits.pass_no}")
    assert (row.state, row.reason, row.left) == (ReservationState.REJECTED, Reason.SLOT_FULL, 0)


async def test_who_leaves_the_line_has_both_in_the_history(world: World, waits: c.Reserve) -> None:
    await time_passes(world, b.HOUR_MS)
    leaves = b.cancel(waits)
    assert await world.fold(leaves) == done(Fact.CANCELLED, b.CAMPAIGN, "evening", 2)
    cancelled = (Fact.CANCELLED, 0, b.NOON_MS + b.HOUR_MS, leaves.id, "")
    assert await history(world, waits) == [JOINED, cancelled]
    await anna_cancels(world)  # nobody is promoted who has left
    assert await history(world, waits) == [JOINED, cancelled]


async def test_a_repeat_finds_its_own_answer_behind_what_the_rules_did(world: World, waits: c.Reserve) -> None:
    await anna_cancels(world)
    leaves = b.cancel(waits)
    await world.fold(leaves)
    assert await world.fold(leaves) == repeated([Fact.CANCELLED, 0])
    assert await world.fold(waits) == repeated([ReservationState.CANCELLED, 0, 0])
    assert len(await history(world, waits)) == 3


@pytest.mark.parametrize(("before_ms", "has_to_wait"), [(1, True), (0, False), (-1, False)])
async def test_a_promotion_too_late_to_be_read_starts_no_cool_down(
    world: World, waits: c.Reserve, before_ms: int, has_to_wait: bool
) -> None:
    assert READABLE_BEFORE_MS == 2 * b.HOUR_MS
    await time_passes(world, EVENING_MS - 2 * b.HOUR_MS - before_ms - b.NOON_MS)
    await anna_cancels(world)
    assert (await world.row(f"r:{waits.pass_no}")).state == ReservationState.CONFIRMED
    wish = b.reserve("ben", "tomorrow", campaign="second")
    minute = COOL_UNTIL_MS // b.MINUTE_MS
    assert await world.fold(wish) == (b.rejected(Reason.COOLING_DOWN, minute) if has_to_wait else b.confirmed())


async def test_who_is_confirmed_at_once_has_to_wait_however_late_it_was(world: World, waits: c.Reserve) -> None:
    await time_passes(world, EVENING_MS - b.MINUTE_MS - b.NOON_MS)
    await fold_all(world, [b.cancel(waits), b.cancel(b.reserve("anna", "evening", 2))])
    cleo = b.reserve("cleo", "evening", 2)
    assert (await world.fold(cleo))[0][0] == Fact.CONFIRMED
    again = await world.fold(b.reserve("cleo", "tomorrow", campaign="second"))
    assert again == b.rejected(Reason.COOLING_DOWN, COOL_UNTIL_MS // b.MINUTE_MS)


async def test_who_only_waits_starts_no_cool_down(world: World, waits: c.Reserve) -> None:
    assert (await world.fold(b.reserve("ben", "tomorrow", campaign="second")))[0][0] == Fact.CONFIRMED
