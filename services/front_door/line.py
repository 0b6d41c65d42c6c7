"""The place in line: how many requests stand before one, from positions that are at most some milliseconds old.

While people are told their place, one task reads the positions fifty times a second, those of all partitions together,
so that an answer costs a subtraction; when nobody has asked for a while it ends.
"""

import asyncio
from typing import Final

from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import StateReader
from services.stream.place import Place

READ_EVERY_S: Final = 0.02
FRESH_S: Final = 0.1
"""How old a position may be (the loop is that late only when it is full of work); an older one is read anew first."""
ANSWER_WITHIN_S: Final = 0.1
"""How long an answer is held for a position: the log has the command, which is what matters."""
WATCH_FOR_S: Final = 0.2
"""How long the positions are still read after the last answer."""


class Line:
    """Tells places in line."""

    def __init__(self, reader: StateReader) -> None:
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._asked_at_s: dict[int, float] = {}
        self._watcher: asyncio.Task[None] | None = None

    def ahead_now(self, place: Place) -> int | None:
        """Requests before this one, 0 where it is decided; None where no position is fresh: see `ahead`."""
        partition, offset = place
        self.watch(partition)
        if self._loop.time() - self._reader.read_at_s(partition) >= FRESH_S:
            return None
        ahead = offset - self._reader.seen(partition)
        return ahead if ahead > 0 else 0

    def watch(self, partition: int) -> None:
        """Keep its position fresh for a while."""
        self._asked_at_s[partition] = self._loop.time()
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch(), name="line")

    def position(self, partition: int) -> tuple[int, float]:
        """The fold's position as it was read last, and when, by the event loop's clock."""
        return self._reader.seen(partition), self._reader.read_at_s(partition)

    async def ahead(self, place: Place) -> int | None:
        """The same from a position that is read now; None where Redis does not tell."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._reader.read(place.partition, ())
        except (CatchingUpError, StateUnavailableError, TimeoutError):
            return None
        return self.ahead_now(place)

    async def _watch(self) -> None:
        try:
            while asked := self._asked_lately():
                await asyncio.sleep(READ_EVERY_S)
                self._reader.look(asked)
        finally:
            self._watcher = None

    def _asked_lately(self) -> list[int]:
        since_s = self._loop.time() - WATCH_FOR_S
        self._asked_at_s = {partition: at_s for partition, at_s in self._asked_at_s.items() if at_s > since_s}
        return list(self._asked_at_s)
