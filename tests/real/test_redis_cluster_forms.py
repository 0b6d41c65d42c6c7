"""A Redis Cluster is made of six nodes once, and is the same one at every start."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.embedded.commands import LOOPBACK
from infra.fault_proxy.modes import Delay, HalfOpen, Mode, Pass
from infra.fault_proxy.proxy import FaultProxy
from infra.launcher.ports import free_ports
from infra.local.redis_cluster import NODES, PRIMARIES
from infra.local.redis_settings import NodePorts, redis_conf
from infra.local.running import RunningRedis, in_own_loop, running_nodes
from services.state.redis_client import Redis, connect, hosts_in
from services.state.redis_cluster import OTHERS_TOLD_S
from services.state.redis_cluster import RedisCluster as Reader
from services.state.slot_map import SLOTS, slot_of
from services.state.store import open_store

TIMEOUT_S = 5.0
ROW = "{p00}:head"


async def primaries(url: str) -> dict[str, int]:
    """Ids of those that lead, and how many slots each has."""
    store = open_store(url, timeout_s=TIMEOUT_S)
    assert isinstance(store, Reader)
    found = {node.id: len(node.slots) for node, _ in await store.nodes() if node.slots}
    replicas = [node for node, _ in await store.nodes() if node.follows]
    await store.aclose()
    assert len(replicas) == NODES - PRIMARIES
    return found


async def row(url: str) -> bytes | None:
    store = open_store(url, timeout_s=TIMEOUT_S)
    assert isinstance(store, Reader)
    (value,) = await store.mget([ROW])
    await store.aclose()
    return value


async def write(url: str) -> None:
    """One key, on the node that has it."""
    store = open_store(url, timeout_s=TIMEOUT_S)
    assert isinstance(store, Reader)
    await (await store.nodes(ROW))[0][1].set(ROW, "kept")
    await store.aclose()


def test_six_nodes_are_three_primaries_with_a_replica_each_and_the_same_ones_after_a_restart_on_other_ports(
    tmp_path: Path,
) -> None:
    with running_nodes(tmp_path) as first:
        in_own_loop(first.cluster.form())
        before = in_own_loop(primaries(first.url))
        in_own_loop(write(first.url))
        in_own_loop(first.cluster.form())  # nothing is to be done
        assert in_own_loop(primaries(first.url)) == before
    assert sum(before.values()) == SLOTS
    assert len(before) == PRIMARIES
    with running_nodes(tmp_path) as again:
        assert again.url != first.url
        in_own_loop(again.cluster.form())
        assert in_own_loop(primaries(again.url)) == before
        assert in_own_loop(row(again.url)) == b"kept"


async def begin_to_form(running: RunningRedis) -> None:
    """Somebody gave up when the first node had a part of its slots, and had met one other."""
    ports = running.cluster._ports
    client: Redis = connect(f"redis://{LOOPBACK}:{ports[0].client}", timeout_s=TIMEOUT_S)
    words: list[list[Any]] = [["ADDSLOTSRANGE", 0, 99], ["MEET", LOOPBACK, ports[4].client, ports[4].bus]]
    for each in words:
        await client.execute_command("CLUSTER", *each)  # type: ignore[no-untyped-call]
    await client.aclose()


def test_a_cluster_whose_making_was_interrupted_is_made_whole(tmp_path: Path) -> None:
    with running_nodes(tmp_path) as running:
        in_own_loop(begin_to_form(running))
        in_own_loop(running.cluster.form())
        assert sum(in_own_loop(primaries(running.url)).values()) == SLOTS


@pytest.mark.parametrize("line", ["maxmemory-policy noeviction", "appendonly yes", "cluster-node-timeout 2000"])
def test_every_setting_stands_below_its_reason(tmp_path: Path, line: str) -> None:
    lines = redis_conf(NodePorts(7001, 17001), tmp_path).splitlines()
    assert line in lines
    assert all(each.startswith("# ") for each in lines[::2])
    assert not any(each.startswith("#") for each in lines[1::2])


def test_regions_are_spread_over_all_primaries() -> None:
    assert {slot_of(f"{{p{number:02d}}}:head") * PRIMARIES // SLOTS for number in range(8)} == {0, 1, 2}


@asynccontextmanager
async def behind_proxies(redis: str, *modes: Mode) -> AsyncIterator[Reader]:
    """The cluster as somebody sees it to whom nothing was named but a proxy for each of these modes."""
    ports = free_ports(len(modes))
    async with AsyncExitStack() as stack:
        for port, mode, address in zip(ports, modes, hosts_in(redis), strict=False):
            proxy = FaultProxy(listens_at=port, target=int(address.rpartition(":")[2]))
            await (await stack.enter_async_context(proxy)).switch(mode)
        cluster = Reader(f"redis://{','.join(f'{LOOPBACK}:{port}' for port in ports)}/0", timeout_s=TIMEOUT_S)
        stack.push_async_callback(cluster.aclose)
        yield cluster


async def test_where_all_nodes_are_slow_to_be_connected_to_one_is_waited_for(redis_cluster: RunningRedis) -> None:
    late = Delay(each_way_ms=OTHERS_TOLD_S * 1000)
    async with behind_proxies(redis_cluster.url, late, late) as cluster:
        assert len(await cluster.mget([ROW])) == 1


async def test_who_stands_still_is_not_waited_for_where_another_tells(redis_cluster: RunningRedis) -> None:
    async with behind_proxies(redis_cluster.url, HalfOpen(), Pass()) as cluster:
        began_s = time.monotonic()
        assert len(await cluster.mget([ROW])) == 1
        assert time.monotonic() - began_s < TIMEOUT_S / 2
