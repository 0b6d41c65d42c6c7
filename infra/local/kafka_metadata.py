"""What one broker knows of its cluster, asked over a bare connection: a client of the library would ask them all."""

import asyncio
import ssl
import struct
from contextlib import suppress
from typing import Final, NamedTuple

from infra.embedded.commands import LOOPBACK

METADATA: Final = 3
VERSION: Final = 5
ANSWER_TIMEOUT_S: Final = 1.0
MAX_ANSWER_BYTES: Final = 1024 * 1024


class Cluster(NamedTuple):
    """Ids of the brokers that take part, and of the cluster."""

    cluster_id: str
    brokers: frozenset[int]


async def ask_broker(port: int, tls: ssl.SSLContext | None = None) -> Cluster | None:
    """None where it does not answer (yet)."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, struct.error):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls)
            try:
                writer.write(_request())
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                if not 0 < size <= MAX_ANSWER_BYTES:
                    raise ValueError(size)
                return _read(await reader.readexactly(size))
            finally:
                writer.close()
                await writer.wait_closed()
    return None


def _request() -> bytes:
    client = b"maskline"
    header = struct.pack(">hhih", METADATA, VERSION, 1, len(client)) + client
    body = struct.pack(">i?", 0, False)  # no topic, and none is to be created
    return struct.pack(">i", len(header) + len(body)) + header + body


def _read(answer: bytes) -> Cluster:
    """Correlation id and throttle time, the brokers (id, host, port, rack), the cluster's id."""
    _, _, count = struct.unpack_from(">iii", answer)
    at, brokers = 12, set()
    for _ in range(count):
        (broker,) = struct.unpack_from(">i", answer, at)
        brokers.add(broker)
        _, at = _string(answer, at + 4)
        _, at = _string(answer, at + 4)
    cluster_id, _ = _string(answer, at)
    return Cluster(cluster_id, frozenset(brokers))


def _string(answer: bytes, at: int) -> tuple[str, int]:
    """A string, empty where it is null, and what stands behind it."""
    (length,) = struct.unpack_from(">h", answer, at)
    end = at + 2 + max(0, length)
    return answer[at + 2 : end].decode(), end
