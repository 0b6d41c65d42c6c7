"""What only a real broker shows: topics and their settings, a broker that dies, a group of readers."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from msgspec import Struct

from infra.embedded.stores import RunningStores, running_stores
from services.platform.settings import AccessSettings
from services.stream.client import start_admin
from services.stream.errors import CommitRefused, LogUnavailable, UnknownOutcome
from services.stream.group_commit import GroupCommit, GroupCommitSettings
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader, ReaderSettings
from services.stream.place import Offset, PartitionId
from services.stream.topics import (
    COMMANDS,
    PartitionsDiffer,
    TopicMissing,
    check_topics,
    ensure_topics,
    partition_count,
)

pytestmark = pytest.mark.embedded
P = PartitionId(0)


class Kafka(Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    kafka_request_timeout_s: float = 1.0
    start_timeout_s: float = 10.0
    access: AccessSettings = AccessSettings()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[RunningStores]:
    with running_stores(tmp_path) as stores:
        yield stores


@pytest.fixture
def kafka(stores: RunningStores) -> Kafka:
    return Kafka(stores.kafka)


@pytest.fixture
async def admin(kafka: Kafka) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = await start_admin(kafka)
    yield admin
    await admin.close()


async def test_topics_are_created_once_with_the_settings_that_keep_everything(admin: AIOKafkaAdminClient) -> None:
    await ensure_topics(admin, 3, replicas=1)
    await ensure_topics(admin, 3, replicas=1)
    assert await partition_count(admin) == 3
    assert await check_topics(admin, replicas=1) == []


async def test_another_number_of_partitions_is_refused(admin: AIOKafkaAdminClient) -> None:
    await ensure_topics(admin, 3, replicas=1)
    with pytest.raises(PartitionsDiffer, match="has 3 partitions, but 5 were asked for"):
        await ensure_topics(admin, 5, replicas=1)


async def test_looking_for_a_topic_does_not_create_it(admin: AIOKafkaAdminClient) -> None:
    with pytest.raises(TopicMissing, match="maskline up"):
        await partition_count(admin)
    assert await check_topics(admin, replicas=1) == [
        "there is no topic 'commands'; `maskline up` creates it",
        "there is no topic 'events'; `maskline up` creates it",
    ]
    assert await admin.list_topics() == []


async def test_the_doctor_hears_of_a_topic_that_forgets(admin: AIOKafkaAdminClient) -> None:
    await admin.create_topics([NewTopic(COMMANDS, 2, 1, topic_configs={"retention.ms": "604800000"})])
    await ensure_topics(admin, 2, replicas=1)
    differences = await check_topics(admin, replicas=1)
    assert "topic 'commands': retention.ms is 604800000, must be -1" in differences
    assert not [line for line in differences if "'events'" in line]


async def test_a_broker_that_dies_is_noticed_and_refusals_are_then_immediate(
    admin: AIOKafkaAdminClient, kafka: Kafka, stores: RunningStores
) -> None:
    await ensure_topics(admin, 1, replicas=1)
    async with committing(kafka, ack_timeout_s=1.0) as group:
        assert (await group.offer(P, b"before")).offset == 0
        os.kill(stores.broker_pid, signal.SIGKILL)
        started_s = time.monotonic()
        with pytest.raises((LogUnavailable, UnknownOutcome)):
            await group.offer(P, b"during")
        assert time.monotonic() - started_s < 3.0
        async with asyncio.timeout(3):
            while not group.is_away(P):
                await asyncio.sleep(0.01)
        with pytest.raises(LogUnavailable):
            group.offer(P, b"after")


@pytest.mark.safety
async def test_a_paused_broker_means_an_unknown_outcome_and_then_all_is_well_again(
    admin: AIOKafkaAdminClient, kafka: Kafka, stores: RunningStores
) -> None:
    await ensure_topics(admin, 1, replicas=1)
    async with committing(kafka, ack_timeout_s=0.5) as group:
        await group.offer(P, b"before")
        with broker_paused(stores), pytest.raises(UnknownOutcome):
            await group.offer(P, b"during")
        async with asyncio.timeout(10):
            while group.is_away(P):
                await asyncio.sleep(0.01)
        after = await group.offer(P, b"after")
    values = await everything_in(kafka, after.offset + 1)
    assert values[0] == b"before"
    assert values[after.offset] == b"after"  # the place is where it really stands
    assert set(values) == {b"before", b"during", b"after"}  # unknown: here it was written, as so often


@pytest.mark.control
async def test_were_a_silent_broker_told_as_a_failure_it_would_be_false(
    admin: AIOKafkaAdminClient, kafka: Kafka, stores: RunningStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protection taken away: an acknowledgement that does not come told as 'nothing was written'."""
    monkeypatch.setattr("services.stream.group_commit.UnknownOutcome", LogUnavailable)
    await ensure_topics(admin, 1, replicas=1)
    async with committing(kafka, ack_timeout_s=0.5) as group:
        await group.offer(P, b"before")
        with broker_paused(stores), pytest.raises(LogUnavailable, match="Nothing was written"):
            await group.offer(P, b"during")
    assert await everything_in(kafka, 2) == [b"before", b"during"]


