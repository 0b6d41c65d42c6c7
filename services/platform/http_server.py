"""The one door for HTTP: a listening port, aiohttp behind it, and an orderly end.

    async with HttpServer(router, host, port, settings) as server:
        print(server.port)

What a client may not do to us stands in `http_connections.py`.
"""

from __future__ import annotations

import asyncio
import errno
from typing import Self

from services.platform.errors import MasklineError
from services.platform.http_connections import Connections, Handler, HttpSettings

__all__ = ["CannotListen", "Handler", "HttpServer", "HttpSettings", "PortInUse"]


class PortInUse(MasklineError):
    """Port {port} on {host} is taken by another program. Stop that program, or choose another port."""


class CannotListen(MasklineError):
    """Cannot listen on {host} port {port}: {why}."""


class HttpServer:
    """Serves `handler` until stopped. The handler answers every error itself (`Router` does)."""

    def __init__(self, handler: Handler, host: str, port: int, settings: HttpSettings | None = None) -> None:
        self.settings = settings or HttpSettings()
        self._handler = handler
        self._host = host
        self._port = port
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._connections: Connections | None = None

    @property
    def port(self) -> int:
        """The port that is really open, also where 0 was asked for."""
        return self._port

    @property
    def open_connections(self) -> int:
        return len(self._connections.connections) if self._connections is not None else 0

    async def start(self) -> None:
        """Opens the port. Raises PortInUse, CannotListen."""
        loop = asyncio.get_running_loop()
        self._connections = Connections(self._handler, self.settings)
        try:
            self._listener = await loop.create_server(
                self._connections,
                self._host,
                self._port,
                backlog=self.settings.backlog,
                reuse_port=self.settings.reuse_port or None,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(port=self._port, host=self._host) from error
            raise CannotListen(host=self._host, port=self._port, why=error.strerror or error) from error
        self._port = int(self._listener.sockets[0].getsockname()[1])
        self._sweeper = loop.create_task(self._connections.sweep_for_ever(), name="sweep connections")

    async def stop(self) -> None:
        """Takes no new connection, lets requests in progress finish (at most `drain_timeout_s`), closes the rest."""
        if self._listener is None or self._connections is None or self._sweeper is None:
            return
        self._listener.close()
        self._sweeper.cancel()
        await self._connections.drain(self.settings.drain_timeout_s)
        await self._listener.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
