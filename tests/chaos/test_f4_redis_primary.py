"""F4: a primary of the Redis Cluster is killed and its replica promoted, also one that lacks the last writes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from infra.local.running import RunningRedis, in_own_loop
from services.state.keys import head_key
from services.state.redis_cluster import RedisCluster
from services.state.store import open_store
from tests.chaos.city import PLENTY, City, Plan, altered, tell
from tests.chaos.story import Fault, played
from tests.real.stores import REDIS_TIMEOUT_S, empty_redis

pytestmark = [pytest.mark.chaos, pytest.mark.real, pytest.mark.timeout(180)]

BACK_S: Final = 5.0
"""From a primary's death to decisions."""
LACKS_S: Final = 1.5
HEAL_S: Final = 8.0


@pytest.fixture
def cluster(redis_cluster: RunningRedis) -> Iterator[RunningRedis]:
    """Whole, before and after."""
    yield redis_cluster
    if away := [name for name in redis_cluster.names if not redis_cluster.runs(name)]:
        redis_cluster.start(*away)
    in_own_loop(redis_cluster.cluster.form())


def primary_dies(redis: RunningRedis, lacks_s: float) -> Fault:
    async def fault(_: City) -> None:
        store = open_store(redis.url, timeout_s=REDIS_TIMEOUT_S)
        assert isinstance(store, RedisCluster)
        try:
            node, primary = (await store.nodes(head_key(0)))[0]
            if lacks_s:
                tell(f"for {lacks_s:g} s {node.address} copies nothing")
                for words in (("ACL", "SETUSER", "default", "-psync", "-sync"), ("CLIENT", "KILL", "TYPE", "replica")):
                    await primary.execute_command(*words)  # type: ignore[no-untyped-call]
                await asyncio.sleep(lacks_s)
        finally:
            await store.aclose()
        name = redis.name_at(node.address)
        tell(f"kill -9 of {name}, the primary of partition 0")
        redis.kill(name)

    fault.__doc__ = f"F4: a Redis primary is killed; its replica lacks {lacks_s:g} s"
    return fault


@pytest.mark.safety
@pytest.mark.parametrize("lacks_s", [0.0, LACKS_S])
async def test_a_replica_is_promoted_and_nobody_is_let_down(
    lacks_s: float, cluster: RunningRedis, tmp_path: Path
) -> None:
    await empty_redis(cluster.url)
    verdict = await played(
        primary_dies(cluster, lacks_s), Plan(redis=cluster.url, units=PLENTY), tmp_path, heal_s=HEAL_S
    )
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300
    assert verdict.longest_undecided_s <= BACK_S


@pytest.mark.control
async def test_without_the_gap_check_what_the_replica_lacked_stays_lost(cluster: RunningRedis, tmp_path: Path) -> None:
    await empty_redis(cluster.url)
    plan = Plan(programs={"allocator": altered("gap_check")}, redis=cluster.url)
    fault = primary_dies(cluster, LACKS_S)
    verdict = await played(fault, plan, tmp_path, gives_up_after_s=3.0, settle_timeout_s=5.0, heal_s=HEAL_S)
    assert verdict.differing > 0
