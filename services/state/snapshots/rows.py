"""Rows out of a store that nobody writes to."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from services.domain.rows import HEAD
from services.platform.errors import MasklineError
from services.state.keys import tag
from services.state.snapshots.file import Rows
from services.state.store import Store

KEYS_PER_SCAN = 1_000


class StoreInUse(MasklineError):
    """The rows of partition {partition} changed while they were copied: somebody else folds into that Redis.

    No snapshot was made. It needs a Redis of its own.
    """


async def all_rows(store: Store, partition: int, head: bytes) -> AsyncIterator[Rows]:
    """Every row but the head, which is still as it was when each piece was read; a row may come twice.

    Raises StoreInUse and the errors of Redis.
    """
    prefix = tag(partition)
    cursor = 0
    while True:
        answer: Any = await store.scan(cursor, match=f"{prefix}*", count=KEYS_PER_SCAN)
        cursor, names = answer
        keys = [name.decode() for name in names if name != (prefix + HEAD).encode()]
        values = await _values(store, [prefix + HEAD, *keys])
        if values[0] != head or None in values:
            raise StoreInUse(partition=partition)
        piece = [(name.removeprefix(prefix), value) for name, value in zip(keys, values[1:], strict=True) if value]
        if piece:
            yield piece
        if cursor == 0:
            return


async def _values(store: Store, keys: Sequence[str]) -> list[bytes | None]:
    values: Any = await store.mget(list(keys))
    return list(values)
