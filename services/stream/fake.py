"""A log in memory with the same face as Kafka, for tests: `tests/contract/test_stream.py` holds both to one contract.

The faults a test can order are those that matter: an acknowledgement that is lost, a leader that is gone, a log that is
slow, records that are missing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord
from aiokafka.errors import RequestTimedOutError

from services.stream.client import MAX_BATCH_BYTES
from services.stream.errors import (
    CommitRefused,
    HoleInLog,
    LogReconnected,
    LogUnavailable,
    NotAssigned,
    PositionOutsideLog,
)
from services.stream.log_producer import Acknowledged, AcknowledgedAnew
from services.stream.place import Offset, PartitionId


@dataclass(frozen=True)
class FakeAcknowledgement:
    """Offset of a batch's first record."""

    offset: Offset


@dataclass
class FakeLog:
    """The records of all topics, and the groups' committed offsets."""

    partitions: int = 4
    records: dict[tuple[str, PartitionId], list[ConsumerRecord]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[tuple[str, str, PartitionId], Offset] = field(default_factory=dict)
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, topic: str, partition: PartitionId, values: Sequence[bytes], timestamp_ms: int) -> Offset:
        """Append at once; the offset of the first."""
        kept = self.records[topic, partition]
        first = self.end(topic, partition)
        kept.extend(
            ConsumerRecord(topic, partition, first + at, timestamp_ms, 0, None, value, None, -1, len(value), ())
            for at, value in enumerate(values)
        )
        self.grown.set()
        self.grown = asyncio.Event()
        return first

    def end(self, topic: str, partition: PartitionId) -> Offset:
        """One past the last record."""
        kept = self.records[topic, partition]
        return Offset(kept[-1].offset + 1 if kept else 0)


class FakeProducer:
    """A `BatchProducer`. Faults last until they are taken back."""

    def __init__(self, log: FakeLog) -> None:
        self.batches: list[int] = []
        """Sizes of the batches that were written."""
        self.is_down = False
        """No connection: surely nothing is written."""
        self.loses_acknowledgements = False
        """Batches are written, but who wrote them never hears of it."""
        self.fails_after_writing = False
        """Batches are written, and reported as timed out."""
        self.acknowledges_anew = False
        """Batches go out over one connection and are acknowledged over another."""
        self.has_reconnected = False
        """The connection is a new one: the next batch is refused, once."""
        self.delay_s = 0.0
        """From submit to acknowledgement."""
        self._log = log

    async def submit(
        self, topic: str, partition: PartitionId, values: Sequence[bytes], timestamp_ms: int
    ) -> "tuple[int, asyncio.Future[Acknowledged]]":
        await asyncio.sleep(0)
        if self.is_down or partition >= self._log.partitions:
            raise LogUnavailable(why=f"partition {partition} of '{topic}' has no leader")
        if self.has_reconnected:
            self.has_reconnected = False
            raise LogReconnected(topic=topic, partitions=[partition])
        taken, size_bytes = 0, 0
        for value in values:
            size_bytes += len(value)
            if taken and size_bytes > MAX_BATCH_BYTES:
                break
            taken += 1
        self.batches.append(taken)
        future: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(
            self.delay_s, self._written, future, topic, partition, list(values[:taken]), timestamp_ms
        )
        return taken, future

    async def probe(self, topic: str, partition: PartitionId) -> bool:  # noqa: ARG002
        """Whether the fake is up."""
        await asyncio.sleep(0)
        return not self.is_down

    async def stop(self) -> None:
        """Nothing to let go of."""

    def _written(
        self,
        future: "asyncio.Future[Acknowledged]",
        topic: str,
        partition: PartitionId,
        values: list[bytes],
        timestamp_ms: int,
    ) -> None:
        offset = self._log.write(topic, partition, values, timestamp_ms)
        if future.done() or self.loses_acknowledgements:
            return
        if self.fails_after_writing:
            future.set_exception(RequestTimedOutError())
        elif self.acknowledges_anew:
            future.set_exception(AcknowledgedAnew(offset))
        else:
            future.set_result(FakeAcknowledgement(offset))


