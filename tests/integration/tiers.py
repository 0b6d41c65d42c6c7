"""What our processes are tested on: the embedded broker and store, or Apache Kafka and a Redis Cluster.

A test that asks for the fixture `tier` runs on both: on the embedded one in `make test`, on the real one in `make
test-real`. `make test-secured` runs it on a real one that asks everybody who they are, as that of `make up TLS=1` does:
each service comes by TLS, as a user of its own, with the rights of that user.

These have no real twin, for what they are about is not there, or stands elsewhere:

    test_demo, test_launcher*, test_wheel     the embedded tier itself; tests/real/test_local_tier.py is the real one's
    test_stream_tansu, test_service_starts    a broker of the embedded tier; tests/real/test_brokers_die.py
    test_log_replaced                         a broker with an empty memory behind the same address
    test_store_guard                          settings of one Redis; check_stores in tests/real/test_redis_cluster.py
    test_snapshot_process                     when it runs; what it makes is in test_rebuild, on both
    test_admin_server, test_http_server*      neither log nor store
"""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import pytest

from infra.access.redis_rights import RULES
from infra.embedded.stores import RunningStores, running_stores
from infra.local.guards import ACCESS, Guards, guards_in
from infra.local.redis_guard import RedisGuard
from infra.local.running import RunningKafka, RunningParts, RunningRedis, in_own_loop
from services.platform.settings import AccessSettings
from tests.real.stores import cleared, delete_topics, empty_redis

LEDGER_FILE = "ledger.sqlite"
ROOT: Final = "root"
in_front = pytest.mark.parametrize("tier", [pytest.param("embedded", marks=pytest.mark.embedded)], indirect=True)
"""Of a test of what stands in front of log and Redis, a second time would tell nothing."""
without_users = pytest.mark.parametrize(
    "tier",
    [pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("real", marks=pytest.mark.real)],
    indirect=True,
    scope="module",
)
"""Of a test of what only an administrator may do."""


class Stores(Protocol):
    """A log and a Redis."""

    kafka: str
    redis: str

    @property
    def replicas(self) -> int:
        """Copies of the log."""

    @property
    def root(self) -> str:
        """Redis, as somebody comes who may do everything."""

    def access(self, user: str) -> AccessSettings:
        """As whom a service comes."""

    def redis_stands_still(self) -> AbstractContextManager[None]:
        """Nobody answers, and nobody ends a connection."""

    def kafka_stands_still(self) -> AbstractContextManager[None]:
        """Nobody answers, and nobody ends a connection."""


def reached(stores: Stores, user: str) -> dict[str, Any]:
    """What the settings of a service, or of a command, are told of where log and Redis are."""
    return {"kafka": stores.kafka, "redis": stores.redis, "access": stores.access(user)}


class Tier(Protocol):
    """Where systems are started."""

    def stores(self, folder: Path) -> AbstractContextManager[Stores]:
        """An empty log and an empty Redis; what they write goes to `folder`."""

    def options(self, data: Path) -> Sequence[str]:
        """What tells `maskline up` of them, empty ones; who is who then stands in its folder, `data`."""

    def kept_in(self) -> Sequence[Path]:
        """Where log and Redis stand on disk, beside the data folder of `maskline up`."""


class EmbeddedStores:
    """Tansu and one Valkey."""

    replicas = 1

    def __init__(self, running: RunningStores) -> None:
        self.kafka, self.redis = running.kafka, running.redis
        self.root = running.redis
        self._running = running

    def access(self, user: str) -> AccessSettings:
        """Nobody is asked."""
        return AccessSettings()

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

    def options(self, data: Path) -> Sequence[str]:
        """None: it brings its own."""
        return ()

    def kept_in(self) -> Sequence[Path]:
        """Nowhere: the log is in memory, Valkey's files are in the data folder."""
        return ()


class RealStores:
    """Three brokers and six nodes."""

    replicas = 3

    def __init__(self, kafka: RunningKafka, redis: RunningRedis, guards: Guards | None) -> None:
        self.kafka, self.redis = kafka.addresses, redis.url
        self._parts: tuple[RunningKafka, RunningRedis] = kafka, redis
        self._guards = guards

    @property
    def root(self) -> str:
        return self.redis if self._guards is None else as_root(self._guards, self.redis)

    def access(self, user: str) -> AccessSettings:
        return AccessSettings() if self._guards is None else self._guards.access(user)

    @contextmanager
    def redis_stands_still(self) -> Iterator[None]:
        redis = self._parts[1]
        with _standing_still(*_pids(redis)):
            yield
        in_own_loop(redis.cluster.form())  # they may have elected others meanwhile

    def kafka_stands_still(self) -> AbstractContextManager[None]:
        return _standing_still(*_pids(self._parts[0]))


class RealTier:
    """One for all tests; whoever begins empties it. With `guards` it asks who you are."""

    def __init__(self, kafka: RunningKafka, redis: RunningRedis, guards: Guards | None = None) -> None:
        self._kafka, self._redis, self._guards = kafka, redis, guards

    @contextmanager
    def stores(self, folder: Path) -> Iterator[Stores]:
        folder.mkdir(parents=True, exist_ok=True)
        yield self._emptied()

    def options(self, data: Path) -> Sequence[str]:
        """With a ledger in a file: PostgreSQL has tests of its own (tests/real/test_ledger_on_postgres.py)."""
        stores = self._emptied()
        data.mkdir(mode=0o700, parents=True)
        if self._guards is not None:
            shutil.copytree(self._guards.authority.folder, data / ACCESS)
        ledger = f"sqlite:///{data.parent / LEDGER_FILE}"
        return ("--kafka", stores.kafka, "--redis", stores.redis, "--ledger", ledger)

    def kept_in(self) -> Sequence[Path]:
        return (self._kafka.folder, self._redis.folder)

    def _emptied(self) -> RealStores:
        stores = RealStores(self._kafka, self._redis, self._guards)
        in_own_loop(self._empty(stores))
        return stores

    async def _empty(self, stores: RealStores) -> None:
        if self._guards is None:
            await cleared(stores.kafka)
        else:
            async with self._kafka.administrator() as admin:
                await delete_topics(admin)
        await empty_redis(stores.root)


def secured_guards(folder: Path) -> Guards:
    """Those of `make up TLS=1`, and in Redis one more user, who may do everything: tests empty it, and spoil it."""
    guards = Guards.in_folder(folder)
    authority = guards.authority
    return guards._replace(redis=RedisGuard(authority, authority.folder, {**RULES, ROOT: "~* &* +@all"}))


def as_root(guards: Guards, redis: str) -> str:
    """The address of a Redis, as that user comes."""
    return guards.redis.address(urlsplit(redis).netloc, ROOT)


def root_in(data: Path, redis: str) -> str:
    """The same of a system that `maskline up` started with this data folder."""
    return as_root(guards, redis) if (guards := guards_in(data)) else redis


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
