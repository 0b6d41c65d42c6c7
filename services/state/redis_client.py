"""How connections to Redis are made: one place, every bound explicit.

redis-py's defaults are traps here: ten silent retries execute a command twice, five seconds of waiting hold a resident
at the door, and its pool raises at a hundred connections instead of waiting.
"""

import asyncio
import time
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from services.platform.settings import without_password
from services.state.errors import RedisAddressInvalid, RedisUnreachable

__all__ = [
    "POOL_CONNECTIONS", "AbstractConnection", "Redis", "RedisError", "ResponseError", "connect", "dedicated", "reach",
]  # fmt: skip

POOL_CONNECTIONS = 8
POOL_WAIT_S = 0.5
LOOK_AGAIN_S = 0.2


def connect(url: str, *, timeout_s: float) -> Redis:
    """A client for reading: a small pool that waits, one silent retry (reads may be sent twice).

    Raises RedisAddressInvalid.
    """
    pool = _pool(
        BlockingConnectionPool,
        url,
        max_connections=POOL_CONNECTIONS,
        timeout=POOL_WAIT_S,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)


def dedicated(url: str, *, timeout_s: float) -> AbstractConnection:
    """One connection of its own, without any retry: the fold's calls go over it in order.

    Raises RedisAddressInvalid.
    """
    pool = _pool(
        ConnectionPool, url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )
    connection: AbstractConnection = pool.make_connection()
    return connection


async def reach(url: str, *, timeout_s: float, within_s: float) -> None:
    """Wait until Redis answers. Raises RedisUnreachable, RedisAddressInvalid."""
    deadline_s = time.monotonic() + within_s
    client = connect(url, timeout_s=timeout_s)
    try:
        while True:
            try:
                await client.execute_command("PING")  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                if time.monotonic() + LOOK_AGAIN_S > deadline_s:
                    why = str(error) or type(error).__name__
                    raise RedisUnreachable(redis=without_password(url), seconds=within_s, why=why) from error
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                return
    finally:
        await client.aclose()


def _pool(kind: type[Any], url: str, **options: Any) -> Any:
    try:
        return kind.from_url(url, **options)
    except ValueError as error:
        raise RedisAddressInvalid from error
