"""Events go out in order, one batch in flight, again and again until they are acknowledged."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.allocator import publisher as publisher_module
from services.allocator.publisher import MAX_QUEUED_BATCHES, Decided, Publisher
from services.domain.commands import Command
from services.domain.events import decode, place_of
from services.domain.rows import Facts
from services.stream.errors import LogReconnected
from services.stream.fake import FakeLog, FakeProducer
from services.stream.place import PartitionId
from services.stream.topics import EVENTS
from tests import builders as b

P = PartitionId(0)
ACK_TIMEOUT_S = 0.05


class World:
    """An events topic and the publisher that writes to it."""

    def __init__(self, published: int = 0) -> None:
        self.log = FakeLog(partitions=1)
        self.producer = FakeProducer(self.log)
        self.publisher = Publisher(
            self.producer, P, b.LOG, published, ack_timeout_s=ACK_TIMEOUT_S, now_ms=lambda: b.NOON_MS
        )

    @property
    def written(self) -> list[bytes]:
        return [record.value for record in self.log.records[EVENTS, P]]

    @property
    def offsets(self) -> list[int]:
        """Which decision each written event is of."""
        return [place_of(decode(value).id)[2] for value in self.written]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():
                await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a thousandth: what is tested is that it tries again, not how long it waits."""
    monkeypatch.setattr(publisher_module, "RETRY_PAUSE_S", 0.001)
    monkeypatch.setattr(publisher_module, "MAX_RETRY_PAUSE_S", 0.002)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    running = asyncio.create_task(world.publisher.run())
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def decided(start: int, count: int, gone: int = 0) -> Decided:
    """Bookings that were all confirmed; the recorded decisions of the first `gone` are no longer there."""
    commands: list[Command] = [b.reserve(f"resident {offset}") for offset in range(start, start + count)]
    facts: list[Facts | bool] = [b.confirmed(offset) for offset in range(start, start + count)]
    return Decided(start, [b.NOON_MS] * count, commands, [*[False] * gone, *facts[gone:]])


async def test_every_decision_is_published_in_order(world: World) -> None:
    for start in (0, 5, 10):
        await world.publisher.publish(decided(start, 5))
    await world.until(lambda: world.publisher.published == 15)
    assert world.offsets == list(range(15))
    event = decode(world.written[7])
    assert (event.id, event.type, event.ordinal) == (f"{b.LOG}:0:7:0", "confirmed", 7)
    assert event.contact == b.reserve("resident 7").contact


async def test_published_moves_only_once_the_events_are_acknowledged(world: World) -> None:
    world.producer.loses_acknowledgements = True
    await world.publisher.publish(decided(0, 5))
    await world.until(lambda: len(world.written) >= 10)
    assert world.publisher.published == 0
    world.producer.loses_acknowledgements = False
    await world.until(lambda: world.publisher.published == 5)


@pytest.mark.parametrize("fault", ["loses_acknowledgements", "fails_after_writing"])
async def test_what_may_have_been_written_is_written_again_with_the_same_bytes_and_nothing_overtakes_it(
    world: World, fault: str
) -> None:
    setattr(world.producer, fault, True)
    await world.publisher.publish(decided(0, 3))
    await world.until(lambda: len(world.written) > 3)
    await world.publisher.publish(decided(3, 3))
    await world.until(lambda: len(world.written) > 9)
    setattr(world.producer, fault, False)
    await world.until(lambda: world.publisher.published == 6)
    repeats = world.offsets.index(3)
    assert world.offsets == [*[0, 1, 2] * (repeats // 3), 3, 4, 5]
    assert repeats >= 9
    assert len(set(world.written)) == 6


async def test_it_waits_while_kafka_is_away_and_loses_nothing(world: World) -> None:
    world.producer.is_down = True
    await world.publisher.publish(decided(0, 5))
    await asyncio.sleep(0.02)
    assert (world.written, world.publisher.published) == ([], 0)
    world.producer.is_down = False
    await world.until(lambda: world.publisher.published == 5)
    assert world.offsets == [0, 1, 2, 3, 4]


async def test_one_batch_is_in_flight_and_what_waits_goes_together(world: World) -> None:
    world.producer.delay_s = 0.01
    for start in range(0, 50, 5):
        await world.publisher.publish(decided(start, 5))
    await world.until(lambda: world.publisher.published == 50)
    assert world.offsets == list(range(50))
    assert len(world.producer.batches) <= 3


async def test_what_is_published_already_is_left_out() -> None:
    world = World(published=7)
    running = asyncio.create_task(world.publisher.run())
    await world.publisher.publish(decided(0, 5))
    await world.publisher.publish(decided(5, 5))
    await world.until(lambda: world.publisher.published == 10)
    running.cancel()
    assert world.offsets == [7, 8, 9]


async def test_a_decision_that_is_gone_was_published_by_somebody(world: World) -> None:
    await world.publisher.publish(decided(0, 5, gone=2))
    await world.until(lambda: world.publisher.published == 5)
    assert world.offsets == [2, 3, 4]


async def test_a_batch_in_which_everything_is_gone_is_published(world: World) -> None:
    await world.publisher.publish(decided(0, 5, gone=5))
    await world.until(lambda: world.publisher.published == 5)
    assert world.written == []


async def test_folding_waits_where_publishing_falls_behind(world: World) -> None:
    world.producer.is_down = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            for number in range(2 * MAX_QUEUED_BATCHES + 2):  # one queue in its hands, one waiting
                await world.publisher.publish(decided(number, 1))
    world.producer.is_down = False
    await world.until(lambda: world.publisher.published >= MAX_QUEUED_BATCHES)
    assert world.offsets == list(range(len(world.offsets)))


async def test_nothing_is_published_over_a_new_connection_before_the_log_was_looked_at(world: World) -> None:
    world.producer.has_reconnected = True
    publisher = Publisher(world.producer, P, b.LOG, 0, ack_timeout_s=ACK_TIMEOUT_S, now_ms=lambda: b.NOON_MS)
    await publisher.publish(decided(0, 5))
    with pytest.raises(LogReconnected):
        await publisher.run()
    assert (world.written, publisher.published) == ([], 0)
