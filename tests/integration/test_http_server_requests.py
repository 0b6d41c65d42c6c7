"""Ordinary, huge, deep and garbage requests (F13) on real sockets, without a proxy in front."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.integration.http_world import WISH, client_of, got, posted, serving

# The ordinary


async def test_requests_follow_each_other_on_one_connection() -> None:
    async with serving() as server, client_of(server) as client:
        for _ in range(3):
            client.send(posted(WISH, "Prefer: wait=7"))
            status, _, body = await client.answer()
            assert (status, json.loads(body)) == (202, {"key": "k-1", "slot": "s-1", "units": 2, "wait": 7})


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(b"".join(posted(b'{"slot": "s-%d", "units": 1}' % number) for number in range(50)))
        slots = [json.loads((await client.answer())[2])["slot"] for _ in range(50)]
        assert slots == [f"s-{number}" for number in range(50)]


async def test_a_request_in_single_bytes_is_a_request_if_it_comes_in_time() -> None:
    async with serving() as server, client_of(server) as client:
        for byte in posted(WISH):
            client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 202


async def test_a_client_that_asks_before_sending_its_body_is_told_to_go_on() -> None:
    async with serving() as server, client_of(server) as client:
        head, _, body = posted(WISH, "Expect: 100-continue").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        client.send(body)
        assert (await client.answer())[0] == 202


async def test_a_client_that_wants_its_connection_closed_gets_that() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(WISH, "Connection: close"))
        _, headers, _ = await client.answer()
        assert headers["connection"] == "close"
        assert await client.closed()


async def test_an_old_client_is_served_and_closed() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(WISH).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await client.answer())[0] == 202
        assert await client.closed()


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(got("/large").replace(b"GET", b"HEAD"))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"Content-Length: 8000000" in head
        client.send(posted(WISH))
        assert (await client.answer())[0] == 202


# Huge and deep


async def test_a_huge_body_is_refused_before_it_is_sent() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(b"", "Expect: 100-continue").replace(b"Content-Length: 0", b"Content-Length: 5000000"))
        assert await client.problem() == (413, "too_large")
        assert await client.closed()


async def test_the_sender_of_a_huge_body_sees_the_answer() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(b"x" * 2_000_000))
        assert await client.problem() == (413, "too_large")


async def test_a_huge_body_without_a_length_is_refused_when_it_grows_too_long() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b""))
        client.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        await asyncio.sleep(0.05)
        client.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        assert await client.problem() == (413, "too_large")


async def test_the_longest_body_that_is_allowed_is_read() -> None:
    async with serving() as server, client_of(server) as client:
        body = WISH.ljust(16 * 1024)
        client.send(posted(body))
        assert (await client.answer())[0] == 202
        client.send(posted(body + b" "))
        assert await client.problem() == (413, "too_large")


@pytest.mark.parametrize("lines", [1, 100])
async def test_an_endless_header_is_refused(lines: int) -> None:
    async with serving() as server, client_of(server) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        for number in range(lines):
            client.send(b"X-%d: " % number + b"x" * (40_000 // lines) + b"\r\n")
            await asyncio.sleep(0)
        status, _ = await client.problem()
        assert status in (400, 431)
        assert await client.closed()


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
async def test_deep_json_is_malformed_and_harms_nobody(opening: bytes) -> None:
    async with serving() as server, client_of(server) as client:
        deep = b'{"slot": "s", "units": 1, "extra": ' + opening * (15_000 // len(opening))
        client.send(posted(deep))
        assert await client.problem() == (400, "malformed")
        client.send(posted(WISH))
        assert (await client.answer())[0] == 202


async def test_a_refusal_before_the_body_is_read_keeps_the_connection_in_step() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(b"x" * 10_000, path="/refuse"))
        assert (await client.answer())[0] == 503
        client.send(posted(WISH))
        assert (await client.answer())[0] == 202


# Garbage


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00" * 100,
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
    ],
)
async def test_garbage_is_a_malformed_request(garbage: bytes) -> None:
    async with serving() as server, client_of(server) as client:
        client.send(garbage)
        assert await client.problem() == (400, "malformed")
        assert await client.closed()


async def test_compressed_bodies_are_not_unpacked() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"))
        assert await client.problem() == (400, "malformed")


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind() -> None:
    async with serving() as server:
        async with client_of(server) as client:
            client.send(posted(WISH)[:-5])
            await asyncio.sleep(0.05)
        async with asyncio.timeout(2):
            while server.open_connections:
                await asyncio.sleep(0.01)
        assert server.open_connections == 0


async def test_an_error_in_a_handler_is_our_mistake_and_tells_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    async with serving() as server, client_of(server) as client:
        client.send(got("/broken"))
        status, _, body = await client.answer()
        assert (status, json.loads(body)["reason"]) == (500, "internal_error")
        assert b"11010519491231002X" not in body
