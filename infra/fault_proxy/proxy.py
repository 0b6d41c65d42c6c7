"""One listener, one target, and the mode of the moment."""

import asyncio
from types import TracebackType
from typing import Final

from infra.fault_proxy.link import Link
from infra.fault_proxy.modes import BlackHole, Mode, Pass, Refuse, Reset
from infra.fault_proxy.pace import Pace

LOOPBACK: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 1_024
BACKLOG: Final = 128


class FaultProxy:
    """Connections to `listens_at` end at `target`, both on loopback; `connections` counts those that are open."""

    def __init__(self, *, listens_at: int, target: int, max_connections: int = MAX_CONNECTIONS) -> None:
        self._listens_at = listens_at
        self._target = target
        self._max_connections = max_connections
        self._pace = Pace(Pass())
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._switching = asyncio.Lock()
        self.turned_away = 0
        """Connections beyond the bound, each ended with an RST."""

    async def __aenter__(self) -> "FaultProxy":
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connections(self) -> int:
        """How many are open, on the listener's side."""
        return len(self._links)

    async def switch(self, mode: Mode) -> None:
        """From now on so, for everything that is not yet passed on. Raises OSError where the port is taken by now."""
        async with self._switching:
            if isinstance(mode, Refuse):
                self._stop_listening()
            else:
                await self._listen()
            if isinstance(mode, BlackHole):
                for link in self._links:
                    link.is_lost = True
            self._pace.switch(mode)
            if isinstance(mode, Reset):
                for link in self._links:
                    link.reset()

    async def open(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        async with self._switching:
            await self._listen()

    async def close(self) -> None:
        """No listener, no connection."""
        self._stop_listening()
        tasks = list(self._links.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, LOOPBACK, self._listens_at, backlog=BACKLOG, limit=Link.MAX_READ_BYTES
            )

    def _stop_listening(self) -> None:
        # Not wait_closed: that waits for the connections as well, which may be half-open.
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self._pace, self._target, reader, writer)
        if len(self._links) >= self._max_connections or isinstance(self._pace.mode, Reset):
            self.turned_away += len(self._links) >= self._max_connections
            link.reset()
            return
        task = asyncio.create_task(link.run())
        self._links[link] = task
        task.add_done_callback(lambda _: self._links.pop(link, None))
