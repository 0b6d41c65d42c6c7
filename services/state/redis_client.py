"""How connections to Redis are made: one place, every bound explicit.

redis-py's defaults are traps here: ten silent retries execute a command twice, five seconds of waiting hold a resident
at the door, and its pool raises at a hundred connections instead of waiting.
"""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from services.platform.access import CertificatesUnreadable, tls_context
from services.state.errors import RedisAddressInvalid

__all__ = [
    "POOL_CONNECTIONS", "AbstractConnection", "Redis", "RedisError", "ResponseError", "connect", "dedicated",
    "hosts_in", "with_host",
]  # fmt: skip

POOL_CONNECTIONS = 8
POOL_WAIT_S = 0.5
DEFAULT_PORT = 6379
CA_CERTS = "ssl_ca_certs"
"""As redis-py calls it in an address."""
MAX_CONTEXTS = 4


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


def hosts_in(url: str) -> list[str]:
    """Every host:port of an address; several stand for the nodes of a cluster. Raises RedisAddressInvalid."""
    hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    if len(hosts) > 1 and (not all(hosts) or urlsplit(url).path.strip("/") not in {"", "0"}):
        raise RedisAddressInvalid  # a cluster has no databases but 0
    return [host if host.rpartition(":")[2].isdigit() else f"{host}:{DEFAULT_PORT}" for host in hosts]


def with_host(url: str, host: str) -> str:
    """The address with one host instead of those that stand there: whoever that is has the same password."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}"))


class TlsConnection(SSLConnection):
    """Trusts whom our settings name, and nobody else. redis-py's own would trust the system's certificates beside those
    that are named, and read all of them for each connection: 40 ms of CPU, in which a process does nothing else."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = _trusting(self.ca_certs)


def _trusting(ca_certs: str | None) -> ssl.SSLContext:
    """One context for all connections, until the file is another one."""
    return _context(ca_certs, Path(ca_certs).stat().st_mtime_ns if ca_certs else 0)


@lru_cache(maxsize=MAX_CONTEXTS)
def _context(ca_certs: str | None, _changed_ns: int) -> ssl.SSLContext:
    try:
        return tls_context(Path(ca_certs) if ca_certs else None)
    except CertificatesUnreadable as error:  # it was readable at the start: whoever connects tries again
        raise OSError(str(error)) from error


def _pool(kind: type[Any], url: str, **options: Any) -> Any:
    try:
        pool = kind.from_url(url, **options)
    except ValueError as error:
        raise RedisAddressInvalid from error
    named = {name for name in pool.connection_kwargs if name.startswith("ssl_")}
    if pool.connection_class is SSLConnection and named <= {CA_CERTS}:  # else the address itself says how to trust
        pool.connection_class = TlsConnection
    return pool
