"""Allocator processes: the real loop, publisher, recovery and reading, on simulated connections.

A control takes a protection away by putting a careless part in its place; the parts stand at the end of this file.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, cast

from aiokafka.errors import KafkaError

from services.allocator.main import Allocator, AllocatorSettings
from services.allocator.publisher import Publisher
from services.domain.rows import HEAD, Facts, Head
from services.platform.errors import MasklineError
from services.platform.lifecycle import TaskSet
from services.state.fold_call import FoldCall
from services.state.readers import decode_row
from services.state.recovery import Start
from services.state.redis_client import Redis
from services.stream.errors import LogUnavailable
from services.stream.log_producer import LogProducer, answer_within
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, EVENTS
from tests import builders as b
from tests.simulation.kafka_log import SimulatedLog, SimulatedProducer, SimulatedReader
from tests.simulation.promises import Promises
from tests.simulation.protections import Protection
from tests.simulation.redis_server import SimulatedFoldCall, SimulatedRedis, SimulatedRedisClient
from tests.simulation.surroundings import Surroundings, clock_ms
from tests.simulation.virtual_loop import Process

SETTINGS: Final = AllocatorSettings(
    commit_interval_s=1.0, look_interval_s=15.0, fold_timeout_s=5.0, ack_timeout_s=4.0
)


class TasksOfAProcess:
    """A `TaskSet` whose process dies of an exception that nobody caught. Such a death is never expected."""

    def __init__(self, around: Surroundings, process: Process) -> None:
        self._around = around
        self._process = process

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """See TaskSet."""
        task = self._process.spawn(work, name)
        task.add_done_callback(self._ended, context=self._process.context)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._around.break_promise(f"{task.get_name()} died of {error!r}")


class QuietReport:
    """A `LoopReport` that tells the trace what is worth reading."""

    def __init__(self, around: Surroundings, process: Process) -> None:
        self._around = around
        self._process = process

    def called(self, seconds: float) -> None:
        """Time is virtual here."""

    def waited(self, seconds: float) -> None:
        """Time is virtual here."""

    def folded(self, partition: PartitionId, position: int, decisions: list[Facts | bool]) -> None:
        """Redis told it already."""

    def from_future(self, partition: PartitionId, count: int) -> None:
        """Against a time that is not virtual here."""

    def gap(self, partition: PartitionId) -> None:
        """Redis was behind the log."""
        self._around.note(self._process.name, f"p{partition}: gap, seeks back")

    def stopped(self, partition: PartitionId, because: str | None) -> None:
        """It stands still on purpose, or goes on."""
        if because is not None:
            self._around.note(self._process.name, f"p{partition} stopped: {because.splitlines()[0]}")


class SimulatedAllocator(Allocator):
    """An allocator's process. Everything between its reader and its connections is the real thing."""

    def __init__(
        self, around: Surroundings, log: SimulatedLog, redis: SimulatedRedis, promises: Promises, process: Process
    ) -> None:
        self.process: Final = process
        self.around: Final = around
        self._log: Final = log
        self._promises: Final = promises
        self._server: Final = redis
        super().__init__(
            SETTINGS,
            cast("TaskSet", TasksOfAProcess(around, process)),
            cast("LogProducer", SimulatedProducer(log, process)),
            cast("Redis", SimulatedRedisClient(redis, process)),
            cast("Any", None),  # the library: of interest to the real fold call only
            b.KEY_CHECK,
        )
        self._reader = cast("PartitionReader", SimulatedReader(log, COMMANDS, process))
        self._looker = cast("PartitionReader", SimulatedReader(log, COMMANDS, process))

    async def work(self, by_hand: frozenset[PartitionId] | None) -> None:
        """What `main` does once all is connected; by hand it takes these, else what the group gives."""
        if by_hand is None:
            await self.join()
        else:
            await self.take(by_hand)
        self._tasks.start(self.read(), "read")
        self._tasks.start(self.commit(), "commit")
        self._tasks.start(self.watch(), "watch")

    async def find_start(self, partition: PartitionId) -> Start:
        known, forgotten = self._known_as_published(partition), self._promises.forgotten
        start = await super().find_start(partition)
        if not self.around.has(Protection.PUBLISHED_IS_THE_LARGER_OF_TWO):
            start = await self._asking_redis_alone(partition, start)
        if self._promises.forgotten == forgotten:
            self._promises.started(partition, start.published, known)
        if not self.around.has(Protection.PARTITIONS_START_AT_PUBLISHED):
            head = await self._read_head(partition)
            position = 0 if head is None else head.position
            start = Start(start.identity, position, position)
        if not self.around.has(Protection.PARTITIONS_NEVER_START_AT_THE_END) and start.published == 0:
            end = await self._looker.log_end(partition)
            start = Start(start.identity, end, end)
        self.around.note(self.process.name, f"p{partition} starts at {start.offset}, published {start.published}")
        return start

    def _known_as_published(self, partition: PartitionId) -> int:
        """By Kafka or by Redis."""
        head = decode_row(HEAD, self._server.shards[partition].rows.get(HEAD)) or Head()
        return max(self._log.committed.get(partition, 0), head.published)

    async def _asking_redis_alone(self, partition: PartitionId, start: Start) -> Start:
        head = await self._read_head(partition)
        published = 0 if head is None else head.published
        return Start(start.identity, min(start.offset, published), published)

    def fold_call(self, partition: PartitionId, start: Start) -> FoldCall:
        return SimulatedFoldCall(self._server, self.process, SETTINGS.fold_timeout_s, partition, start.identity)

    def publisher(self, partition: PartitionId, start: Start) -> Publisher:
        kind = Publisher
        if not self.around.has(Protection.EVENTS_ARE_PUBLISHED_IN_ORDER):
            kind = ImpatientPublisher
        elif not self.around.has(Protection.PUBLISHED_MEANS_ACKNOWLEDGED):
            kind = TrustingPublisher
        elif not self.around.has(Protection.BATCHES_ARE_REPEATED_WHOLE):
            kind = PatchingPublisher
        loop = self.around.loop
        return kind(
            self._producer,
            partition,
            start.identity.log,
            start.published,
            ack_timeout_s=SETTINGS.ack_timeout_s,
            now_ms=lambda: clock_ms(self.process, loop.now_s),
        )

    def report(self) -> Any:
        return QuietReport(self.around, self.process)


