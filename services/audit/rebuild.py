"""`maskline rebuild`: folds what Redis lacks of the log into it. It loses nothing and publishes nothing.

It makes the allocator's own call, so it starts where an allocator would and refuses where one would refuse; and because
the fold applies each offset once, it works beside allocators that run. `published` stays what it is: events that nobody
has seen are published by the next allocator, from the decisions recorded here. Where a snapshot saves time it is loaded
first (`services/state/snapshots/README.md`).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Meta

from services.audit.from_snapshot import Loaded, Snapshots, load_newest
from services.domain.rows import Head
from services.platform.errors import MasklineError
from services.platform.lifecycle import end_tasks
from services.platform.settings import SecretFiles, SystemSettings
from services.state.fold_call import CALLS_IN_FLIGHT, Batch, FoldCall, Folded
from services.state.records import next_batch, rest_of
from services.state.recovery import HeadReader, Start, find_start
from services.state.redis_client import RedisError, ResponseError
from services.state.snapshots.loading import is_being_loaded
from services.state.stopped import OtherKeyError, OtherLogError, PartitionStoppedError, RulesTooNewError
from services.stream.errors import HoleInLog, PositionOutsideLog
from services.stream.genesis import GenesisMissing
from services.stream.partition_reader import LogReader
from services.stream.place import Offset, PartitionId

RECORDS_PER_FETCH = 2_000
FETCH_TIMEOUT_MS = 1_000
MAX_EMPTY_FETCHES = 5
MAX_STEPS_BACK = 20
MAX_TRIES = 20
TRY_AGAIN_S = 0.5
"""Of a cluster, while a primary is replaced or a slot migrates: ten seconds, three times what a fail-over takes."""


class RebuildSettings(SystemSettings, frozen=True, kw_only=True):
    """What rebuild is told."""

    fold_timeout_s: Annotated[float, Meta(description="Seconds for Redis to fold one batch.", gt=0)] = 5.0
    use_snapshots: Annotated[bool, Meta(description="Load the newest snapshot that fits, where that is faster.")] = True
    snapshots: Annotated[Path | None, Meta(description="Folder of the snapshots, if not DATA/snapshots.")] = None
    secret_files: SecretFiles = SecretFiles()


class KeepsGoingBack(PartitionStoppedError):
    """Partition {partition} is stopped: Redis went back {times} times while it was rebuilt. Somebody empties it."""


class RebuildFailed(MasklineError):
    """Partition {partition} was not rebuilt, for Redis says: {why}. What was folded before stays; say it again."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to one partition. `before`, `position`: where Redis stood and stands; `end`: of the log, then."""

    partition: int
    before: int = 0
    position: int = 0
    end: int = 0
    published: int = 0
    seconds: float = 0.0
    snapshot: int = 0
    """The position of the snapshot that was loaded; 0 where none was."""
    rows: int = 0
    passed_over: list[str] = []
    """Snapshots that were not taken, and why."""
    why: str = ""
    """What keeps it from being whole; empty where it is."""

    def __str__(self) -> str:
        if self.why:
            return self.why
        if self.before >= self.end:
            return f"Partition {self.partition}: nothing was missing; Redis has the whole log, {self.before} records."
        told = f"Partition {self.partition}: "
        if self.snapshot:
            told += f"{self.rows} rows loaded from the snapshot of position {self.snapshot}, then "
        told += f"records {self.snapshot or self.before} to {self.end} replayed in {self.seconds:.1f} s."
        unpublished = self.position - max(self.before, self.published)
        told += f" {unpublished} were never published: the next allocator does it." if unpublished > 0 else ""
        return "\n".join([*self.passed_over, told])


Progress = Callable[[int, int, int], None]
"""Takes partition, position, and where it will end."""


@dataclass(frozen=True)
class Target:
    """The Redis that is rebuilt, and the check value of the keys that its log must have been made with."""

    read_head: HeadReader
    fold_call: Callable[[PartitionId, Start], FoldCall]
    key_check: str
    is_cluster: bool = False
    snapshots: Snapshots | None = None


async def rebuild(log: LogReader, target: Target, partitions: int, on_progress: Progress) -> list[Rebuilt]:
    """Every partition, one after the other; a partition that must not be touched is left out and says why.

    Raises LogUnavailable and RebuildFailed.
    """
    done = []
    for number in range(partitions):
        partition = PartitionId(number)
        try:
            done.append(await _rebuilt_in_the_end(log, target, partition, on_progress))
        except (PartitionStoppedError, GenesisMissing, HoleInLog, PositionOutsideLog) as error:
            done.append(Rebuilt(partition=partition, why=str(error)))
        except (RedisError, OSError) as error:
            raise RebuildFailed(partition=partition, why=str(error) or type(error).__name__) from error
    return done


async def _rebuilt_in_the_end(log: LogReader, target: Target, partition: PartitionId, on_progress: Progress) -> Rebuilt:
    """In as many tries as it takes, MAX_TRIES at most: each goes on where Redis stands."""
    for tries in range(1, MAX_TRIES + 1):
        try:
            return await rebuild_partition(log, target, partition, on_progress)
        except (RedisError, OSError):
            if tries == MAX_TRIES or not target.is_cluster:
                raise
            await asyncio.sleep(TRY_AGAIN_S)
    raise AssertionError  # the last try returns or raises


