"""A partition's loop: whatever happens to it, Redis and the events end as the log says."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from services.allocator import loop as loop_module
from services.allocator import publisher as publisher_module
from services.domain import limits
from services.domain.commands import Command, Genesis
from services.domain.rows import HEAD
from services.state.keys import key
from services.state.library import build
from services.state.records import batch_of
from services.state.stopped import UnreadableLogError
from services.stream.errors import LogUnavailable
from services.stream.topics import COMMANDS
from tests import builders as b
from tests.contract import patched_library as patched
from tests.integration.allocator_world import TIMEOUT_S, AllocatorWorld, P, allocator_world

BEGINNING = [*b.definition(b.slots_of({"noon": 300, "evening": 50})), b.open_()]


@pytest.fixture
async def world(redis_url: str) -> AsyncIterator[AllocatorWorld]:
    async with allocator_world(redis_url) as world:
        yield world


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested is that a loop starts again, not how long it waits before."""
    for name in ("FIRST_PAUSE_S", "MAX_PAUSE_S", "MAX_REDIS_PAUSE_S", "STOPPED_PAUSE_S"):
        monkeypatch.setattr(loop_module, name, 0.01)
    for name in ("RETRY_PAUSE_S", "MAX_RETRY_PAUSE_S"):
        monkeypatch.setattr(publisher_module, name, 0.005)


def people(first: int, count: int, slot: str = "noon") -> list[Command]:
    return [b.reserve(f"resident {n}", slot) for n in range(first, first + count)]


async def test_everything_is_folded_and_published_in_order(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 500)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    world.write(people(500, 30, "evening"))
    await world.until_published(allocator)
    assert await world.what_is_wrong() == []
    assert len(world.events) == world.end
    assert allocator.loop.stopped_because is None


async def test_the_library_is_loaded_when_redis_does_not_have_it(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 10)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    await world.redis.function_flush()
    world.write(people(10, 10))
    await world.until_published(allocator)
    assert await world.what_is_wrong() == []


async def test_how_long_calls_take_and_people_wait_is_told_for_what_is_decided_for_the_first_time(
    world: AllocatorWorld,
) -> None:
    world.write([*BEGINNING, *people(0, 300)])
    first = await world.allocator()
    await world.until_published(first)
    batches = len(first.reports.waits_s)
    assert len(first.reports.calls_s) >= batches >= 2
    assert all(0 < seconds < TIMEOUT_S for seconds in first.reports.calls_s)
    assert all(seconds > 0 for seconds in first.reports.waits_s)
    await world.redis.flushdb()
    first.commit()
    await world.until_folded()
    assert len(first.reports.waits_s) == batches, "nobody waited for what was decided long ago"


async def test_a_redis_that_was_emptied_is_filled_again_and_nothing_is_published_twice(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 300)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    allocator.commit()
    await world.redis.flushdb()
    world.write(people(300, 10))
    await world.until_published(allocator)
    assert allocator.reports.gaps >= 1
    assert await world.what_is_wrong() == []
    assert len(world.events) == world.end, "no event twice"


async def test_a_redis_that_lost_its_tail_is_folded_forward_and_nothing_is_published_twice(
    world: AllocatorWorld,
) -> None:
    world.write([*BEGINNING, *people(0, 100)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    allocator.commit()
    old = {name: await world.redis.dump(name) or b"" for name in await world.redis.keys("*")}
    world.write(people(100, 100))
    await world.until_published(allocator)
    allocator.commit()
    await world.redis.flushdb()
    for name, value in old.items():
        await world.redis.restore(name, 0, value)
    world.write(people(200, 1))
    await world.until_published(allocator)
    assert allocator.reports.gaps >= 1
    assert await world.what_is_wrong() == []
    assert len(world.events) == world.end, "no event twice"


async def test_a_call_that_stops_early_is_continued_where_it_stopped(world: AllocatorWorld) -> None:
    slots = [b.slot(f"s-{n:04}", 1) for n in range(8_000)]
    world.write([*b.definition(slots), b.open_(), *[b.reserve(f"resident {n}", f"s-{n:04}") for n in range(300)]])
    allocator = await world.allocator()
    await world.until_published(allocator)
    assert await world.what_is_wrong() == []
    assert len(allocator.starts) <= 2, "once to load the library: stopping early is no reason to start again"


async def test_what_was_folded_and_not_published_goes_out_from_the_recorded_decisions(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 200)])
    first = await world.allocator()
    first.producer.is_down = True
    await world.until_folded()
    await first.die()
    assert world.events == []
    second = await world.allocator()
    await world.until_published(second)
    assert (second.starts[0].offset, second.starts[0].published) == (0, 0)
    assert await world.what_is_wrong() == []


async def test_events_whose_acknowledgement_was_lost_go_out_again_with_the_same_bytes(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 200)])
    first = await world.allocator()
    first.producer.loses_acknowledgements = True
    await world.until(lambda: len(world.events) >= world.end)
    await first.die()
    second = await world.allocator()
    await world.until_published(second)
    assert len(world.events) >= 2 * world.end
    assert len(set(world.events)) == world.end
    assert await world.what_is_wrong() == []


async def test_allocators_side_by_side_decide_everything_once(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 400)])
    allocators = [await world.allocator() for _ in range(3)]
    for first in range(400, 1_000, 20):
        world.write(people(first, 20, "evening" if first % 3 else "noon"))
        await world.until(lambda: max(a.loop.position for a in allocators) > world.end - 60)
    for allocator in allocators:
        await world.until_published(allocator)
    assert len(set(world.events)) == world.end
    head = await world.read_head(P)
    assert head is not None
    assert head.position == world.end


