"""What our processes are tested on: the embedded broker and store, or Apache Kafka and a Redis Cluster.

A test that asks for the fixture `tier` runs on both: on the embedded one in `make test`, on the real one in `make
test-real`. These have no real twin, for what they are about is not there, or stands elsewhere:

    test_demo, test_launcher*, test_wheel     the embedded tier itself; tests/real/test_local_tier.py is the real one's
    test_stream_tansu, test_service_starts    a broker of the embedded tier; tests/real/test_brokers_die.py
    test_log_replaced                         a broker with an empty memory behind the same address
    test_store_guard                          settings of one Redis; check_stores in tests/real/test_redis_cluster.py
    test_snapshot_process                     when it runs; what it makes is in test_rebuild, on both
    test_admin_server, test_http_server*      neither log nor store
"""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from infra.embedded.stores import RunningStores, running_stores
from infra.local.running import RunningKafka, RunningParts, RunningRedis, in_own_loop
from tests.real.stores import empty

LEDGER_FILE = "ledger.sqlite"
in_front = pytest.mark.parametrize("tier", [pytest.param("embedded", marks=pytest.mark.embedded)], indirect=True)
"""Of a test of what stands in front of log and Redis, a second time would tell nothing."""


class Stores(Protocol):
    """A log and a Redis."""

    kafka: str
    redis: str

    @property
    def replicas(self) -> int:
        """Copies of the log."""

    def redis_stands_still(self) -> AbstractContextManager[None]:
        """Nobody answers, and nobody ends a connection."""

    def kafka_stands_still(self) -> AbstractContextManager[None]:
        """Nobody answers, and nobody ends a connection."""


class Tier(Protocol):
    """Where systems are started."""

    def stores(self, folder: Path) -> AbstractContextManager[Stores]:
        """An empty log and an empty Redis; what they write goes to `folder`."""

    def options(self, folder: Path) -> Sequence[str]:
        """What tells `maskline up` of them, empty ones; its ledger may be in `folder`."""

    def kept_in(self) -> Sequence[Path]:
        """Where log and Redis stand on disk, beside the data folder of `maskline up`."""


class EmbeddedStores:
    """Tansu and one Valkey."""

    replicas = 1

    def __init__(self, running: RunningStores) -> None:
        self.kafka, self.redis = running.kafka, running.redis
        self._running = running

    def redis_stands_still(self) -> AbstractContextManager[None]:
        return _standing_still(self._running.store_pid)

    def kafka_stands_still(self) -> AbstractContextManager[None]:
        return _standing_still(self._running.broker_pid)


class EmbeddedTier:
    """Started for whoever asks."""

    @contextmanager
    def stores(self, folder: Path) -> Iterator[Stores]:
        with running_stores(folder) as running:
            yield EmbeddedStores(running)

    def options(self, folder: Path) -> Sequence[str]:
        """None: it brings its own."""
        return ()

    def kept_in(self) -> Sequence[Path]:
        """Nowhere: the log is in memory, Valkey's files are in the data folder."""
        return ()


class RealStores:
    """Three brokers and six nodes."""

    replicas = 3

    def __init__(self, kafka: RunningKafka, redis: RunningRedis) -> None:
        self.kafka, self.redis = kafka.addresses, redis.url
        self._parts: tuple[RunningKafka, RunningRedis] = kafka, redis

    @contextmanager
    def redis_stands_still(self) -> Iterator[None]:
        redis = self._parts[1]
        with _standing_still(*_pids(redis)):
            yield
        in_own_loop(redis.cluster.form())  # they may have elected others meanwhile

    def kafka_stands_still(self) -> AbstractContextManager[None]:
        return _standing_still(*_pids(self._parts[0]))


class RealTier:
    """One for all tests; whoever begins empties it."""

    def __init__(self, kafka: RunningKafka, redis: RunningRedis) -> None:
        self._kafka, self._redis = kafka, redis

    @contextmanager
    def stores(self, folder: Path) -> Iterator[Stores]:
        folder.mkdir(parents=True, exist_ok=True)
        in_own_loop(empty(self._kafka.addresses, self._redis.url))
        yield RealStores(self._kafka, self._redis)

    def options(self, folder: Path) -> Sequence[str]:
        """With a ledger in a file: PostgreSQL has tests of its own (tests/real/test_ledger_on_postgres.py)."""
        in_own_loop(empty(self._kafka.addresses, self._redis.url))
        folder.mkdir(parents=True, exist_ok=True)
        ledger = f"sqlite:///{folder / LEDGER_FILE}"
        return ("--kafka", self._kafka.addresses, "--redis", self._redis.url, "--ledger", ledger)

    def kept_in(self) -> Sequence[Path]:
        return (self._kafka.folder, self._redis.folder)


def _pids(parts: RunningParts) -> list[int]:
    return [parts.pid(name) for name in parts.names]


@contextmanager
def _standing_still(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
