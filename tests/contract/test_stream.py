"""What the rest of the house relies on in a log: one contract, held by the fake in memory and by a real broker."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.embedded.stores import running_broker
from infra.local.running import RunningKafka
from services.domain import commands
from services.stream.client import start_admin
from services.stream.errors import NotAssigned, PositionOutsideLog, RecordTooLarge
from services.stream.fake import FakeLog, FakeProducer, FakeReader
from services.stream.genesis import (
    CLOCKS_APART_MS,
    AnotherKey,
    ClocksApart,
    GenesisMissing,
    ensure_genesis,
    read_genesis,
)
from services.stream.group_commit import GroupCommit, GroupCommitSettings
from services.stream.log_producer import Acknowledged, BatchProducer, LogProducer, append
from services.stream.partition_reader import LogReader, PartitionReader
from services.stream.place import Offset, PartitionId, Place
from services.stream.topics import COMMANDS, EVENTS, ensure_topics
from tests.real.stores import Kafka, cleared

PARTITIONS = 2
FIRST, SECOND = PartitionId(0), PartitionId(1)
KEY_CHECK = "k" * 16
NOW_MS = 1_580_558_400_000
HOUR_MS = 3_600_000
YEAR_MS = 366 * 86_400_000


@dataclass
class World:
    """An empty log and what writes and reads it."""

    producer: BatchProducer
    new_reader: Callable[[str], LogReader]
    now_ms: int = NOW_MS
    puts_own_time: bool = False
    """As Apache Kafka does with LogAppendTime; the others keep the writer's."""

    async def write(self, *values: bytes, partition: PartitionId = FIRST, topic: str = COMMANDS) -> Place:
        return await append(self.producer, topic, partition, values, timestamp_ms=self.now_ms, ack_timeout_s=5.0)


