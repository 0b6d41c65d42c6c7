"""Apache Kafka on this machine: one broker or three (KRaft, each also a voter), their logs in a folder that is kept.

    cluster = KafkaCluster(folder, ports)
    await cluster.prepare(tell)
    Launcher(cluster.specs(), …)

cluster.json          which cluster's data this is: Kafka's version, cluster id, number of brokers
broker-1/data/        the log; broker-1/server.properties is written anew at each start
"""

import asyncio
import base64
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from infra.access.kafka_rights import RIGHTS, Right, grant
from infra.embedded.commands import LOOPBACK
from infra.launcher.guard import guarded
from infra.launcher.process import ProcessSpec
from infra.local.java import find_java
from infra.local.kafka_guard import KafkaGuard
from infra.local.kafka_jars import HERE, KAFKA_VERSION, kafka_jars
from infra.local.kafka_metadata import Cluster, ask_broker
from infra.local.kafka_settings import BrokerPorts, node_id, server_properties
from services.platform.errors import MasklineError

SERVICE: Final = "kafka"
RECORD: Final = "cluster.json"
DATA: Final = "data"
META: Final = "meta.properties"
LOG_SETTINGS: Final = HERE / "log4j2.properties"
FORMAT_TIMEOUT_S: Final = 60.0
LAST_LINES: Final = 8
HEAP: Final = ("-Xms192m", "-Xmx384m")
JVM: Final = (
    *HEAP,
    # Two cores are shared by everything: no threads of the collector's own.
    "-XX:+UseSerialGC",
    # The second compiler took half of a broker's time for its first hundred thousand bookings, 40 µs each; without it
    # three brokers cost a booking 110 µs, not 250. In production, where brokers run for months, leave it on.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    f"-Dlog4j2.configurationFile={LOG_SETTINGS}",
)


class KafkaDataRefused(MasklineError):
    """The Kafka data in {folder} cannot be used: {what}.

    Put the right folder there. If its log may be thrown away: `make down WIPE=1` empties it.
    """


class KafkaNotFormatted(MasklineError):
    """The data folder {folder} of a Kafka broker could not be made: {tail}"""


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Which cluster's data a folder holds."""

    kafka: str
    cluster_id: str
    brokers: int
    has_users: bool = False


