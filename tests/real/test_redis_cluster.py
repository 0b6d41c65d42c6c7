"""The fold on a Redis Cluster: primaries die, slots migrate; nothing is lost, twice, or decided on half its keys."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ResponseError

from infra.local.running import RunningRedis, in_own_loop
from services.domain.commands import Command, encode
from services.domain.rows import HEAD, Head
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.fold_call import FoldCall
from services.state.keys import head_key, key
from services.state.library import Library, build
from services.state.readers import StateReader, decode_row
from services.state.redis_client import AbstractConnection, Redis, RedisError, dedicated
from services.state.redis_cluster import RedisCluster
from services.state.store import fold_connection, open_store
from services.state.store_check import check_library, check_stores
from tests import builders as b
from tests.contract import patched_library as patched
from tests.contract.worlds import IDENTITY, a_rush, batch_of, decided_by_the_model, differences
from tests.integration.allocator_world import TIMEOUT_S, AllocatorWorld, allocator_world
from tests.real.migrating_slot import MigratingSlot

BEGINNING = [*b.definition(b.slots_of({"noon": 300, "evening": 50})), b.open_()]
GOES_ON_WITHIN_S = 5.0
LONG_ENOUGH_S = 1.5
P = 0


@pytest.fixture
async def world(redis_cluster: RunningRedis) -> AsyncIterator[AllocatorWorld]:
    async with allocator_world(redis_cluster.url) as world:
        yield world


def people(first: int, count: int, slot: str = "noon") -> list[Command]:
    return [b.reserve(f"resident {n}", slot) for n in range(first, first + count)]


def cluster_of(world: AllocatorWorld) -> RedisCluster:
    assert isinstance(world.store, RedisCluster)
    return world.store


async def shard(world: AllocatorWorld) -> list[tuple[str, Redis]]:
    """Addresses and clients of the partition's primary and its replica, as all nodes say it now."""
    await asyncio.sleep(0.2)  # a map that was made in this moment is not made again
    await cluster_of(world).look_again()
    return [(node.address, client) for node, client in await cluster_of(world).nodes(head_key(P))]


async def fold_directly(world: AllocatorWorld, library: Library | None = None) -> FoldCall:
    """On a connection of its own to whoever has the partition now."""
    await shard(world)
    connection = fold_connection(world.store, world.url, P, timeout_s=TIMEOUT_S)
    return FoldCall(connection, library or world.library, P, IDENTITY)


# -- a primary dies ----------------------------------------------------------------------------------------------------


