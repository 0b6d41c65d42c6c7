"""The log past all doors: copied, put back into an empty broker as it was or cut or grown, written to, and read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from infra.launcher.first_steps import prepare_log
from services.audit.verify import VerifySettings
from services.state.recovery import GROUP
from services.stream.client import start_admin, start_producer
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, TOPICS, ensure_topics

RECORDS_PER_FETCH: Final = 2_000


class Record(NamedTuple):
    """What a record is to us."""

    timestamp_ms: int
    value: bytes | None


@dataclass
class LogCopy:
    """All records by topic and partition, and the allocators' committed offsets."""

    partitions: int
    records: dict[tuple[str, int], list[Record]] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)

    def cut(self, share: float) -> "LogCopy":
        """Each partition of the commands with only its first part; events and committed offsets as they were."""
        records = {
            (topic, partition): of_it[: max(1, int(len(of_it) * share))] if topic == COMMANDS else of_it
            for (topic, partition), of_it in self.records.items()
        }
        return LogCopy(self.partitions, records, dict(self.committed))

    def grown(self, records: Sequence[Record]) -> "LogCopy":
        """With these at the end of each partition of the commands."""
        longer = {where: [*of_it, *records] if where[0] == COMMANDS else of_it for where, of_it in self.records.items()}
        return LogCopy(self.partitions, longer, dict(self.committed))


async def copied(settings: VerifySettings, partitions: int) -> LogCopy:
    """The log as it is; nobody may be writing."""
    copy = LogCopy(partitions)
    for topic in TOPICS:
        for partition in range(partitions):
            copy.records[topic, partition] = await records_of(settings, topic, partition)
    reader = PartitionReader(settings, COMMANDS)
    try:
        for partition in range(partitions):
            copy.committed[partition] = await reader.committed(GROUP, PartitionId(partition))
    finally:
        await reader.stop()
    return copy


async def put_back(settings: VerifySettings, copy: LogCopy) -> None:
    """Into an empty broker, each record with its own time."""
    admin = await start_admin(settings)
    await ensure_topics(admin, copy.partitions, replicas=1)
    await admin.close()
    producer = await start_producer(settings)
    try:
        for (topic, partition), records in copy.records.items():
            batch = producer.create_batch()
            for record in records:
                if batch.append(key=None, value=record.value, timestamp=record.timestamp_ms) is None:
                    await (await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    batch.append(key=None, value=record.value, timestamp=record.timestamp_ms)
            if batch.record_count():
                await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()
    reader = PartitionReader(settings, COMMANDS)
    try:
        await reader.commit(GROUP, {PartitionId(p): Offset(offset) for p, offset in copy.committed.items() if offset})
    finally:
        await reader.stop()


async def begun_anew(settings: VerifySettings, copy: LogCopy) -> None:
    """Another log, made with the same secrets, in an empty broker."""
    await prepare_log(settings, settings.data, partitions=copy.partitions, replicas=1)


async def written(
    settings: VerifySettings, values: Sequence[bytes | None], timestamp_ms: int, partitions: Iterable[int] = (0,)
) -> None:
    """Past all doors: each as a record of its own, at the end of these partitions of the commands."""
    producer = await start_producer(settings)
    try:
        for partition in partitions:
            for value in values:
                await producer.send_and_wait(
                    COMMANDS, value, key=b"foreign", partition=partition, timestamp_ms=timestamp_ms
                )
    finally:
        await producer.stop()


async def records_of(settings: VerifySettings, topic: str, partition: int) -> list[Record]:
    """Everything in a partition, as far as it goes now."""
    reader = PartitionReader(settings, topic)
    number = PartitionId(partition)
    try:
        end = await reader.log_end(number)
        records: list[Record] = []
        await reader.assign([number])
        reader.seek(number, Offset(0))
        while len(records) < end:
            records += [Record(r.timestamp, r.value) for r in await reader.fetch(number, RECORDS_PER_FETCH)]
        return records
    finally:
        await reader.stop()
