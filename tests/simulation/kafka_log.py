"""The log as producers and readers see it: acknowledgements that are lost, batches that arrive late or twice.

What the log has taken it never loses, and reading it gives every record in order: that much is assumed of Kafka with
three replicas. Whether a writer hears of it, when, and how often it was written is left to chance.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiokafka import ConsumerRecord
from aiokafka.errors import RequestTimedOutError

from services.stream.errors import CommitRefused, LogUnavailable, NotAssigned, PositionOutsideLog
from services.stream.fake import FakeAcknowledgement
from services.stream.place import Offset, PartitionId
from services.stream.topics import EVENTS
from tests.simulation.surroundings import Surroundings
from tests.simulation.virtual_loop import Process
from tests.simulation.weather import Fate

if TYPE_CHECKING:
    import asyncio

    from services.stream.group_membership import Callback
    from tests.simulation.kafka_group import KafkaGroup
    from tests.simulation.promises import Promises

SERVER: Final = "kafka"
BROKERS: Final = 3
MAX_ELECTION_S: Final = 6.0
UNANSWERED_S: Final = 4.0
"""What a client waits for a broker that does not answer."""
FETCH_MAX_RECORDS: Final = 500


class SimulatedLog:
    """The brokers. A partition is led by one of them; it takes records while two of three are there."""

    def __init__(self, around: Surroundings, promises: "Promises") -> None:
        self.around: Final = around
        self.records: Final[dict[tuple[str, int], list[ConsumerRecord]]] = defaultdict(list)
        self.committed: Final[dict[int, int]] = {}
        """Of the allocators' group."""
        self.brokers: Final = set(range(BROKERS))
        self.commits_expired = False
        """Whether committed offsets were forgotten; nobody commits again what does not move."""
        self.in_flight = 0
        """Batches that may still be written."""
        self.group: KafkaGroup | None = None
        self._promises: Final = promises
        self._leads_again_s = 0.0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def takes_records(self) -> bool:
        """Whether there is a leader, and enough brokers to acknowledge."""
        return len(self.brokers) * 2 > BROKERS and self.around.loop.now_s >= self._leads_again_s

    def is_reached_by(self, process: Process) -> bool:
        """Whether a request of a process gets to a leader that can answer it."""
        return self.takes_records and SERVER not in process.cut_from

    def lose_broker(self, broker: int) -> None:
        """kill -9 of one; the partitions it led have no leader for a while."""
        self.brokers.discard(broker)
        self._leads_again_s = self.around.loop.now_s + self.around.chance.random() * MAX_ELECTION_S

    def end(self, topic: str, partition: int) -> int:
        """One past the last record."""
        return len(self.records[topic, partition])

    def write(self, topic: str, partition: int, values: Sequence[bytes], timestamp_ms: int) -> int:
        """Append at once; the offset of the first."""
        kept = self.records[topic, partition]
        first = len(kept)
        for offset, value in enumerate(values, first):
            size = len(value)
            kept.append(ConsumerRecord(topic, partition, offset, timestamp_ms, 1, None, value, None, -1, size, ()))
        if topic == EVENTS:
            self._promises.event_written(partition, kept[first:])
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return first

    async def growth(self, timeout_s: float) -> None:
        """Wait until something is written, or the time is over."""
        future: asyncio.Future[None] = self.around.loop.create_future()
        self._waiting.append(future)
        timer = self.around.loop.call_later(timeout_s, _end, future)
        try:
            await future
        finally:
            timer.cancel()

    async def asked_by(self, process: Process) -> None:
        """One question and its answer. Raises LogUnavailable."""
        around = self.around
        fate = around.weather.fate(around.chance)
        is_answered = self.is_reached_by(process) and fate in (Fate.ARRIVES, Fate.IS_DOUBLE)
        # A broker that is gone refuses at once, or says nothing at all.
        await _pause(around, around.delay_s() if is_answered or around.chance.random() < 0.5 else UNANSWERED_S)
        if not is_answered:
            raise LogUnavailable(why="no broker answers")


