"""Slow, idle and too many clients (F13): the server alone, on real sockets, without a proxy in front."""

from __future__ import annotations

import asyncio
import socket

import msgspec
import pytest
from aiohttp import web

from services.platform.http_answers import Answer
from services.platform.http_connections import Connection
from services.platform.http_server import CannotListen, HttpServer, PortInUse
from tests.integration.http_world import CUT_WITHIN_S, QUICK, WISH, book, client_of, got, posted, seconds_until, serving

# Slow


@pytest.mark.safety
async def test_a_slow_header_is_cut_in_time() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(b"POST /v1/reservations HTTP/1.1\r\nHost: mask")
        assert await seconds_until(client.problem) <= CUT_WITHIN_S
        assert await client.closed()


async def test_a_header_that_drips_is_cut_although_bytes_keep_coming() -> None:
    async with serving() as server, client_of(server) as client:

        async def drip() -> None:
            for byte in posted(WISH):
                client.send(bytes([byte]))
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        assert await client.problem(CUT_WITHIN_S) == (408, "too_slow")
        dripping.cancel()


async def test_a_slow_header_after_a_served_request_is_cut_too() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(WISH))
        assert (await client.answer())[0] == 202
        client.send(b"POST /v1")
        assert await client.problem(CUT_WITHIN_S) == (408, "too_slow")


@pytest.mark.safety
async def test_a_slow_body_is_cut_in_time() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(WISH)[:-5])
        assert await client.problem(CUT_WITHIN_S) == (408, "too_slow")
        assert await client.closed()


async def test_a_body_that_drips_is_cut_although_bytes_keep_coming() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(posted(b"x" * 10_000)[:-10_000])

        async def drip() -> None:
            while True:
                client.send(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        assert await client.problem(CUT_WITHIN_S) == (408, "too_slow")
        dripping.cancel()


@pytest.mark.control
async def test_without_the_sweep_a_slow_header_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "cut_if_overdue", lambda *_: None)
    async with serving() as server, client_of(server) as client:
        client.send(b"POST /v1/reservations HTTP/1.1\r\nHost: mask")
        assert not await client.closed()


async def test_work_that_takes_long_is_not_a_slow_client() -> None:
    async with serving() as server, client_of(server) as client:
        client.send(got("/slow"))
        assert (await client.answer())[0] == 200


async def test_a_client_that_does_not_read_its_answer_is_cut() -> None:
    async with serving() as server:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(got("/large"))
            async with asyncio.timeout(5):
                while server.open_connections == 0:
                    await asyncio.sleep(0.01)
                while server.open_connections:
                    await asyncio.sleep(0.01)
            assert server.open_connections == 0


# Many


async def test_hundreds_of_idle_connections_do_not_slow_a_request() -> None:
    async with serving() as server:
        idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(400)]
        async with client_of(server) as client:

            async def one() -> None:
                client.send(posted(WISH))
                assert (await client.answer())[0] == 202

            assert await seconds_until(one) < 0.5
        for _, writer in idle:
            writer.close()


async def test_one_connection_too_many_is_told_so() -> None:
    async with (
        serving(msgspec.structs.replace(QUICK, max_connections=2)) as server,
        client_of(server) as one,
        client_of(server) as two,
        client_of(server) as three,
    ):
        one.send(posted(WISH))
        two.send(posted(WISH))
        assert [(await client.answer())[0] for client in (one, two)] == [202, 202]
        assert await three.problem() == (503, "overloaded")
        assert await three.closed()


async def test_idle_connections_make_room_when_it_gets_crowded() -> None:
    async with serving(msgspec.structs.replace(QUICK, max_connections=2)) as server, client_of(server) as one:
        async with client_of(server) as two:
            assert await one.closed()
            assert await two.closed()
        async with client_of(server) as late:
            late.send(posted(WISH))
            assert (await late.answer())[0] == 202


async def test_an_idle_connection_is_kept_for_its_time_and_no_longer() -> None:
    async with serving(msgspec.structs.replace(QUICK, keepalive_timeout_s=1.2)) as server, client_of(server) as client:
        client.send(posted(WISH))
        assert (await client.answer())[0] == 202
        assert not await client.closed(within_s=0.8)
        assert await client.closed(within_s=2.0)


# Beginning and end


async def test_a_port_in_use_is_named() -> None:
    async with serving() as server:
        with pytest.raises(PortInUse, match=f"Port {server.port} on 127.0.0.1 is taken"):
            await HttpServer(book, "127.0.0.1", server.port).start()


async def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1"):
        await HttpServer(book, "192.0.2.1", 0).start()


async def test_requests_in_progress_finish_before_the_end_and_idle_connections_close() -> None:
    async with serving() as server, client_of(server) as idle, client_of(server) as busy:
        busy.send(got("/slow"))
        await asyncio.sleep(0.1)
        await server.stop()
        assert (await busy.answer())[0] == 200
        assert await idle.closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)


async def test_the_end_does_not_wait_longer_than_it_may() -> None:
    async def forever(_request: web.BaseRequest) -> Answer:
        await asyncio.sleep(3600)
        raise AssertionError

    server = HttpServer(forever, "127.0.0.1", 0, msgspec.structs.replace(QUICK, drain_timeout_s=0.2))
    await server.start()
    async with client_of(server) as client:
        client.send(got("/"))
        await asyncio.sleep(0.05)
        assert await seconds_until(server.stop) < 2
        assert await client.closed()
