"""How the broker and the store are started, and when they are ready."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from infra.embedded.binaries import find_broker, find_store

LOOPBACK: Final = "127.0.0.1"
ANSWER_TIMEOUT_S: Final = 0.5
MALLOC_SETTINGS: Final = "GLIBC_TUNABLES"


def broker_command(port: int) -> list[str]:
    """Tansu on loopback, its log in memory. Raises BrokerMissing."""
    address = f"tcp://{LOOPBACK}:{port}"  # its default is every interface
    return [
        str(find_broker()),
        "broker",
        "--cluster-id=maskline",
        f"--listener-url={address}",
        f"--advertised-listener-url={address}",
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
    return [str(find_store()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def store_environment() -> dict[str, str]:
    """What the store's process is told beside its options.

    The wheel's Valkey takes its memory from the C library. Lua makes and drops thousands of small strings in each call:
    kept at hand they cost a tenth less. A setting that is there already stays; other C libraries do not look at it.
    """
    return {MALLOC_SETTINGS: os.environ.get(MALLOC_SETTINGS, "glibc.malloc.tcache_count=60000")}


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
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(b"PING\r\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
        return answer == b"+PONG\r\n"
    return False
