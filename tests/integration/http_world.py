"""An HTTP server with a few routes, and a client that speaks exactly the bytes it is given."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from services.platform.http_answers import Answer, json_answer
from services.platform.http_connections import HttpSettings
from services.platform.http_requests import idempotency_key, prefer_wait_s, read_json
from services.platform.http_server import HttpServer
from services.platform.router import Router

QUICK = HttpSettings(
    slow_request_timeout_s=0.4, slow_reader_timeout_s=0.4, keepalive_timeout_s=30.0, drain_timeout_s=2.0
)
CUT_WITHIN_S = 1.5
"""The limit of 0.4 s, two sweeps, and a busy machine."""


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    slot: str
    units: int
    extra: Any = None


async def book(request: web.BaseRequest) -> Answer:
    key = idempotency_key(request)
    wish = await read_json(request, Wish)
    return json_answer(202, {"key": key, "slot": wish.slot, "units": wish.units, "wait": prefer_wait_s(request)})


async def large(_request: web.BaseRequest) -> Answer:
    return Answer(200, b"x" * 8_000_000)


async def slow_work(_request: web.BaseRequest) -> Answer:
    await asyncio.sleep(0.8)
    return Answer(200, b'"done"')


async def broken(_request: web.BaseRequest) -> Answer:
    raise ValueError("11010519491231002X")


async def refuse(_request: web.BaseRequest) -> Answer:
    return Answer(503, b"{}")


@asynccontextmanager
async def serving(settings: HttpSettings = QUICK) -> AsyncIterator[HttpServer]:
    router = Router()
    router.post("/v1/reservations", book)
    router.post("/refuse", refuse)
    router.get("/large", large)
    router.get("/slow", slow_work)
    router.get("/broken", broken)
    async with HttpServer(router, "127.0.0.1", 0, settings) as server:
        yield server


class Client:
    """A socket that speaks exactly the bytes it is given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, within_s: float = 5.0) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(within_s):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            return int(status_line.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def problem(self, within_s: float = 5.0) -> tuple[int, str]:
        status, headers, body = await self.answer(within_s)
        assert headers["content-type"] == "application/problem+json"
        return status, json.loads(body)["reason"]

    async def closed(self, within_s: float = CUT_WITHIN_S) -> bool:
        try:
            async with asyncio.timeout(within_s):
                return await self.reader.read() == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


@asynccontextmanager
async def client_of(server: HttpServer) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


def posted(body: bytes, *headers: str, path: str = "/v1/reservations") -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: maskline",
        "Idempotency-Key: k-1",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def got(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: maskline\r\n\r\n".encode()


WISH = b'{"slot": "s-1", "units": 2}'


async def seconds_until(wait: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    await wait()
    return time.monotonic() - began
