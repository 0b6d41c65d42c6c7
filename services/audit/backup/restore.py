"""`maskline restore`: a copy of the log becomes the log of a Kafka that has none.

Records keep their offsets and their times: by both the fold decides, so a replay decides as it did before. Therefore
the topic is made as one that keeps the times of what is written, and becomes one of ours only when all is there and was
read back and compared. A run that was interrupted is recognised by that, and the next one goes on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.audit.backup.errors import RestoreDiffers, RestoreFailed
from services.audit.backup.pieces import PieceFile, Record
from services.audit.rebuild import Progress
from services.stream.log_producer import reason_of
from services.stream.partition_reader import LogReader, records_between
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS

RECORDS_PER_BATCH: Final = 1_000


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """One partition: how many records it has, and how many of them were there already."""

    partition: int
    records: int
    before: int
    seconds: float

    def __str__(self) -> str:
        told = f"Partition {self.partition}: {self.records} records, "
        told += f"of which {self.before} were there, " if self.before else ""
        return f"{told}each as in the copy, in {self.seconds:.1f} s."


class Copy(NamedTuple):
    """What a partition is to hold, in pieces that were checked."""

    partition: PartitionId
    pieces: Sequence[PieceFile]

    @property
    def end(self) -> int:
        """One past the last record."""
        return self.pieces[-1].end

    def records(self, start: int = 0) -> Iterator[Record]:
        """From an offset on."""
        needed = [piece for piece in self.pieces if piece.end > start]
        skipped = start - needed[0].start if needed else 0
        return islice(chain.from_iterable(piece.records() for piece in needed), skipped, None)


async def restore_partition(log: LogReader, producer: AIOKafkaProducer, copy: Copy, on_progress: Progress) -> Restored:
    """Compares what is there, writes what is missing, and compares that.

    `on_progress` counts each record twice, once written and once compared. Raises RestoreDiffers, RestoreFailed,
    HoleInLog, PositionOutsideLog, LogUnavailable.
    """
    began_s = time.monotonic()
    partition, end = copy.partition, copy.end

    def progress(done: int) -> None:
        on_progress(partition, done, 2 * end)

    await log.assign([partition])
    before = await log.log_end(partition)
    if before > end:
        raise RestoreDiffers(partition=partition, offset=end)
    await _compare(log, copy, 0, before, lambda at: progress(2 * at))
    await _write(producer, copy, before, lambda at: progress(before + at))
    await _compare(log, copy, before, end, lambda at: progress(end + at))
    return Restored(partition=partition, records=end, before=before, seconds=round(time.monotonic() - began_s, 3))


async def _write(producer: AIOKafkaProducer, copy: Copy, start: int, progress: Callable[[int], None]) -> None:
    at, left = start, copy.records(start)
    waiting = list(islice(left, RECORDS_PER_BATCH))
    while waiting:
        batch, taken = producer.create_batch(), 0
        for timestamp_ms, value in waiting:
            if batch.append(timestamp=timestamp_ms, key=None, value=value) is None:
                break
            taken += 1
        batch.close()
        try:
            written = await (await producer.send_batch(batch, COMMANDS, partition=copy.partition))
        except KafkaError as error:
            raise RestoreFailed(partition=copy.partition, why=reason_of(error)) from error
        if written.offset != at:  # a batch was sent again that Kafka had taken, or somebody else writes
            raise RestoreDiffers(partition=copy.partition, offset=at)
        at += taken
        progress(at)
        waiting = [*waiting[taken:], *islice(left, taken)]


async def _compare(log: LogReader, copy: Copy, start: int, end: int, progress: Callable[[int], None]) -> None:
    at, wanted = start, copy.records(start)
    async for records in records_between(log, copy.partition, start, end):
        for record, (timestamp_ms, value) in zip(records, wanted, strict=False):
            if (record.timestamp, record.value) != (timestamp_ms, value):
                raise RestoreDiffers(partition=copy.partition, offset=record.offset)
        at += len(records)
        progress(at)