@pytest.fixture(
    params=[
        "fake",
        pytest.param("tansu", marks=pytest.mark.embedded),
        pytest.param("kafka", marks=pytest.mark.real),
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "fake":
        log = FakeLog(partitions=PARTITIONS)
        yield World(FakeProducer(log), lambda topic: FakeReader(log, topic))
    elif request.param == "tansu":
        with running_broker(tmp_path) as address:
            async with connected(address, replicas=1) as world:
                yield world
    else:
        brokers: RunningKafka = request.getfixturevalue("three_brokers")  # asked for here: the others need no Java
        await cleared(brokers.addresses)
        async with connected(brokers.addresses, replicas=3) as world:
            world.now_ms, world.puts_own_time = int(time.time() * 1000), True
            yield world


@asynccontextmanager
async def connected(address: str, replicas: int) -> AsyncIterator[World]:
    readers: list[LogReader] = []
    settings = Kafka(address)

    def reading(topic: str) -> LogReader:
        readers.append(PartitionReader(settings, topic))
        return readers[-1]

    admin = await start_admin(settings)
    try:
        await ensure_topics(admin, PARTITIONS, replicas)
    finally:
        await admin.close()
    producer = await LogProducer.start(settings)
    yield World(producer, reading)
    for reader in readers:
        await reader.stop()
    await producer.stop()


@pytest.fixture
async def commit(world: World) -> AsyncIterator[GroupCommit]:
    group = GroupCommit(world.producer, COMMANDS, [FIRST, SECOND], GroupCommitSettings(max_batch_records=100))
    running = asyncio.create_task(group.run())
    yield group
    await group.stop()
    await running


@pytest.fixture
async def reader(world: World) -> LogReader:
    reader = world.new_reader(COMMANDS)
    await reader.assign([FIRST, SECOND])
    reader.seek(FIRST, Offset(0))
    reader.seek(SECOND, Offset(0))
    return reader


async def everything(reader: LogReader, partition: PartitionId, count: int) -> list[bytes]:
    values: list[bytes] = []
    while len(values) < count:
        records = await reader.fetch(partition, timeout_ms=5_000)
        assert records, f"{len(values)} of {count} records within 5 s"
        values += [record.value for record in records]
    return values


async def test_each_command_is_answered_with_its_own_place(commit: GroupCommit, reader: LogReader) -> None:
    wanted = [b"%d" % number for number in range(350)]
    places = await asyncio.gather(*[commit.offer(FIRST, value) for value in wanted])
    assert places == [Place(FIRST, Offset(at)) for at in range(350)]
    assert await everything(reader, FIRST, 350) == wanted


async def test_partitions_are_independent_orders(commit: GroupCommit, reader: LogReader) -> None:
    places = await asyncio.gather(*[commit.offer(PartitionId(number % 2), b"%d" % number) for number in range(10)])
    assert [place.offset for place in places] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert await everything(reader, SECOND, 5) == [b"1", b"3", b"5", b"7", b"9"]


async def test_a_batch_too_large_for_one_is_written_as_several_in_order(world: World, reader: LogReader) -> None:
    wanted = [bytes([65 + number]) * 300_000 for number in range(5)]
    place = await world.write(*wanted)
    assert place == Place(FIRST, Offset(0))
    assert await everything(reader, FIRST, 5) == wanted


async def test_a_record_no_batch_can_hold_is_refused_before_anything_is_kept(
    commit: GroupCommit, world: World, reader: LogReader
) -> None:
    with pytest.raises(RecordTooLarge):
        commit.offer(FIRST, b"x" * 600_000)
    with pytest.raises(RecordTooLarge):
        await world.write(b"small", b"x" * 600_000)
    assert commit.pending(FIRST) == 0
    assert await reader.log_end(FIRST) == 0


async def test_an_empty_log_starts_and_ends_at_zero(reader: LogReader) -> None:
    assert (await reader.log_start(FIRST), await reader.log_end(FIRST)) == (0, 0)


async def test_the_end_counts_every_record_of_the_last_batch(world: World, reader: LogReader) -> None:
    await world.write(b"a", b"b")
    await world.write(b"c", b"d", b"e")
    assert await reader.log_end(FIRST) == 5
    assert await reader.log_end(SECOND) == 0
    await world.write(b"f")
    assert await reader.log_end(FIRST) == 6


async def test_asking_for_the_end_does_not_move_the_reading(world: World, reader: LogReader) -> None:
    await world.write(b"a", b"b")
    assert await everything(reader, FIRST, 2) == [b"a", b"b"]
    await world.write(b"c")
    assert await reader.log_end(FIRST) == 3
    assert await everything(reader, FIRST, 1) == [b"c"]


async def test_reading_goes_on_from_wherever_it_is_sought(world: World, reader: LogReader) -> None:
    await world.write(*[b"%d" % number for number in range(10)])
    assert len(await everything(reader, FIRST, 10)) == 10
    reader.seek(FIRST, Offset(7))
    assert await everything(reader, FIRST, 3) == [b"7", b"8", b"9"]
    reader.seek(FIRST, Offset(0))
    records = await reader.fetch(FIRST, max_records=2, timeout_ms=5_000)
    assert [(record.offset, record.value) for record in records] == [(0, b"0"), (1, b"1")]


async def test_records_carry_the_time_they_were_written_with(world: World, reader: LogReader) -> None:
    world.now_ms -= 5 * HOUR_MS
    await world.write(b"a")
    (record,) = await reader.fetch(FIRST, timeout_ms=5_000)
    if world.puts_own_time:
        assert abs(record.timestamp - time.time() * 1000) < HOUR_MS
    else:
        assert record.timestamp == world.now_ms


async def test_a_fetch_without_records_ends_after_its_time(reader: LogReader) -> None:
    started_s = time.monotonic()
    assert await reader.fetch(FIRST, timeout_ms=60) == []
    assert await reader.fetch(timeout_ms=60) == []
    assert 0.1 < time.monotonic() - started_s < 2.0


async def test_a_waiting_fetch_gets_what_is_written_meanwhile(world: World, reader: LogReader) -> None:
    waiting = asyncio.create_task(reader.fetch(FIRST, timeout_ms=5_000))
    await asyncio.sleep(0.05)
    await world.write(b"late")
    assert [record.value for record in await waiting] == [b"late"]


async def test_fetching_all_partitions_keeps_the_order_of_each(world: World, reader: LogReader) -> None:
    await world.write(b"1", b"2", partition=FIRST)
    await world.write(b"3", b"4", partition=SECOND)
    found: dict[int, list[bytes]] = {0: [], 1: []}
    while sum(map(len, found.values())) < 4:
        for record in await reader.fetch(timeout_ms=5_000):
            found[record.partition].append(record.value)
    assert found == {0: [b"1", b"2"], 1: [b"3", b"4"]}


async def test_a_position_beyond_the_end_is_an_error_and_not_silence(world: World, reader: LogReader) -> None:
    await world.write(b"a")
    reader.seek(FIRST, Offset(50))
    with pytest.raises(PositionOutsideLog, match=r"Offset 50 of partition 0 of 'commands' .* has 0 to 1"):
        for _ in range(20):  # the first look may be over before the broker has told its end
            assert await reader.fetch(FIRST, timeout_ms=250) == []


async def test_the_end_itself_is_a_position_to_wait_at(world: World, reader: LogReader) -> None:
    await world.write(b"a", b"b")
    reader.seek(FIRST, Offset(2))
    for _ in range(3):
        assert await reader.fetch(FIRST, timeout_ms=60) == []
    await world.write(b"c")
    assert await everything(reader, FIRST, 1) == [b"c"]


async def test_a_partition_that_is_not_ours_cannot_be_sought(world: World) -> None:
    reader = world.new_reader(COMMANDS)
    await reader.assign([FIRST])
    with pytest.raises(NotAssigned, match="Partition 1"):
        reader.seek(SECOND, Offset(0))


async def test_a_partition_is_held_until_it_is_sought(world: World) -> None:
    await world.write(b"a")
    reader = world.new_reader(COMMANDS)
    await reader.assign([FIRST])
    assert await reader.fetch(timeout_ms=150) == []
    reader.seek(FIRST, Offset(0))
    assert await everything(reader, FIRST, 1) == [b"a"]


async def test_taking_one_more_partition_leaves_the_others_where_they_were(world: World) -> None:
    await world.write(b"a", b"b")
    reader = world.new_reader(COMMANDS)
    await reader.assign([FIRST])
    reader.seek(FIRST, Offset(0))
    assert len(await reader.fetch(FIRST, max_records=1, timeout_ms=5_000)) == 1
    await reader.assign([FIRST, SECOND])
    assert await everything(reader, FIRST, 1) == [b"b"]


async def test_committed_offsets_begin_at_zero_and_outlive_their_reader(world: World, reader: LogReader) -> None:
    assert await reader.committed("allocator", FIRST) == 0
    await reader.commit("allocator", {FIRST: Offset(7), SECOND: Offset(3)})
    other = world.new_reader(COMMANDS)
    assert await other.committed("allocator", FIRST) == 7
    assert await other.committed("allocator", SECOND) == 3
    assert await other.committed("somebody else", FIRST) == 0


async def test_who_reads_knows_the_end_of_the_log_without_asking(world: World, reader: LogReader) -> None:
    await world.write(b"a", b"b", b"c")
    assert len(await reader.fetch(FIRST, max_records=1, timeout_ms=5_000)) == 1
    assert reader.end_seen(FIRST) == 3


async def test_committing_does_not_move_the_reading(world: World, reader: LogReader) -> None:
    await world.write(b"a", b"b", b"c")
    assert len(await reader.fetch(FIRST, max_records=1, timeout_ms=5_000)) == 1
    await reader.commit("allocator", {FIRST: Offset(3)})
    assert await everything(reader, FIRST, 2) == [b"b", b"c"]


async def test_every_partition_gets_a_genesis_record_at_offset_zero(world: World, reader: LogReader) -> None:
    genesis = await ensure_genesis(world.producer, reader, [FIRST, SECOND], KEY_CHECK, world.now_ms)
    assert sorted(genesis) == [0, 1]
    assert genesis[FIRST].key_check == KEY_CHECK
    assert genesis[FIRST].rules == 1
    reader.seek(SECOND, Offset(0))
    (record,) = await reader.fetch(SECOND, timeout_ms=5_000)
    assert json.loads(record.value) == {
        "type": "genesis",
        "log": genesis[SECOND].log,
        "key_check": KEY_CHECK,
        "rules": 1,
    }
    assert world.puts_own_time or record.timestamp == world.now_ms


async def test_a_second_start_finds_the_first_ones_genesis(world: World, reader: LogReader) -> None:
    first = await ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, world.now_ms)
    assert await ensure_genesis(world.producer, world.new_reader(COMMANDS), [FIRST], KEY_CHECK, world.now_ms) == first
    assert await reader.log_end(FIRST) == 1


async def test_two_that_start_at_once_agree_on_the_genesis_at_offset_zero(world: World) -> None:
    readers = [world.new_reader(COMMANDS) for _ in range(3)]
    found = await asyncio.gather(
        *[ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, world.now_ms) for reader in readers]
    )
    assert found[0] == found[1] == found[2]


