"""Connections to Kafka that are lost without a sign: whoever asked, and however long they waited, the next who ask get
an answer."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from aiokafka import TopicPartition
from msgspec import Struct

from infra.embedded.commands import LOOPBACK, broker_answers, broker_command
from infra.fault_proxy.modes import BlackHole
from infra.fault_proxy.proxy import FaultProxy
from infra.launcher.guard import guarded
from infra.launcher.ports import free_ports
from infra.launcher.process import ProcessSpec, RunningProcess
from services.platform.settings import AccessSettings
from services.stream.client import start_admin, start_consumer
from services.stream.errors import CommitRefused, LogUnavailable
from services.stream.kafka_client import KafkaClient
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, ensure_topics

pytestmark = pytest.mark.embedded
P = PartitionId(0)
REQUEST_TIMEOUT_S: Final = 0.5
SOON_S: Final = 8 * REQUEST_TIMEOUT_S
"""For whoever asks first: the connection is given up after one time-out, the rest is for a busy machine."""
READY_TIMEOUT_S: Final = 10.0


class Kafka(Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    kafka_request_timeout_s: float = REQUEST_TIMEOUT_S
    start_timeout_s: float = 10.0
    access: AccessSettings = AccessSettings()


class World:
    """A broker behind a proxy, with one record in its log."""

    def __init__(self, kafka: Kafka, proxy: FaultProxy) -> None:
        self.kafka = kafka
        self._proxy = proxy

    async def lose_connections(self) -> None:
        """Those that are there now; new ones pass."""
        await self._proxy.switch(BlackHole())

    async def write(self, value: bytes) -> None:
        """Over a new connection."""
        producer = await LogProducer.start(self.kafka)
        await append(producer, COMMANDS, P, [value], timestamp_ms=int(time.time() * 1000), ack_timeout_s=SOON_S)
        await producer.stop()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    shown, behind = free_ports(2)
    spec = ProcessSpec(
        name="broker",
        service="broker",
        command=guarded(broker_command(behind, advertised_port=shown)),
        is_ready=lambda: broker_answers(behind),
    )
    process = await RunningProcess.start(spec, tmp_path / "broker.log")
    await process.ready(READY_TIMEOUT_S)
    async with FaultProxy(listens_at=shown, target=behind) as proxy:
        world = World(Kafka(f"{LOOPBACK}:{shown}"), proxy)
        admin = await start_admin(world.kafka)
        await ensure_topics(admin, 1, 1)
        await admin.close()
        await world.write(b"first")
        yield world
    await process.stop(1.0)


@pytest.fixture
async def reader(world: World) -> AsyncIterator[PartitionReader]:
    reader = PartitionReader(world.kafka, COMMANDS)
    yield reader
    await reader.stop()


async def test_where_the_log_ends_is_told_to_the_first_who_asks_after_a_connection_was_lost(
    world: World, reader: PartitionReader
) -> None:
    assert await reader.log_end(P) == 1
    await world.lose_connections()
    async with asyncio.timeout(SOON_S):
        assert await reader.log_end(P) == 1


@pytest.mark.control
async def test_aiokafka_itself_asks_over_a_lost_connection_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KafkaClient, "take_over", lambda *_: None)
    reader = PartitionReader(world.kafka, COMMANDS)
    assert await reader.log_end(P) == 1
    await world.lose_connections()
    for _ in range(3):
        with pytest.raises(LogUnavailable):
            await reader.log_end(P)
    await reader.stop()


async def test_a_connection_is_given_up_where_nobody_waits_any_more(world: World) -> None:
    consumer = await start_consumer(world.kafka, group=None, fetch_max_wait_ms=20, max_poll_records=1)
    tp = TopicPartition(COMMANDS, P)
    assert (await consumer.end_offsets([tp]))[tp] == 1
    (lost,) = {connection for connection in consumer._client._conns.values() if connection.connected()}
    await world.lose_connections()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REQUEST_TIMEOUT_S / 10):
            await consumer.end_offsets([tp])
    assert lost.connected()
    async with asyncio.timeout(SOON_S):
        while lost.connected():
            await asyncio.sleep(0.02)
    assert (await consumer.end_offsets([tp]))[tp] == 1
    await consumer.stop()


async def test_records_come_to_a_reader_whose_connection_was_lost_while_it_waited(
    world: World, reader: PartitionReader
) -> None:
    await reader.assign([P])
    reader.seek(P, Offset(0))
    assert [record.value for record in await reader.fetch(P)] == [b"first"]
    assert await reader.fetch(P, timeout_ms=50) == []
    await world.lose_connections()
    await world.write(b"second")
    assert [record.value for record in await reader.fetch(P, timeout_ms=int(SOON_S * 1000))] == [b"second"]


async def test_an_offset_is_committed_by_the_second_try_at_the_latest(world: World, reader: PartitionReader) -> None:
    await reader.commit("g", {P: Offset(1)})
    await world.lose_connections()
    async with asyncio.timeout(2 * SOON_S):
        with contextlib.suppress(CommitRefused):
            await reader.commit("g", {P: Offset(1)})
        await reader.commit("g", {P: Offset(1)})
    assert await reader.committed("g", P) == 1


async def test_a_producer_that_was_idle_writes_again(world: World) -> None:
    producer = await LogProducer.start(world.kafka)
    assert await producer.probe(COMMANDS, P)
    await world.lose_connections()
    async with asyncio.timeout(SOON_S):
        while not await producer.probe(COMMANDS, P):
            pass
    await producer.stop()
