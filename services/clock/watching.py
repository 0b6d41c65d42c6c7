"""What the clock sees of each partition: how long accepted commands wait for their decision, how late the fold's time
is, and how many copies of the log are in step.

Allocators tell of what they decide, and are silent exactly when they do not. A tick is a command like everybody's, and
whatever was accepted before it stands before it: the oldest tick that is not decided is as old as the oldest command
that is not, to a second.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from services.platform.metrics import (
    FOLD_AHEAD_SECONDS,
    LOG_REPLICAS,
    LOG_REPLICAS_IN_SYNC,
    TICK_AGE_SECONDS,
    UNDECIDED_AGE_SECONDS,
)
from services.state.readers import StateReader
from services.stream.copies import Copies
from services.stream.errors import LogUnavailable
from services.stream.place import Offset, PartitionId, Place

LOOK_S: Final = 1.0
COPIES_LOOK_S: Final = 5.0
MAX_TICKS: Final = 3_600
"""Ticks that are remembered of a partition; when it has been still for longer, its oldest one tells enough."""

log = structlog.get_logger(__name__)


class AsksForCopies(Protocol):
    """`services.stream.copies.LogCopies`."""

    async def look(self) -> Mapping[PartitionId, Copies]:
        """Of each partition. Raises LogUnavailable."""


class Watch:
    """Looks once a second. `last_tick` is the place of the newest tick that the log has acknowledged."""

    def __init__(
        self,
        reader: StateReader,
        partitions: int,
        last_tick: Callable[[int], Place | None],
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._reader: Final = reader
        self._partitions: Final = range(partitions)
        self._last_tick: Final = last_tick
        self._now_s: Final = now_s
        self._ticks: Final = [deque[tuple[Offset, float]]() for _ in self._partitions]

    def look(self) -> None:
        """Tell what is known now, and begin to ask Redis for the next time."""
        now_s = self._now_s()
        for partition in self._partitions:
            UNDECIDED_AGE_SECONDS.labels(partition).set(self._undecided_age_s(partition, now_s))
            head = self._reader.known(partition)
            if head is not None:
                TICK_AGE_SECONDS.labels(partition).set(max(0.0, now_s - head.tick_ms / 1000))
                FOLD_AHEAD_SECONDS.labels(partition).set(max(0.0, head.now_ms / 1000 - now_s))
        self._reader.look(self._partitions)

    def _undecided_age_s(self, partition: int, now_s: float) -> float:
        ticks = self._ticks[partition]
        newest = self._last_tick(partition)
        if newest is not None and (not ticks or newest.offset > ticks[-1][0]) and len(ticks) < MAX_TICKS:
            ticks.append((newest.offset, now_s))
        decided = self._reader.seen(partition)
        while ticks and ticks[0][0] < decided:
            ticks.popleft()
        return max(0.0, now_s - ticks[0][1]) if ticks else 0.0


class CopiesWatch:
    """Tells how many copies of the commands are in step; a log that does not say has none."""

    def __init__(self, copies: AsksForCopies, partitions: int) -> None:
        self._copies: Final = copies
        self._partitions: Final = range(partitions)
        self._is_low = False

    async def look(self) -> None:
        """Ask once."""
        try:
            found = await self._copies.look()
        except LogUnavailable:
            found = {}
        for partition in self._partitions:
            copies = found.get(PartitionId(partition))
            LOG_REPLICAS_IN_SYNC.labels(partition).set(0 if copies is None else copies.in_sync)
            if copies is not None:
                LOG_REPLICAS.labels(partition).set(copies.replicas)
        lacking = [p for p, copies in found.items() if copies.in_sync < copies.replicas]
        if bool(lacking) != self._is_low:
            self._is_low = bool(lacking)
            told = log.warning if lacking else log.info
            told("Copies of the log", action="log_copies", partitions_that_lack_some=lacking)
