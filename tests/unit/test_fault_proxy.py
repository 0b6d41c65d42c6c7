"""The TCP fault proxy, mode by mode, between real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from infra.fault_proxy.modes import BlackHole, Delay, Drip, HalfOpen, Pass, Rate, Refuse, Reset
from infra.fault_proxy.proxy import FaultProxy
from infra.launcher.ports import free_ports

ANSWER_TIMEOUT_S = 5.0
SILENCE_S = 0.2
MAX_CONNECTIONS = 8


@dataclass
class World:
    """A server that sends back what it gets, behind a proxy."""

    proxy: FaultProxy
    port: int
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> "Caller":
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return Caller(reader, writer)

    async def echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        except OSError:  # a story of this file
            pass
        finally:
            writer.close()


@dataclass
class Caller:
    """A connection through the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def asks(self, what: bytes) -> float:
        """Seconds until all of it has come back."""
        began_s = time.monotonic()
        self.writer.write(what)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            assert await self.reader.readexactly(len(what)) == what
        return time.monotonic() - began_s

    async def hears_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await self.reader.read(1)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    listens_at, target = free_ports(2)
    proxy = FaultProxy(listens_at=listens_at, target=target, max_connections=MAX_CONNECTIONS)
    world = World(proxy, listens_at)
    server = await asyncio.start_server(world.echo, "127.0.0.1", target)
    async with proxy:
        yield world
        for writer in world.writers:
            writer.close()
    server.close()
    await asyncio.sleep(0)


async def test_what_passes_is_unchanged_and_an_end_goes_through(world: World) -> None:
    caller = await world.connect()
    await caller.asks(bytes(range(256)) * 4_000)
    caller.writer.write_eof()
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        assert await caller.reader.read() == b""
        while world.proxy.connections:
            await asyncio.sleep(0.01)


async def test_a_delay_holds_each_way_and_pieces_are_under_way_together(world: World) -> None:
    caller = await world.connect()
    await world.proxy.switch(Delay(each_way_ms=100))
    assert 0.2 <= await caller.asks(b"one") < 1
    began_s = time.monotonic()
    for number in range(20):
        caller.writer.write(bytes([number]))
        await asyncio.sleep(0.005)
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        assert await caller.reader.readexactly(20) == bytes(range(20))
    assert time.monotonic() - began_s < 1.5  # one after the other would take 4 s


async def test_a_rate_is_shared_by_all_connections(world: World) -> None:
    one, other = await world.connect(), await world.connect()
    await world.proxy.switch(Rate(bytes_per_s=40_000))
    took_s = await asyncio.gather(one.asks(bytes(10_000)), other.asks(bytes(10_000)))
    assert 0.45 <= max(took_s) < 1.5


async def test_a_drip_is_a_byte_after_the_other_and_a_switch_lets_the_rest_go(world: World) -> None:
    caller = await world.connect()
    await world.proxy.switch(Drip(byte_every_ms=20))
    assert await caller.asks(bytes(10)) >= 0.2
    slow = asyncio.create_task(caller.asks(bytes(5_000)))  # 100 s
    await asyncio.sleep(SILENCE_S)
    assert not slow.done()
    await world.proxy.switch(Pass())
    assert await slow < 2


async def test_half_open_accepts_and_passes_nothing_on_and_what_waits_goes_on_later(world: World) -> None:
    before = await world.connect()
    await before.asks(b"it works")
    await world.proxy.switch(HalfOpen())
    after = await world.connect()
    for caller in (before, after):
        caller.writer.write(b"held")
        await caller.hears_nothing()
    await world.proxy.switch(Pass())
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        assert [await caller.reader.readexactly(4) for caller in (before, after)] == [b"held", b"held"]


async def test_a_black_hole_has_what_was_connected_for_good_and_new_connections_pass(world: World) -> None:
    before = await world.connect()
    await before.asks(b"it works")
    await world.proxy.switch(BlackHole())
    before.writer.write(b"lost")
    await before.hears_nothing()
    await (await world.connect()).asks(b"new")
    await world.proxy.switch(Pass())
    await before.hears_nothing()


async def test_a_reset_ends_what_is_connected_and_every_new_one_with_an_rst(world: World) -> None:
    before = await world.connect()
    await before.asks(b"it works")
    await world.proxy.switch(Reset())
    with pytest.raises(ConnectionResetError):
        await before.reader.read(1)
    with pytest.raises(ConnectionResetError):
        await (await world.connect()).reader.read(1)
    await world.proxy.switch(Pass())
    await (await world.connect()).asks(b"new")


async def test_refuse_leaves_what_is_connected_and_nobody_listens(world: World) -> None:
    before = await world.connect()
    await before.asks(b"it works")
    await world.proxy.switch(Refuse())
    with pytest.raises(ConnectionRefusedError):
        await world.connect()
    await before.asks(b"still")
    await world.proxy.switch(Pass())
    await (await world.connect()).asks(b"new")


async def test_a_target_that_is_not_there_is_a_reset() -> None:
    nobody, listens_at = free_ports(2)
    async with FaultProxy(listens_at=listens_at, target=nobody):
        reader, writer = await asyncio.open_connection("127.0.0.1", listens_at)
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()


async def test_a_sender_is_held_back_when_the_buffers_are_full(world: World) -> None:
    caller = await world.connect()
    await caller.asks(b"it works")
    await world.proxy.switch(HalfOpen())
    piece = bytes(65_536)
    sent = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SILENCE_S):
            while sent < 100_000_000:
                caller.writer.write(piece)
                sent += len(piece)
                await caller.writer.drain()
    assert sent < 20_000_000


async def test_connections_are_bounded_and_one_beyond_is_reset(world: World) -> None:
    callers = [await world.connect() for _ in range(MAX_CONNECTIONS)]
    await asyncio.gather(*[caller.asks(b"in") for caller in callers])
    with pytest.raises(ConnectionResetError):
        await (await world.connect()).reader.read(1)
    assert (world.proxy.connections, world.proxy.turned_away) == (MAX_CONNECTIONS, 1)