class SimulatedProducer:
    """A `BatchProducer` of one process."""

    def __init__(self, log: SimulatedLog, process: Process) -> None:
        self._log = log
        self._process = process
        self._around = log.around

    async def submit(
        self, topic: str, partition: PartitionId, values: Sequence[bytes], timestamp_ms: int
    ) -> "tuple[int, asyncio.Future[Any]]":
        """Hand over one batch, or the beginning of it. See `BatchProducer`."""
        around = self._around
        await _pause(around, around.delay_s())
        reached = self._log.is_reached_by(self._process)
        if not reached and around.chance.random() < 0.5:  # else it does not know yet that nobody is there
            raise LogUnavailable(why=f"partition {partition} of '{topic}' has no leader")
        taken = len(values)
        if taken > 1 and around.chance.random() < around.weather.split:
            taken = around.chance.randint(1, taken - 1)
        acknowledged: asyncio.Future[Any] = around.loop.create_future()
        _Batch(self._log, self._process, topic, partition, list(values[:taken]), timestamp_ms, acknowledged).send()
        return taken, acknowledged

    async def probe(self, topic: str, partition: PartitionId) -> bool:
        """Whether the leader answers now."""
        await _pause(self._around, self._around.delay_s())
        return self._log.is_reached_by(self._process)


class _Batch:
    """One batch on its way: written never, once, twice or late, and acknowledged or not."""

    def __init__(
        self,
        log: SimulatedLog,
        process: Process,
        topic: str,
        partition: int,
        values: list[bytes],
        timestamp_ms: int,
        acknowledged: "asyncio.Future[Any]",
    ) -> None:
        self._log = log
        self._process = process
        self._topic = topic
        self._partition = partition
        self._values = values
        self._timestamp_ms = timestamp_ms
        self._acknowledged = acknowledged

    def send(self) -> None:
        """Draw what becomes of it."""
        around = self._log.around
        weather, chance, world = around.weather, around.chance, around.loop.world
        fate = weather.fate(chance)
        if not self._log.is_reached_by(self._process) and fate is not Fate.IS_LATE:
            fate = Fate.IS_LOST
        around.note(self._process.name, f"{self._name} sent, {len(self._values)} records: {fate.name}")
        if fate is Fate.IS_LOST:
            self._fail()
            return
        delay_s = weather.late_s(chance) if fate is Fate.IS_LATE else around.delay_s()
        self._log.in_flight += 1
        world.after(delay_s, self._write, fate is not Fate.IS_UNHEARD)
        if fate is Fate.IS_DOUBLE:
            # The client repeated a request that looked lost; the first copy arrives whenever it likes.
            is_late = chance.random() < 0.5
            self._log.in_flight += 1
            world.after(weather.late_s(chance) if is_late else delay_s + around.delay_s(), self._write, not is_late)

    @property
    def _name(self) -> str:
        return f"{self._topic}-{self._partition}"

    def _write(self, is_heard: bool) -> None:
        log, around = self._log, self._log.around
        log.in_flight -= 1
        if not log.takes_records and around.chance.random() < 0.5:  # else the others had it when the leader died
            self._fail()
            return
        appended = around.now_ms if around.chance.random() < 0.9 else self._timestamp_ms
        first = log.write(self._topic, self._partition, self._values, appended)
        around.note("kafka", f"{self._name} {first} to {first + len(self._values) - 1} from {self._process.name}")
        around.done(self._process)
        if is_heard:
            around.loop.world.after(around.delay_s(), self._acknowledge, first)
        else:
            self._fail()

    def _acknowledge(self, first: int) -> None:
        if not self._acknowledged.done():
            self._acknowledged.set_result(FakeAcknowledgement(Offset(first)))

    def _fail(self) -> None:
        """Nothing is heard, or that the time is over; both leave the outcome unknown."""
        around = self._log.around
        if around.chance.random() < 0.5:
            around.loop.world.after(around.chance.random() * UNANSWERED_S, self._expire)

    def _expire(self) -> None:
        if not self._acknowledged.done():
            self._acknowledged.set_exception(RequestTimedOutError())


