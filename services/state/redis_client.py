"""How connections to Redis are made: one place, every bound explicit.

redis-py's defaults are traps here: ten silent retries execute a command twice, five seconds of waiting hold a resident
at the door, and its pool raises at a hundred connections instead of waiting.
"""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

__all__ = ["POOL_CONNECTIONS", "AbstractConnection", "Redis", "RedisError", "ResponseError", "connect", "dedicated"]

POOL_CONNECTIONS = 8
POOL_WAIT_S = 0.5


def connect(url: str, *, timeout_s: float) -> Redis:
    """A client for reading: a small pool that waits, one silent retry (reads may be sent twice)."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=POOL_CONNECTIONS,
        timeout=POOL_WAIT_S,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)


def dedicated(url: str, *, timeout_s: float) -> AbstractConnection:
    """One connection of its own, without any retry: the fold's calls go over it in order."""
    pool = ConnectionPool.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )
    connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    return connection
