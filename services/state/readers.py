"""Reading the fold's state: whatever many people ask in one tick goes to Redis as one MGET.

Every read takes the partition's head with the rows, in the same MGET, which Redis answers atomically: a reading says
exactly how far the log was applied when it was true. A reading behind what this process has seen before (a fail-over, a
rebuild) is refused as `CatchingUpError`: nobody is told a step back.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from services.domain.rows import HEAD, Head, row_type
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.keys import head_key, tag
from services.state.redis_access import reason_of
from services.state.redis_client import Redis, RedisError
from services.state.store import Store, node_of
from services.stream.place import Offset, PartitionId

MAX_KEYS_PER_READ = 512
MAX_WAITING_READS = 20_000
KEYS_PER_SCAN = 1_000  # looked at, of all partitions of that Redis: less than a millisecond

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, KeyError)
_decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}


def decode_row(logical_key: str, value: bytes | None) -> Any:
    """The row in a Redis value; None where there is none. Decisions (`d:…`) come as plain lists."""
    if value is None:
        return None
    kind: Any = list if logical_key.startswith("d:") else row_type(logical_key)
    decoder = _decoders.get(kind if isinstance(kind, type) else repr(kind))
    if decoder is None:
        decoder = _decoders[kind if isinstance(kind, type) else repr(kind)] = msgspec.msgpack.Decoder(kind)
    return decoder.decode(value)


async def read_head(redis: Store, partition: int) -> Head | None:
    """A partition's head as it is now, whatever this process has seen before; None where Redis is empty."""
    value: Any
    (value,) = await redis.mget([head_key(partition)])
    head: Head | None = decode_row(HEAD, value)
    return head


class Reading(NamedTuple):
    """Rows as they were when everything before `head.position` was applied."""

    head: Head
    rows: list[Any]


class _Wanted(NamedTuple):
    keys: Sequence[str]
    answer: asyncio.Future[Reading]


