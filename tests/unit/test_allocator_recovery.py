"""Where an allocator starts a partition, and when it must not start at all."""

from typing import Any

import pytest

from services.domain.commands import encode
from services.domain.rows import Head
from services.state.fold_call import LogIdentity
from services.state.records import digest_of
from services.state.recovery import GROUP, HeadReader, Start, find_start
from services.state.stopped import LogDiffersError, LogTooShortError, OtherKeyError, OtherLogError
from services.stream.errors import LogUnavailable
from services.stream.fake import FakeLog, FakeReader
from services.stream.genesis import GenesisMissing
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS
from tests import builders as b

P = PartitionId(0)
END = 10


@pytest.fixture
def log() -> FakeLog:
    """A genesis record and nine bookings."""
    log = FakeLog(partitions=1)
    values = [encode(b.genesis()), *[encode(b.reserve(f"resident {n}")) for n in range(END - 1)]]
    log.write(COMMANDS, P, values, b.NOON_MS)
    return log


def redis_at(log: FakeLog, position: int, published: int = 0) -> Head:
    """The head of a fold of this log."""
    last = log.records[COMMANDS, P][position - 1]
    return Head(log=b.LOG, key_check=b.KEY_CHECK, position=position, published=published, digest=digest_of(last.value))


def commit(log: FakeLog, offset: int) -> None:
    log.committed[GROUP, COMMANDS, P] = Offset(offset)


def reads(head: Head | None) -> HeadReader:
    async def read(partition: int) -> Head | None:
        assert partition == P
        return head

    return read


async def start_of(log: FakeLog, head: Head | None, key_check: str = b.KEY_CHECK) -> Start:
    return await find_start(FakeReader(log, COMMANDS), reads(head), P, key_check)


async def test_a_new_system_starts_at_the_beginning(log: FakeLog) -> None:
    start = await start_of(log, None)
    assert (start.offset, start.published) == (0, 0)
    assert start.identity == LogIdentity(b.LOG, b.KEY_CHECK)


@pytest.mark.parametrize(
    ("position", "in_redis", "committed", "offset", "published"),
    [
        (10, 10, 10, 10, 10),  # all is well
        (8, 5, 5, 5, 5),  # a crash between fold and publish: events 5 to 7 go out from the recorded decisions
        (8, 3, 5, 5, 5),  # the copy in Redis is older
        (8, 5, 3, 5, 5),  # the commit is older: it had been refused
        (8, 5, 0, 5, 5),  # committed offsets expire
        (8, 0, 0, 0, 0),  # nothing was ever published
        (4, 2, 9, 4, 9),  # Redis lost its tail: 4 to 8 are folded again and not published
        (10, 0, 10, 10, 10),
    ],
)
async def test_it_starts_at_the_smaller_of_position_and_published(
    log: FakeLog, position: int, in_redis: int, committed: int, offset: int, published: int
) -> None:
    commit(log, committed)
    start = await start_of(log, redis_at(log, position, in_redis))
    assert (start.offset, start.published) == (offset, published)


async def test_an_empty_redis_is_filled_from_the_beginning_without_publishing_again(log: FakeLog) -> None:
    commit(log, 9)
    start = await start_of(log, None)
    assert (start.offset, start.published) == (0, 9)


async def test_an_empty_redis_and_an_expired_commit_mean_everything_again(log: FakeLog) -> None:
    start = await start_of(log, None)
    assert (start.offset, start.published) == (0, 0)


async def test_a_log_of_other_keys_is_refused(log: FakeLog) -> None:
    with pytest.raises(OtherKeyError, match="(?s)made with another pepper or id key.*Put back the secrets"):
        await start_of(log, None, key_check="our-own-key-chck")


async def test_a_state_of_other_keys_is_refused(log: FakeLog) -> None:
    head = redis_at(log, 5)
    head.key_check = "other-keys-here!"
    with pytest.raises(OtherKeyError, match="Partition 0 is stopped"):
        await start_of(log, head)


async def test_a_state_of_another_log_is_refused_and_both_are_named(log: FakeLog) -> None:
    head = redis_at(log, 5)
    head.log = "another-log-here"
    with pytest.raises(OtherLogError, match=f"(?s)another-log-here.*{b.LOG}.*empty Redis"):
        await start_of(log, head)


async def test_a_log_that_was_cut_and_has_grown_again_is_refused(log: FakeLog) -> None:
    head = redis_at(log, 8)
    del log.records[COMMANDS, P][6:]
    log.write(COMMANDS, P, [encode(b.reserve(f"somebody else {n}")) for n in range(4)], b.NOON_MS)
    with pytest.raises(LogDiffersError, match="(?s)offset 7 is not the one that Redis has applied.*Restore the log"):
        await start_of(log, head)


async def test_a_log_that_is_slow_is_not_called_another_one(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = FakeReader.fetch

    async def slow(self: FakeReader, *args: Any, **kwargs: Any) -> Any:
        return [record for record in await fetch(self, *args, **kwargs) if record.offset == 0]

    monkeypatch.setattr(FakeReader, "fetch", slow)
    with pytest.raises(LogUnavailable, match="offset 7 of partition 0 was not read"):
        await start_of(log, redis_at(log, 8))


async def test_a_log_that_ends_before_the_position_is_refused(log: FakeLog) -> None:
    head = redis_at(log, 8)
    del log.records[COMMANDS, P][6:]
    with pytest.raises(LogTooShortError, match="Redis stands at offset 8, but the log ends at 6"):
        await start_of(log, head)


async def test_a_log_that_ends_before_what_was_published_is_refused_even_with_an_empty_redis(log: FakeLog) -> None:
    commit(log, END + 1)
    with pytest.raises(LogTooShortError, match="what was published stands at offset 11, but the log ends at 10"):
        await start_of(log, None)


async def test_a_log_without_its_beginning_is_refused(log: FakeLog) -> None:
    head = redis_at(log, 8)
    del log.records[COMMANDS, P][:3]
    with pytest.raises(GenesisMissing, match="its first record has offset 3"):
        await start_of(log, head)


async def test_a_log_that_is_no_log_of_ours_is_refused() -> None:
    log = FakeLog(partitions=1)
    log.write(COMMANDS, P, [b"hello"], b.NOON_MS)
    with pytest.raises(GenesisMissing, match="offset 0 holds something else"):
        await start_of(log, None)