class SimulatedReader:
    """A `LogReader` of one process, and what `PartitionReader.join` does."""

    def __init__(self, log: SimulatedLog, topic: str, process: Process) -> None:
        self.topic = topic
        self.generation = 0
        self.failure: Exception | None = None
        self.assigned_now: set[PartitionId] = set()
        self.next: dict[PartitionId, int] = {}
        self._log = log
        self._process = process
        self._around = log.around

    async def assign(self, partitions: Iterable[PartitionId]) -> None:
        """See LogReader."""
        self.assigned_now = set(partitions)
        self.next = {p: offset for p, offset in self.next.items() if p in self.assigned_now}

    async def join(self, group: str, on_assigned: "Callback", on_revoked: "Callback") -> None:
        """Become a member; see PartitionReader."""
        assert self._log.group is not None
        self._log.group.join(self._process, self, on_assigned, on_revoked)

    def assigned(self) -> frozenset[PartitionId]:
        """See PartitionReader."""
        return frozenset(self.assigned_now)

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        """See LogReader."""
        if partition not in self.assigned_now:
            raise NotAssigned(partition=partition, topic=self.topic, assigned=sorted(self.assigned_now))
        self.next[partition] = offset

    async def fetch(
        self,
        partitions: PartitionId | Collection[PartitionId] | None = None,
        max_records: int | None = None,
        timeout_ms: int = 1_000,
    ) -> list[ConsumerRecord]:
        """See LogReader."""
        if self.failure is not None:
            raise self.failure
        await self._log.asked_by(self._process)
        chosen = [partitions] if isinstance(partitions, int) else partitions
        found = self._read(chosen, max_records or FETCH_MAX_RECORDS)
        if not found:
            await self._log.growth(timeout_ms / 1000)
            found = self._read(chosen, max_records or FETCH_MAX_RECORDS)
        return found

    async def log_start(self, partition: PartitionId) -> Offset:
        """See LogReader."""
        await self._log.asked_by(self._process)
        return Offset(0)

    def end_seen(self, partition: PartitionId) -> Offset | None:
        """See LogReader."""
        return Offset(self._log.end(self.topic, partition))

    async def log_end(self, partition: PartitionId) -> Offset:
        """See LogReader."""
        await self._log.asked_by(self._process)
        return Offset(self._log.end(self.topic, partition))

    async def committed(self, group: str, partition: PartitionId) -> Offset:
        """See LogReader."""
        await self._log.asked_by(self._process)
        return Offset(self._log.committed.get(partition, 0))

    async def commit(self, group: str, offsets: Mapping[PartitionId, Offset]) -> None:
        """See LogReader; the group decides whether it takes it."""
        around = self._around
        try:
            await self._log.asked_by(self._process)
        except LogUnavailable as error:
            raise CommitRefused(offsets=dict(offsets), group=group, why=str(error)) from error
        assert self._log.group is not None
        why_not = self._log.group.commit(self._process, self.generation, offsets)
        around.done(self._process)
        await _pause(around, around.delay_s())
        if why_not or around.weather.fate(around.chance) is Fate.IS_UNHEARD:
            raise CommitRefused(offsets=dict(offsets), group=group, why=why_not or "no answer in time")

    async def stop(self) -> None:
        """Leave the group; nothing else to let go of."""
        if self._log.group is not None:
            self._log.group.leave(self._process)

    def _read(self, partitions: Collection[PartitionId] | None, max_records: int) -> list[ConsumerRecord]:
        around = self._around
        if around.chance.random() < around.weather.short_reads:
            max_records = min(max_records, around.chance.randint(1, 6))
        records: list[ConsumerRecord] = []
        for partition in sorted(self.next) if partitions is None else partitions:
            expected = self.next.get(partition)
            if expected is None or partition not in self.assigned_now:
                continue
            kept = self._log.records[self.topic, partition]
            if expected > len(kept):
                raise PositionOutsideLog(partition=partition, topic=self.topic, offset=expected, start=0, end=len(kept))
            found = kept[expected : expected + max_records - len(records)]
            self.next[partition] = expected + len(found)
            records += found
        return records


async def _pause(around: Surroundings, seconds: float) -> None:
    until = around.loop.create_future()
    around.loop.call_later(seconds, _end, until)
    await until


def _end(future: Any) -> None:
    if not future.done():
        future.set_result(None)
