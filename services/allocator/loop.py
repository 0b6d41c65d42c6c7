"""One partition: read, fold, publish, for as long as it is ours.

Safety does not rest on anything here. Whatever this loop does twice, late, or beside another loop, the fold applies
each offset once and in order; so every error ends in the same way: look where the partition stands and start there.
"""

import asyncio
import time
from collections import deque
from typing import Final, Protocol

import structlog
from aiokafka import ConsumerRecord

from services.allocator.publisher import Decided, Publisher
from services.domain.limits import AHEAD_OF_TICK_MS
from services.domain.rows import Facts
from services.platform.errors import MasklineError
from services.platform.lifecycle import end_tasks
from services.platform.telemetry import tells_ways
from services.state.fold_call import CALLS_IN_FLIGHT, Batch, FoldCall, Folded
from services.state.records import next_batch, rest_of
from services.state.recovery import Start
from services.state.redis_client import RedisError, ResponseError
from services.state.stopped import OtherKeyError, OtherLogError, PartitionStoppedError, RulesTooNewError
from services.stream.place import Offset, PartitionId

MAX_BUFFERED_RECORDS: Final = 4_000
IDLE_LOOK_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 2.0
MAX_REDIS_PAUSE_S: Final = 0.5
"""A Redis Cluster has another primary after three seconds; who then sleeps for two makes it five."""
LIVED_S: Final = 5.0
"""After that long without an error the next one is not a repeat of the last."""
STOPPED_PAUSE_S: Final = 1.0
"""Until somebody has put the right log back everybody waits, and a look costs a few requests."""

log = structlog.get_logger(__name__)


class SeekBackError(Exception):
    """The fold is not where this loop thinks; read again from where it is."""


class LoopParts(Protocol):
    """What a loop needs of its process; made anew at each start, for each may be broken by then."""

    async def find_start(self, partition: PartitionId) -> Start:
        """Where to start; raises PartitionStoppedError."""

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        """Have the records from `offset` on fed to this partition's loop."""

    def fold_call(self, partition: PartitionId, start: Start) -> FoldCall:
        """A fold call on a connection of its own."""

    def publisher(self, partition: PartitionId, start: Start) -> Publisher:
        """The publisher of this partition's events."""

    def report(self) -> "LoopReport":
        """Who is told of folded batches, gaps and stops."""


class LoopReport(Protocol):
    """Metrics of loops; plain calls that never wait."""

    def called(self, seconds: float) -> None:
        """Redis has answered a call of the fold."""

    def folded(self, partition: PartitionId, position: int, decisions: list[Facts | bool]) -> None:
        """A batch is decided."""

    def waited(self, seconds: float) -> None:
        """So long ago the first record of a batch came that is decided for the first time."""

    def from_future(self, partition: PartitionId, count: int) -> None:
        """So many records are dated long after now, and are decided at an earlier time."""

    def gap(self, partition: PartitionId) -> None:
        """Redis was behind the log."""

    def stopped(self, partition: PartitionId, because: str | None) -> None:
        """It stands still on purpose, or (None) goes on."""