class StateReader:
    """Reads rows of any partition. One read is in flight per partition; what is asked meanwhile goes with the next.

    `seen` is how far each partition had come before this process began, as far as others know: a process that starts
    while Redis is being rebuilt must not say that what everybody has seen is not there.
    """

    def __init__(self, redis: Store, seen: Mapping[PartitionId, Offset] | None = None) -> None:
        self._redis = redis
        self._wanted: dict[int, deque[_Wanted]] = {}
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._looks: dict[Redis, asyncio.Task[None]] = {}
        self._heads: dict[int, Head] = {}
        self._read_at_s: dict[int, float] = {}
        self._seen: dict[int, int] = {int(partition): offset for partition, offset in (seen or {}).items()}

    def seen(self, partition: int) -> int:
        """The furthest position that this process has read or heard of."""
        return self._seen.get(partition, 0)

    def read_at_s(self, partition: int) -> float:
        """When `seen` was true, by the event loop's clock; minus infinity before the first reading."""
        return self._read_at_s.get(partition, -math.inf)

    def known(self, partition: int) -> Head | None:
        """The head as it was read last; None before the first reading."""
        return self._heads.get(partition)

    def now_ms(self, partition: int) -> int:
        """The fold's time as it was read last; 0 before the first reading."""
        head = self._heads.get(partition)
        return 0 if head is None else head.now_ms

    async def head(self, partition: int) -> Head | None:
        """The head as it is now; where Redis does not answer or is behind, as it was read last. None before that."""
        with suppress(CatchingUpError, StateUnavailableError):
            await self.read(partition, [])
        return self._heads.get(partition)

    def look(self, partitions: Iterable[int]) -> None:
        """Begin to read the heads of many partitions, with one question to each Redis; `read_at_s` tells which came.

        What does not answer, is behind, or is being read by somebody stays as it is: `read` finds out. Nor is a Redis
        asked while its last answer is awaited: one that stands still holds up nobody who is elsewhere.
        """
        asked: dict[Redis, list[int]] = {}
        for partition in partitions:
            node = None if self._is_being_read(partition) else node_of(self._redis, head_key(partition))
            if node is not None and node not in self._looks:
                asked.setdefault(node, []).append(partition)
        for node, group in asked.items():
            self._looks[node] = asyncio.create_task(self._look(node, group), name="state-reader-look")

    async def read(self, partition: int, keys: Sequence[str]) -> Reading:
        """The rows under logical keys (None where there is none), and the head they belong to.

        Raises CatchingUpError, or StateUnavailableError when Redis does not answer, a row cannot be read, or too many
        are waiting already.
        """
        wanted = self._wanted.setdefault(partition, deque())
        if len(wanted) >= MAX_WAITING_READS:
            raise StateUnavailableError(what=f"{MAX_WAITING_READS} reads are waiting already")
        answer: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        wanted.append(_Wanted(keys, answer))
        if partition not in self._busy:
            self._busy[partition] = asyncio.create_task(self._serve(partition), name=f"state-reader-{partition}")
        return await answer

    async def scan(self, partition: int, kinds: str, cursor: int) -> tuple[int, list[str]]:
        """Some logical keys of these kinds (a letter each), and the cursor to go on with: 0 begins and ends.

        Whatever is there from beginning to end is found, some of it twice; unless Redis was replaced meanwhile. Raises
        StateUnavailableError.
        """
        prefix = tag(partition)
        try:
            answer: Any = await self._redis.scan(cursor, match=f"{prefix}[{kinds}]:*", count=KEYS_PER_SCAN)
        except (RedisError, OSError) as error:
            raise StateUnavailableError(what=reason_of(error)) from error
        cursor, names = answer
        return cursor, [name[len(prefix) :].decode("utf-8", "replace") for name in names]

    async def _look(self, node: Redis, partitions: Sequence[int]) -> None:
        try:
            values = await _heads_of(node, partitions)
        except (RedisError, OSError):
            return
        finally:
            del self._looks[node]
        for partition, value in zip(partitions, values, strict=True):
            # A read that is under way was perhaps answered before us: to see further now would refuse it as behind.
            if self._is_being_read(partition) or isinstance(value, Exception):
                continue
            with suppress(*_UNREADABLE):
                head = decode_row(HEAD, value) or Head()
                if head.position >= self.seen(partition):
                    self._saw(partition, head)

    async def _serve(self, partition: int) -> None:
        try:
            await asyncio.sleep(0)  # all who ask in this tick go together
            while wanted := self._wanted.get(partition):
                batch: list[_Wanted] = []
                count = 0
                while wanted and (not batch or count + len(wanted[0].keys) <= MAX_KEYS_PER_READ):
                    batch.append(wanted.popleft())
                    count += len(batch[-1].keys)
                await self._answer(partition, batch)
        finally:
            del self._busy[partition]

    async def _answer(self, partition: int, batch: list[_Wanted]) -> None:
        prefix = tag(partition)
        names = dict.fromkeys(key for wanted in batch for key in wanted.keys)
        try:
            values: list[Any] = await self._redis.mget([prefix + HEAD, *(prefix + name for name in names)])
            head = decode_row(HEAD, values[0]) or Head()
            self._check_not_behind(partition, head.position)
            self._saw(partition, head)
        except CatchingUpError as error:
            _refuse(batch, error)
            return
        except (RedisError, OSError, *_UNREADABLE) as error:
            # Nor would those who came meanwhile hear anything else: one after the other they would wait for minutes.
            queued = self._wanted[partition]
            _refuse([*batch, *queued], StateUnavailableError(what=reason_of(error)))
            queued.clear()
            return
        rows: dict[str, Any] = {}
        unreadable: dict[str, StateUnavailableError] = {}  # a broken row takes only its own readers' answers with it
        for name, value in zip(names, values[1:], strict=True):
            try:
                rows[name] = decode_row(name, value)
            except _UNREADABLE:
                unreadable[name] = StateUnavailableError(what=f"{name} cannot be read by this version")
        for wanted in batch:
            if unreadable and (broken := next((unreadable[key] for key in wanted.keys if key in unreadable), None)):
                _refuse([wanted], broken)
            elif not wanted.answer.done():
                wanted.answer.set_result(Reading(head, [rows[key] for key in wanted.keys]))

    def _is_being_read(self, partition: int) -> bool:
        return partition in self._busy

    def _check_not_behind(self, partition: int, position: int) -> None:
        if position < self.seen(partition):
            raise CatchingUpError(partition=partition, position=position, seen=self.seen(partition))

    def _saw(self, partition: int, head: Head) -> None:
        self._seen[partition] = head.position
        self._heads[partition] = head
        self._read_at_s[partition] = asyncio.get_running_loop().time()


async def _heads_of(node: Redis, partitions: Sequence[int]) -> list[Any]:
    """The raw rows, or errors, in the order of `partitions`. Raises the errors of Redis."""
    pipeline = node.pipeline(transaction=False)
    for partition in partitions:
        pipeline.get(head_key(partition))
    values: list[Any] = await pipeline.execute(raise_on_error=False)
    return values


def _refuse(batch: Iterable[_Wanted], reason: Exception) -> None:
    for wanted in batch:
        if not wanted.answer.done():
            wanted.answer.set_exception(reason)
