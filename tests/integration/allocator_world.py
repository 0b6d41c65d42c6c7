"""A partition's loop on a log in memory and a real Valkey, or a cluster: for stories of a loop that a broker would only
slow down."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.allocator.loop import PartitionLoop
from services.allocator.publisher import Publisher
from services.audit.rows_reader import RedisRows
from services.domain.commands import Command, decode, encode
from services.domain.events import encode as encode_event
from services.domain.events import events_of
from services.domain.rows import Facts, Head
from services.platform.lifecycle import end_tasks
from services.state.fold_call import FoldCall
from services.state.library import Library, build
from services.state.readers import decode_row, read_head
from services.state.recovery import GROUP, Start, find_start
from services.state.redis_client import Redis
from services.state.store import Store, fold_connection, open_store
from services.stream.fake import FakeLog, FakeProducer, FakeReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, EVENTS
from tests import builders as b
from tests.contract.worlds import decided_by_the_model, differences, emptied

P = PartitionId(0)
TIMEOUT_S = 10.0
ACK_TIMEOUT_S = 0.1


class NothingIsReported:
    """A `LoopReport` that only remembers."""

    def __init__(self) -> None:
        self.gaps = 0
        self.waits_s: list[float] = []
        self.calls_s: list[float] = []
        self.reasons: list[str] = []

    def called(self, seconds: float) -> None:
        self.calls_s.append(seconds)

    def waited(self, seconds: float) -> None:
        self.waits_s.append(seconds)

    def folded(self, partition: PartitionId, position: int, decisions: list[Facts | bool]) -> None:
        """See LoopReport."""

    def from_future(self, partition: PartitionId, count: int) -> None:
        """See LoopReport."""

    def gap(self, partition: PartitionId) -> None:
        self.gaps += 1

    def stopped(self, partition: PartitionId, because: str | None) -> None:
        if because is not None:
            self.reasons.append(because)


class OneAllocator:
    """The parts of a loop (`LoopParts`), and the task that reads for it."""

    def __init__(self, world: "AllocatorWorld") -> None:
        self.reports = NothingIsReported()
        self.starts: list[Start] = []
        self.producer = FakeProducer(world.log)
        self.loop = PartitionLoop(P, self)
        self.publishers: list[Publisher] = []
        self._world = world
        self._reader = FakeReader(world.log, COMMANDS)
        self._running: list[asyncio.Task[Any]] = []

    async def find_start(self, partition: PartitionId) -> Start:
        start = await find_start(FakeReader(self._world.log, COMMANDS), self._world.read_head, partition, b.KEY_CHECK)
        self.starts.append(start)
        return start

    def seek(self, partition: PartitionId, offset: Offset) -> None:
        self._reader.seek(partition, offset)

    def fold_call(self, partition: PartitionId, start: Start) -> FoldCall:
        connection = fold_connection(self._world.store, self._world.url, partition, timeout_s=TIMEOUT_S)
        return FoldCall(connection, self._world.library, partition, start.identity)

    def publisher(self, partition: PartitionId, start: Start) -> Publisher:
        self.publishers.append(
            Publisher(
                self.producer,
                partition,
                start.identity.log,
                start.published,
                ack_timeout_s=ACK_TIMEOUT_S,
                now_ms=lambda: b.NOON_MS,
            )
        )
        return self.publishers[-1]

    def report(self) -> NothingIsReported:
        return self.reports

    async def begin(self) -> None:
        await self._reader.assign([P])
        self._running = [asyncio.create_task(self.loop.run()), asyncio.create_task(self._read())]

    async def die(self) -> None:
        """As by kill -9: nothing is finished, nothing is committed."""
        await end_tasks(self._running)

    def commit(self) -> None:
        """What the process does every half second."""
        self._world.log.committed[GROUP, COMMANDS, P] = Offset(self.loop.published)

    async def _read(self) -> None:
        while True:
            if self.loop.has_room:
                self.loop.feed(await self._reader.fetch(P, timeout_ms=20))
            await asyncio.sleep(0)


class AllocatorWorld:
    """One partition: its log, its Valkey, and allocators that come and go. `redis` is the node that has it at first."""

    def __init__(self, url: str, store: Store, redis: Redis, library: Library) -> None:
        self.url, self.store, self.redis, self.library = url, store, redis, library
        self.log = FakeLog(partitions=1)
        self._allocators: list[OneAllocator] = []

    def write(self, commands: Sequence[Command], at_ms: int = b.NOON_MS) -> None:
        """Append to the log."""
        self.log.write(COMMANDS, P, [encode(command) for command in commands], at_ms)

    async def allocator(self) -> OneAllocator:
        """One more, beside those that run."""
        self._allocators.append(OneAllocator(self))
        await self._allocators[-1].begin()
        return self._allocators[-1]

    async def read_head(self, partition: int) -> Head | None:
        return await read_head(self.store, partition)

    async def rows(self) -> dict[str, Any]:
        """All rows but recorded decisions."""
        reader = RedisRows(self.store)
        names = {name async for names in reader.keys(P) for name in names if name[:2] != "d:"}
        values = (await reader.read(P, sorted(names))).values
        return {name: decode_row(name, value) for name, value in zip(sorted(names), values, strict=True)}

    @property
    def end(self) -> int:
        return self.log.end(COMMANDS, P)

    @property
    def events(self) -> list[bytes]:
        """Everything in the events topic, repeats included."""
        return [record.value for record in self.log.records[EVENTS, P]]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not is_so():
                await asyncio.sleep(0.002)

    async def until_folded(self) -> None:
        """Until Redis is at the log's end."""
        async with asyncio.timeout(TIMEOUT_S):
            while (head := await self.read_head(P)) is None or head.position < self.end:
                await asyncio.sleep(0.002)

    async def until_published(self, allocator: OneAllocator) -> None:
        await self.until(lambda: allocator.loop.published >= self.end)

    async def what_is_wrong(self) -> list[str]:
        """Redis against the model, and the events, without repeats, against what the decisions say."""
        records = self.log.records[COMMANDS, P]
        model, decisions = await decided_by_the_model([(record.value, record.timestamp) for record in records])
        wrong = differences(await model.rows(), await self.rows())
        expected = [
            encode_event(event)
            for record, facts in zip(records, decisions, strict=True)
            for event in events_of(b.LOG, P, record.offset, record.timestamp, decode(record.value), facts)
        ]
        if list(dict.fromkeys(self.events)) != expected:
            wrong.append("events: not those of the decisions, or not in their order")
        return wrong

    async def stop(self) -> None:
        for allocator in self._allocators:
            await allocator.die()
        await self.store.aclose()


@asynccontextmanager
async def allocator_world(url: str, library: Library | None = None) -> AsyncIterator[AllocatorWorld]:
    """An empty Valkey (or a cluster) without any library, and a log that has its genesis record."""
    store = open_store(url, timeout_s=TIMEOUT_S)
    world = AllocatorWorld(url, store, (await emptied(store))[0], library or build())
    world.write([b.genesis()])
    try:
        yield world
    finally:
        await world.stop()
