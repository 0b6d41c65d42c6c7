"""What goes on right now, once a second, for everybody who watches: one look at log and state serves them all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog
from aiohttp import web

from services.console.campaigns import Campaigns
from services.console.contract import LiveNow, PartitionNow
from services.console.desk import OpsDesk
from services.domain.days import rfc3339, zone
from services.domain.reasons import DoorReason
from services.platform.problems import Problem
from services.state.errors import CatchingUpError, StateUnavailableError
from services.stream.errors import StreamError
from services.stream.partition_reader import LogReader
from services.stream.place import PartitionId

INTERVAL_S: Final = 1.0
LOOK_TIMEOUT_S: Final = 2.0
UTC: Final = zone("UTC")
HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy in front must not collect seconds
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

log = structlog.get_logger(__name__)


class Live:
    """Looks while somebody watches, and not otherwise."""

    def __init__(
        self,
        desk: OpsDesk,
        campaigns: Campaigns,
        log: LogReader,
        *,
        max_watchers: int,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._desk = desk
        self._campaigns = campaigns
        self._log = log
        self._max_watchers = max_watchers
        self._now_ms = now_ms
        self._interval_s = interval_s
        self._watchers = 0
        self._closing = False
        self._looking: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._number = 0
        self._latest = b""

    async def now(self) -> LiveNow:
        """One look. What cannot be looked at is null, and never an old number."""
        partitions = await asyncio.gather(*(self._partition(p) for p in range(self._desk.door.partitions)))
        return LiveNow(
            at=rfc3339(self._now_ms(), UTC), partitions=list(partitions), campaigns=self._campaigns.all_numbers()
        )

    async def watch(self, request: web.BaseRequest) -> web.StreamResponse:
        """Server-sent events until the client or this process ends. Raises Problem `overloaded`."""
        if self._watchers >= self._max_watchers or self._closing:
            raise Problem(DoorReason.OVERLOADED)
        self._watchers += 1
        try:
            response = web.StreamResponse(headers=HEADERS)
            await response.prepare(request)
            await self._send_until_the_end(response)
            return response
        finally:
            self._watchers -= 1

    def close(self) -> None:
        """End every stream: a stop does not wait for people who watch."""
        self._closing = True
        if self._looking is not None:
            self._looking.cancel()
        self._changed.set()

    async def _send_until_the_end(self, response: web.StreamResponse) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_for_watchers(), name="live")
        elif self._latest:
            await response.write(self._latest)
        while not self._closing and not self._looking.done():
            await self._changed.wait()
            if not self._closing:
                await response.write(self._latest)

    async def _look_for_watchers(self) -> None:
        """A look that fails unforeseen ends the streams; whoever watches connects again."""
        try:
            while self._watchers:
                began_s = time.monotonic()
                content = msgspec.json.encode(await self.now())
                self._number += 1
                self._latest = b"id: %d\nevent: live\ndata: %b\n\n" % (self._number, content)
                self._tell()
                await asyncio.sleep(max(0.0, began_s + self._interval_s - time.monotonic()))
        except Exception as error:
            log.error("The live view failed", action="live_failed", exc_info=error)
        finally:
            self._latest = b""
            self._tell()

    def _tell(self) -> None:
        """Wake everybody who waits, once."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _partition(self, partition: int) -> PartitionNow:
        position, tick_ms = await self._position(partition)
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                log_end: int | None = await self._log.log_end(PartitionId(partition))
        except (StreamError, TimeoutError):
            log_end = None
        # The end is looked at after the position, so the difference is never below what was true at one instant.
        lag = None if position is None or log_end is None else max(0, log_end - position)
        return PartitionNow(
            partition=partition,
            position=position,
            log_end=log_end,
            lag=lag,
            last_tick=rfc3339(tick_ms, UTC) if tick_ms else None,
        )

    async def _position(self, partition: int) -> tuple[int | None, int]:
        try:
            head = (await self._desk.door.reader.read(partition, [])).head
        except (CatchingUpError, StateUnavailableError):
            return None, 0
        return head.position, head.tick_ms
