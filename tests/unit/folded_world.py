"""A whole system in memory for tests of doors: the fake log, folded by the reference model as soon as it is read.

    world = FoldedWorld(partitions=2)
    async with world.running():
        place = await world.door.offer(0, command)
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from services.domain.commands import Command, Genesis, decode, encode
from services.domain.fold import apply
from services.domain.limits import DECISIONS_PER_CHUNK
from services.domain.rows import HEAD, Facts, State
from services.platform.errors import MasklineError
from services.state.door import Door
from services.state.readers import Reading, StateReader, decode_row
from services.stream.fake import FakeLog, FakeProducer
from services.stream.group_commit import GroupCommit
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS

NOW_MS = 1_580_558_400_000  # 1 February 2020, 20:00 in Guangzhou
LOG_ID = "log-of-this-test"
Kind = TypeVar("Kind", bound=Command)


class FoldedReader(StateReader):
    """Reads what the model makes of the log. `held` stops the fold where it is; `error` is raised by every read."""

    def __init__(self, log: FakeLog, partitions: int) -> None:
        self.states = [State() for _ in range(partitions)]
        self.decisions: list[list[Facts]] = [[] for _ in range(partitions)]
        self.held = False
        self.error: MasklineError | None = None
        self.reads = 0
        self._log = log

    def seen(self, partition: int) -> int:
        return self.states[partition].head.position

    async def read(self, partition: int, keys: Sequence[str]) -> Reading:
        await asyncio.sleep(0)
        self.reads += 1
        if self.error is not None:
            raise self.error
        if not self.held:
            self.fold(partition)
        state = self.states[partition]
        return Reading(_copied(HEAD, state.head), [self._row(partition, state, key) for key in keys])

    def fold(self, partition: int) -> None:
        """Apply what is in the log and not applied yet."""
        state = self.states[partition]
        for record in self._log.records[COMMANDS, PartitionId(partition)][state.head.position :]:
            facts = apply(
                state,
                offset=record.offset,
                timestamp_ms=record.timestamp,
                digest=zlib.crc32(record.value),
                command=decode(record.value),
            )
            self.decisions[partition].append(facts)

    def _row(self, partition: int, state: State, key: str) -> Any:
        if not key.startswith("d:"):
            return _copied(key, state.get(key))
        first = int(key[2:]) * DECISIONS_PER_CHUNK
        chunk = self.decisions[partition][first : first + DECISIONS_PER_CHUNK]
        return [state.head.now_ms, *chunk] if chunk else None


class FoldedWorld:
    """Log, fold and door of one system; each partition begins with its genesis record."""

    def __init__(self, partitions: int = 2, now_ms: int = NOW_MS) -> None:
        self.log = FakeLog(partitions=partitions)
        self.producer = FakeProducer(self.log)
        self.reader = FoldedReader(self.log, partitions)
        self.partitions = partitions
        self.genesis = Genesis(log=LOG_ID, key_check="k" * 16, rules=1)
        for partition in range(partitions):
            self.log.write(COMMANDS, PartitionId(partition), [encode(self.genesis)], now_ms)
        self.door: Door

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Door]:
        """A door on this world, its group commit running."""
        everywhere = [PartitionId(p) for p in range(self.partitions)]
        commit = GroupCommit(self.producer, COMMANDS, everywhere)
        self.door = Door(commit, self.reader, dict.fromkeys(everywhere, self.genesis))
        task = asyncio.create_task(commit.run())
        try:
            await self.door.refresh_once()
            yield self.door
        finally:
            await commit.stop()
            await task

    def write(self, partition: int, *commands: Command, at_ms: int = NOW_MS) -> Offset:
        """Straight into the log, as another process would; the place of the first."""
        return self.log.write(COMMANDS, PartitionId(partition), [encode(command) for command in commands], at_ms)

    def values(self, partition: int = 0) -> bytes:
        """Everything that stands in the log, as bytes."""
        return b"".join(record.value for record in self.log.records[COMMANDS, PartitionId(partition)])

    def commands(self, partition: int = 0, *kinds: type[Command]) -> list[Command]:
        """What stands in the log behind its genesis record, of these kinds or of all."""
        found = [decode(record.value) for record in self.log.records[COMMANDS, PartitionId(partition)][1:]]
        return [command for command in found if not kinds or isinstance(command, kinds)]

    def every(self, kind: type[Kind], partition: int = 0) -> list[Kind]:
        """The commands of one kind."""
        return [command for command in self.commands(partition) if isinstance(command, kind)]

    def row(self, partition: int, key: str) -> Any:
        """A row as of the end of the log."""
        self.reader.fold(partition)
        return self.reader.states[partition].get(key)


def _copied(key: str, row: Any) -> Any:
    """As Redis would give it: a row of one's own."""
    return None if row is None else decode_row(key, msgspec.msgpack.encode(row))
