"""What must never happen in the fold, each with its control: without the protection the same story finds the harm."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from redis.exceptions import ResponseError

from services.domain.commands import Command, encode
from services.domain.reasons import Reason
from services.domain.rows import ReservationState
from services.state.library import Library
from tests import builders as b
from tests.contract import patched_library as patched
from tests.contract.worlds import (
    LuaWorld,
    Records,
    a_rush,
    at_noon,
    batch_of,
    decided_by_the_model,
    differences,
    lua_world,
)

Fold = Callable[..., AbstractAsyncContextManager[LuaWorld]]


@pytest.fixture
def fold(redis_url: str) -> Fold:
    """An empty Valkey with the library, or with one that lacks what is named."""

    @asynccontextmanager
    async def begin(*taken_away: tuple[tuple[str, str], ...]) -> AsyncIterator[LuaWorld]:
        library: Library = patched.without(*[change for changes in taken_away for change in changes])
        async with lua_world(redis_url, library) as world:
            yield world

    return begin


async def found_by_comparison(log: Records, world: LuaWorld) -> list[str]:
    """Where Redis is not what the model makes of the log."""
    model, _ = await decided_by_the_model(log)
    return differences(await model.rows(), await world.rows())


def broken_promises(rows: dict[str, Any]) -> list[str]:
    """More given out than there is, or one person with two: counted from the reservations alone."""
    taken: dict[str, int] = {}
    live: dict[str, int] = {}
    for name, row in rows.items():
        if name.startswith("r:") and row.state in {ReservationState.CONFIRMED, ReservationState.PICKED_UP}:
            taken[f"s:{row.no}:{row.slot}"] = taken.get(f"s:{row.no}:{row.slot}", 0) + row.units
            live[row.resident] = live.get(row.resident, 0) + 1
    oversold = [f"{slot}: {units} of {rows[slot].quota}" for slot, units in taken.items() if units > rows[slot].quota]
    return oversold + [f"{who} has {count}" for who, count in live.items() if count > 1]


# -- a zombie ----------------------------------------------------------------------------------------------------------


def log_that_means_something_else_the_second_time() -> Records:
    """Anna comes before the campaign is there; Ben gets the one unit."""
    beginning = b.definition(b.slots_of({"noon": 1}))
    return at_noon(b.genesis(), b.reserve("anna"), *beginning, b.open_(), b.reserve("ben"), b.cancel(b.reserve("ben")))


async def a_zombie_wakes(world: LuaWorld, log: Records) -> None:
    """It read its batch before it slept; somebody else has folded everything since."""
    await world.fold_batch(log)
    await world.fold_batch(log[1:4], start=1)


@pytest.mark.safety
async def test_a_zombies_stale_batch_changes_nothing(fold: Fold) -> None:
    log = log_that_means_something_else_the_second_time()
    async with fold() as world:
        await a_zombie_wakes(world, log)
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_without_the_position_check_a_zombies_stale_batch_is_found(fold: Fold) -> None:
    log = log_that_means_something_else_the_second_time()
    async with fold(patched.POSITION_CHECK) as world:
        await a_zombie_wakes(world, log)
        found = await found_by_comparison(log, world)
        assert any(line.startswith("head: ") for line in found)
        assert any(b.reserve("anna").pass_no in line for line in found), "a refused booking has come to life"


# -- a gap -------------------------------------------------------------------------------------------------------------


async def the_tail_is_lost(world: LuaWorld, log: Records) -> None:
    """Redis fell back behind what its allocator has folded, and the allocator goes on where it was."""
    await world.fold_batch(log[:20])
    await world.fold_batch(log[22:], start=22)


@pytest.mark.safety
async def test_nothing_is_folded_over_a_gap(fold: Fold) -> None:
    log = a_rush()
    async with fold() as world:
        await the_tail_is_lost(world, log)
        assert await found_by_comparison(log[:20], world) == []


@pytest.mark.control
async def test_without_the_check_for_gaps_lost_records_are_found(fold: Fold) -> None:
    log = a_rush()
    async with fold(patched.GAP_CHECK) as world:
        await the_tail_is_lost(world, log)
        assert len(await found_by_comparison(log, world)) > 1


# -- the promises ------------------------------------------------------------------------------------------------------


@pytest.mark.safety
async def test_a_slot_is_never_oversold(fold: Fold) -> None:
    async with fold() as world:
        await world.fold_batch(a_rush(people=60))
        assert broken_promises(await world.rows()) == []


@pytest.mark.control
async def test_without_the_quota_overselling_is_found(fold: Fold) -> None:
    log = a_rush(people=60)
    async with fold(patched.QUOTA_CHECK) as world:
        await world.fold_batch(log)
        assert sorted(broken_promises(await world.rows())) == ["s:1:evening: 30 of 4", "s:1:noon: 30 of 6"]
        assert await found_by_comparison(log, world) != []


def one_person_many_keys() -> Records:
    tries = [b.reserve("anna", slot, key=str(n)) for n, slot in enumerate(["noon", "evening", "noon"])]
    return at_noon(b.genesis(), *b.definition(b.slots_of({"noon": 6, "evening": 4})), b.open_(), *tries)


@pytest.mark.safety
async def test_nobody_has_two_live_reservations(fold: Fold) -> None:
    async with fold() as world:
        await world.fold_batch(one_person_many_keys())
        assert broken_promises(await world.rows()) == []


@pytest.mark.control
async def test_without_the_guard_of_one_per_resident_two_are_found(fold: Fold) -> None:
    log = one_person_many_keys()
    async with fold(patched.ONE_PER_RESIDENT) as world:
        await world.fold_batch(log)
        assert broken_promises(await world.rows()) == [f"{b.reserve('anna').resident} has 3"]
        assert await found_by_comparison(log, world) != []


def fifty_more_sent_twice() -> Records:
    more = b.change_quota(+50)
    return at_noon(b.genesis(), *b.definition(b.slots_of({"noon": 10})), b.open_(), more, more)


@pytest.mark.safety
async def test_a_command_sent_twice_counts_once(fold: Fold) -> None:
    log = fifty_more_sent_twice()
    async with fold() as world:
        await world.fold_batch(log)
        assert (await world.row("s:1:noon")).quota == 60
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_without_remembered_answers_a_command_counts_twice_and_is_found(fold: Fold) -> None:
    log = fifty_more_sent_twice()
    async with fold(patched.FIRST_ANSWER) as world:
        await world.fold_batch(log)
        assert (await world.row("s:1:noon")).quota == 110
        assert await found_by_comparison(log, world) != []


# -- the deletion day --------------------------------------------------------------------------------------------------


DELETE_MS = b.MIDNIGHT_MS + 3 * b.DAY_MS
COOL_UNTIL_MS = DELETE_MS + b.DAY_MS
NEXT = b.slot("noon", 6, day=b.TODAY + 5, day_from_ms=b.MIDNIGHT_MS + 5 * b.DAY_MS)


def a_purge(*before: Command, at_ms: int = DELETE_MS, then: Command) -> Records:
    """Two campaigns; `before` happens at noon of the first one's only day. At `at_ms` the clock names all there is of
    Anna in the first one, and `then` follows."""
    noon = b.slot("noon", 6, cool_until_ms=COOL_UNTIL_MS)
    first = [*b.definition([noon], delete_ms=DELETE_MS, cool_down=True), b.open_()]
    second = [*b.definition([NEXT], campaign="next", cool_down=True), b.open_(campaign="next")]
    late = [b.tick(at_ms), b.purge(b.reserve("anna"), residents=["anna"], sheets=[0]), then]
    beginning = [b.genesis(), *first, *second, b.invite(), b.pair(), *before]
    return at_noon(*beginning) + [(encode(command), at_ms) for command in late]


ANNA = b.reserve("anna")
AGAIN = b.reserve("anna", campaign="next", key="again")
ANNAS_NEXT = b.reserve("anna", campaign="next")


@pytest.mark.safety
async def test_a_live_reservation_is_never_purged(fold: Fold) -> None:
    log = a_purge(ANNA, then=b.expire())
    async with fold() as world:
        await world.fold_batch(log)
        assert (await world.row(f"r:{ANNA.pass_no}")).state == ReservationState.EXPIRED
        assert (await world.row("s:1:noon")).taken == 0
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_without_the_look_at_its_state_a_live_reservation_is_lost_with_its_units(fold: Fold) -> None:
    log = a_purge(ANNA, then=b.expire())
    async with fold(patched.LIVE_STAYS) as world:
        await world.fold_batch(log)
        assert await world.row(f"r:{ANNA.pass_no}") is None
        assert (await world.row("s:1:noon")).taken == 1, "nobody will ever give these units back"
        assert await found_by_comparison(log, world) != []


@pytest.mark.safety
async def test_nothing_is_purged_before_the_deletion_day(fold: Fold) -> None:
    log = a_purge(ANNA, b.cancel(ANNA), at_ms=DELETE_MS - 1, then=b.reserve("anna", key="2"))
    async with fold() as world:
        await world.fold_batch(log)
        assert (await world.row(f"r:{ANNA.pass_no}")).state == ReservationState.CANCELLED
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_without_the_look_at_the_day_reservations_are_gone_too_early(fold: Fold) -> None:
    log = a_purge(ANNA, b.cancel(ANNA), at_ms=DELETE_MS - 1, then=b.reserve("anna", key="2"))
    async with fold(patched.DELETION_DAY) as world:
        await world.fold_batch(log)
        assert await world.row(f"r:{ANNA.pass_no}") is None
        assert await found_by_comparison(log, world) != []


@pytest.mark.safety
async def test_a_cool_down_survives_the_purge_of_what_began_it(fold: Fold) -> None:
    log = a_purge(ANNA, b.pick_up(ANNA), then=AGAIN)
    async with fold() as world:
        await world.fold_batch(log)
        assert (await world.row(f"r:{AGAIN.pass_no}")).reason == Reason.COOLING_DOWN
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_without_the_look_at_cool_downs_somebody_gets_some_who_has_to_wait(fold: Fold) -> None:
    log = a_purge(ANNA, b.pick_up(ANNA), then=AGAIN)
    async with fold(patched.COOL_DOWN_STAYS) as world:
        await world.fold_batch(log)
        assert (await world.row(f"r:{AGAIN.pass_no}")).state == ReservationState.CONFIRMED
        assert await found_by_comparison(log, world) != []


@pytest.mark.safety
async def test_nobody_gets_a_second_one_after_the_purge_of_an_earlier_campaign(fold: Fold) -> None:
    log = a_purge(ANNAS_NEXT, b.reserve("anna", units=9), then=AGAIN)
    async with fold() as world:
        await world.fold_batch(log)
        assert broken_promises(await world.rows()) == []
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_without_the_look_at_what_stands_aside_two_are_found_after_a_purge(fold: Fold) -> None:
    log = a_purge(ANNAS_NEXT, b.reserve("anna", units=9), then=AGAIN)
    async with fold(patched.WHAT_IS_ASIDE) as world:
        await world.fold_batch(log)
        assert broken_promises(await world.rows()) == [f"{ANNA.resident} has 2"]
        assert await found_by_comparison(log, world) != []


# -- one write ---------------------------------------------------------------------------------------------------------


async def an_error_in_the_middle(world: LuaWorld, log: Records) -> None:
    """The call breaks at the worst moment; the allocator folds the same batch again, with nothing broken."""
    with pytest.raises(ResponseError, match="out of memory"):
        await world.fold_batch(log)
    healed = world.another_call(patched.without())
    await healed.load_library()
    await healed.fold(batch_of(0, log), 0)
    await healed.drop()


@pytest.mark.safety
async def test_an_error_in_the_middle_of_a_call_leaves_nothing_half_done(fold: Fold) -> None:
    log = a_rush()
    async with fold(patched.OUT_OF_MEMORY) as world:
        with pytest.raises(ResponseError, match="out of memory"):
            await world.fold_batch(log)
        assert await world.values() == {}
        await an_error_in_the_middle(world, log)
        assert await found_by_comparison(log, world) == []


@pytest.mark.control
async def test_with_the_position_written_first_an_error_loses_what_it_stands_for(fold: Fold) -> None:
    log = a_rush()
    async with fold(patched.ONE_WRITE, patched.OUT_OF_MEMORY) as world:
        await an_error_in_the_middle(world, log)
        assert any("not in Redis" in line for line in await found_by_comparison(log, world))


# -- recorded decisions ------------------------------------------------------------------------------------------------


async def a_quiet_hour(world: LuaWorld) -> list[Any]:
    """Nothing is published while an hour goes by; then somebody asks for the decisions, to publish them."""
    log = a_rush(people=80)
    await world.fold_batch(log)
    later_ms = b.NOON_MS + b.HOUR_MS
    for _ in range(2):
        await world.fold_batch([(b'{"type":"tick","at_ms":%d}' % later_ms, later_ms)])
    return (await world.fold_batch(log, start=0)).decisions


@pytest.mark.safety
async def test_no_decision_is_trimmed_before_it_is_published(fold: Fold) -> None:
    async with fold() as world:
        _, facts = await decided_by_the_model(a_rush(people=80))
        assert await a_quiet_hour(world) == facts


@pytest.mark.control
async def test_without_the_look_at_published_decisions_are_gone_that_nobody_has_seen(fold: Fold) -> None:
    async with fold(patched.PUBLISHED_BEFORE_TRIMMING) as world:
        assert False in await a_quiet_hour(world)
