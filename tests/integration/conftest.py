"""The tiers, one after the other, for every module that asks."""

from collections.abc import Iterator

import pytest

from infra.local.guards import Guards
from infra.local.running import RunningKafka, RunningRedis, running_kafka, running_redis
from tests.integration.tiers import EmbeddedTier, RealTier, Tier, secured_guards


@pytest.fixture(scope="session")
def guards(tmp_path_factory: pytest.TempPathFactory) -> Guards:
    """Who is who at the secured tier."""
    return secured_guards(tmp_path_factory.mktemp("guards"))


@pytest.fixture(scope="session")
def guarded_brokers(tmp_path_factory: pytest.TempPathFactory, guards: Guards) -> Iterator[RunningKafka]:
    """Three brokers that ask who you are."""
    with running_kafka(tmp_path_factory.mktemp("guarded-kafka"), brokers=3, guard=guards.kafka) as kafka:
        yield kafka


@pytest.fixture(scope="session")
def guarded_cluster(tmp_path_factory: pytest.TempPathFactory, guards: Guards) -> Iterator[RunningRedis]:
    """A Redis Cluster that asks."""
    with running_redis(tmp_path_factory.mktemp("guarded-redis"), guards.redis) as redis:
        yield redis


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", marks=pytest.mark.embedded),
        pytest.param("real", marks=pytest.mark.real),
        pytest.param("secured", marks=pytest.mark.secured),
    ],
)
def tier(request: pytest.FixtureRequest) -> Tier:
    """Asked for here: who runs on the embedded one needs no Java."""
    if request.param == "embedded":
        return EmbeddedTier()
    if request.param == "real":
        return RealTier(request.getfixturevalue("three_brokers"), request.getfixturevalue("redis_cluster"))
    names = ("guarded_brokers", "guarded_cluster", "guards")
    return RealTier(*map(request.getfixturevalue, names))