@asynccontextmanager
async def committing(kafka: Kafka, ack_timeout_s: float) -> AsyncIterator[GroupCommit]:
    producer = await LogProducer.start(kafka)
    group = GroupCommit(producer, COMMANDS, [P], GroupCommitSettings(ack_timeout_s=ack_timeout_s))
    running = asyncio.create_task(group.run())
    try:
        yield group
    finally:
        await group.stop()
        await running
        await producer.stop()


@contextmanager
def broker_paused(stores: RunningStores) -> Iterator[None]:
    os.kill(stores.broker_pid, signal.SIGSTOP)
    os.waitpid(stores.broker_pid, os.WUNTRACED)  # a process of many threads answers a little longer
    try:
        yield
    finally:
        os.kill(stores.broker_pid, signal.SIGCONT)


async def everything_in(kafka: Kafka, count: int) -> list[bytes]:
    reader = PartitionReader(kafka, COMMANDS)
    await reader.assign([P])
    reader.seek(P, Offset(0))
    values: list[bytes] = []
    async with asyncio.timeout(10):
        while len(values) < count:
            values += [record.value for record in await reader.fetch(P, timeout_ms=1_000)]
    await reader.stop()
    return values


async def test_a_group_member_reads_what_it_is_given_from_where_it_seeks(
    admin: AIOKafkaAdminClient, kafka: Kafka
) -> None:
    await ensure_topics(admin, 2, replicas=1)
    producer = await LogProducer.start(kafka)
    await append(producer, COMMANDS, P, [b"a", b"b", b"c"], timestamp_ms=1, ack_timeout_s=4.0)
    assigned: asyncio.Future[frozenset[PartitionId]] = asyncio.get_running_loop().create_future()

    async def on_assigned(partitions: frozenset[PartitionId]) -> None:
        assigned.set_result(partitions)

    async def on_revoked(partitions: frozenset[PartitionId]) -> None:
        assert not partitions

    reader = PartitionReader(kafka, COMMANDS)
    await reader.join("allocator", on_assigned, on_revoked)
    async with asyncio.timeout(20):
        assert await assigned == {0, 1}
    assert await reader.fetch(timeout_ms=200) == []  # held: nobody has sought yet
    reader.seek(P, Offset(1))
    records: list[ConsumerRecord] = []
    while len(records) < 2:
        records += await reader.fetch(timeout_ms=5_000)
    assert [record.value for record in records] == [b"b", b"c"]
    await reader.commit("allocator", {P: Offset(3)})
    assert await reader.committed("allocator", P) == 3
    await reader.stop()
    await producer.stop()


async def test_a_commit_that_nobody_answers_ends_in_words(
    admin: AIOKafkaAdminClient, kafka: Kafka, stores: RunningStores
) -> None:
    await ensure_topics(admin, 1, replicas=1)
    reader = PartitionReader(kafka, COMMANDS, ReaderSettings(commit_timeout_s=0.5))
    await reader.commit("allocator", {P: Offset(1)})
    os.kill(stores.broker_pid, signal.SIGKILL)
    started_s = time.monotonic()
    with pytest.raises(CommitRefused, match="group 'allocator'"):
        await reader.commit("allocator", {P: Offset(2)})
    assert time.monotonic() - started_s < 2.0
    await reader.stop()