class FakeReader:
    """A `LogReader`."""

    def __init__(self, log: FakeLog, topic: str, fetch_max_records: int = 2_000) -> None:
        self.topic = topic
        self.refuses_commits = False
        self._log = log
        self._fetch_max_records = fetch_max_records
        self._assigned: set[PartitionId] = set()
        self._next: dict[PartitionId, Offset] = {}

    async def assign(self, partitions: Iterable[PartitionId]) -> None:
        """See LogReader."""
        self._assigned = set(partitions)
        self._next = {p: offset for p, offset in self._next.items() if p in self._assigned}

    def assigned(self) -> frozenset[PartitionId]:
        """The partitions this reader has now."""
        return frozenset(self._assigned)

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        """See LogReader."""
        if partition not in self._assigned:
            raise NotAssigned(partition=partition, topic=self.topic, assigned=sorted(self._assigned))
        self._next[partition] = offset

    async def fetch(
        self,
        partitions: PartitionId | Collection[PartitionId] | None = None,
        max_records: int | None = None,
        timeout_ms: int = 1_000,
    ) -> list[ConsumerRecord]:
        """See LogReader."""
        deadline_s = asyncio.get_running_loop().time() + timeout_ms / 1000
        while True:
            records = self._read(partitions, max_records or self._fetch_max_records)
            left_s = deadline_s - asyncio.get_running_loop().time()
            if records or left_s <= 0:
                return records
            try:
                async with asyncio.timeout(left_s):
                    await self._log.grown.wait()
            except TimeoutError:
                return []

    def end_seen(self, partition: PartitionId) -> Offset | None:
        """See LogReader."""
        return self._log.end(self.topic, partition) if partition in self._next else None

    async def log_start(self, partition: PartitionId) -> Offset:
        """See LogReader."""
        kept = self._log.records[self.topic, partition]
        return Offset(kept[0].offset if kept else 0)

    async def log_end(self, partition: PartitionId) -> Offset:
        """See LogReader."""
        return self._log.end(self.topic, partition)

    async def committed(self, group: str, partition: PartitionId) -> Offset:
        """See LogReader."""
        return self._log.committed.get((group, self.topic, partition), Offset(0))

    async def commit(self, group: str, offsets: Mapping[PartitionId, Offset]) -> None:
        """See LogReader."""
        if self.refuses_commits:
            raise CommitRefused(offsets=dict(offsets), group=group, why="the test says so")
        for partition, offset in offsets.items():
            self._log.committed[group, self.topic, partition] = offset

    async def stop(self) -> None:
        """Nothing to let go of."""

    def _read(self, partitions: PartitionId | Collection[PartitionId] | None, max_records: int) -> list[ConsumerRecord]:
        records: list[ConsumerRecord] = []
        chosen = [partitions] if isinstance(partitions, int) else partitions
        for p in sorted(self._next) if chosen is None else chosen:
            if p in self._next:
                records += self._read_one(p, max_records - len(records))
        return records

    def _read_one(self, partition: PartitionId, max_records: int) -> list[ConsumerRecord]:
        kept = self._log.records[self.topic, partition]
        expected = self._next[partition]
        start, end = kept[0].offset if kept else 0, self._log.end(self.topic, partition)
        if not start <= expected <= end:
            raise PositionOutsideLog(partition=partition, topic=self.topic, offset=expected, start=start, end=end)
        found = [record for record in kept if record.offset >= expected][:max_records]
        for at, record in enumerate(found):
            if record.offset != expected + at:
                raise HoleInLog(partition=partition, topic=self.topic, expected=expected + at, found=record.offset)
        self._next[partition] = Offset(expected + len(found))
        return found
