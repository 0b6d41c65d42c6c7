"""Rows as they lie in Redis, undecoded, each reading with the position it belongs to."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from services.audit.errors import CouldNotLookError
from services.domain.rows import HEAD, Head
from services.state.keys import tag
from services.state.readers import decode_row
from services.state.redis_client import RedisError
from services.state.store import Store

SCAN_COUNT = 1_000


class RawReading(NamedTuple):
    """Values as they were when everything before `head.position` was applied; None where there is none."""

    head: Head
    values: list[bytes | None]


class RowsReader(Protocol):
    """What verify looks at state with: `RedisRows`, or a dict in tests."""

    async def read(self, partition: int, keys: Sequence[str]) -> RawReading:
        """The values under logical keys and the head, read in one atomic step. Raises CouldNotLookError."""

    def keys(self, partition: int) -> AsyncIterator[list[str]]:
        """All logical keys of a partition, in pieces; one may come twice. Raises CouldNotLookError."""


class RedisRows:
    """The rows in Redis."""

    def __init__(self, redis: Store) -> None:
        self._redis = redis

    async def read(self, partition: int, keys: Sequence[str]) -> RawReading:
        """See RowsReader."""
        prefix = tag(partition)
        try:
            # redis-py's answers may be text; a client of ours never decodes.
            values: Any = await self._redis.mget([prefix + HEAD, *(prefix + key for key in keys)])
            return RawReading(decode_row(HEAD, values[0]) or Head(), values[1:])
        except (RedisError, OSError, msgspec.DecodeError) as error:
            raise CouldNotLookError(partition=partition, why=f"Redis answered with {type(error).__name__}") from error

    async def keys(self, partition: int) -> AsyncIterator[list[str]]:
        """See RowsReader."""
        prefix = tag(partition).encode()
        cursor = 0
        while True:
            try:
                answer: Any = await self._redis.scan(cursor, match=prefix.decode() + "*", count=SCAN_COUNT)
            except (RedisError, OSError) as error:
                raise CouldNotLookError(partition=partition, why=f"SCAN ended with {type(error).__name__}") from error
            cursor, names = answer
            yield [name[len(prefix) :].decode("utf-8", "replace") for name in names]
            if cursor == 0:
                return