class PartitionLoop:
    """Folds one partition. `feed` gives it records, `run` works until it is cancelled."""

    def __init__(self, partition: PartitionId, parts: LoopParts) -> None:
        self.partition = partition
        self.position = 0
        self.stopped_because: str | None = "starting"
        self._parts = parts
        self._report = parts.report()
        self._records: deque[ConsumerRecord] = deque()
        self._fed = asyncio.Event()
        self._expected = 0
        self._publisher: Publisher | None = None
        self._interruption: MasklineError | None = None
        self._told = ""

    @property
    def published(self) -> int:
        """The offset below which all events are acknowledged."""
        return 0 if self._publisher is None else self._publisher.published

    @property
    def has_room(self) -> bool:
        """Whether more records should be read for it."""
        return self.stopped_because is None and len(self._records) < MAX_BUFFERED_RECORDS

    def feed(self, records: list[ConsumerRecord]) -> None:
        """Consecutive records of this partition. What was read before a seek is left out."""
        if records and records[0].offset == self._expected:
            self._records.extend(records)
            self._expected = records[-1].offset + 1
            self._fed.set()

    def interrupt(self, error: MasklineError) -> None:
        """The log cannot be read where this loop wants to: it starts again, or stops, with this error."""
        self._interruption = error
        self.stopped_because = str(error)
        self._fed.set()

    async def run(self) -> None:
        """Start, fold, and after any error start again; one that must not go on is looked at every STOPPED_PAUSE_S."""
        pause_s = FIRST_PAUSE_S
        while True:
            began_s = asyncio.get_running_loop().time()
            try:
                await self._start_and_fold()
            except SeekBackError:
                pause_s = FIRST_PAUSE_S
                continue
            except PartitionStoppedError as error:
                self._note_stopped(error)
                self._tell_stopped(str(error))
                await asyncio.sleep(STOPPED_PAUSE_S)
            except (MasklineError, RedisError, OSError) as error:
                self._note_stopped(error)
                why = str(error) if isinstance(error, MasklineError) else f"{type(error).__name__}: {error}"
                log.warning("Starting again", action="partition_restart", partition=self.partition, why=why)
                if asyncio.get_running_loop().time() - began_s > LIVED_S:
                    pause_s = FIRST_PAUSE_S
                await asyncio.sleep(pause_s)
                is_kafkas = isinstance(error, MasklineError)
                pause_s = min(2 * pause_s, MAX_PAUSE_S if is_kafkas else MAX_REDIS_PAUSE_S)

    def _note_stopped(self, error: Exception) -> None:
        self.stopped_because = str(error) or type(error).__name__

    def _tell_stopped(self, why: str) -> None:
        self._report.stopped(self.partition, why)
        if why != self._told:  # it may be looked at for days
            log.error(why, action="partition_stopped", partition=self.partition)
        self._told = why

    async def _start_and_fold(self) -> None:
        start = await self._parts.find_start(self.partition)
        fold_call = self._parts.fold_call(self.partition, start)
        self._publisher = publisher = self._parts.publisher(self.partition, start)
        self._records.clear()
        self._interruption = None
        self._expected = start.offset
        self._parts.seek(self.partition, Offset(start.offset))
        self.position, self.stopped_because, self._told = start.offset, None, ""
        self._report.stopped(self.partition, None)
        log.info(
            "Folding", action="partition_started", partition=self.partition, position=start.offset,
            published=start.published,
        )  # fmt: skip
        publishing = asyncio.create_task(publisher.run(), name=f"publish-{self.partition}")
        publishing.add_done_callback(self._publishing_ended)
        try:
            await self._fold(fold_call, publisher, publishing)
        finally:
            await fold_call.drop()
            await end_tasks([publishing])

    def _publishing_ended(self, publishing: "asyncio.Task[None]") -> None:
        """A publisher that fails is seen at once, also when no record comes in for long."""
        if not publishing.cancelled():
            publishing.exception()  # looked at, whatever else happens
        self._fed.set()

    async def _fold(self, call: FoldCall, publisher: Publisher, publishing: "asyncio.Task[None]") -> None:
        """Up to two batches in flight: while Redis works on one, the next one travels."""
        in_flight: deque[tuple[Batch, float]] = deque()
        waiting: deque[Batch] = deque()
        while True:
            if publishing.done():
                publishing.result()
            if self._interruption is not None:
                raise self._interruption
            while len(in_flight) < CALLS_IN_FLIGHT and (waiting or self._records):
                batch = waiting.popleft() if waiting else next_batch(self._records)
                await call.send(batch, publisher.published)
                in_flight.append((batch, time.monotonic()))
            if not in_flight:
                if not await self._fed_in_time() and self._expected > 0:
                    await self._look(call, publisher)
                continue
            batch, sent_s = in_flight.popleft()
            folded = await self._answer(call)
            self._report.called(time.monotonic() - sent_s)
            self._check(folded)
            if folded.status == "rules_too_new":
                if folded.decisions:  # from before the record that brings them; what newer rules decided is not told
                    await self._done(batch, folded, publisher)
                await self._finish(call, publisher, publishing)
                raise RulesTooNewError(partition=self.partition, offset=folded.position)
            await self._done(batch, folded, publisher)
            if folded.position < batch.end:  # it stopped early: the rest goes first, what is in flight was not applied
                while in_flight:
                    waiting.append(in_flight.popleft()[0])
                    await call.receive()
                waiting.appendleft(rest_of(batch, folded.position))

    async def _fed_in_time(self) -> bool:
        self._fed.clear()
        try:
            async with asyncio.timeout(IDLE_LOOK_S):
                await self._fed.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self, call: FoldCall, publisher: Publisher) -> None:
        """Where nothing comes in nothing would tell that Redis has lost its end: a batch of nothing does."""
        await call.send(Batch(self._expected, [], [], []), publisher.published)
        folded = await self._answer(call)
        self._check(folded)
        if folded.status == "rules_too_new":
            raise RulesTooNewError(partition=self.partition, offset=folded.position)

    async def _finish(self, call: FoldCall, publisher: Publisher, publishing: "asyncio.Task[None]") -> None:
        """What is decided goes out, and Redis knows it, before this partition stands still for long."""
        while call.in_flight:  # behind a batch that stopped: nothing of it was applied
            await call.receive()
        finishing = asyncio.create_task(publisher.finish())
        try:
            await asyncio.wait([finishing, publishing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            finishing.cancel()
        if publishing.done():
            publishing.result()
        await call.send(Batch(self.position, [], [], []), publisher.published)
        await self._answer(call)

    async def _answer(self, call: FoldCall) -> Folded:
        try:
            return await call.receive()
        except ResponseError as error:
            if "Function not found" not in str(error):
                raise
        await call.drop()
        await call.load_library()
        log.info("Function library loaded", action="library_loaded", partition=self.partition)
        raise SeekBackError

    def _check(self, folded: Folded) -> None:
        match folded.status:
            case "gap":
                self._report.gap(self.partition)
                log.warning("Redis is behind", action="gap", partition=self.partition, position=folded.position)
                raise SeekBackError
            case "other_log":
                raise OtherLogError(partition=self.partition, in_redis="another one", in_kafka="this one")
            case "other_key":
                raise OtherKeyError(partition=self.partition)

    async def _done(self, batch: Batch, folded: Folded, publisher: Publisher) -> None:
        count = min(folded.position, batch.end) - batch.start
        self.position = max(self.position, folded.position)
        self._report.folded(self.partition, folded.position, folded.decisions[:count])
        if count and tells_ways():
            log.debug(
                "Decided", action="decided", partition=self.partition, offset=batch.start, to=batch.start + count - 1
            )
        if count and batch.start + count > publisher.published:
            now_ms = time.time() * 1000
            self._report.waited(max(0.0, now_ms - batch.timestamps_ms[0]) / 1000)
            if max(batch.timestamps_ms[:count]) > now_ms + AHEAD_OF_TICK_MS:
                late = sum(1 for at_ms in batch.timestamps_ms[:count] if at_ms > now_ms + AHEAD_OF_TICK_MS)
                self._report.from_future(self.partition, late)
            await publisher.publish(
                Decided(
                    batch.start,
                    list(batch.timestamps_ms[:count]),
                    list(batch.commands[:count]),
                    folded.decisions[:count],
                )
            )
