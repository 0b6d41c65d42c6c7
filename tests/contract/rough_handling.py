"""One log under rough handling: cut at random, told twice, by allocators that die and by others that do not know that
they are dead, into a Redis that is now and then as it was before.

The fold is the library in Valkey; where to start is what `services/state/recovery.py` finds; events go out through the
allocator's publisher, to a log of events that may take them and never say so. Only time and chance are the test's.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final

from services.allocator.publisher import Decided, Publisher
from services.audit.invariants import Walk
from services.audit.report import Report
from services.domain.events import decode as decode_event
from services.domain.events import place_of
from services.domain.rows import HEAD, Head
from services.state.fold_call import MAX_COMMANDS_PER_CALL, Batch, Folded
from services.state.recovery import GROUP, Start, find_start
from services.stream.fake import FakeAcknowledgement, FakeLog, FakeReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS
from tests import builders as b
from tests.contract.decided_log import PARTITION, DecidedLog
from tests.contract.worlds import LuaWorld

ACK_TIMEOUT_S: Final = 5.0
MAX_ALLOCATORS: Final = 3
MAX_TURNS: Final = 10_000
"""Of the event loop, for one batch of events: many times what it needs."""
QUIET_BATCH: Final = 200
SIZES: Final = (0, 1, 2, 7, 7, 20, 20, 60, 200)


class BrokenPromiseError(AssertionError):
    """Somebody outside sees what must never be seen."""


class EventReader:
    """Everybody who reads events: keeps a watermark, drops repeats, stops at a gap, and adds up what was given out."""

    def __init__(self, log: DecidedLog) -> None:
        self.offset = 0
        """The offset below which all events were seen."""
        self._index = 0
        self._log = log
        self._report = Report()
        self._walk = Walk(PARTITION, self._report)

    def read(self, values: Sequence[bytes]) -> None:
        """Records in the order in which the log has them."""
        for value in values:
            event = decode_event(value)
            _, _, offset, index = place_of(event.id)
            expected = self._log.events(offset)
            if index >= len(expected) or value != expected[index]:
                raise BrokenPromiseError(f"the event {value!r}; the log says {expected}")
            next_one = (self.offset, self._index)
            if (offset, index) > next_one:
                raise BrokenPromiseError(f"a gap in the events: {next_one} was next, {offset, index} came")
            if (offset, index) == next_one:
                self._walk.step(offset, self._log.commands[offset], event)
                is_last = index + 1 == len(expected)
                self.offset, self._index = (offset + 1, 0) if is_last else (offset, index + 1)
        if self._report.differences:
            raise BrokenPromiseError(str(self._report.differences[0]))


class RoughTopic:
    """Takes events as Kafka does (`BatchProducer`): whole, in part, twice, and without anybody hearing of it."""

    def __init__(self, reader: EventReader, chance: Random) -> None:
        self.is_rough = True
        self.is_silent = False
        """Whether the last answer never comes."""
        self._reader = reader
        self._chance = chance

    async def submit(
        self, topic: str, partition: PartitionId, values: Sequence[bytes], timestamp_ms: int
    ) -> "tuple[int, asyncio.Future[Any]]":
        """See BatchProducer."""
        draw = self._chance.random() if self.is_rough else 1.0
        is_lost, is_unheard, is_double, is_split = draw < 0.03, draw < 0.08, 0.1 < draw < 0.2, 0.15 < draw < 0.35
        acknowledged: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        taken = self._chance.randint(1, len(values)) if is_split else len(values)
        for _ in range(0 if is_lost else 2 if is_double else 1):
            self._reader.read(values[:taken])
        self.is_silent = is_unheard
        if not is_unheard:
            acknowledged.set_result(FakeAcknowledgement(Offset(0)))
        return taken, acknowledged

    async def probe(self, topic: str, partition: PartitionId) -> bool:
        """See BatchProducer."""
        return True


class Allocator:
    """One process that believes the partition is its own."""

    def __init__(self, start: Start, topic: RoughTopic) -> None:
        self.next = start.offset
        self._topic = topic
        self.publisher = Publisher(
            topic, PartitionId(PARTITION), start.identity.log, start.published, ack_timeout_s=ACK_TIMEOUT_S,
            now_ms=lambda: b.NOON_MS,
        )  # fmt: skip
        self._task = asyncio.create_task(self.publisher.run())

    async def publish(self, decided: Decided) -> bool:
        """Whether it hears that the log of events has everything."""
        end = decided.start + len(decided.decisions)
        if end <= self.publisher.published:
            return True
        await self.publisher.publish(decided)
        self._topic.is_silent = False
        for _ in range(MAX_TURNS):
            if self.publisher.published >= end:
                return True
            if self._task.done():
                self._task.result()
            if self._topic.is_silent:
                return False
            await asyncio.sleep(0)
        raise AssertionError(f"{MAX_TURNS} turns, and {self.publisher.published} of {end} is published")

    async def kill(self) -> None:
        """kill -9."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class RoughNight:
    """Folds one log to its end, whatever happens on the way. What happens is drawn from the seed."""

    def __init__(self, lua: LuaWorld, log: DecidedLog, seed: int) -> None:
        self.events: Final = EventReader(log)
        self._lua: Final = lua
        self._log: Final = log
        self._chance: Final = Random(f"rough {seed}")
        self._topic: Final = RoughTopic(self.events, self._chance)
        self._kafka: Final = FakeLog(partitions=1)
        for record in log.records:
            self._kafka.write(COMMANDS, PartitionId(PARTITION), [record.value], record.at_ms)
        self._allocators: list[Allocator] = []
        self._history: list[dict[str, bytes]] = [{}]
        self._mishaps = self._chance.choice((0.0, 0.1, 0.3))  # of one step

    async def fold_it_all(self) -> None:
        """To the last event. Raises BrokenPromiseError."""
        try:
            for _ in range(self._chance.randint(5, 30)):
                await self._step()
            await self._kill_all()
            self._topic.is_rough, self._mishaps = False, 0.0
            await self._one_quiet_allocator()
        finally:
            await self._kill_all()

    async def tell_everything_again(self) -> None:
        """The whole log, from its beginning: every answer is the first one, or is gone because all have read it."""
        for start in range(0, len(self._log), MAX_COMMANDS_PER_CALL):
            end = min(start + MAX_COMMANDS_PER_CALL, len(self._log))
            folded = await self._lua.call.fold(self._log.batch(start, end), 0)
            self._check(folded, start)
            if folded.position != len(self._log) or len(folded.decisions) != end - start:
                raise BrokenPromiseError(f"told again from {start} to {end}: {folded}")

    async def _step(self) -> None:
        chance = self._chance
        if chance.random() < self._mishaps:
            await chance.choice((self._put_redis_back, self._put_redis_back, self._forget_commits, self._kill_all))()
        if chance.random() < 0.15:
            self._history.append(await self._lua.values())
        if not self._allocators or (len(self._allocators) < MAX_ALLOCATORS and chance.random() < 0.1):
            self._allocators.append(await self._start())
        newest, anybody = self._allocators[-1], chance.choice(self._allocators)
        allocator = newest if chance.random() < 0.7 else anybody
        back = chance.choice((0, 0, 0, 0, 1, 5, 70))
        if not await self._work(allocator, max(0, allocator.next - back), chance.choice(SIZES)):
            self._allocators.remove(allocator)
            await allocator.kill()

    async def _work(self, allocator: Allocator, start: int, size: int) -> bool:
        """One batch of one allocator; False where it dies on the way."""
        chance, published = self._chance, allocator.publisher.published
        batch = self._log.batch(start, start + size)
        folded = await self._fold(batch, published)
        if folded.status == "gap":
            if folded.position >= start or folded.decisions:
                raise BrokenPromiseError(f"a gap before {start}: {folded}")
            return False  # a loop starts again here, as a new one does
        self._check(folded, start)
        if chance.random() < self._mishaps / 2:
            return False  # between fold and publish
        end = min(folded.position, batch.end)
        count = end - start
        allocator.next = max(allocator.next, end)
        decided = Decided(
            start, list(batch.timestamps_ms[:count]), list(batch.commands[:count]), folded.decisions[:count]
        )
        if not await allocator.publish(decided):
            return False  # its answer never comes, and somebody kills it
        if chance.random() < self._mishaps / 2:
            return False  # between publish and commit
        if chance.random() < 0.3:
            self._kafka.committed[GROUP, COMMANDS, PartitionId(PARTITION)] = Offset(allocator.publisher.published)
        return True

    async def _fold(self, batch: Batch, published: int) -> Folded:
        """Now and then another batch is on its way behind it; where the first one stops early, that one meets a gap."""
        call, behind = self._lua.call, self._log.batch(batch.end, batch.end + self._chance.choice(SIZES))
        is_followed = self._chance.random() < 0.2
        await call.send(batch, published)
        if is_followed:
            await call.send(behind, published)
        folded = await call.receive()
        if is_followed:
            after = await call.receive()
            if after.status == "gap" and folded.status == "ok" and folded.position >= batch.end:
                raise BrokenPromiseError(f"a gap at {behind.start} behind {folded.position}")
            if after.status != "gap":
                self._check(after, behind.start)
        return folded

    def _check(self, folded: Folded, start: int) -> None:
        if folded.status != "ok" or folded.position > len(self._log):
            raise BrokenPromiseError(f"{folded.status}, position {folded.position}; the log ends at {len(self._log)}")
        for offset, decision in enumerate(folded.decisions, start):
            if decision is False:
                if offset >= self.events.offset:
                    raise BrokenPromiseError(f"the decision of {offset} is gone and was never published")
            elif decision != self._log.facts[offset]:
                raise BrokenPromiseError(f"at {offset} {decision} was decided:\n{self._log.told(offset)}")

    async def _start(self) -> Allocator:
        reader = FakeReader(self._kafka, COMMANDS)

        async def read_head(partition: int) -> Head | None:
            head: Head | None = await self._lua.row(HEAD)
            return head

        start = await find_start(reader, read_head, PartitionId(PARTITION), b.KEY_CHECK)
        if start.published > self.events.offset:
            raise BrokenPromiseError(f"published is {start.published}, and events end at {self.events.offset}")
        return Allocator(start, self._topic)

    async def _one_quiet_allocator(self) -> None:
        """All is well again: it folds, publishes and commits what is left."""
        self._allocators.append(allocator := await self._start())
        while (before := allocator.next) < len(self._log):
            if not await self._work(allocator, before, QUIET_BATCH) or allocator.next == before:
                raise BrokenPromiseError(f"no progress at {before}")
        if self.events.offset != len(self._log):
            raise BrokenPromiseError(f"the log ends at {len(self._log)}, events at {self.events.offset}")

    # -- mishaps ----------------------------------------------------------------------------------------------------

    async def _put_redis_back(self) -> None:
        rows = self._chance.choice(self._history)
        await self._lua.put_back(rows)

    async def _forget_commits(self) -> None:
        self._kafka.committed.clear()

    async def _kill_all(self) -> None:
        while self._allocators:
            await self._allocators.pop().kill()
