"""Who looks at one record of a log has that one sent, and not everything behind it: allocators look once a second."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection

from infra.embedded.stores import running_broker
from infra.local.running import RunningKafka
from services.stream.client import start_admin
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader, record_at
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, ensure_topics
from tests.real.stores import Kafka, cleared

FIRST = PartitionId(0)
BATCHES, RECORDS, RECORD_BYTES = 20, 200, 400
LITTLE_BYTES = 200_000
"""Two looks: one batch each, of the record's and at most one more."""


@pytest.fixture(
    params=[pytest.param("tansu", marks=pytest.mark.embedded), pytest.param("kafka", marks=pytest.mark.real)]
)
async def kafka(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kafka]:
    """A broker with 1.6 MB in a partition."""
    if request.param == "tansu":
        with running_broker(tmp_path) as address:
            yield await filled(Kafka(address), replicas=1)
    else:
        brokers: RunningKafka = request.getfixturevalue("three_brokers")
        await cleared(brokers.addresses)
        yield await filled(Kafka(brokers.addresses), replicas=3)


async def filled(kafka: Kafka, replicas: int) -> Kafka:
    admin = await start_admin(kafka)
    try:
        await ensure_topics(admin, 1, replicas)
    finally:
        await admin.close()
    producer = await LogProducer.start(kafka)
    try:
        for batch in range(BATCHES):
            values = [f"{batch * RECORDS + n:0{RECORD_BYTES}d}".encode() for n in range(RECORDS)]
            await append(producer, COMMANDS, FIRST, values, timestamp_ms=1_580_558_400_000, ack_timeout_s=5.0)
    finally:
        await producer.stop()
    return kafka


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of each answer of a broker."""
    sizes: list[int] = []
    handle = AIOKafkaConnection._handle_frame

    def noted(self: Any, frame: bytes) -> Any:
        sizes.append(len(frame))
        return handle(self, frame)

    monkeypatch.setattr(AIOKafkaConnection, "_handle_frame", noted)
    return sizes


async def looked(kafka: Kafka, *, looks_only: bool) -> list[str]:
    """The first record and the last one."""
    reader = PartitionReader(kafka, COMMANDS, looks_only=looks_only)
    try:
        await reader.assign([FIRST])
        last = Offset(BATCHES * RECORDS - 1)
        found = [await record_at(reader, FIRST, offset) for offset in (Offset(0), last)]
        return [str(int(record.value)) for record in found]
    finally:
        await reader.stop()


@pytest.mark.safety
async def test_who_looks_at_single_records_has_little_sent(kafka: Kafka, received: list[int]) -> None:
    assert await looked(kafka, looks_only=True) == ["0", str(BATCHES * RECORDS - 1)]
    assert sum(received) < LITTLE_BYTES


@pytest.mark.control
async def test_who_reads_on_has_all_of_it_sent(kafka: Kafka, received: list[int]) -> None:
    assert await looked(kafka, looks_only=False) == ["0", str(BATCHES * RECORDS - 1)]
    assert sum(received) > LITTLE_BYTES