@pytest.mark.safety
async def test_a_zombie_that_wakes_late_changes_nothing(world: AllocatorWorld) -> None:
    assert await _a_zombie_wakes(world) == []


@pytest.mark.control
async def test_without_the_position_check_a_zombie_that_wakes_late_is_found(redis_url: str) -> None:
    async with allocator_world(redis_url, patched.without(*patched.POSITION_CHECK)) as world:
        assert await _a_zombie_wakes(world) != []


async def _a_zombie_wakes(world: AllocatorWorld) -> list[str]:
    """Its batch was on the way while it slept, and arrives when others are far ahead."""
    world.write([b.reserve("resident 0"), *BEGINNING, *people(1, 50)])
    zombie = await world.allocator()
    await world.until_published(zombie)
    late_batch = zombie.fold_call(P, zombie.starts[0])
    await zombie.die()
    world.write(people(51, 100))
    successor = await world.allocator()
    await world.until_published(successor)
    records = world.log.records[COMMANDS, P][1:40]
    await late_batch.fold(batch_of(records), published=40)
    await late_batch.drop()
    return await world.what_is_wrong()


async def test_a_state_of_another_log_stops_the_partition_until_it_is_put_right(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 20)])
    first = await world.allocator()
    await world.until_published(first)
    await first.die()
    ours = await world.redis.get(key(P, HEAD))
    assert isinstance(ours, bytes)
    await world.redis.set(key(P, HEAD), ours.replace(b.LOG.encode(), b"another-log-here"))
    second = await world.allocator()
    await world.until(lambda: len(second.reports.reasons) > 1)
    assert "holds the state of log another-log-here" in (second.loop.stopped_because or "")
    assert not second.loop.has_room
    await world.redis.set(key(P, HEAD), ours)
    await world.until(lambda: second.loop.stopped_because is None)


async def test_rules_that_are_too_new_stop_the_partition_and_what_came_before_is_published(
    world: AllocatorWorld,
) -> None:
    world.write([*BEGINNING, *people(0, 220)])
    before = world.end
    world.write([b.adopt_rules(2), *people(220, 300)])
    allocator = await world.allocator()
    await world.until(lambda: allocator.reports.reasons != [])
    assert f"from offset {before} on it is decided by rules" in (allocator.loop.stopped_because or "")
    head = await world.read_head(P)
    assert head is not None
    assert (head.position, head.published, len(world.events)) == (before, before, before)


async def test_an_old_allocator_that_comes_back_after_newer_rules_stops_and_publishes_nothing(
    world: AllocatorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write([*BEGINNING, *people(0, 20), b.adopt_rules(2), *people(20, 5)])
    old = world.library
    monkeypatch.setattr(limits, "RULES_VERSION", 2)
    world.library = build()
    monkeypatch.undo()
    newer = await world.allocator()
    await world.until_published(newer)
    await newer.die()
    world.library = old
    published = list(world.events)
    allocator = await world.allocator()
    await world.until(lambda: allocator.reports.reasons != [])
    world.write(people(25, 5))
    await asyncio.sleep(0.1)
    assert "by rules that this version does not know" in (allocator.loop.stopped_because or "")
    assert world.events == published


async def test_a_log_that_cannot_be_read_stops_the_loop_with_its_message(world: AllocatorWorld) -> None:
    world.write(BEGINNING)
    allocator = await world.allocator()
    await world.until_published(allocator)
    allocator.loop.interrupt(UnreadableLogError(partition=P, why="there is a hole"))
    await world.until(lambda: allocator.reports.reasons != [])
    assert "there is a hole" in allocator.reports.reasons[0]


async def test_what_stops_a_partition_is_told_once_however_often_it_is_looked_at(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 5)])
    first = await world.allocator()
    await world.until_published(first)
    await first.die()
    ours = list(world.log.records[COMMANDS, P])
    world.log.records[COMMANDS, P].clear()
    world.write([Genesis(log="a" * 16, key_check=b.KEY_CHECK, rules=1)])
    with structlog.testing.capture_logs() as lines:
        allocator = await world.allocator()
        await world.until(lambda: len(allocator.reports.reasons) > 3)
        world.log.records[COMMANDS, P][:] = ours
        await world.until_published(allocator)
    assert [line["action"] for line in lines if line["log_level"] == "error"] == ["partition_stopped"]


@pytest.mark.embedded
async def test_a_redis_that_is_away_is_waited_for(valkey: str) -> None:
    """One that has one address; primaries of a cluster are away in tests/real/test_redis_cluster.py."""
    async with allocator_world(valkey) as world:
        world.write([*BEGINNING, *people(0, 20)])
        right, world.url = world.url, "redis://127.0.0.1:1/0"
        allocator = await world.allocator()
        await world.until(lambda: len(allocator.starts) > 2)
        world.url = right
        await world.until_published(allocator)
        assert await world.what_is_wrong() == []


async def test_a_publisher_that_fails_is_seen_although_nothing_more_comes_in(
    world: AllocatorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not stay dead until the next booking: somebody waits for these events."""
    world.write([*BEGINNING, *people(0, 5)])
    allocator = await world.allocator()
    await world.until_published(allocator)

    async def broken(self: publisher_module.Publisher, values: list[bytes]) -> None:
        monkeypatch.undo()
        raise LogUnavailable(why="the test says so")

    monkeypatch.setattr(publisher_module.Publisher, "_until_acknowledged", broken)
    world.write(people(5, 1))
    await world.until_published(allocator)
    assert await world.what_is_wrong() == []
