"""The client of load tests, against servers that behave and servers that do not."""

import asyncio
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtests.http_client import HttpClient, NoAnswer, NotHttp


@asynccontextmanager
async def serving(answer: Callable[[bytes, StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that hands each request's bytes (head and body) to `answer`."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await answer(head + await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def client_of(url: str, connections: int = 2) -> HttpClient:
    return HttpClient(url, max_connections=connections, timeout_s=5.0)


async def test_a_request_arrives_whole_and_its_answer_too() -> None:
    seen = []

    async def answer(request: bytes, writer: StreamWriter) -> None:
        seen.append(request)
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nCONTENT-length: 4\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(b'"}"')

    async with serving(answer) as url:
        client = client_of(url)
        response = await client.request("POST", "/v1/x", b'{"a":1}', {"Idempotency-Key": "k"})
        client.close()
    assert (response.status, response.header("retry-after"), response.body) == (503, "3", b'{"}"')
    assert response.header("location") is None
    assert seen[0].startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nIdempotency-Key: k\r\n" in seen[0]
    assert seen[0].endswith(b'\r\n\r\n{"a":1}')


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback has one address")
async def test_it_comes_from_the_address_it_is_given() -> None:
    peers = []

    async def answer(_: bytes, writer: StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with serving(answer) as url:
        client = HttpClient(url, max_connections=1, timeout_s=5.0, comes_from="127.0.1.7")
        await client.request("GET", "/")
        client.close()
    assert peers == ["127.0.1.7"]


async def test_connections_are_kept_and_never_more_than_allowed() -> None:
    writers = set()

    async def answer(_: bytes, writer: StreamWriter) -> None:
        writers.add(id(writer))
        await asyncio.sleep(0.005)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serving(answer) as url:
        client = client_of(url, connections=3)
        answers = await asyncio.gather(*(client.request("GET", "/") for _ in range(12)))
        client.close()
    assert {each.status for each in answers} == {200}
    assert len(writers) == 3


async def test_a_closed_connection_is_told_and_the_next_request_takes_a_new_one() -> None:
    requests = 0

    async def answer(_: bytes, writer: StreamWriter) -> None:
        nonlocal requests
        requests += 1
        if requests == 1:
            writer.close()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serving(answer) as url:
        client = client_of(url)
        with pytest.raises(NoAnswer, match="closed"):
            await client.request("GET", "/")
        assert (await client.request("GET", "/")).status == 200
        client.close()


async def test_a_service_that_closes_after_its_answer_is_connected_to_again() -> None:
    async def answer(_: bytes, writer: StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    async with serving(answer) as url:
        client = client_of(url)
        assert [(await client.request("GET", "/")).body for _ in range(3)] == [b"ok"] * 3
        client.close()


async def test_an_answer_that_does_not_come_is_told_after_the_time_out() -> None:
    async def answer(_: bytes, writer: StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.close()

    async with serving(answer) as url:
        client = client_of(url)
        with pytest.raises(NoAnswer, match="no answer within"):
            await client.request("GET", "/", timeout_s=0.05)
        client.close()


async def test_who_gives_up_does_not_leave_his_answer_to_the_next() -> None:
    async def answer(request: bytes, writer: StreamWriter) -> None:
        await asyncio.sleep(0.05 if request.startswith(b"GET /slow") else 0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + request[5:9])

    async with serving(answer) as url:
        client = client_of(url, connections=1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.request("GET", "/slow"), 0.01)
        assert (await client.request("GET", "/fast")).body == b"fast"
        client.close()


async def test_nobody_there_is_told_in_words() -> None:
    async with serving(lambda *_: asyncio.sleep(0)) as url:
        pass
    with pytest.raises(NoAnswer, match="did not answer"):
        await client_of(url).request("GET", "/")


def test_an_address_that_is_no_http_address_is_refused() -> None:
    with pytest.raises(NotHttp):
        HttpClient("127.0.0.1:8080", max_connections=1, timeout_s=1.0)
