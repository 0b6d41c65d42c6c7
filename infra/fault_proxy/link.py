"""One connection through a proxy: two streams, each in its order, with bounded buffers between."""

import asyncio
import socket
import struct
import time
from typing import Final

from infra.fault_proxy.pace import Pace

LOOPBACK: Final = "127.0.0.1"
CONNECT_TIMEOUT_S: Final = 5.0
MAX_PIECES: Final = 64
"""Pieces that wait in one direction; then the sender is no longer read from, as with a full line."""
RST_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Link:
    """Runs until both sides have ended, or one has broken: then the other one gets an RST."""

    MAX_READ_BYTES: Final = 16 * 1024

    def __init__(self, pace: Pace, target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._pace = pace
        self._target = target
        self._reader = reader
        self._writers = [writer]
        self.is_lost = False
        """Nothing that it carries arrives any more, whatever the mode."""

    async def run(self) -> None:
        """Connect and carry."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(LOOPBACK, self._target, limit=self.MAX_READ_BYTES)
        except (OSError, TimeoutError):
            self.reset()
            return
        self._writers.append(writer)
        try:
            async with asyncio.TaskGroup() as group:
                for direction, (source, drain) in enumerate(((self._reader, writer), (reader, self._writers[0]))):
                    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_PIECES)
                    group.create_task(self._read(source, pieces))
                    group.create_task(self._pass_on(direction, pieces, drain))
        except* OSError:
            self.reset()
        finally:
            # Cancelled, or ended on both sides: nothing is left to be sent.
            for each in self._writers:
                each.close()

    def reset(self) -> None:
        """RST to both sides."""
        for writer in self._writers:
            connection: socket.socket | None = writer.get_extra_info("socket")
            if connection is not None and not writer.transport.is_closing():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            writer.transport.abort()

    async def _read(self, source: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        while True:
            piece = await source.read(self.MAX_READ_BYTES)
            await pieces.put((time.monotonic(), piece))
            if not piece:
                return

    async def _pass_on(
        self, direction: int, pieces: asyncio.Queue[tuple[float, bytes]], drain: asyncio.StreamWriter
    ) -> None:
        while True:
            arrived_s, piece = await pieces.get()
            is_end = not piece
            while piece or is_end:
                due = await self._pace.bytes_due(direction, len(piece) or 1, arrived_s)  # an end waits as a byte does
                if self.is_lost:
                    await asyncio.Event().wait()  # until the proxy is closed; soon nobody reads from the sender either
                if is_end:
                    drain.write_eof()
                    return
                drain.write(piece[:due])
                await drain.drain()
                piece = piece[due:]
