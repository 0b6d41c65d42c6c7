"""A broker that is replaced behind its address: readers and writers notice that they are connected anew."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError
from msgspec import Struct

from infra.embedded.commands import LOOPBACK, broker_answers, broker_command
from infra.launcher.guard import guarded
from infra.launcher.ports import free_ports
from infra.launcher.process import ProcessSpec, RunningProcess
from services.domain.commands import Genesis, encode
from services.platform.settings import AccessSettings
from services.stream.client import start_admin
from services.stream.connections import Connections
from services.stream.errors import LogReconnected, LogUnavailable, UnknownOutcome
from services.stream.genesis import read_genesis
from services.stream.group_commit import GroupCommit
from services.stream.log_producer import LogProducer
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId, Place
from services.stream.same_log import SameLog
from services.stream.topics import COMMANDS, ensure_topics

pytestmark = pytest.mark.embedded
P = PartitionId(0)
READY_TIMEOUT_S = 10.0


class Kafka(Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    kafka_request_timeout_s: float = 1.0
    start_timeout_s: float = 10.0
    access: AccessSettings = AccessSettings()


class Broker:
    """One address, and whichever broker stands behind it."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.kafka = Kafka(f"{LOOPBACK}:{port}")
        self._output = folder / "broker.log"
        command = guarded(broker_command(port))
        self._spec = ProcessSpec(
            name="broker", service="broker", command=command, is_ready=lambda: broker_answers(port)
        )
        self._process: RunningProcess | None = None

    async def replace(self, *values: bytes) -> None:
        """An empty one, with these records."""
        await self.kill()
        self._process = await RunningProcess.start(self._spec, self._output)
        await self._process.ready(READY_TIMEOUT_S)
        admin = await start_admin(self.kafka)
        await ensure_topics(admin, 1, 1)
        await admin.close()
        producer = await LogProducer.start(self.kafka)
        while True:
            _, acknowledged = await producer.submit(COMMANDS, P, values, int(time.time() * 1000))
            try:
                await acknowledged
                break
            except KafkaError:  # Tansu refuses one of two who write at the same moment
                await asyncio.sleep(0.01)
        await producer.stop()

    async def freeze(self) -> None:
        """It takes what comes and says nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        await asyncio.sleep(0.05)  # threads of it may be at work until then

    async def kill(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            self._process = None


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path)
    await broker.replace(b"a", b"b", b"c")
    yield broker
    await broker.kill()


@asynccontextmanager
async def reading(kafka: Kafka, offset: int, *, tells_reconnects: bool) -> AsyncIterator[PartitionReader]:
    reader = PartitionReader(kafka, COMMANDS, tells_reconnects=tells_reconnects)
    await reader.assign([P])
    reader.seek(P, Offset(offset))
    yield reader
    await reader.stop()


async def next_values(reader: PartitionReader) -> list[bytes]:
    async with asyncio.timeout(20):
        while True:
            try:
                records = await reader.fetch(timeout_ms=200)
            except LogUnavailable as error:
                if isinstance(error, LogReconnected):
                    raise
                continue
            if records:
                return [record.value for record in records]


@pytest.mark.safety
async def test_a_reader_hears_of_a_new_connection_before_it_gets_anything_over_it(broker: Broker) -> None:
    async with reading(broker.kafka, 0, tells_reconnects=True) as reader:
        assert await next_values(reader) == [b"a", b"b", b"c"]
        await broker.replace(*(b"x%d" % number for number in range(6)))
        with pytest.raises(LogReconnected):
            await next_values(reader)
        reader.seek(P, Offset(1))
        assert (await next_values(reader))[:2] == [b"x1", b"x2"]


@pytest.mark.control
async def test_one_that_does_not_ask_reads_another_log_on_from_where_it_was(broker: Broker) -> None:
    async with reading(broker.kafka, 0, tells_reconnects=False) as reader:
        assert await next_values(reader) == [b"a", b"b", b"c"]
        await broker.replace(*(b"x%d" % number for number in range(6)))
        assert (await next_values(reader))[0] == b"x3"


async def test_a_producer_refuses_the_first_batch_over_a_new_connection(broker: Broker) -> None:
    producer = await LogProducer.start(broker.kafka)
    _, acknowledged = await producer.submit(COMMANDS, P, [b"d"], 1)
    await acknowledged
    await broker.replace(b"x")
    async with asyncio.timeout(20):
        while True:
            try:
                await producer.submit(COMMANDS, P, [b"e"], 1)
            except LogReconnected:
                break
            except LogUnavailable:
                await asyncio.sleep(0.05)
    _, acknowledged = await producer.submit(COMMANDS, P, [b"e"], 1)
    assert (await acknowledged).offset == 1
    await producer.stop()


async def acknowledged_by_another(broker: Broker) -> int:
    """A batch that is on its way to a broker that does not answer, and which aiokafka sends again to the next one."""
    producer = await LogProducer.start(broker.kafka)
    _, acknowledged = await producer.submit(COMMANDS, P, [b"d"], 1)
    await acknowledged
    await broker.freeze()
    _, acknowledged = await producer.submit(COMMANDS, P, [b"e"], 1)
    await broker.replace(b"x")
    try:
        async with asyncio.timeout(20):
            return (await acknowledged).offset
    finally:
        await producer.stop()


@pytest.mark.safety
async def test_what_another_broker_acknowledges_was_not_acknowledged_by_ours(broker: Broker) -> None:
    with pytest.raises(KafkaConnectionError, match="new connection"):
        await acknowledged_by_another(broker)


@pytest.mark.control
async def test_without_a_look_at_the_connection_it_is_taken_for_ours(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connections, "is_same", lambda *_: True)
    assert await acknowledged_by_another(broker) in (0, 1)


async def heard_after_a_replacement_in_flight(broker: Broker) -> list[Place | BaseException]:
    """Of two who ask a door: while the broker is replaced by one with another log, and afterwards."""
    ours = [encode(Genesis(log="o" * 16, key_check="k" * 16, rules=1)), b"one", b"two"]
    await broker.replace(*ours)
    looker, producer = PartitionReader(broker.kafka, COMMANDS), await LogProducer.start(broker.kafka)
    same_log = SameLog(looker, {P: await read_genesis(looker, P)})
    group = GroupCommit(producer, COMMANDS, [P], check_log=same_log.check)
    running = asyncio.create_task(group.run())
    try:
        assert (await group.offer(P, b"three")).offset == 3
        await broker.freeze()
        first = group.offer(P, b"four")
        await asyncio.sleep(0.05)
        await broker.replace(*ours, *(b"of others" for _ in range(9)))
        heard = await asyncio.gather(first, return_exceptions=True)
        async with asyncio.timeout(20):
            while True:
                try:
                    return [*heard, await group.offer(P, b"five")]
                except LogUnavailable as error:
                    if "is not the log" in str(error):
                        return [*heard, error]
                await asyncio.sleep(0.05)
    finally:
        await group.stop()
        await running
        await producer.stop()
        await looker.stop()


async def test_who_asks_while_the_log_is_replaced_hears_unknown_and_who_comes_later_that_it_is_another(
    broker: Broker,
) -> None:
    first, later = await heard_after_a_replacement_in_flight(broker)
    assert isinstance(first, UnknownOutcome)
    assert isinstance(later, LogUnavailable)
