"""`maskline backup`: what the log has that its copy has not, one more piece for each partition.

Only what a majority of the brokers has is shown to a reader, so a piece never holds what the log may still lose.
Partition 0 comes last: its fold gives regions their partitions, so a copy that has a region's campaign has the record
that put it there.
"""

import time

import msgspec

from services.audit.backup.errors import BackupFailed, BackupOfAnotherLog
from services.audit.backup.pieces import MAGIC, BackupFolder, End, Piece, PieceFile
from services.audit.rebuild import Progress
from services.domain.commands import Genesis
from services.platform.sealed_files import Put, sealing
from services.state.records import digest_of
from services.stream.genesis import read_genesis
from services.stream.partition_reader import LogReader, record_at, records_between
from services.stream.place import Offset, PartitionId


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """One partition's new piece: offsets `start` to `end` - 1."""

    partition: int
    start: int
    end: int
    seconds: float

    def __str__(self) -> str:
        if self.start == self.end:
            return f"Partition {self.partition}: nothing has come since the last copy; it has {self.end} records."
        return (
            f"Partition {self.partition}: records {self.start} to {self.end - 1} copied in {self.seconds:.1f} s; "
            f"the copy has {self.end}."
        )


async def take_all(log: LogReader, folder: BackupFolder, partitions: int, on_progress: Progress) -> list[Copied]:
    """A piece of every partition. Raises BackupFailed, BackupOfAnotherLog, BackupIncomplete, BackupUnreadable,
    GenesisMissing, HoleInLog, PositionOutsideLog, LogUnavailable."""
    try:
        folder.prepare()
        last_first = map(PartitionId, reversed(range(partitions)))
        done = [await _take(log, folder, partition, partitions, on_progress) for partition in last_first]
    except OSError as error:
        raise BackupFailed(folder=folder.path, why=error.strerror or type(error).__name__) from error
    return sorted(done, key=lambda copied: copied.partition)


async def _take(
    log: LogReader, folder: BackupFolder, partition: PartitionId, partitions: int, on_progress: Progress
) -> Copied:
    began_s = time.monotonic()
    genesis = await read_genesis(log, partition)
    end, chain = await log.log_end(partition), folder.chain(partition)
    start = Offset(chain[-1].end if chain else 0)
    if chain and (why := await _why_another(log, chain[-1], genesis, end)):
        raise BackupOfAnotherLog(folder=folder.path, why=why)
    if start < end:
        piece = Piece(
            log=genesis.log,
            key_check=genesis.key_check,
            partition=partition,
            partitions=partitions,
            start=start,
            made_at_ms=time.time_ns() // 1_000_000,
        )
        with sealing(folder.name(partition, start, end), MAGIC) as put:
            put(msgspec.msgpack.encode(piece))
            put(msgspec.msgpack.encode(await _copy(log, piece, end, put, on_progress)))
    on_progress(partition, end, end)
    return Copied(partition=partition, start=start, end=end, seconds=round(time.monotonic() - began_s, 3))


async def _why_another(log: LogReader, last: PieceFile, genesis: Genesis, end: int) -> str:
    """Why the log is not the one that was copied before; empty where it is."""
    known = last.check()
    if (copied := last.describe().log) != genesis.log:
        return f"partition {last.partition} is of log {copied}, and Kafka has log {genesis.log}"
    if last.end > end:
        return f"it has {last.end} records of partition {last.partition}, and the log ends at {end}: it lost its end"
    record = await record_at(log, PartitionId(last.partition), Offset(last.end - 1))
    if digest_of(record.value) != known.last_digest:
        return f"partition {last.partition} has another record at offset {last.end - 1} now: the log was cut and grew"
    return ""


async def _copy(log: LogReader, piece: Piece, end: int, put: Put, on_progress: Progress) -> End:
    partition, at, digest = PartitionId(piece.partition), piece.start, 0
    async for records in records_between(log, partition, piece.start, end):
        put(msgspec.msgpack.encode([(record.timestamp, record.value) for record in records]))
        at, digest = at + len(records), digest_of(records[-1].value)
        on_progress(partition, at, end)
    return End(records=at - piece.start, last_digest=digest)
