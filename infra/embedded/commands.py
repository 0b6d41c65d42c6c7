"""How the broker and the store are started, and when they are ready."""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path
from typing import Any, Final

from infra.embedded.binaries import find_broker, find_store

LOOPBACK: Final = "127.0.0.1"
ANSWER_TIMEOUT_S: Final = 0.5
FETCH_MAX_WAIT_MS: Final = 20
"""Tansu answers a fetch that waits when its time is over, whatever comes in meanwhile: so late is a decision. Kafka
answers at once; so short a wait costs there a tenth of a core while nobody books (64 partitions, one broker)."""
MALLOC: Final = "LD_PRELOAD"
MALLOC_SETTINGS: Final = "GLIBC_TUNABLES"


def broker_command(port: int, advertised_port: int | None = None) -> list[str]:
    """Tansu on loopback, its log in memory; clients are sent to `advertised_port`, else to `port`.

    Raises BrokerMissing.
    """
    address = f"tcp://{LOOPBACK}:{port}"  # its default is every interface
    advertised = f"tcp://{LOOPBACK}:{advertised_port or port}"
    return [
        str(find_broker()),
        "broker",
        "--cluster-id=maskline",
        f"--listener-url={address}",
        f"--advertised-listener-url={advertised}",
        "--storage-engine=memory://maskline/",
    ]


def store_command(port: int, folder: Path) -> list[str]:
    """Valkey on loopback with its files in `folder`. Raises StoreMissing."""
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "protected-mode": "yes",
        "dir": str(folder),
        "appendonly": "yes",
        # A lost second is replayed from the log: the fold's position goes with its state.
        "appendfsync": "everysec",
        "save": "",
        # A rewrite copies the whole store beside a rush; here the file lives as long as one run.
        "auto-aof-rewrite-min-size": "1gb",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return _store(options)


def own_store_command(socket: Path) -> list[str]:
    """Valkey in memory alone, at a socket that nobody else on the machine can open. Raises StoreMissing."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(socket.parent),
        "appendonly": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return _store(options)


def store_environment() -> dict[str, str]:
    """What the store's process is told beside its options.

    Lua makes and drops thousands of small strings in each call. The wheel's Valkey takes them from the C library, with
    jemalloc, which Valkey's own builds bring along, a booking takes two thirds of the time: it is taken where it is
    installed (`make deps-debian`). Otherwise the C library keeps small memory at hand, which saves a tenth. A setting
    that is there already stays.
    """
    jemalloc = find_library("jemalloc")
    name, value = (MALLOC, jemalloc) if jemalloc else (MALLOC_SETTINGS, "glibc.malloc.tcache_count=60000")
    return {name: os.environ.get(name, value)}


def _store(options: dict[str, str]) -> list[str]:
    return [str(find_store()), *(part for name, value in options.items() for part in (f"--{name}", value))]


async def broker_answers(port: int) -> bool:
    """Whether something accepts connections at the broker's port."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            await writer.wait_closed()
        return True
    return False


async def store_answers(port: int) -> bool:
    """Whether the store answers PING; while it loads its file it does not yet."""
    return await _answers_ping(asyncio.open_connection(LOOPBACK, port))


async def own_store_answers(socket: Path) -> bool:
    """The same of one at a socket."""
    return await _answers_ping(asyncio.open_unix_connection(socket))


async def _answers_ping(connecting: Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await connecting
            try:
                writer.write(b"PING\r\n")
                answer = await reader.readline()
            finally:
                writer.close()
            await writer.wait_closed()
        return answer == b"+PONG\r\n"
    return False
