"""The allocator's process: which partitions it folds, and how its parts are put together."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from typing import Annotated

import structlog
from aiokafka import ConsumerRecord
from msgspec import Meta

from services.allocator.loop import PartitionLoop
from services.allocator.publisher import Publisher
from services.allocator.report import MetricsReport
from services.allocator.store_guard import StoreGuard
from services.domain.rows import Head
from services.platform.admin import AdminServer
from services.platform.errors import MasklineError
from services.platform.health import Health
from services.platform.lifecycle import Stop, TaskSet, end_tasks, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.metrics import LOG_END, PUBLISHED
from services.platform.secrets import SECRETS, Secrets
from services.platform.settings import ProcessSettings
from services.platform.telemetry import configure_logging
from services.state.fold_call import FoldCall
from services.state.library import Library, build
from services.state.readers import read_head
from services.state.recovery import GROUP, Start, find_start
from services.state.redis_access import redis_address
from services.state.redis_client import RedisError
from services.state.stopped import PartitionStoppedError, UnreadableLogError
from services.state.store import Store, be_let_in, fold_connection, open_store
from services.state.store_check import LibraryReplaced, StoreUnfit
from services.stream.errors import CommitRefused, HoleInLog, LogReconnected, PositionOutsideLog, StreamError
from services.stream.genesis import GenesisMissing
from services.stream.log_producer import LogProducer
from services.stream.partition_reader import PartitionReader, ReaderSettings
from services.stream.place import Offset, PartitionId
from services.stream.rounds import Rounds
from services.stream.topics import COMMANDS, count_partitions

FETCH_TIMEOUT_MS = 200
HELD_PAUSE_S = 0.01
READ_PAUSE_S = 0.5

log = structlog.get_logger(__name__)


class AllocatorSettings(ProcessSettings, frozen=True, kw_only=True):
    """How an allocator shares the work."""

    partitions: Annotated[
        str,
        Meta(description="'group': share them through Kafka; 'all'; or a list, as in 0,2,5-7.", min_length=1),
    ] = "group"
    fold_timeout_s: Annotated[float, Meta(description="Seconds for Redis to fold one batch.", gt=0)] = 5.0
    ack_timeout_s: Annotated[float, Meta(description="Seconds for Kafka to acknowledge events.", gt=0)] = 4.0
    commit_interval_s: Annotated[float, Meta(description="Seconds between two commits of `published`.", gt=0)] = 0.5
    look_interval_s: Annotated[
        float, Meta(description="Seconds between two looks whether log and Redis are still the same ones.", gt=0)
    ] = 5.0
    reader: ReaderSettings = ReaderSettings(fetch_max_wait_ms=100)


class Allocator:
    """The loops of one process, and what they need of it (`LoopParts`)."""

    def __init__(
        self,
        settings: AllocatorSettings,
        tasks: TaskSet,
        producer: LogProducer,
        redis: Store,
        library: Library,
        key_check: str,
        guard: StoreGuard | None = None,
    ) -> None:
        self.loops: dict[PartitionId, PartitionLoop] = {}
        self._settings = settings
        self._address = redis_address(settings)
        self._tasks = tasks
        self._producer = producer
        self._redis = redis
        self._library = library
        self._key_check = key_check
        self._guard = guard
        self._reader = PartitionReader(settings, COMMANDS, settings.reader, tells_reconnects=True)
        self._looker = PartitionReader(settings, COMMANDS, settings.reader, looks_only=True)
        self._looking = asyncio.Lock()
        self._rounds = Rounds()
        self._running: dict[PartitionId, asyncio.Task[None]] = {}
        self._committed: dict[PartitionId, int] = {}

    # -- which partitions -------------------------------------------------------------------------------------------

    async def take(self, partitions: Iterable[PartitionId]) -> None:
        """Fold these, by hand, beside whoever else folds them."""
        chosen = frozenset(partitions)
        await self._reader.assign(chosen)
        await self._assigned(chosen)

    async def join(self) -> None:
        """Fold what the consumer group gives."""
        await self._reader.join(GROUP, self._assigned, self._revoked)

    async def _assigned(self, partitions: frozenset[PartitionId]) -> None:
        for partition in partitions:
            loop = PartitionLoop(partition, self)
            self.loops[partition] = loop
            self._running[partition] = self._tasks.start(loop.run(), f"fold-{partition}")

    async def _revoked(self, partitions: frozenset[PartitionId]) -> None:
        ending = [self._running.pop(partition) for partition in partitions if partition in self._running]
        for partition in partitions:
            self.loops.pop(partition, None)
        await end_tasks(ending)

    # -- what a loop needs (LoopParts) ------------------------------------------------------------------------------

    async def find_start(self, partition: PartitionId) -> Start:
        if self._guard is not None:
            try:
                await self._guard.look(partition)
            except (StoreUnfit, LibraryReplaced) as error:
                raise PartitionStoppedError(partition=partition, why=str(error)) from error
        async with self._looking:
            return await find_start(self._looker, self._read_head, partition, self._key_check)

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        self._reader.seek(partition, offset)

    def fold_call(self, partition: PartitionId, start: Start) -> FoldCall:
        settings = self._settings
        connection = fold_connection(self._redis, self._address, partition, timeout_s=settings.fold_timeout_s)
        return FoldCall(connection, self._library, partition, start.identity)

    def publisher(self, partition: PartitionId, start: Start) -> Publisher:
        return Publisher(
            self._producer,
            partition,
            start.identity.log,
            start.published,
            ack_timeout_s=self._settings.ack_timeout_s,
            now_ms=lambda: int(time.time() * 1000),
            rounds=self._rounds,
        )

    def report(self) -> MetricsReport:
        return MetricsReport()

    async def _read_head(self, partition: int) -> Head | None:
        return await read_head(self._redis, partition)

    # -- tasks of the process ---------------------------------------------------------------------------------------

    async def read(self) -> None:
        """Feed every loop that has room. A failed read is tried again; a hole stops its partition at the next start."""
        while True:
            wanted = [partition for partition, loop in self.loops.items() if loop.has_room]
            if not wanted:
                await asyncio.sleep(HELD_PAUSE_S)
                continue
            try:
                records = await self._reader.fetch(wanted, timeout_ms=FETCH_TIMEOUT_MS)
            except (HoleInLog, PositionOutsideLog) as error:
                partition = error.values["partition"]
                self._interrupt([partition], UnreadableLogError(partition=partition, why=str(error)))
            except LogReconnected as error:
                self._interrupt(error.values["partitions"], error)
            except StreamError as error:
                log.warning("Reading fails", action="read_failed", why=str(error))
                await asyncio.sleep(READ_PAUSE_S)
            else:
                self._feed(records)

    def _interrupt(self, partitions: list[PartitionId], error: MasklineError) -> None:
        for partition in partitions:
            if partition in self.loops:  # a rebalance may have taken it meanwhile
                self.loops[partition].interrupt(error)

    def _feed(self, records: list[ConsumerRecord]) -> None:
        by_partition: dict[PartitionId, list[ConsumerRecord]] = defaultdict(list)
        for record in records:
            by_partition[record.partition].append(record)
        for partition, of_partition in by_partition.items():
            if partition in self.loops:
                self.loops[partition].feed(of_partition)

    async def commit(self) -> None:
        """Commit `published`, for ever; a refused commit costs a successor some repeats, which are dropped."""
        while True:
            await asyncio.sleep(self._settings.commit_interval_s)
            for partition, loop in self.loops.items():
                PUBLISHED.labels(partition).set(loop.published)
                if (end := self._reader.end_seen(partition)) is not None:
                    LOG_END.labels(partition).set(end)
            await self.commit_once()

    async def commit_once(self) -> None:
        """Commit what moved since the last time."""
        moved = {
            partition: Offset(loop.published)
            for partition, loop in self.loops.items()
            if loop.stopped_because is None and loop.published > self._committed.get(partition, 0)
        }
        if not moved:
            return
        try:
            await self._reader.commit(GROUP, moved)
        except CommitRefused as error:
            log.info("Commit refused", action="commit_refused", why=str(error))
        else:
            self._committed.update(moved)

    async def watch(self) -> None:
        """Look now and then whether Redis and the log are still the ones that each loop began with, for ever.

        A log that is replaced under a running loop looks like any other to it once it has grown past its place.
        """
        while True:
            await asyncio.sleep(self._settings.look_interval_s)
            for partition, loop in list(self.loops.items()):
                if loop.stopped_because is not None:
                    continue
                try:
                    await self.find_start(partition)
                except (PartitionStoppedError, GenesisMissing) as error:
                    loop.interrupt(error)
                except (MasklineError, RedisError, OSError):
                    continue  # the loop meets that itself

    async def stop(self) -> None:
        """Let go of everything; what is folded and not published is published by whoever comes next."""
        await self.commit_once()
        await self._revoked(frozenset(self._running))
        with suppress(StreamError):
            await self._reader.stop()
            await self._looker.stop()

    def wrong(self) -> str | None:
        """What keeps this allocator from being ready, in words."""
        stopped = {p: loop.stopped_because for p, loop in self.loops.items() if loop.stopped_because}
        return "; ".join(f"partition {p}: {why}" for p, why in stopped.items()) or None


def chosen_partitions(words: str, count: int) -> list[PartitionId]:
    """The partitions of 'all', or of a list as in '0,2,5-7'. Raises PartitionStoppedError for one that is not there."""
    if words == "all":
        return [PartitionId(p) for p in range(count)]
    chosen: set[int] = set()
    for part in words.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not first.isdecimal() or not last.isdecimal() or int(last) < int(first):
            raise PartitionStoppedError(partition=part, why="write 'group', 'all', or a list as in 0,2,5-7")
        if int(last) >= count:
            raise PartitionStoppedError(partition=last, why=f"the log has partitions 0 to {count - 1}")
        chosen.update(range(int(first), int(last) + 1))
    return [PartitionId(p) for p in sorted(chosen)]


async def main(settings: AllocatorSettings, stop: Stop) -> None:
    """One allocator, until it is asked to stop."""
    configure_logging("allocator", settings.log_level)
    log.info("Starting", action="starting", settings=settings.lines())
    secrets = Secrets.load(settings.data / SECRETS, settings.secret_files)
    health = Health()
    async with AsyncExitStack() as stack:
        admin = AdminServer(settings.host, settings.admin_port, health)
        await admin.start()
        stack.push_async_callback(admin.stop)
        count = await count_partitions(settings)
        redis = open_store(redis_address(settings), timeout_s=settings.redis_timeout_s)
        stack.push_async_callback(redis.aclose)
        await be_let_in(redis, redis_address(settings))
        producer = await LogProducer.start(settings)
        stack.push_async_callback(producer.stop)
        tasks = await stack.enter_async_context(TaskSet(stop))
        library = build()
        guard = StoreGuard(redis, library)
        await guard.look_at_start()
        allocator = Allocator(settings, tasks, producer, redis, library, secrets.key_check(), guard)
        stack.push_async_callback(allocator.stop)
        if settings.partitions == "group":
            await allocator.join()
        else:
            await allocator.take(chosen_partitions(settings.partitions, count))
        tasks.start(allocator.read(), "read")
        tasks.start(allocator.commit(), "commit")
        tasks.start(allocator.watch(), "watch")
        health.add("partitions", allocator.wrong)
        health.started()
        settle_memory()
        await stop.wait()


def run(settings: AllocatorSettings) -> None:
    """The command `maskline allocator`."""
    run_process(lambda stop: main(settings, stop))
