"""Reading partitions of the log in order, from a place of one's own choosing, without ever skipping a record.

Two ways, one a reader: `assign` takes partitions by hand (at once, no group needed), `join` takes what a consumer group
gives, held until their owner has sought the place to start at.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from typing import Annotated, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from msgspec import Meta

from services.platform.settings import Settings
from services.stream.client import ANSWER_TIMEOUT_S, LOOK_BYTES, MAX_FETCH_BYTES, KafkaSettings, start_consumer
from services.stream.committed_offsets import CommittedOffsets
from services.stream.connections import Connections
from services.stream.errors import HoleInLog, LogReconnected, LogUnavailable, NotAssigned, PositionOutsideLog
from services.stream.group_membership import Callback, GroupMembership, hold
from services.stream.log_bounds import LogBounds
from services.stream.log_producer import reason_of
from services.stream.place import Offset, PartitionId

HOLE_LASTS_S: Final = 1.0
"""What is missing for as long is gone. The embedded broker shows the later of two batches that come at once before the
earlier one, for 2 ms and about once in 2,000 batches of three writers."""
MAX_PIECE_RECORDS: Final = 2_000
LATER_PAUSE_S: Final = 0.01
"""Until what a broker does not show yet is asked for again."""


class ReaderSettings(Settings, frozen=True, kw_only=True):
    """How a reader fetches and commits."""

    fetch_max_wait_ms: Annotated[
        int, Meta(description="Milliseconds a broker may hold a fetch that finds nothing; Tansu wakes none.", ge=1)
    ] = 20
    fetch_max_records: Annotated[int, Meta(description="Records that one read of the log may return.", ge=1)] = 2_000
    commit_timeout_s: Annotated[float, Meta(description="Seconds for Kafka to take committed offsets.", gt=0)] = 4.0


class LogReader(Protocol):
    """What the allocator, the followers of events and `verify` read with; `PartitionReader` and the fake have it."""

    async def assign(self, partitions: Iterable[PartitionId]) -> None:
        """Read these partitions, by hand; a new one is held until it is sought, a known one goes on where it was."""

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        """The next fetch of `partition` begins at `offset`. Raises NotAssigned."""

    async def fetch(
        self,
        partitions: PartitionId | Collection[PartitionId] | None = None,
        max_records: int | None = None,
        timeout_ms: int = 1_000,
    ) -> list[ConsumerRecord]:
        """The next records, in order within each partition; empty after `timeout_ms` without any.

        None reads all assigned partitions; of some, what the others have stays where it is. Raises HoleInLog (on Kafka
        where it has stayed for HOLE_LASTS_S), PositionOutsideLog, LogUnavailable; after an error the same fetch raises
        again: it never goes on behind a hole.
        """

    def end_seen(self, partition: PartitionId) -> Offset | None:
        """One past the last record, as the last fetch of this partition heard it; None before the first."""

    async def log_start(self, partition: PartitionId) -> Offset:
        """Offset of the first record that is kept (0, unless somebody deleted the truth)."""

    async def log_end(self, partition: PartitionId) -> Offset:
        """One past the last record."""

    async def committed(self, group: str, partition: PartitionId) -> Offset:
        """The group's committed offset; 0 where there is none (it expires after seven days without members)."""

    async def commit(self, group: str, offsets: Mapping[PartitionId, Offset]) -> None:
        """Commit for a group that this reader has joined, or that has no members. Raises CommitRefused."""

    async def stop(self) -> None:
        """Let go of everything."""


async def record_at(reader: LogReader, partition: PartitionId, offset: Offset) -> ConsumerRecord:
    """One record of a partition that is assigned to `reader`, which goes on behind it. Raises LogUnavailable."""
    reader.seek(partition, offset)
    records = await reader.fetch(partition, max_records=1, timeout_ms=int(ANSWER_TIMEOUT_S * 1000))
    if not records:
        raise LogUnavailable(why=f"offset {offset} of partition {partition} was not read within {ANSWER_TIMEOUT_S:g} s")
    return records[0]


async def records_between(
    reader: LogReader, partition: PartitionId, start: int, end: int
) -> AsyncIterator[list[ConsumerRecord]]:
    """The records at offsets `start` to `end` - 1 of a partition that is assigned to `reader`, in pieces, in order.

    Raises HoleInLog, PositionOutsideLog, LogUnavailable.
    """
    at = start
    reader.seek(partition, Offset(start))
    while at < end:
        records = await reader.fetch(partition, min(MAX_PIECE_RECORDS, end - at), int(ANSWER_TIMEOUT_S * 1000))
        if not records:
            raise LogUnavailable(why=f"offset {at} of partition {partition} was not read within {ANSWER_TIMEOUT_S:g} s")
        yield records
        at += len(records)


