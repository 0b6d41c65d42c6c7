"""Rows into a Redis that others may be looking at: the partition is taken first, and given back whole.

While it is being loaded its head names a log that is none: the fold refuses every batch, and whoever reads is behind.
Each write is made only while that very head stands (WATCH, MULTI), so of two who load at once one writes nothing more.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final

import msgspec

from services.domain.rows import HEAD, ROW_TYPES, Head
from services.state.keys import head_key, key, tag
from services.state.readers import decode_row
from services.state.redis_client import AbstractConnection
from services.state.snapshots.file import Rows
from services.state.stopped import PartitionStoppedError
from services.state.store import Store

LOADING: Final = "loading:"
"""What the name of the log begins with in such a head; no log's own name has a colon."""
MAX_TRIES_TO_TAKE: Final = 100
ROWS_PER_WRITE: Final = 500
KEYS_PER_SCAN: Final = 1_000
_PUBLISHED: Final = Head.__struct_fields__.index("published")
# What doors keep beside the rows is theirs.
_KINDS_OF_ROWS: Final = frozenset([*(name.partition(":")[0] for name in ROW_TYPES), "d"])


class LoadingTakenOver(PartitionStoppedError):
    """Partition {partition} is stopped: somebody else began to load it. Let them finish, and say it again."""


def is_being_loaded(head: Head | None) -> bool:
    """Whether a head is that of a partition whose rows are not all there."""
    return head is not None and head.log.startswith(LOADING)


def with_published(head: bytes, published: int) -> bytes:
    """A head's row that says what is published; fields that this version does not know stay."""
    fields = msgspec.msgpack.decode(head, type=list[Any])
    fields[_PUBLISHED] = max(fields[_PUBLISHED], published)
    return msgspec.msgpack.encode(fields)


class Loading:
    """One partition, on a connection of its own. After any error it is dropped, and the partition stays taken."""

    def __init__(self, connection: AbstractConnection, partition: int) -> None:
        self._connection: Final = connection
        self._partition: Final = partition
        self._head: Final = head_key(partition)
        self._mine = b""

    async def take(self, may: Callable[[Head | None], bool]) -> Head | None:
        """Take the partition where its head is one that may be replaced; the head that stood there.

        Allocators may be moving it meanwhile. Raises LoadingTakenOver where it may not, and the errors of Redis.
        """
        name = LOADING + secrets.token_urlsafe(12)
        for _ in range(MAX_TRIES_TO_TAKE):
            _, found = await self._ask(("WATCH", self._head), ("GET", self._head))
            before: Head | None = decode_row(HEAD, found)
            if not may(before):
                break
            published = 0 if before is None else before.published  # kept, should this load die
            mine = msgspec.msgpack.encode(Head(log=name, position=1, published=published))
            if await self._if_unchanged(("SET", self._head, mine)):
                self._mine = mine
                return before
        raise LoadingTakenOver(partition=self._partition)

    async def clear(self, store: Store) -> None:
        """Remove every row that stands there. Raises LoadingTakenOver, and the errors of Redis."""
        prefix = tag(self._partition)
        cursor = 0
        while True:
            answer: Any = await store.scan(cursor, match=f"{prefix}*", count=KEYS_PER_SCAN)
            cursor, names = answer
            keys = [name.decode() for name in names]
            rows = [name for name in keys if _is_row(name.removeprefix(prefix))]
            for first in range(0, len(rows), ROWS_PER_WRITE):
                await self._while_mine("UNLINK", *rows[first : first + ROWS_PER_WRITE])
            if cursor == 0:
                return

    async def put(self, rows: Rows) -> None:
        """Write rows. Raises LoadingTakenOver, and the errors of Redis."""
        for first in range(0, len(rows), ROWS_PER_WRITE):
            piece = rows[first : first + ROWS_PER_WRITE]
            await self._while_mine("MSET", *(part for name, value in piece for part in (self._key(name), value)))

    async def give_back(self, head: bytes | None) -> None:
        """All is there: the head that belongs to it, or none. Raises LoadingTakenOver, and the errors of Redis."""
        if head is None:
            await self._while_mine("DEL", self._head)
        else:
            await self._while_mine("SET", self._head, head)

    async def drop(self) -> None:
        """Forget the connection."""
        await self._connection.disconnect(nowait=True)

    def _key(self, logical: str) -> str:
        return key(self._partition, logical)

    async def _while_mine(self, *command: str | bytes) -> None:
        _, found = await self._ask(("WATCH", self._head), ("GET", self._head))
        if not self._mine or found != self._mine or not await self._if_unchanged(command):
            raise LoadingTakenOver(partition=self._partition)

    async def _if_unchanged(self, command: tuple[str | bytes, ...]) -> bool:
        """Whether it was done: what is watched has not changed since."""
        *_, done = await self._ask(("MULTI",), command, ("EXEC",))
        return done is not None

    async def _ask(self, *commands: tuple[str | bytes, ...]) -> list[Any]:
        """The answers, in order."""
        await self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [await self._connection.read_response(disable_decoding=True) for _ in commands]


def _is_row(logical: str) -> bool:
    return logical != HEAD and logical.partition(":")[0] in _KINDS_OF_ROWS
