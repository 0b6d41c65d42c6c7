"""What the whole suite shares: the count of safety tests and of the controls that show each of them can fail."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from infra.embedded.stores import running_stores
from infra.local.running import (
    RunningKafka,
    RunningPostgres,
    RunningRedis,
    running_kafka,
    running_postgres,
    running_redis,
)
from tests.parts_missing import PartsMissing
from tests.work_counted import WorkCounted

# Two busy cores are slow without being wrong. The integration server judges a change, so it draws the same examples
# each time; everybody else draws new ones.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")

COUNTED = {"safety": "safety tests", "control": "controls"}


class PairsCounted:
    """How many safety tests and controls ended in which way, wherever they ran: workers send their reports here."""

    def __init__(self) -> None:
        self._finished: Counter[tuple[str, str]] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # A test that never reached its call (skipped, or broken in set-up) is counted by that phase instead.
        if report.when == "call" or (report.when == "setup" and not report.passed):
            for marker in COUNTED:
                if marker in report.keywords:
                    self._finished[marker, report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line: a safety test whose control is missing or skipped proves little, so both stand side by side."""
        if self._finished:
            terminalreporter.write_line("; ".join(map(self._in_words, COUNTED)))

    def _in_words(self, marker: str) -> str:
        counts = {outcome: self._finished[marker, outcome] for outcome in ("passed", "failed", "skipped")}
        told = [f"{count} {outcome}" for outcome, count in counts.items() if count or outcome == "passed"]
        return f"{COUNTED[marker]}: {', '.join(told)}"


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Valkey for all who empty it before they use it; its URL."""
    with running_stores(tmp_path_factory.mktemp("stores")) as stores:
        yield stores.redis


@pytest.fixture(scope="session")
def three_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKafka]:
    """Apache Kafka with three copies of everything; whoever kills one starts it again. Its topics are cleared away."""
    with running_kafka(tmp_path_factory.mktemp("kafka"), brokers=3) as kafka:
        yield kafka


@pytest.fixture
def brokers(three_brokers: RunningKafka) -> Iterator[RunningKafka]:
    """The same, for who kills some: all of them run, before and after."""
    yield three_brokers
    if dead := [name for name in three_brokers.names if not three_brokers.runs(name)]:
        three_brokers.start(*dead)


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRedis]:
    """A Redis Cluster, three primaries and three replicas; whoever kills a node starts it again and forms it anew."""
    with running_redis(tmp_path_factory.mktemp("redis-cluster")) as redis:
        yield redis


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPostgres]:
    """One PostgreSQL for all who empty it before they use it; whoever kills it starts it again."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(
    params=[pytest.param("valkey", marks=pytest.mark.embedded), pytest.param("cluster", marks=pytest.mark.real)]
)
def redis_url(request: pytest.FixtureRequest) -> str:
    """The URL of one Valkey, and of a Redis Cluster, for who empties it before they use it."""
    if request.param == "valkey":  # each is asked for here: who runs on the one does not wait for the other
        return str(request.getfixturevalue("valkey"))
    redis: RunningRedis = request.getfixturevalue("redis_cluster")
    return redis.url


LONG_FILES = {"chaos", "real"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file stays with one worker: long ones come first, so that no worker waits long for the other one at the end."""
    items.sort(key=lambda item: LONG_FILES.isdisjoint(item.path.parts))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(PairsCounted())
    config.pluginmanager.register(PartsMissing())
    config.pluginmanager.register(WorkCounted())