class _Hole(NamedTuple):
    missing: Offset
    seen_s: float


class PartitionReader:
    """A `LogReader` on Kafka. One task fetches and seeks; `log_end`, `commit` and the like may come from others.

    One that `tells_reconnects` raises LogReconnected from a fetch after its connection to a leader has become another
    one, and returns nothing that came over it: whoever must not read another log by mistake looks at it first. One that
    `looks_only` at single records has little sent: what stands behind them would be a megabyte each time.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        settings: ReaderSettings | None = None,
        *,
        tells_reconnects: bool = False,
        looks_only: bool = False,
    ) -> None:
        self.topic = topic
        self._tells_reconnects = tells_reconnects
        self._fetch_bytes = LOOK_BYTES if looks_only else MAX_FETCH_BYTES
        self._connections: Connections | None = None
        self._kafka = kafka
        self._settings = settings or ReaderSettings()
        self._bounds = LogBounds(kafka, topic)
        self._consumer: AIOKafkaConsumer | None = None
        self._membership: GroupMembership | None = None
        self._next: dict[PartitionId, Offset] = {}  # of the partitions that were sought
        self._holes: dict[PartitionId, _Hole] = {}
        self._offsets_of: dict[str, CommittedOffsets] = {}

    async def assign(self, partitions: Iterable[PartitionId]) -> None:
        if self._membership is not None:
            raise ValueError("this reader has joined a group")
        if self._consumer is None:
            self._consumer = await self._new_consumer(group=None)
        wanted = {self._tp(p) for p in partitions}
        known = {p: offset for p, offset in self._next.items() if self._tp(p) in wanted}
        self._consumer.assign(list(wanted))  # forgets every position, also of those it had
        hold(self._consumer, wanted)
        self._next.clear()
        for partition, offset in known.items():
            self.seek(partition, offset)

    async def join(self, group: str, on_assigned: Callback, on_revoked: Callback) -> None:
        """Become a member of `group`. What is assigned is held until it is sought; the callbacks must be short.

        An exception of a callback is raised by the next fetch (aiokafka would swallow it).
        """
        if self._consumer is not None:
            raise ValueError("this reader reads already")
        self._consumer = await self._new_consumer(group=group)
        self._membership = GroupMembership(self._consumer, self._next, on_assigned, on_revoked)
        self._offsets_of[group] = self._new_offsets(group, member=self._consumer)
        self._consumer.subscribe([self.topic], listener=self._membership)

    def assigned(self) -> frozenset[PartitionId]:
        """The partitions this reader has now."""
        if self._consumer is None:
            return frozenset()
        return frozenset(PartitionId(tp.partition) for tp in self._consumer.assignment())

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        if self._consumer is None or partition not in self.assigned():
            raise NotAssigned(partition=partition, topic=self.topic, assigned=sorted(self.assigned()))
        self._consumer.seek(self._tp(partition), offset)
        self._consumer.resume(self._tp(partition))
        self._next[partition] = offset

    async def fetch(
        self,
        partitions: PartitionId | Collection[PartitionId] | None = None,
        max_records: int | None = None,
        timeout_ms: int = 1_000,
    ) -> list[ConsumerRecord]:
        if self._consumer is None:
            raise NotAssigned(partition=partitions, topic=self.topic, assigned=[])
        if self._membership is not None:
            self._membership.raise_failure()
        if partitions is None:
            partitions = self.assigned()
        chosen = [partitions] if isinstance(partitions, int) else partitions
        wanted = [self._tp(partition) for partition in chosen]
        if not wanted:  # to aiokafka none means all, and a rebalance may have left us none
            await asyncio.sleep(timeout_ms / 1000)
            return []
        deadline_s = time.monotonic() + timeout_ms / 1000
        while True:
            records, comes_later = await self._fetch_once(self._consumer, wanted, max_records, timeout_ms)
            if records or not comes_later or (time.monotonic() >= deadline_s and not self._holes):
                return records  # of a hole somebody is to hear
            await asyncio.sleep(LATER_PAUSE_S)

    def end_seen(self, partition: PartitionId) -> Offset | None:
        if self._consumer is None or partition not in self.assigned():
            return None
        end: Offset | None = self._consumer.highwater(self._tp(partition))
        return end

    async def log_start(self, partition: PartitionId) -> Offset:
        return await self._bounds.start(partition)

    async def log_end(self, partition: PartitionId) -> Offset:
        return await self._bounds.end(partition)

    async def committed(self, group: str, partition: PartitionId) -> Offset:
        return await self._offsets(group).read(partition)

    async def commit(self, group: str, offsets: Mapping[PartitionId, Offset]) -> None:
        await self._offsets(group).write(offsets)

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        for keeper in self._offsets_of.values():
            await keeper.stop()
        await self._bounds.stop()
        if consumer is not None:
            await consumer.stop()

    async def _fetch_once(
        self, consumer: AIOKafkaConsumer, wanted: list[TopicPartition], max_records: int | None, timeout_ms: int
    ) -> tuple[list[ConsumerRecord], bool]:
        """What was found in order, and whether there is more, which the broker does not show yet."""
        try:
            found = await consumer.getmany(
                *wanted, timeout_ms=timeout_ms, max_records=max_records or self._settings.fetch_max_records
            )
        except OffsetOutOfRangeError as error:
            tp, offset = next(iter(error.args[0].items()))
            await self._check_inside(PartitionId(tp.partition), offset)
            self.seek(PartitionId(tp.partition), offset)
            return [], True
        except KafkaError as error:
            raise LogUnavailable(why=reason_of(error)) from error
        self._check_connections(wanted, found)
        records: list[ConsumerRecord] = []
        comes_later = False
        for tp, of_partition in found.items():
            # A rebalance may have begun a fetch before the partition was held: not sought, so not ours to return.
            if tp.partition in self._next:
                before_hole = self._up_to_hole(PartitionId(tp.partition), of_partition)
                comes_later |= len(before_hole) < len(of_partition)
                records.extend(before_hole)
        if not records and not comes_later:
            await self._check_not_beyond_end()
        return records, comes_later

    def _check_connections(self, wanted: list[TopicPartition], found: Collection[TopicPartition]) -> None:
        """Nothing that came over a new connection is returned; the next fetch reads it again."""
        connections = self._connections
        if connections is None:
            return
        new = [tp for tp in wanted if connections.is_new(tp) or (tp in found and not connections.is_same(tp))]
        if not new:
            return
        for tp in new:
            connections.get_to_know(tp)
        for tp in found:
            if tp.partition in self._next:
                self.seek(PartitionId(tp.partition), self._next[PartitionId(tp.partition)])
        raise LogReconnected(topic=self.topic, partitions=[PartitionId(tp.partition) for tp in new])

    def _up_to_hole(self, partition: PartitionId, records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        """All of them, or those before a hole, which is looked at again. Raises HoleInLog where it has stayed."""
        expected = self._next[partition]
        # Offsets rise strictly in what aiokafka returns, so first and last tell whether all are there.
        if records[0].offset == expected and records[-1].offset == expected + len(records) - 1:
            self._next[partition] = Offset(expected + len(records))
            self._holes.pop(partition, None)
            return records
        at = next(at for at, record in enumerate(records) if record.offset != expected + at)
        missing = Offset(expected + at)
        self.seek(partition, missing)
        hole = self._holes.get(partition)
        if hole is None or hole.missing != missing:
            hole = self._holes[partition] = _Hole(missing, time.monotonic())
        if time.monotonic() - hole.seen_s >= HOLE_LASTS_S:
            raise HoleInLog(partition=partition, topic=self.topic, expected=missing, found=records[at].offset)
        return records[:at]

    async def _check_not_beyond_end(self) -> None:
        """Apache Kafka refuses a fetch beyond the end; Tansu is silent for ever, and so would we be."""
        for partition in self.assigned() & self._next.keys():
            offset = self._next[partition]
            known = self.end_seen(partition)
            # The watermark may be older than the seek, hence the second look.
            if known is not None and known < offset and await self.log_end(partition) < offset:
                await self._check_inside(partition, offset)

    async def _check_inside(self, partition: PartitionId, offset: Offset) -> None:
        """Raises PositionOutsideLog.

        A broker that has just become the leader refuses what it has, until it knows that the other copies have it too;
        where the log begins and ends it tells truly, or later.
        """
        start, end = await self.log_start(partition), await self.log_end(partition)
        if not start <= offset <= end:
            raise PositionOutsideLog(partition=partition, topic=self.topic, offset=offset, start=start, end=end)

    def _offsets(self, group: str) -> CommittedOffsets:
        if group not in self._offsets_of:
            self._offsets_of[group] = self._new_offsets(group, member=None)
        return self._offsets_of[group]

    def _new_offsets(self, group: str, member: AIOKafkaConsumer | None) -> CommittedOffsets:
        return CommittedOffsets(self._kafka, self.topic, group, self._settings.commit_timeout_s, member)

    async def _new_consumer(self, group: str | None) -> AIOKafkaConsumer:
        consumer = await start_consumer(
            self._kafka,
            group=group,
            fetch_max_wait_ms=self._settings.fetch_max_wait_ms,
            max_poll_records=self._settings.fetch_max_records,
            fetch_bytes=self._fetch_bytes,
        )
        if self._tells_reconnects:
            self._connections = Connections(consumer._client)
        return consumer

    def _tp(self, partition: PartitionId) -> TopicPartition:
        return TopicPartition(self.topic, partition)
