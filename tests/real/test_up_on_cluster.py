"""`maskline up` on a Redis Cluster: partitions on several primaries, one of which dies in mid-rush; nothing is lost."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.embedded.stores import running_stores
from infra.local.running import RunningRedis, in_own_loop
from services.audit.main import main as verify
from services.audit.verify import VerifySettings
from services.state.keys import head_key
from services.state.redis_cluster import RedisCluster
from services.state.store import open_store
from tests.integration.cli_system import Up, maskline, rush, small_campaign, up
from tests.real.stores import empty_redis

pytestmark = pytest.mark.timeout(120)
PARTITIONS = 4
RESIDENTS = 200
TIMEOUT_S = 5.0


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, redis_cluster: RunningRedis
) -> Iterator[tuple[Up, Path]]:
    """A campaign on which people rushed, on an embedded broker and an empty cluster."""
    file = small_campaign(tmp_path_factory.mktemp("campaign"))
    in_own_loop(empty_redis(redis_cluster.url))
    with (
        running_stores(tmp_path_factory.mktemp("stores")) as stores,
        up(
            tmp_path_factory.mktemp("system") / "data",
            "--kafka", stores.kafka, "--redis", redis_cluster.url, "--replicas", "1",
        ) as running,
    ):  # fmt: skip
        applied = maskline("campaign", "apply", file, "--data", running.data)
        assert applied.code == 0, applied.err
        tally = asyncio.run(rush(running, file, "small", RESIDENTS))
        assert (tally.gone, tally.unknown) == (RESIDENTS, 0), tally
        yield running, file


def settings_of(system: Up) -> VerifySettings:
    return VerifySettings(kafka=system.endpoints["kafka"], redis=system.endpoints["redis"], data=system.data)


async def primaries_of_partitions(url: str) -> list[str]:
    """Where each partition is."""
    store = open_store(url, timeout_s=TIMEOUT_S)
    assert isinstance(store, RedisCluster)
    found = [(await store.nodes(head_key(partition)))[0][0].address for partition in range(PARTITIONS)]
    await store.aclose()
    return found


async def test_after_a_rush_nothing_differs_on_any_primary(system: tuple[Up, Path]) -> None:
    running, _ = system
    assert len(set(await primaries_of_partitions(running.endpoints["redis"]))) > 1
    report = await verify(settings_of(running))
    assert report.differences == []
    assert report.records > RESIDENTS


def test_the_doctor_looks_at_every_node(system: tuple[Up, Path], redis_cluster: RunningRedis) -> None:
    looked = maskline("doctor", "--data", system[0].data).out
    assert looked.count("appendonly is on") == len(redis_cluster.names)
    assert "the function library is" in looked
    # The embedded broker keeps no setting of a topic that a real one must have.
    assert [line for line in looked.splitlines() if "BAD" in line and " topic " not in line] == []


async def test_a_primary_that_dies_in_mid_rush_loses_nobody(
    system: tuple[Up, Path], redis_cluster: RunningRedis
) -> None:
    running, file = system
    killed = redis_cluster.name_at((await primaries_of_partitions(redis_cluster.url))[0])
    rushing = asyncio.create_task(rush(running, file, "small", RESIDENTS, arrive_within_s=6.0))
    await asyncio.sleep(1.0)
    redis_cluster.kill(killed)
    try:
        tally = await rushing
        assert tally.unknown == 0, tally
        report = await verify(settings_of(running))
        assert report.differences == []
    finally:
        redis_cluster.start(killed)
        in_own_loop(redis_cluster.cluster.form())


async def test_an_emptied_cluster_is_rebuilt_by_one_command(system: tuple[Up, Path]) -> None:
    running, _ = system
    await empty_redis(running.endpoints["redis"])
    rebuilt = maskline("rebuild", "--data", running.data)
    assert rebuilt.code == 0, rebuilt.out + rebuilt.err
    report = await verify(settings_of(running))
    assert report.differences == []
