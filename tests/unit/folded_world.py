"""A whole system in memory for tests of doors: the fake log, and what the reference model makes of it in Redis' place.

    world = FoldedWorld(partitions=2)
    async with world.running():
        place = await world.door.offer(0, command)
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import msgspec

from services.domain.commands import Command, Genesis, decode, encode
from services.domain.fold import apply
from services.domain.rows import Facts, State
from services.platform.errors import MasklineError
from services.state.door import Door
from services.state.keys import decisions_chunk, place_in_chunk
from services.state.readers import Reading, StateReader
from services.state.redis_client import Redis, RedisError
from services.stream.fake import FakeLog, FakeProducer
from services.stream.group_commit import GroupCommit
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS

NOW_MS = 1_580_558_400_000  # 1 February 2020, 20:00 in Guangzhou
LOG_ID = "log-of-this-test"
Kind = TypeVar("Kind", bound=Command)


class FoldedStore:
    """Redis as a door sees it: rows of the reference model, one state a partition. `reads` counts its MGETs."""

    def __init__(self, log: FakeLog, partitions: int) -> None:
        self.states = [State() for _ in range(partitions)]
        self.decided: dict[tuple[int, str], list[Any]] = {}
        self.is_down = False
        self.reads = 0
        self._log = log
        self.scans: list[str] = []
        self._scanned: list[bytes] = []
        self.counted: dict[str, set[str]] = {}

    async def mget(self, keys: list[str]) -> list[bytes | None]:
        """What a redis client answers."""
        await asyncio.sleep(0)
        if self.is_down:
            raise RedisError("the test says so")
        self.reads += 1
        return [self._value(int(key[2:4]), key[6:]) for key in keys]

    def pipeline(self, *, transaction: bool) -> "FoldedPipeline":
        """What a redis client gives; the atomic kind is nobody's."""
        assert not transaction
        return FoldedPipeline(self)

    async def scan(self, cursor: int, *, match: str, count: int) -> tuple[int, list[bytes]]:
        """Of the keys that were there when it began, so many at a time."""
        await asyncio.sleep(0)
        if self.is_down:
            raise RedisError("the test says so")
        self.scans.append(match)
        if cursor == 0:
            rows = self.states[int(match[2:4])].rows
            self._scanned = [f"{match[:6]}{key}".encode() for key in rows if key[0] in match and key[1:2] == ":"]
        end = cursor + count
        return end if end < len(self._scanned) else 0, self._scanned[cursor:end]

    async def execute_command(self, word: str, key: str, *values: Any) -> int:
        """The commands that count who waits; exactly, where Redis estimates."""
        await asyncio.sleep(0)
        if self.is_down:
            raise RedisError("the test says so")
        if word == "PFADD":
            self.counted.setdefault(key, set()).update(values)
        else:
            assert word in ("PFCOUNT", "EXPIRE")
        return len(self.counted.get(key, ()))

    def _value(self, partition: int, key: str) -> bytes | None:
        row = self.decided.get((partition, key)) if key.startswith("d:") else self.states[partition].get(key)
        return None if row is None else msgspec.msgpack.encode(row)

    def fold(self, partition: int = 0, *, at_most: int | None = None) -> list[Facts]:
        """Apply what is in the log and not applied; the decisions."""
        position = self.states[partition].head.position
        records = self._log.records[COMMANDS, PartitionId(partition)][position:][:at_most]
        return [self._apply(partition, record) for record in records]

    def _apply(self, partition: int, record: Any) -> Facts:
        facts = apply(
            self.states[partition],
            offset=record.offset,
            timestamp_ms=record.timestamp,
            digest=zlib.crc32(record.value),
            command=decode(record.value),
        )
        chunk = self.decided.setdefault((partition, decisions_chunk(record.offset)), [0])
        assert place_in_chunk(record.offset) == len(chunk)
        chunk.append(facts)
        return facts

    def forget_decisions(self) -> None:
        """Recorded decisions are readable for a minute only."""
        self.decided = {key: [0] for key in self.decided}


class FoldedPipeline:
    """GETs that are answered together."""

    def __init__(self, store: FoldedStore) -> None:
        self._store = store
        self._keys: list[str] = []

    def get(self, key: str) -> None:
        """One more."""
        self._keys.append(key)

    async def execute(self, *, raise_on_error: bool) -> list[bytes | None]:
        """The answers; none of a store's keys is answered by an error."""
        assert not raise_on_error
        return await self._store.mget(self._keys)


class FoldedReader(StateReader):
    """The reader of every door, over a store that is folded as it is read, unless `held` stops it where it is.

    `error` is raised by every read; `reads` counts them.
    """

    def __init__(self, store: FoldedStore) -> None:
        super().__init__(cast("Redis", store))
        self.store = store
        self.held = False
        self.error: MasklineError | None = None
        self.reads = 0

    @property
    def states(self) -> list[State]:
        return self.store.states

    def fold(self, partition: int) -> None:
        """Apply what is in the log and not applied yet."""
        self.store.fold(partition)

    def look(self, partitions: Iterable[int]) -> None:
        if self.error is not None:
            return
        asked = list(partitions)
        if not self.held:
            for partition in asked:
                self.store.fold(partition)
        super().look(asked)

    async def read(self, partition: int, keys: Sequence[str]) -> Reading:
        self.reads += 1
        if self.error is not None:
            await asyncio.sleep(0)
            raise self.error
        if not self.held:
            self.store.fold(partition)
        return await super().read(partition, keys)


class FoldedWorld:
    """Log, store and door of one system; each partition begins with its genesis record."""

    def __init__(self, partitions: int = 2, now_ms: int = NOW_MS, key_check: str = "k" * 16) -> None:
        self.log = FakeLog(partitions=partitions)
        self.producer = FakeProducer(self.log)
        self.store = FoldedStore(self.log, partitions)
        self.reader = FoldedReader(self.store)
        self.partitions = partitions
        self.genesis = Genesis(log=LOG_ID, key_check=key_check, rules=1)
        for partition in range(partitions):
            self.log.write(COMMANDS, PartitionId(partition), [encode(self.genesis)], now_ms)
        self.door: Door

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Door]:
        """A door on this world, its group commit running."""
        everywhere = [PartitionId(p) for p in range(self.partitions)]
        commit = GroupCommit(self.producer, COMMANDS, everywhere)
        self.door = Door(commit, self.reader, dict.fromkeys(everywhere, self.genesis), cast("Redis", self.store))
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
        self.store.fold(partition)
        return self.store.states[partition].get(key)
