"""When a piece may go on: the mode of the moment, shared by all connections of a proxy."""

import asyncio
import time
from typing import Final

from infra.fault_proxy.modes import Delay, Drip, HalfOpen, Mode, Rate

RATE_PIECE_S: Final = 0.01
"""A rate is kept to in pieces of so long a time."""


class Pace:
    """Answers `how much of this, and when`; a switch wakes everything that waits."""

    def __init__(self, mode: Mode) -> None:
        self.mode: Mode = mode
        self._changed = asyncio.Event()
        self._free_at_s = [0.0, 0.0]

    def switch(self, mode: Mode) -> None:
        """Another mode, at once."""
        self.mode = mode
        self._free_at_s = [0.0, 0.0]
        self._changed.set()
        self._changed = asyncio.Event()

    async def bytes_due(self, direction: int, waiting_bytes: int, arrived_s: float) -> int:
        """Wait until something may go on, and say how many bytes, from 1 to `waiting_bytes`.

        `direction` is 0 or 1; `arrived_s` is the monotonic time at which the piece came.
        """
        while True:
            match self.mode:
                case HalfOpen():
                    if await self._held():
                        continue
                case Delay(each_way_ms=each_way_ms):
                    if await self._held(arrived_s + each_way_ms / 1000 - time.monotonic()):
                        continue
                case Drip(byte_every_ms=byte_every_ms):
                    if await self._held(byte_every_ms / 1000):
                        continue
                    return 1
                case Rate(bytes_per_s=bytes_per_s):
                    piece = min(waiting_bytes, max(1, int(bytes_per_s * RATE_PIECE_S)))
                    begins_s = max(time.monotonic(), self._free_at_s[direction])
                    self._free_at_s[direction] = begins_s + piece / bytes_per_s
                    if await self._held(self._free_at_s[direction] - time.monotonic()):
                        continue
                    return piece
            return waiting_bytes

    async def _held(self, seconds: float | None = None) -> bool:
        """Wait that long, None for ever; True when the mode has changed meanwhile."""
        if seconds is not None and seconds <= 0:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
