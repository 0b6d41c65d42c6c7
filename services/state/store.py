"""The Redis of a system, be it one or a cluster: `redis://HOST:PORT/0`, or `redis://HOST:PORT,HOST:PORT,…/0`.

A cluster is known by its address, where two nodes or more are named: asking the server instead would leave a process
that starts while it is away without knowing what it is. Any two of its nodes will do, more of them are better for a
start while some are down; the others are learnt from them.
"""

import asyncio
import time
from typing import Final

from services.platform.settings import without_password
from services.state.errors import RedisUnreachable
from services.state.keys import head_key
from services.state.redis_access import refusal_of
from services.state.redis_client import AbstractConnection, Redis, RedisError, connect, dedicated, hosts_in
from services.state.redis_cluster import RedisCluster

LOOK_AGAIN_S: Final = 0.2

Store = Redis | RedisCluster
"""Both read by `mget` and `scan`, a call naming keys of one partition."""


def open_store(url: str, *, timeout_s: float) -> Store:
    """For reading; it connects when it is asked. Raises RedisAddressInvalid."""
    if len(hosts_in(url)) > 1:
        return RedisCluster(url, timeout_s=timeout_s)
    return connect(url, timeout_s=timeout_s)


def fold_connection(store: Store, url: str, partition: int, *, timeout_s: float) -> AbstractConnection:
    """A connection of its own to the primary that has a partition, as it was when the partition was read last.

    When that changes, what is sent is answered by an error; whoever folds reads the head again (and with it the map)
    and takes a new connection. Raises SlotUncoveredError.
    """
    if isinstance(store, RedisCluster):
        url = store.url_of(head_key(partition))
    return dedicated(url, timeout_s=timeout_s)


def node_of(store: Store, key: str) -> Redis | None:
    """Whom to ask for a key, as it was told last; None where nobody is known to have it."""
    return store.node_of(key) if isinstance(store, RedisCluster) else store


async def reach(url: str, *, timeout_s: float, within_s: float) -> None:
    """Wait until Redis answers, a cluster with all its slots.

    Raises RedisUnreachable, RedisAddressInvalid, and at once RedisRefusesUser, RedisNotTrusted.
    """
    deadline_s = time.monotonic() + within_s
    store = open_store(url, timeout_s=timeout_s)
    try:
        while True:
            try:
                await _ping(store)
            except (RedisError, OSError) as error:
                if refusal := refusal_of(url, error):
                    raise refusal from error
                if time.monotonic() + LOOK_AGAIN_S > deadline_s:
                    where, why = without_password(url).partition("?")[0], str(error) or type(error).__name__
                    raise RedisUnreachable(redis=where, seconds=within_s, why=why) from error
                await asyncio.sleep(LOOK_AGAIN_S)
            else:
                return
    finally:
        await store.aclose()


async def be_let_in(store: Store, url: str) -> None:
    """Raises RedisRefusesUser, RedisNotTrusted. A Redis that does not answer is waited for by whoever uses it."""
    try:
        await _ping(store)
    except (RedisError, OSError) as error:
        if refusal := refusal_of(url, error):
            raise refusal from error


async def _ping(store: Store) -> None:
    if isinstance(store, RedisCluster):
        await store.ping()
    else:
        await store.execute_command("PING")  # type: ignore[no-untyped-call]