async def a_primary_dies_under_a_rush(world: AllocatorWorld, redis_cluster: RunningRedis, wait_s: float) -> float:
    """How many seconds later everything is decided that was written before and since. Raises TimeoutError."""
    world.write([*BEGINNING, *people(0, 200)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    killed = redis_cluster.name_at((await shard(world))[0][0])
    redis_cluster.kill(killed)
    died_s = time.monotonic()
    try:
        async with asyncio.timeout(wait_s):
            for first in range(200, 300, 10):
                world.write(people(first, 10))
                await asyncio.sleep(0.05)
            await world.until_published(allocator)
        return time.monotonic() - died_s
    finally:
        redis_cluster.start(killed)


@pytest.mark.safety
async def test_a_primary_is_killed_and_the_partition_goes_on_within_five_seconds(
    world: AllocatorWorld, redis_cluster: RunningRedis
) -> None:
    try:
        took_s = await a_primary_dies_under_a_rush(world, redis_cluster, TIMEOUT_S)
        assert await world.what_is_wrong() == []
        assert took_s < GOES_ON_WITHIN_S
    finally:
        in_own_loop(redis_cluster.cluster.form())


@pytest.mark.control
async def test_where_a_primary_must_have_a_replica_a_promoted_one_does_not_go_on(
    world: AllocatorWorld, redis_cluster: RunningRedis
) -> None:
    """Why `min-replicas-to-write` is 0: the promoted one has none until the dead one is back."""
    for _, client in await shard(world):
        await client.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(TimeoutError):
            await a_primary_dies_under_a_rush(world, redis_cluster, GOES_ON_WITHIN_S)
    finally:
        in_own_loop(redis_cluster.cluster.form())
        for _, client in await shard(world):
            await client.config_set("min-replicas-to-write", 0)


async def test_whoever_reads_while_a_primary_dies_hears_that_it_is_away_and_never_that_nothing_is_there(
    world: AllocatorWorld, redis_cluster: RunningRedis
) -> None:
    world.write([*BEGINNING, *people(0, 100)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    store = open_store(redis_cluster.url, timeout_s=0.5)  # as a door has it
    reader = StateReader(store)
    name = f"r:{b.reserve('resident 7').pass_no}"
    killed = redis_cluster.name_at((await shard(world))[0][0])
    refused = 0
    try:
        assert (await reader.read(P, [name])).rows[0] is not None
        redis_cluster.kill(killed)
        died_s = time.monotonic()
        answered = False
        while not answered and time.monotonic() - died_s < TIMEOUT_S:
            began_s = time.monotonic()
            try:
                answered = (await reader.read(P, [name])).rows[0] is not None
                assert answered
            except (StateUnavailableError, CatchingUpError):
                refused += 1
            assert time.monotonic() - began_s < 2.0, "nobody waits for long to hear that it is away"
            await asyncio.sleep(0.05)
        assert answered
        assert refused > 0
        assert time.monotonic() - died_s < GOES_ON_WITHIN_S
    finally:
        await store.aclose()
        redis_cluster.start(killed)
        in_own_loop(redis_cluster.cluster.form())


async def test_a_promoted_replica_has_the_function_library_already(world: AllocatorWorld) -> None:
    call = await fold_directly(world)
    await call.load_library()
    log = a_rush()
    await call.fold(batch_of(0, log[:20]), 0)
    (_, primary), (address, replica) = await shard(world)
    await until(lambda: position(replica), 20)
    await replica.execute_command("CLUSTER", "FAILOVER")  # type: ignore[no-untyped-call]
    await until(lambda: leads(world), address)
    with pytest.raises(ResponseError):
        await call.fold(batch_of(20, log[20:]), 0)  # the one that led sends away
    await call.drop()
    assert await check_library(replica, world.library)
    call = await fold_directly(world)
    folded = await call.fold(batch_of(20, log[20:]), 0)
    await call.drop()
    _, facts = await decided_by_the_model(log)
    assert (folded.status, folded.decisions) == ("ok", facts[20:])
    assert primary is not replica


async def test_a_promoted_replica_that_lacks_the_last_writes_is_a_gap_and_they_are_folded_again(
    world: AllocatorWorld, redis_cluster: RunningRedis
) -> None:
    world.write([*BEGINNING, *people(0, 100)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    (killed, primary), (promoted, replica) = await shard(world)
    copied = world.end
    await until(lambda: position(replica), copied)
    # From here on the primary copies nothing: its replica may not ask for it any more.
    for words in (("ACL", "SETUSER", "default", "-psync", "-sync"), ("CLIENT", "KILL", "TYPE", "replica")):
        await primary.execute_command(*words)  # type: ignore[no-untyped-call]
    world.write(people(100, 100))
    await world.until_published(allocator)
    allocator.commit()
    await allocator.die()
    assert (await position(primary), await position(replica)) == (world.end, copied)
    before = len(world.events)
    name = redis_cluster.name_at(killed)
    redis_cluster.kill(name)
    try:
        await until(lambda: leads(world), promoted)
        records = [(encode(command), b.NOON_MS) for command in people(200, 5)]
        zombie = await fold_directly(world)  # it does not know that anything happened
        folded = await zombie.fold(batch_of(world.end, records), world.end)
        await zombie.drop()
        assert (folded.status, folded.position) == ("gap", copied)
        world.write(people(200, 50))
        successor = await world.allocator()
        await world.until_published(successor)
        assert successor.starts[-1].offset == copied
        assert await world.what_is_wrong() == []
        assert len(world.events) == before + 50, "what was published before is not published again"
    finally:
        redis_cluster.start(name)
        in_own_loop(redis_cluster.cluster.form())


# -- a slot migrates ---------------------------------------------------------------------------------------------------


async def test_while_a_slot_migrates_its_partition_waits_and_then_goes_on_where_the_slot_is(
    world: AllocatorWorld,
) -> None:
    world.write([*BEGINNING, *people(0, 200)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    before = allocator.loop.position
    migration = await MigratingSlot.of(cluster_of(world), P)
    assert not await check_library(migration.target, world.library)
    await migration.begin()
    await migration.move(*(await migration.keys())[::2])
    world.write(people(200, 50))
    await asyncio.sleep(LONG_ENOUGH_S)
    assert allocator.loop.position == before
    assert allocator.loop.published == before
    await migration.finish()
    await world.until_published(allocator)
    assert (await shard(world))[0][0] == migration.target_address
    assert await world.what_is_wrong() == []


async def test_while_a_slot_migrates_nobody_reads_that_something_is_not_there(world: AllocatorWorld) -> None:
    bookings = people(0, 60)
    world.write([*BEGINNING, *bookings])
    allocator = await world.allocator()
    await world.until_published(allocator)
    names = [f"r:{booking.pass_no}" for booking in bookings if hasattr(booking, "pass_no")]
    migration = await MigratingSlot.of(cluster_of(world), P)
    await migration.begin()
    await migration.move(*(await migration.keys())[::2])
    reader = StateReader(world.store)
    for name in names:
        try:
            assert (await reader.read(P, [name])).rows[0] is not None
        except StateUnavailableError:
            continue
    with pytest.raises(StateUnavailableError):
        await reader.scan(P, "r", 0)
    await migration.finish()
    assert all(row is not None for row in (await reader.read(P, names)).rows)


async def test_a_scan_that_was_begun_before_a_slot_moved_finds_everything(
    world: AllocatorWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor of one node says nothing to another: whoever looks for what to delete must not leave out half."""
    monkeypatch.setattr("services.state.readers.KEYS_PER_SCAN", 10)
    bookings = people(0, 200)
    world.write([*BEGINNING, *bookings])
    allocator = await world.allocator()
    await world.until_published(allocator)
    reader = StateReader(world.store)
    cursor, _ = await reader.scan(P, "r", 0)
    assert cursor != 0
    found: set[str] = set()
    migration = await MigratingSlot.of(cluster_of(world), P)
    await migration.begin()
    await migration.finish()
    while cursor != 0:
        cursor, names = await reader.scan(P, "r", cursor)
        found.update(names)
    assert found == {f"r:{booking.pass_no}" for booking in bookings if hasattr(booking, "pass_no")}


def log_whose_last_record_reads_one_key_alone() -> list[tuple[bytes, int]]:
    """Dora changes to another slot. Both queues of unfinished work were in use before, so every row that is read first
    is there; the slot that she wants comes last, alone."""
    noon = b.slot("noon", 2, hour=16, promote_until_ms=b.MIDNIGHT_MS + 15 * b.HOUR_MS)
    evening, late = b.slot("evening", 1, hour=18), b.slot("late", 2, hour=20)
    anna, dora = b.reserve("anna", "noon", 2), b.reserve("dora", "noon", 2)
    commands = [
        b.genesis(), *b.definition([noon, evening, late], waiting_per_mille=1_000), b.open_(), anna, dora,
        b.cancel(anna), b.tick(b.NOON_MS), b.reserve("carl", "evening"), b.withdraw("evening"), b.tick(b.NOON_MS),
        b.tick(b.NOON_MS), b.change_slot(dora, "late"),
    ]  # fmt: skip
    return [(encode(command), b.NOON_MS) for command in commands]


async def a_client_follows_ask_in_mid_migration(world: AllocatorWorld, library: Library) -> list[str]:
    """All but one row have moved when it folds the last record on the new side, as nodes tell clients to. What is
    wrong when everything has moved."""
    log = log_whose_last_record_reads_one_key_alone()
    call = await fold_directly(world, library)
    await call.load_library()
    end = len(log) - 1
    assert (await call.fold(batch_of(0, log[:end]), 0)).position == end
    await call.drop()
    migration = await MigratingSlot.of(cluster_of(world), P)
    await migration.begin()
    stays = key(P, "s:1:late")
    keys = await migration.keys()
    assert stays in keys
    await migration.move(*[name for name in keys if name != stays])
    call = FoldCall(connection_to(migration.target_address), library, P, IDENTITY)
    await call.load_library()
    await call._connection.send_command("ASKING")
    await call._connection.read_response()
    decided = end
    with suppress(RedisError):
        decided = (await call.fold(batch_of(end, log[end:]), 0)).position
    await call.drop()
    await migration.finish()
    call = await fold_directly(world, library)
    if decided == end:  # the partition waited: now it goes on
        assert (await call.fold(batch_of(end, log[end:]), 0)).position == len(log)
    await call.drop()
    model, _ = await decided_by_the_model(log)
    return differences(await model.rows(), await world.rows())


@pytest.mark.safety
async def test_while_a_slot_migrates_nothing_is_decided_on_half_its_keys(world: AllocatorWorld) -> None:
    assert await a_client_follows_ask_in_mid_migration(world, build()) == []


@pytest.mark.control
async def test_without_the_key_that_never_exists_half_the_keys_are_decided_on(world: AllocatorWorld) -> None:
    wrong = await a_client_follows_ask_in_mid_migration(world, patched.without(*patched.NEVER_KEY))
    assert any(line.startswith("s:1:late") for line in wrong)


# -- what nodes are like -----------------------------------------------------------------------------------------------


async def test_every_node_is_looked_at_and_a_replica_as_well(world: AllocatorWorld) -> None:
    assert (await check_stores(world.store)).wrong == []
    (_, _), (address, replica) = await shard(world)
    url_of = cluster_of(world).url_of
    elsewhere = next(number for number in range(1, 64) if url_of(head_key(number)) != url_of(head_key(P)))
    await replica.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert [words.split(": ")[0] for words in (await check_stores(world.store, P)).wrong] == [address]
        assert (await check_stores(world.store, elsewhere)).wrong == [], "another shard's trouble is not theirs"
    finally:
        await replica.config_set("maxmemory-policy", "noeviction")


async def test_a_node_that_is_named_alone_is_refused_in_words(world: AllocatorWorld) -> None:
    (address, _), _ = await shard(world)
    alone = open_store(f"redis://{address}/0", timeout_s=TIMEOUT_S)
    (wrong,) = (await check_stores(alone, P)).wrong
    await alone.aclose()
    assert "redis://HOST:PORT,HOST:PORT/0" in wrong


# -- looking -----------------------------------------------------------------------------------------------------------


async def position(client: Redis) -> int:
    """Where a node stands, be it a replica."""
    async with client.client() as one:
        await one.execute_command("READONLY")  # type: ignore[no-untyped-call]
        value: Any = await one.get(key(P, HEAD))
        await one.execute_command("READWRITE")  # type: ignore[no-untyped-call]
    head: Head | None = decode_row(HEAD, value)
    return 0 if head is None else head.position


async def leads(world: AllocatorWorld) -> str:
    return (await shard(world))[0][0]


async def until(look: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while await look() != wanted:
            await asyncio.sleep(0.05)


def connection_to(address: str) -> AbstractConnection:
    return dedicated(f"redis://{address}/0", timeout_s=TIMEOUT_S)
