"""The limits that aiohttp lacks, kept for each connection.

aiohttp waits for ever for the rest of a request, accepts any number of connections, and holds half a megabyte of
headers for each. Here a sweeper looks at all connections four times a second and cuts those that owe us something for
too long: the rest of a header, of a body, or the reading of an answer. What a request pays for it is a look when its
bytes arrive (0.2 µs); the sweep of 10,000 idle connections takes 5 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

import structlog
from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from msgspec import Meta

from services.domain.reasons import DoorReason
from services.platform.http_answers import Answer
from services.platform.languages import DEFAULT_LANGUAGE
from services.platform.problems import problem_answer
from services.platform.settings import Settings

Handler = Callable[[web.BaseRequest], Awaitable[Answer | web.StreamResponse]]

SWEEP_INTERVAL_S = 0.25
LINGERING_S = 1.0
"""How long the rest of a refused body is read and dropped, so that the sender sees the answer and not a reset."""
MAX_HEADERS = 64
MAX_LINE_BYTES = 8_190
READ_BUFFER_BYTES = 64 * 1024
CROWDED = 0.9
"""From this part of `max_connections` on, connections that idle longer than a slow request may take are closed."""

_log = structlog.get_logger()


class HttpSettings(Settings, frozen=True, kw_only=True):
    """Limits of one HTTP server."""

    slow_request_timeout_s: Annotated[
        float, Meta(description="Seconds after which an unfinished header or body is cut.", gt=0)
    ] = 5.0
    slow_reader_timeout_s: Annotated[
        float, Meta(description="Seconds after which a client that does not read its answer is cut.", gt=0)
    ] = 30.0
    min_body_bytes_per_s: Annotated[
        int, Meta(description="A long body may take longer than that if it comes at this rate.", gt=0)
    ] = 16 * 1024
    keepalive_timeout_s: Annotated[float, Meta(description="Seconds that an idle connection is kept open.", gt=0)] = (
        75.0
    )
    max_connections: Annotated[int, Meta(description="More connections than this are answered 503.", gt=0)] = 10_000
    max_header_bytes: Annotated[int, Meta(description="Longer headers are refused.", ge=1024)] = 16 * 1024
    backlog: Annotated[int, Meta(description="Connections that the kernel may hold before we accept them.", gt=0)] = (
        4096
    )
    reuse_port: Annotated[bool, Meta(description="Let several processes share the port (SO_REUSEPORT).")] = False
    drain_timeout_s: Annotated[
        float, Meta(description="Seconds that requests in progress get to finish at the end.", gt=0)
    ] = 10.0


class Connections(web.Server):
    """All open connections of one server."""

    def __init__(self, handler: Handler, settings: HttpSettings) -> None:
        # Answer is what aiohttp asks of a response, not a subclass of it.
        super().__init__(cast("Any", handler))
        self.settings = settings

    def __call__(self) -> Connection:
        return Connection(self, self.settings)

    @property
    def crowded(self) -> bool:
        return len(self._connections) >= CROWDED * self.settings.max_connections

    @property
    def full(self) -> bool:
        return len(self._connections) >= self.settings.max_connections

    async def drain(self, timeout_s: float) -> None:
        """Idle connections close now, the others after their answer, all at the latest when the time is over."""
        transports = list(self._connections.values())
        self.pre_shutdown()
        await self.shutdown(timeout_s)
        for transport in transports:
            transport.close()
        await asyncio.sleep(0)  # lets the sockets close

    async def sweep_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self.sweep(loop.time())

    def sweep(self, now: float) -> None:
        idle_timeout_s = self.settings.slow_request_timeout_s if self.crowded else self.settings.keepalive_timeout_s
        for connection, transport in list(self._connections.items()):
            cast("Connection", connection).cut_if_overdue(now, transport, idle_timeout_s)


class Connection(RequestHandler):
    """One connection, with a memory of what its client owes us and since when."""

    __slots__ = ("_debt", "_debt_bytes", "_debt_since", "_header_bytes", "_header_since", "_newest_body", "_settings")

    def __init__(self, connections: Connections, settings: HttpSettings) -> None:
        super().__init__(
            connections,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=settings.keepalive_timeout_s,
            access_log=cast("Any", None),
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=LINGERING_S,
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=False,  # a few bytes of gzip can be gigabytes
        )
        self._settings = settings
        self._newest_body: StreamReader = EMPTY_PAYLOAD
        self._header_bytes = 0
        self._header_since = 0.0
        self._debt: object = None
        self._debt_bytes = 0
        self._debt_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if cast("Connections", self._manager).full:
            self._force_close = True
            cast("asyncio.Transport", transport).write(_TOO_MANY)
            cast("asyncio.Transport", transport).close()
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        count = self._request_count
        body_goes_on = not self._newest_body.is_eof()
        super().data_received(data)
        if self._request_count != count:
            self._header_bytes = 0
            if self._messages:
                self._newest_body = self._messages[-1][1]
        elif not body_goes_on:
            self._header_goes_on(len(data))

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002  of aiohttp
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Garbage instead of HTTP (400), or an error that the handler let through (500). Closes the connection."""
        if status == 500 and not isinstance(exc, ConnectionError):
            _log.error("A request failed", action="request_failed", exc_info=exc)
        reason = DoorReason.MALFORMED if status == 400 else DoorReason.INTERNAL
        return cast("web.StreamResponse", problem_answer(reason, DEFAULT_LANGUAGE, close=True))

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Ends the connection where the request asked for that; an `Answer` serves many requests and cannot know."""
        _, reset = await super().finish_response(request, resp, start_time)
        return resp if request.keep_alive else cast("web.StreamResponse", _ENDS), reset

    def cut_if_overdue(self, now: float, transport: asyncio.Transport, idle_timeout_s: float) -> None:
        """Called by the sweep."""
        settings = self._settings
        request = self._current_request
        if transport.is_closing() or self.writing_paused:
            if self._owed_for(now, transport, -transport.get_write_buffer_size()) >= settings.slow_reader_timeout_s:
                transport.abort()  # what is still to be sent will never be read
        elif request is not None and not request.content.is_eof():
            if self._owed_for(now, request.content, request.content.total_bytes) >= settings.slow_request_timeout_s:
                self._cut(_TOO_SLOW)
        elif request is None and self._header_bytes:
            if now - self._header_since >= settings.slow_request_timeout_s:
                self._cut(_TOO_SLOW)
        else:
            self._debt = None
            if self._waiter is not None and now - self._idle_since() >= idle_timeout_s:
                self.force_close()

    def _header_goes_on(self, received_bytes: int) -> None:
        """Bytes came that complete no request: the beginning of a header, whose time runs from its first byte."""
        if not self._header_bytes:
            self._header_since = self._loop.time()
        self._header_bytes += received_bytes
        if self._header_bytes > self._settings.max_header_bytes:
            self._cut(_HEADER_TOO_LARGE)

    def _owed_for(self, now: float, debt: object, paid_bytes: int) -> float:
        """Seconds since this debt began, or since as much of it was paid as the least rate asks for."""
        enough = self._settings.min_body_bytes_per_s * self._settings.slow_request_timeout_s
        if debt is not self._debt or paid_bytes - self._debt_bytes >= enough:
            self._debt, self._debt_bytes, self._debt_since = debt, paid_bytes, now
        return now - self._debt_since

    def _idle_since(self) -> float:
        return self._next_keepalive_close_time - self._keepalive_timeout

    def _cut(self, last_words: bytes) -> None:
        """Says why and hears nothing more. Closing at once would reset the connection and take the words with it."""
        transport, self.transport = self.transport, None
        self.force_close()
        if self._current_request is not None:
            self._current_request._cancel(ConnectionResetError("cut by the server"))
        if transport is not None:
            transport.write(last_words)
            transport.write_eof()
            self._loop.call_later(LINGERING_S, transport.close)


def _last_words(reason: DoorReason, status_line: bytes) -> bytes:
    """An answer for a connection that has no request to answer to."""
    answer = problem_answer(reason, DEFAULT_LANGUAGE)
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%bConnection: close\r\n\r\n%b" % (
        status_line,
        answer.content_type,
        len(answer.body),
        answer.headers,
        answer.body,
    )


_ENDS = Answer(200, close=True)
_TOO_SLOW = _last_words(DoorReason.TOO_SLOW, b"408 Request Timeout")
_TOO_MANY = _last_words(DoorReason.OVERLOADED, b"503 Service Unavailable")
_HEADER_TOO_LARGE = _last_words(DoorReason.TOO_LARGE, b"431 Request Header Fields Too Large")