class KafkaCluster:
    """As many brokers as there are `ports`; their data is in `folder`. With `guard` it asks everybody who they are."""

    def __init__(self, folder: Path, ports: Sequence[BrokerPorts], guard: KafkaGuard | None = None) -> None:
        self._folder = folder
        self._ports = ports
        self._guard = guard
        self._command: list[str] = []

    @property
    def addresses(self) -> str:
        """As `--kafka` takes them."""
        return ",".join(f"{LOOPBACK}:{each.broker}" for each in self._ports)

    async def prepare(self, tell: Callable[[str], None]) -> None:
        """Everything before the first start: jars, settings, data folders.

        Raises PartMissing, JarsNotFetched, JarsDiffer, KafkaDataRefused, KafkaNotFormatted.
        """
        java = find_java()
        jars = await kafka_jars(tell)
        self._command = [str(java), *JVM, "-cp", f"{jars}/*"]
        record = self.claim()
        for index in range(len(self._ports)):
            properties = self._properties(index)
            properties.parent.mkdir(parents=True, exist_ok=True)
            tls = self._guard.tls_of(index) if self._guard else None
            properties.write_text(server_properties(index, self._ports, self._data(index), tls), "utf-8")
        users = None if self._guard is None else self._guard.write_users()
        try:
            await asyncio.gather(*[self._format(index, record.cluster_id, users) for index in range(len(self._ports))])
        finally:
            if users is not None:
                users.unlink()

    def specs(self) -> list[ProcessSpec]:
        """The brokers, to be started in any order; `prepare` comes first."""
        return [
            ProcessSpec(
                name=f"{SERVICE}-{node_id(index)}",
                service=SERVICE,
                index=index,
                command=guarded([*self._command, "kafka.Kafka", str(self._properties(index))]),
                is_ready=partial(self._takes_part, index),
            )
            for index in range(len(self._ports))
        ]

    async def is_whole(self) -> bool:
        """Whether every broker answers and knows all the others."""
        everybody = {node_id(index) for index in range(len(self._ports))}
        answers = await asyncio.gather(*[self._ask(index) for index in range(len(self._ports))])
        return all(answer is not None and answer.brokers == everybody for answer in answers)

    async def _takes_part(self, index: int) -> bool:
        """Whether a broker leads and follows: it stands in its own list only when the controller has let it in.

        It does not look for the others: one that comes back while they are down is ready as well.
        """
        answer = await self._ask(index)
        return answer is not None and node_id(index) in answer.brokers

    async def _ask(self, index: int) -> Cluster | None:
        if self._guard is None:
            return await ask_broker(self._ports[index].broker)
        return await ask_broker(self._ports[index].between, self._guard.as_broker())

    async def grant(self, rights: Mapping[str, Iterable[Right]] = RIGHTS) -> None:
        """Users may do what they need; the brokers run. Raises RightsRefused, KafkaError where none answers."""
        if self._guard is not None:
            async with self.administrator() as admin:
                await grant(admin, rights)

    def administrator(self) -> AbstractAsyncContextManager[AIOKafkaAdminClient]:
        """Who may do everything, where the brokers ask who you are, and run. Raises KafkaError."""
        assert self._guard is not None  # noqa: S101  # where nobody is asked, anybody may
        return self._guard.administrator([f"{LOOPBACK}:{each.between}" for each in self._ports])

    def claim(self) -> ClusterRecord:
        """The record of this folder, made where it is new; whose data it is. Raises KafkaDataRefused."""
        path = self._folder / RECORD
        if not path.exists():
            if any(self._folder.glob(f"broker-*/{DATA}/{META}")):
                raise self._refused(f"{RECORD} is missing, and there is data")
            fresh = ClusterRecord(
                kafka=KAFKA_VERSION,
                cluster_id=new_cluster_id(),
                brokers=len(self._ports),
                has_users=self._guard is not None,
            )
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(fresh))
            return fresh
        try:
            record = msgspec.json.decode(path.read_bytes(), type=ClusterRecord)
        except msgspec.DecodeError as error:
            raise self._refused(f"{RECORD} cannot be read ({error})") from error
        if record.kafka != KAFKA_VERSION:
            raise self._refused(f"it was made by Kafka {record.kafka}, and this is {KAFKA_VERSION}")
        if record.brokers != len(self._ports):
            raise self._refused(f"it has {record.brokers} brokers, and {len(self._ports)} are to be started")
        if record.has_users != (self._guard is not None):
            made, wanted = ("with", "without") if record.has_users else ("without", "with")
            raise self._refused(f"it was made {made} TLS and users, and is to be started {wanted} (TLS=1)")
        for index in range(len(self._ports)):
            self._check_owner(index, record)
        return record

    def _check_owner(self, index: int, record: ClusterRecord) -> None:
        meta = self._data(index) / META
        if not meta.exists():
            return
        found = dict(line.split("=", 1) for line in meta.read_text("utf-8").splitlines() if "=" in line)
        theirs = f"node {found.get('node.id')} of cluster {found.get('cluster.id')}"
        if theirs != (ours := f"node {node_id(index)} of cluster {record.cluster_id}"):
            raise self._refused(f"{meta.parent} is of {theirs}, not {ours}")

    async def _format(self, index: int, cluster_id: str, users: Path | None) -> None:
        """Make one broker's data folder where there is none."""
        if (self._data(index) / META).exists():
            return
        process = await asyncio.create_subprocess_exec(
            *self._command, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}",
            f"--config={self._properties(index)}", *([] if users is None else [f"@{users}"]),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(FORMAT_TIMEOUT_S):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            tail = " ".join(told.decode(errors="replace").splitlines()[-LAST_LINES:])
            raise KafkaNotFormatted(folder=self._data(index), tail=tail)

    def _properties(self, index: int) -> Path:
        return self._folder / f"broker-{node_id(index)}" / "server.properties"

    def _data(self, index: int) -> Path:
        return self._folder / f"broker-{node_id(index)}" / DATA

    def _refused(self, what: str) -> KafkaDataRefused:
        return KafkaDataRefused(folder=self._folder, what=what)


def new_cluster_id() -> str:
    """A UUID as Kafka writes them: 22 letters of base64. Its tools take a leading dash for an option."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not made.startswith("-"):
            return made
