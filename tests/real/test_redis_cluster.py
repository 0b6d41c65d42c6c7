"""The fold on a Redis Cluster: primaries die, slots migrate; nothing is lost, twice, or decided on half its keys."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from infra.local.running import RunningRedis, in_own_loop
from services.domain.commands import Command
from services.state.keys import head_key
from services.state.redis_cluster import RedisCluster
from tests import builders as b
from tests.integration.allocator_world import AllocatorWorld, allocator_world

BEGINNING = [*b.definition(b.slots_of({"noon": 300, "evening": 50})), b.open_()]
GOES_ON_WITHIN_S = 5.0


@pytest.fixture
async def world(redis_cluster: RunningRedis) -> AsyncIterator[AllocatorWorld]:
    async with allocator_world(redis_cluster.url) as world:
        yield world


def people(first: int, count: int, slot: str = "noon") -> list[Command]:
    return [b.reserve(f"resident {n}", slot) for n in range(first, first + count)]


async def primary_of_p00(world: AllocatorWorld) -> str:
    """Its address, as all nodes say it now."""
    assert isinstance(world.store, RedisCluster)
    await asyncio.sleep(0.2)
    await world.store.look_again()
    return (await world.store.nodes(head_key(0)))[0][0].address


async def test_everything_is_folded_and_published_in_order(world: AllocatorWorld) -> None:
    world.write([*BEGINNING, *people(0, 500)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    assert await world.what_is_wrong() == []
    assert len(world.events) == world.end
    assert allocator.loop.stopped_because is None


async def test_a_primary_is_killed_and_the_partition_goes_on_within_five_seconds(
    world: AllocatorWorld, redis_cluster: RunningRedis
) -> None:
    world.write([*BEGINNING, *people(0, 200)])
    allocator = await world.allocator()
    await world.until_published(allocator)
    killed = redis_cluster.name_at(await primary_of_p00(world))
    redis_cluster.kill(killed)
    died_s = time.monotonic()
    try:
        for first in range(200, 300, 10):
            world.write(people(first, 10))
            await asyncio.sleep(0.05)
        await world.until_published(allocator)
        took_s = time.monotonic() - died_s
        assert await world.what_is_wrong() == []
    finally:
        redis_cluster.start(killed)
        in_own_loop(redis_cluster.cluster.form())
    assert took_s < GOES_ON_WITHIN_S