async def run_allocator(allocator: SimulatedAllocator, by_hand: frozenset[PartitionId] | None) -> None:
    """Its first task; a start that fails is tried again, as a launcher does."""
    while True:
        try:
            await allocator.work(by_hand)
        except MasklineError:
            await asyncio.sleep(1.0)
        else:
            return


# -- careless parts, for controls ----------------------------------------------------------------------------------


class ImpatientPublisher(Publisher):
    """Sends each batch of events at once, whatever became of the one before."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                values, end = self._events(await self._queue.get())
                group.create_task(self._publish(values, end))

    async def _publish(self, values: list[bytes], end: int) -> None:
        if values:
            await self._until_acknowledged(values)
        self.published = max(self.published, end)


class TrustingPublisher(Publisher):
    """Takes events as published when they are handed over."""

    async def run(self) -> None:
        while True:
            values, end = self._events(await self._queue.get())
            self.published = max(self.published, end)
            if values:
                await self._until_acknowledged(values)


class PatchingPublisher(Publisher):
    """Writes a batch in pieces, and sends a piece without acknowledgement again when all others are written."""

    async def _until_acknowledged(self, values: list[bytes]) -> None:
        left = [values[at : at + 2] for at in range(0, len(values), 2)]
        while left:
            again = []
            for piece in left:
                try:
                    taken, acknowledgement = await self._producer.submit(EVENTS, self._partition, piece, self._now_ms())
                    await answer_within(self._ack_timeout_s, acknowledgement)
                except (LogUnavailable, KafkaError, OSError):
                    again.append(piece)
                    continue
                if taken < len(piece):
                    again.append(piece[taken:])
            left = again
            await asyncio.sleep(0.1)
