"""What stands under our services on one machine: brokers, Redis Cluster, PostgreSQL, started and stopped together.

    parts = Parts(folder, guards, tell, on_change)
    await parts.start()
    …
    await parts.stop()
"""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infra.launcher.endpoints import ProcessEndpoint
from infra.launcher.launcher import Launcher, LauncherSettings, Tell
from infra.launcher.ports import free_ports
from infra.local.guards import Guards
from infra.local.java import find_java
from infra.local.kafka import KafkaCluster
from infra.local.kafka_jars import find_maven_or_jars
from infra.local.kafka_settings import BrokerPorts
from infra.local.missing import check_all
from infra.local.nginx import find_nginx
from infra.local.postgres import PostgresServer, find_postgres
from infra.local.prometheus import find_prometheus
from infra.local.redis_cluster import NODES, RedisCluster, find_redis
from infra.local.redis_settings import NodePorts
from services.platform.errors import MasklineError

BROKERS: Final = 3
WHOLE_TIMEOUT_S: Final = 30.0
LOOK_S: Final = 0.1
SETTINGS: Final = LauncherSettings(stop_timeout_s=10.0)
LEAST_FREE_BYTES: Final = 1024**3
"""An empty system takes 200 MB, most of it PostgreSQL's and Kafka's files at their first size."""


class DiskAlmostFull(MasklineError):
    """There are {free_mb} MB free where {folder} is, and the real tier needs {least_mb} to start.

    Make room, or put its data elsewhere: --folder DIR.
    """


class KafkaNotWhole(MasklineError):
    """The brokers run, but did not all find each other within {seconds:g} s. Their output is in {logs}."""


def check_parts() -> None:
    """Whether this machine has all that the real tier needs. Raises PartMissing, PartsMissing."""
    check_all(FINDERS)


FINDERS: Final[tuple[Callable[[], Path], ...]] = (
    find_java,
    find_maven_or_jars,
    find_redis,
    find_postgres,
    find_nginx,
    find_prometheus,
)


def check_room(folder: Path, least_bytes: int = LEAST_FREE_BYTES) -> None:
    """Raises DiskAlmostFull."""
    free = shutil.disk_usage(folder).free
    if free < least_bytes:
        raise DiskAlmostFull(folder=folder, free_mb=free // 1024**2, least_mb=least_bytes // 1024**2)


class Parts:
    """Three brokers, six Redis nodes and a database server; ports are chosen free at each start.

    With `guards` brokers and nodes ask who you are.
    """

    def __init__(self, folder: Path, guards: Guards | None, tell: Tell, on_change: Callable[[], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._on_change = on_change
        (postgres_port,) = free_ports(1)
        kafka_guard, redis_guard = (None, None) if guards is None else (guards.kafka, guards.redis)
        self.kafka = KafkaCluster(folder / "kafka", BrokerPorts.free(BROKERS), kafka_guard)
        self.redis = RedisCluster(folder / "redis", NodePorts.free(NODES), redis_guard)
        self.postgres = PostgresServer(folder / "postgres", postgres_port)
        self._launcher: Launcher | None = None

    async def start(self) -> None:
        """From nothing to whole. Raises what the parts raise, in words."""
        self.redis.prepare()
        await asyncio.gather(self.kafka.prepare(self._tell), self.postgres.prepare(self._tell))
        specs = [*self.kafka.specs(), *self.redis.specs(), *self.postgres.specs()]
        self._tell(f"Starting {BROKERS} Kafka brokers, {NODES} Redis nodes and PostgreSQL.")
        self._launcher = Launcher(specs, self._folder, self._tell, self._on_change, SETTINGS)
        await self._launcher.start()
        await asyncio.gather(self.redis.form(), self.postgres.check_login(), self._kafka_is_whole())
        await self.kafka.grant()
        self._tell("Kafka, Redis Cluster and PostgreSQL are whole.")

    async def stop(self) -> None:
        """End all."""
        if self._launcher is not None:
            await self._launcher.stop()
        self._launcher = None

    def processes(self) -> list[ProcessEndpoint]:
        """Those that run."""
        return self._launcher.processes() if self._launcher is not None else []

    async def _kafka_is_whole(self) -> None:
        deadline_s = time.monotonic() + WHOLE_TIMEOUT_S
        while not await self.kafka.is_whole():
            if time.monotonic() > deadline_s:
                raise KafkaNotWhole(seconds=WHOLE_TIMEOUT_S, logs=self._folder / "logs")
            await asyncio.sleep(LOOK_S)