async def test_a_log_made_with_another_key_is_refused(world: World, reader: LogReader) -> None:
    await ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, world.now_ms)
    with pytest.raises(AnotherKey, match="another pepper or id key"):
        await ensure_genesis(world.producer, reader, [FIRST], "x" * 16, world.now_ms)


@dataclass
class WithClock:
    """A `BatchProducer` to a broker that puts its own time on records, as Kafka does with LogAppendTime."""

    producer: BatchProducer
    now_ms: int

    async def submit(
        self, topic: str, partition: PartitionId, values: Sequence[bytes], timestamp_ms: int
    ) -> "tuple[int, asyncio.Future[Acknowledged]]":
        return await self.producer.submit(topic, partition, values, self.now_ms)

    async def probe(self, topic: str, partition: PartitionId) -> bool:
        return await self.producer.probe(topic, partition)


@pytest.mark.parametrize("years", [-3, 3])
async def test_no_log_is_begun_while_the_clocks_of_kafka_and_of_this_machine_are_far_apart(
    world: World, reader: LogReader, years: int
) -> None:
    kafka = WithClock(world.producer, world.now_ms)
    ours_ms = world.now_ms - years * YEAR_MS
    says = time.strftime("%Y-%m-%d %H:%M", time.gmtime(ours_ms / 1000))
    with pytest.raises(ClocksApart, match=f"this machine.s clock says {says}"):
        await ensure_genesis(kafka, reader, [FIRST], KEY_CHECK, ours_ms)


