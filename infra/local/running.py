"""Processes of the real tier for as long as a `with` block, without a launcher: for tests and benchmarks.

Nothing is started again by itself, so that a test decides how long something is down.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient

from infra.access.kafka_rights import RIGHTS, Right
from infra.launcher.last_words import last_words
from infra.launcher.ports import free_ports
from infra.launcher.process import LOOK_S, NOTHING, ProcessDidNotStart, ProcessSpec
from infra.local.kafka import KafkaCluster
from infra.local.kafka_guard import KafkaGuard
from infra.local.kafka_settings import BrokerPorts
from infra.local.postgres import PostgresServer
from infra.local.redis_cluster import NODES, RedisCluster
from infra.local.redis_guard import RedisGuard
from infra.local.redis_settings import NodePorts

READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
Result = TypeVar("Result")


class RunningParts:
    """Processes by the names of their specs; what they write goes to `folder`."""

    def __init__(self, specs: Sequence[ProcessSpec], folder: Path) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> list[str]:
        return list(self._specs)

    def pid(self, name: str) -> int:
        """Of one that runs."""
        return self._processes[name].pid

    def runs(self, name: str) -> bool:
        """Whether it was started and has not ended."""
        return name in self._processes and self._processes[name].poll() is None

    def start(self, *names: str) -> None:
        """Start these, all without names, and wait until they are ready. Raises ProcessDidNotStart."""
        self._spawn(names or self.names)
        in_own_loop(self._wait_until_ready(names or self.names))

    async def start_beside(self, *names: str) -> None:
        """As `start`, while the caller's loop goes on. Never in a thread: what a thread has started ends with it."""
        self._spawn(names)
        await self._wait_until_ready(names)

    def _spawn(self, names: Sequence[str]) -> None:
        for name in names:
            spec = self._specs[name]
            with self._output(name).open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    spec.command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env={**os.environ, **spec.env},
                )

    def kill(self, *names: str) -> None:
        """kill -9, all at once."""
        for name in names:
            self._processes[name].send_signal(signal.SIGKILL)
        for name in names:
            self._processes.pop(name).wait()

    def terminate(self, name: str) -> None:
        """SIGTERM; it ends when it likes, and then it no longer `runs`."""
        self._processes[name].terminate()

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self._processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self._processes[name].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ask all to end, and end what has not within STOP_TIMEOUT_S."""
        for process in self._processes.values():
            process.terminate()
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    async def _wait_until_ready(self, names: Sequence[str]) -> None:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        for name in names:
            while not await self._specs[name].is_ready():
                if (code := self._processes[name].poll()) is not None:
                    raise self._did_not_start(name, f"ended with {code}")
                if time.monotonic() > deadline_s:
                    raise self._did_not_start(name, f"was not ready within {READY_TIMEOUT_S:g} s")
                await asyncio.sleep(LOOK_S)

    def _did_not_start(self, name: str, what: str) -> ProcessDidNotStart:
        output = self._output(name)
        tail = "\n    ".join(last_words(output)) or NOTHING
        return ProcessDidNotStart(name=name, what=what, output=output, tail=tail)

    def _output(self, name: str) -> Path:
        return self.folder / f"{name}.log"


class RunningKafka(RunningParts):
    """A cluster of brokers."""

    def __init__(self, cluster: KafkaCluster, folder: Path) -> None:
        super().__init__(cluster.specs(), folder)
        self.addresses = cluster.addresses
        self._cluster = cluster

    def start(self, *names: str) -> None:
        super().start(*names)
        if not names:
            in_own_loop(self.grants())

    async def grants(self, rights: Mapping[str, Iterable[Right]] = RIGHTS) -> None:
        """Rights of users, where the cluster has users."""
        await self._cluster.grant(rights)

    def administrator(self) -> AbstractAsyncContextManager[AIOKafkaAdminClient]:
        """Who may do everything, where the cluster has users. Raises KafkaError."""
        return self._cluster.administrator()


@contextmanager
def running_kafka(
    folder: Path, brokers: int, tell: Callable[[str], None] = lambda _: None, guard: KafkaGuard | None = None
) -> Iterator[RunningKafka]:
    """An empty cluster in an empty folder; with `guard` it asks who you are. Raises PartMissing, ProcessDidNotStart."""
    cluster = KafkaCluster(folder / "kafka", BrokerPorts.free(brokers), guard)
    in_own_loop(cluster.prepare(tell))
    kafka = RunningKafka(cluster, folder)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


class RunningRedis(RunningParts):
    """A Redis Cluster. The first three nodes lead at first; `cluster.form()` makes it whole after one was killed."""

    def __init__(self, cluster: RedisCluster, folder: Path) -> None:
        super().__init__(cluster.specs(), folder)
        self.cluster = cluster
        self.url = cluster.url

    def name_at(self, address: str) -> str:
        """The node that listens at host:port."""
        return self.names[self.cluster.index_at(address)]


@contextmanager
def running_redis(folder: Path, guard: RedisGuard | None = None) -> Iterator[RunningRedis]:
    """A cluster, empty where the folder is; with `guard` it asks who you are.

    Raises PartMissing, ProcessDidNotStart, ClusterNotFormed.
    """
    with running_nodes(folder, guard) as redis:
        in_own_loop(redis.cluster.form())
        yield redis


@contextmanager
def running_nodes(folder: Path, guard: RedisGuard | None = None) -> Iterator[RunningRedis]:
    """Six nodes that nobody has made a cluster of in this start. Raises PartMissing, ProcessDidNotStart."""
    cluster = RedisCluster(folder / "redis", NodePorts.free(NODES), guard)
    cluster.prepare()
    redis = RunningRedis(cluster, folder)
    try:
        redis.start()
        yield redis
    finally:
        redis.stop()


class RunningPostgres(RunningParts):
    """A server with one database, which is the ledger's."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        super().__init__(server.specs(), folder)
        self.url = server.url


@contextmanager
def running_postgres(folder: Path) -> Iterator[RunningPostgres]:
    """A server with an empty database in an empty folder. Raises PartMissing, ProcessDidNotStart."""
    server = PostgresServer(folder / "postgres", free_ports(1)[0])
    in_own_loop(server.prepare(lambda _: None))
    postgres = RunningPostgres(server, folder)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


def in_own_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """A loop of its own in a thread of its own: the caller may be a coroutine's fixture."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