async def rebuild_partition(log: LogReader, target: Target, partition: PartitionId, on_progress: Progress) -> Rebuilt:
    """One partition, in one try. Raises PartitionStoppedError, what reading the log raises, and the errors of Redis."""
    began_s = time.monotonic()
    before, loaded = await _from_snapshot(log, target, partition)
    start = await find_start(log, target.read_head, partition, target.key_check)
    begin = (await target.read_head(partition) or Head()).position
    end = await log.log_end(partition)
    on_progress(partition, begin, end)
    call = target.fold_call(partition, start)
    try:
        position = await _Replay(log, call, partition, start.published, on_progress).run(begin, end)
    finally:
        await call.drop()
    return Rebuilt(
        partition=partition,
        snapshot=loaded.position,
        rows=loaded.rows,
        passed_over=loaded.passed_over,
        before=before,
        position=position,
        end=end,
        published=start.published,
        seconds=round(time.monotonic() - began_s, 3),
    )


async def _from_snapshot(log: LogReader, target: Target, partition: PartitionId) -> tuple[int, Loaded]:
    """Where Redis stood, and what was loaded into it. Raises as `find_start` and `load_newest`."""
    head = await target.read_head(partition)
    is_whole = not is_being_loaded(head)
    if is_whole:  # a state that must not be touched is refused before anything is put in its place
        await find_start(log, target.read_head, partition, target.key_check)
    before = head.position if head is not None and is_whole else 0
    if target.snapshots is None:
        return before, Loaded()
    return before, await load_newest(log, target.snapshots, head, partition, target.key_check)


class _Replay:
    """Folds one partition up to an offset: while Redis works on some calls the next one is prepared, and the log is
    read ahead."""

    def __init__(
        self, log: LogReader, call: FoldCall, partition: PartitionId, published: int, on_progress: Progress
    ) -> None:
        self._log = log
        self._call = call
        self._partition = partition
        self._published = published
        self._on_progress = on_progress
        self._end = 0
        self._ahead: asyncio.Task[list[ConsumerRecord]] | None = None
        self._next = 0
        """One past the last record that was read, but for those that are being read ahead."""
        self._records: deque[ConsumerRecord] = deque()
        self._batches: deque[Batch] = deque()
        """What has to be sent again, before anything else."""
        self._in_flight: deque[Batch] = deque()
        self._steps_back = 0

    async def run(self, position: int, end: int) -> int:
        """The position then, which is at least `end`. Raises PartitionStoppedError and what log and Redis raise."""
        self._end = end
        await self._log.assign([self._partition])
        try:
            await self._go_to(position)
            while position < end:
                while len(self._in_flight) < CALLS_IN_FLIGHT and (batch := await self._next_batch()) is not None:
                    await self._call.send(batch, self._published)
                    self._in_flight.append(batch)
                folded = await self._answer()
                if folded is None:
                    await self._go_to(position)
                    continue
                batch = self._in_flight.popleft()
                position = await self._after(batch, folded, position)
                self._on_progress(self._partition, min(position, end), end)
        finally:
            await self._stop_reading_ahead()
        return position

    async def _go_to(self, position: int) -> None:
        await self._stop_reading_ahead()
        self._records.clear()
        self._batches.clear()
        self._in_flight.clear()
        self._next = position
        self._log.seek(self._partition, Offset(position))
        self._read_ahead()

    def _read_ahead(self) -> None:
        if self._next < self._end:
            self._ahead = asyncio.create_task(self._fetch(), name=f"read-ahead-{self._partition}")

    async def _stop_reading_ahead(self) -> None:
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            await end_tasks([ahead])
            if not ahead.cancelled():
                ahead.exception()  # looked at: another one is being raised, or it is read again

    async def _next_batch(self) -> Batch | None:
        """None where there is nothing to send before the next answer has come."""
        if self._batches:
            return self._batches.popleft()
        if not self._records:
            ahead = self._ahead
            if ahead is None or (self._in_flight and not ahead.done()):
                return None
            self._ahead = None
            self._records.extend(await ahead)
            self._next = self._records[-1].offset + 1
            self._read_ahead()
        return next_batch(self._records)

    async def _fetch(self) -> list[ConsumerRecord]:
        for _ in range(MAX_EMPTY_FETCHES):
            wanted = min(RECORDS_PER_FETCH, self._end - self._next)
            if records := await self._log.fetch(self._partition, wanted, timeout_ms=FETCH_TIMEOUT_MS):
                return records
        raise PartitionStoppedError(
            partition=self._partition, why=f"the log has {self._end} records, but does not give {self._next}"
        )

    async def _answer(self) -> Folded | None:
        """None where the function had to be loaded first: then nothing was folded."""
        try:
            return await self._call.receive()
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
        await self._call.drop()
        await self._call.load_library()
        return None

    async def _after(self, batch: Batch, folded: Folded, position: int) -> int:
        """Where the fold stands now; what is in flight behind a batch that was not done is sent again."""
        match folded.status:
            case "other_log":
                raise OtherLogError(partition=self._partition, in_redis="another one", in_kafka="this one")
            case "other_key":
                raise OtherKeyError(partition=self._partition)
            case "rules_too_new":
                raise RulesTooNewError(partition=self._partition, offset=folded.position)
            case "gap":
                await self._forget_in_flight()
                self._step_back()
                await self._go_to(folded.position)
            case _ if folded.position < batch.end:  # it stopped early: the rest goes first
                in_flight = list(self._in_flight)
                await self._forget_in_flight()
                self._batches.extendleft(reversed([rest_of(batch, folded.position), *in_flight]))
            case _ if folded.position > max(batch.end, self._next):  # an allocator is ahead of us
                await self._forget_in_flight()
                await self._go_to(folded.position)
        return max(position, folded.position) if folded.status == "ok" else folded.position

    def _step_back(self) -> None:
        self._steps_back += 1
        if self._steps_back > MAX_STEPS_BACK:
            raise KeepsGoingBack(partition=self._partition, times=self._steps_back)

    async def _forget_in_flight(self) -> None:
        for _ in self._in_flight:
            await self._call.receive()
        self._in_flight.clear()
