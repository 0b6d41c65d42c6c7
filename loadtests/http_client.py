"""A lean HTTP/1.1 client for load: keep-alive connections, one request at a time on each, bytes in and bytes out.

A general client costs 60–150 µs a request, several times what the front door spends on it: one would measure oneself.
This one costs 12 µs (measured with uvloop, 64 connections, against a server that answers at once). It knows what our
services speak and no more: Content-Length, no chunks, no redirects, no TLS.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from services.platform.errors import MasklineError

CONNECT_TIMEOUT_S: Final = 10.0
SWEEP_S: Final = 0.05
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"
_NONE: Final[Mapping[str, str]] = {}


class NotHttp(MasklineError):
    """{url} is no address of a service: write http://host:port."""


class NoAnswer(MasklineError):
    """{host}:{port} did not answer: {why}. It may have had the request."""


class Response(NamedTuple):
    """An answer. `head` is everything before the body, in lower case."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """A header's value, in lower case; `name` in any case."""
        mark = b"\r\n" + name.lower().encode() + b":"
        at = self.head.find(mark)
        if at < 0:
            return None
        end = self.head.find(b"\r\n", at + 2)
        return self.head[at + len(mark) : end if end >= 0 else None].strip().decode("latin-1")


class HttpClient:
    """Requests to one service over at most `max_connections` connections; who finds none free waits in line.

    A time-out may come up to SWEEP_S late: one look over all connections is cheaper than a timer for each request.
    `comes_from` is the address it has itself, where a service counts by address; empty: the machine's choice.
    """

    def __init__(self, url: str, *, max_connections: int, timeout_s: float, comes_from: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise NotHttp(url=url)
        self.host, self.port = parts.hostname, parts.port or 80
        self._timeout_s = timeout_s
        self._own_address = (comes_from, 0) if comes_from else None
        self._max_connections = max_connections
        self._host_line = f"Host: {parts.netloc}\r\n"
        self._idle: deque[_Connection] = deque()
        self._all: set[_Connection] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweeper: asyncio.Task[None] | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = _NONE, timeout_s: float = 0.0
    ) -> Response:
        """The answer. Raises NoAnswer, also after `timeout_s` (0: the client's own), which begins with the sending."""
        more = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        kind = "Content-Type: application/json\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._host_line}{more}{kind}Content-Length: {len(body)}\r\n\r\n"
        connection = self._idle.pop() if self._idle else await self._place()
        try:
            return await connection.exchange(head.encode("latin-1") + body, timeout_s or self._timeout_s)
        except _BrokenError as error:
            raise self._no_answer(str(error)) from None
        except asyncio.CancelledError:
            connection.abort("given up")  # the answer that may still come is nobody's
            raise
        finally:
            self._free(connection)

    async def open(self, connections: int) -> None:
        """Connect beforehand, so that a measurement does not begin with handshakes."""
        self._idle.extend(await asyncio.gather(*(self._connect() for _ in range(connections - len(self._all)))))

    def close(self) -> None:
        """Drop all connections."""
        for connection in self._all:
            connection.abort("closed")
        self._all.clear()
        self._idle.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def _place(self) -> "_Connection":
        """A connection that is free, or a new one where there may be more."""
        while not self._idle:
            if len(self._all) + self._connecting < self._max_connections:
                return await self._connect()
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._next_turn()
                raise
        return self._idle.pop()

    def _free(self, connection: "_Connection") -> None:
        if connection.is_usable:
            self._idle.append(connection)
        else:
            self._all.discard(connection)
        if self._waiting:
            self._next_turn()

    def _next_turn(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _connect(self) -> "_Connection":
        self._connecting += 1
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._lost), self.host, self.port, local_addr=self._own_address
                )
        except (OSError, TimeoutError) as error:
            self._next_turn()
            raise self._no_answer(str(error) or "it cannot be connected to") from error
        finally:
            self._connecting -= 1
        self._all.add(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep(), name="http-client-sweeper")
        return connection

    def _lost(self, connection: "_Connection") -> None:
        """Closed by the service; one that is in use is let go of by its request."""
        if connection in self._idle:
            self._idle.remove(connection)
            self._all.discard(connection)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = asyncio.get_running_loop().time()
            for connection in list(self._all):
                if connection.deadline_s < now_s:
                    connection.abort("no answer within the time-out")

    def _no_answer(self, why: str) -> NoAnswer:
        return NoAnswer(host=self.host, port=self.port, why=why)


class _BrokenError(Exception):
    """The connection is of no more use; why, in words."""


class _Connection(asyncio.Protocol):
    def __init__(self, on_lost: "Callable[[_Connection], None]") -> None:
        self.deadline_s = math.inf
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._received = b""
        self._head: bytes | None = None
        self._body_bytes = 0

    @property
    def is_usable(self) -> bool:
        return self._transport is not None

    def exchange(self, request: bytes, timeout_s: float) -> "asyncio.Future[Response]":
        loop = self._loop
        answer = self._answer = loop.create_future()
        if self._transport is None:
            self._fail("the connection was closed")
            return answer
        self.deadline_s = loop.time() + timeout_s
        self._transport.write(request)
        return answer

    def abort(self, why: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._fail(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has no such base class

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(str(exc or "the connection was closed"))
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data if self._received else data
        if self._head is None:
            at = received.find(_END_OF_HEAD)
            if at < 0 or not self._read_head(received[: at + 2].lower()):
                return
            received = self._received = received[at + 4 :]
        if len(received) < self._body_bytes:
            return
        head, answer = self._head, self._answer
        self._received, self._head, self._answer, self.deadline_s = b"", None, None, math.inf
        if head is None or b"\r\nconnection: close\r\n" in head:
            self.abort("the service closed it")
        if answer is not None and head is not None and not answer.done():
            answer.set_result(Response(int(head[9:12]), head, received[: self._body_bytes]))

    def _read_head(self, head: bytes) -> bool:
        """Whether it is an answer whose length is known."""
        length = head.find(b"\r\ncontent-length:")
        if not head.startswith(b"http/1.") or (length < 0 and not head.startswith((b"http/1.1 204", b"http/1.1 304"))):
            self.abort("the answer has no length")
            return False
        self._body_bytes = 0 if length < 0 else int(head[length + 17 : head.find(b"\r\n", length + 17)])
        if self._body_bytes > MAX_ANSWER_BYTES:
            self.abort(f"an answer of {self._body_bytes} bytes")
            return False
        self._head = head
        return True

    def _fail(self, why: str) -> None:
        self.deadline_s = math.inf
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(_BrokenError(why))
