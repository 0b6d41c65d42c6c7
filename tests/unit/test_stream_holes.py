"""Records that are missing between others: for a moment, as the embedded broker shows them, or for good."""

from typing import Any, NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from services.stream import partition_reader
from services.stream.errors import HoleInLog, PositionOutsideLog
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS
from tests.unit.test_stream_client import Kafka

P, Q = PartitionId(0), PartitionId(1)


class Record(NamedTuple):
    """A record as far as its place matters."""

    partition: int
    offset: int


class Broker:
    """Answers fetches as a consumer of aiokafka does. The records at `late` become visible with the next fetch but one,
    or never."""

    def __init__(self, end: int, late: set[int], looks_until_seen: float = 2) -> None:
        self.end = end
        self.late = late
        self.looks_left = looks_until_seen
        self.next: dict[TopicPartition, int] = {}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.next = dict.fromkeys(partitions, 0)

    def assignment(self) -> set[TopicPartition]:
        return set(self.next)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.next[tp] = offset

    def pause(self, *_: TopicPartition) -> None:
        """Held partitions are sought before they are fetched here."""

    def resume(self, *_: TopicPartition) -> None:
        """See pause."""

    def highwater(self, _: TopicPartition) -> int:
        return self.end

    async def getmany(
        self, *wanted: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Record]]:
        self.looks_left -= 1
        hidden = self.late if self.looks_left > 0 else set()
        found = {}
        for tp in wanted:
            offsets = [at for at in range(self.next[tp], self.end) if tp.partition != P or at not in hidden]
            if offsets:
                found[tp] = [Record(tp.partition, at) for at in offsets[:max_records]]
                self.next[tp] = found[tp][-1].offset + 1
        return found

    async def stop(self) -> None:
        """Nothing to let go of."""


async def reading(monkeypatch: pytest.MonkeyPatch, broker: Broker, *partitions: PartitionId) -> PartitionReader:
    async def started(*_: Any, **__: Any) -> Broker:
        return broker

    monkeypatch.setattr(partition_reader, "start_consumer", started)
    reader = PartitionReader(Kafka("127.0.0.1:9"), COMMANDS)
    await reader.assign(partitions)
    for partition in partitions:
        reader.seek(partition, Offset(0))
    return reader


async def all_of(reader: PartitionReader, count: int) -> list[int]:
    offsets: list[int] = []
    while len(offsets) < count:
        offsets += [record.offset for record in await reader.fetch(timeout_ms=10)]
    return offsets


@pytest.mark.parametrize("late", [{0}, {3}, {3, 4}, {2, 5}])
async def test_a_record_that_is_seen_a_moment_later_is_read_in_its_place(
    monkeypatch: pytest.MonkeyPatch, late: set[int]
) -> None:
    reader = await reading(monkeypatch, Broker(8, late), P)
    assert await all_of(reader, 8) == list(range(8))


async def test_whoever_took_the_first_look_for_the_last_would_stop_at_such_a_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_reader, "HOLE_LASTS_S", 0.0)
    reader = await reading(monkeypatch, Broker(8, {3}), P)
    with pytest.raises(HoleInLog):
        await all_of(reader, 8)


async def test_what_stands_before_a_hole_is_returned_and_nothing_behind_it_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partition_reader, "HOLE_LASTS_S", 0.05)
    reader = await reading(monkeypatch, Broker(8, {3, 4}, looks_until_seen=float("inf")), P)
    assert [record.offset for record in await reader.fetch(timeout_ms=10)] == [0, 1, 2]
    for _ in range(3):
        with pytest.raises(HoleInLog, match="goes from offset 3 to 5"):
            await reader.fetch(timeout_ms=10)


async def test_a_hole_in_one_partition_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = await reading(monkeypatch, Broker(2, {0}, looks_until_seen=float("inf")), P, Q)
    assert [(record.partition, record.offset) for record in await reader.fetch(timeout_ms=10)] == [(1, 0), (1, 1)]


class NewLeader(Broker):
    """Refuses what it has, for its first looks: it does not know yet that the other copies have it too."""

    async def getmany(
        self, *wanted: TopicPartition, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[Record]]:
        if self.looks_left > 0:
            self.looks_left -= 1
            raise OffsetOutOfRangeError({wanted[0]: self.next[wanted[0]]})
        return await super().getmany(*wanted, timeout_ms=timeout_ms, max_records=max_records)


def log_of(monkeypatch: pytest.MonkeyPatch, start: int, end: int) -> None:
    """As `PartitionReader` hears it."""

    async def told(offset: int) -> Offset:
        return Offset(offset)

    monkeypatch.setattr(PartitionReader, "log_start", lambda *_: told(start))
    monkeypatch.setattr(PartitionReader, "log_end", lambda *_: told(end))


async def test_what_a_new_leader_refuses_at_first_is_read_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    log_of(monkeypatch, 0, 8)
    reader = await reading(monkeypatch, NewLeader(8, set()), P)
    assert [record.offset for record in await reader.fetch(timeout_ms=5_000)] == list(range(8))


async def test_who_waits_for_it_in_vain_hears_nothing_after_the_time_of_the_fetch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_of(monkeypatch, 0, 8)
    reader = await reading(monkeypatch, NewLeader(8, set(), looks_until_seen=float("inf")), P)
    assert await reader.fetch(timeout_ms=50) == []


@pytest.mark.parametrize(("start", "end"), [(0, 4), (6, 8)])
async def test_a_place_that_the_log_does_not_have_is_told(
    monkeypatch: pytest.MonkeyPatch, start: int, end: int
) -> None:
    log_of(monkeypatch, start, end)
    reader = await reading(monkeypatch, NewLeader(8, set()), P)
    reader.seek(P, Offset(5))
    with pytest.raises(PositionOutsideLog, match=f"Offset 5 of partition 0.*has {start} to {end}"):
        await reader.fetch()