async def test_a_log_that_begins_ahead_is_refused_at_every_start_and_one_of_long_ago_is_taken(
    world: World, reader: LogReader
) -> None:
    await ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, world.now_ms)
    reader.seek(FIRST, Offset(0))
    (began,) = await reader.fetch(FIRST, timeout_ms=5_000)
    await ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, began.timestamp + 3 * YEAR_MS)
    await ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, began.timestamp - CLOCKS_APART_MS)
    with pytest.raises(ClocksApart):
        await ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, began.timestamp - CLOCKS_APART_MS - 1)


async def test_a_log_that_is_not_ours_is_refused(world: World, reader: LogReader) -> None:
    await world.write(b"hello")
    with pytest.raises(GenesisMissing, match="offset 0 holds something else"):
        await ensure_genesis(world.producer, reader, [FIRST], KEY_CHECK, world.now_ms)
    with pytest.raises(GenesisMissing, match="it is empty"):
        await read_genesis(reader, SECOND)


async def test_what_the_domain_encodes_comes_back_the_same(world: World, reader: LogReader) -> None:
    tick = commands.Tick(at_ms=world.now_ms)
    await world.write(commands.encode(tick))
    (record,) = await reader.fetch(FIRST, timeout_ms=5_000)
    assert commands.decode(record.value) == tick


async def test_events_are_a_topic_of_their_own(world: World, reader: LogReader) -> None:
    await world.write(b"an event", topic=EVENTS)
    events = world.new_reader(EVENTS)
    assert (await events.log_end(FIRST), await reader.log_end(FIRST)) == (1, 0)


async def test_a_stop_writes_what_waits(world: World, reader: LogReader) -> None:
    group = GroupCommit(world.producer, COMMANDS, [FIRST])
    running = asyncio.create_task(group.run())
    waiting = [group.offer(FIRST, secrets.token_bytes(8)) for _ in range(2_500)]
    await group.stop()
    await running
    assert [place.offset for place in await asyncio.gather(*waiting)] == list(range(2_500))
    assert await reader.log_end(FIRST) == 2_500
