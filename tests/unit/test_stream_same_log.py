"""A log that is replaced under a process that writes to it: nobody is promised a place in the other one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest

from services.domain import commands as c
from services.domain.rows import Head
from services.stream.errors import LogReplaced, LogUnavailable, UnknownOutcome
from services.stream.fake import FakeLog, FakeProducer, FakeReader
from services.stream.group_commit import GroupCommit, GroupCommitSettings
from services.stream.place import Offset, PartitionId, Place
from services.stream.same_log import SameLog, Written
from services.stream.topics import COMMANDS

P = PartitionId(0)
NOW_MS = 1_580_558_400_000
OURS = c.Genesis(log="o" * 16, key_check="k" * 16, rules=1)
ANOTHER = c.Genesis(log="a" * 16, key_check="k" * 16, rules=1)
Start = Callable[[bool], GroupCommit]


@pytest.fixture
def log() -> FakeLog:
    log = FakeLog(partitions=1)
    log.write(COMMANDS, P, [c.encode(OURS), b"one", b"two"], NOW_MS)
    return log


def replace(log: FakeLog, *values: bytes) -> None:
    log.records[COMMANDS, P].clear()
    log.write(COMMANDS, P, values, NOW_MS)


def look(log: FakeLog) -> SameLog:
    return SameLog(FakeReader(log, COMMANDS), {P: OURS})


async def test_a_log_that_has_what_was_written_is_the_same(log: FakeLog) -> None:
    await look(log).check(P, None)
    await look(log).check(P, Written.of(Offset(1), b"one"))
    log.write(COMMANDS, P, [b"three"], NOW_MS)
    await look(log).check(P, Written.of(Offset(2), b"two"))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([], "it is empty"),
        ([b"something"], "offset 0 holds something else"),
        ([c.encode(ANOTHER), b"one", b"two"], "it is log aaaaaaaaaaaaaaaa, and was oooooooooooooooo"),
        ([c.encode(OURS), b"one"], "it ends at 2, and had a record at 2"),
        ([c.encode(OURS), b"one", b"other", b"three"], "another record stands at 2"),
    ],
)
async def test_a_log_that_was_recreated_or_cut_or_has_grown_again_is_another_one(
    log: FakeLog, values: list[bytes], what: str
) -> None:
    replace(log, *values)
    with pytest.raises(LogReplaced, match=what):
        await look(log).check(P, Written.of(Offset(2), b"two"))


def folded_to(heads: Mapping[PartitionId, Head | None]) -> Callable[[PartitionId], Awaitable[Head | None]]:
    """What Redis says when it is asked."""

    async def applied(partition: PartitionId) -> Head | None:
        return heads[partition]

    return applied


FOLDED = Head(log=OURS.log, position=3, digest=Written.of(Offset(2), b"two").digest)


@pytest.mark.safety
@pytest.mark.parametrize("last", [None, Written.of(Offset(1), b"one")])
@pytest.mark.parametrize(
    ("values", "what"),
    [
        ([c.encode(OURS), b"one"], "it ends at 2, and had a record at 2"),
        ([c.encode(OURS), b"one", b"other", b"three"], "another record stands at 2"),
    ],
)
async def test_a_door_that_wrote_nothing_behind_the_cut_knows_from_the_fold_that_something_stood_there(
    log: FakeLog, values: list[bytes], what: str, last: Written | None
) -> None:
    replace(log, *values)
    with pytest.raises(LogReplaced, match=what):
        await SameLog(FakeReader(log, COMMANDS), {P: OURS}, folded_to({P: FOLDED})).check(P, last)


@pytest.mark.control
@pytest.mark.parametrize("last", [None, Written.of(Offset(1), b"one")])
async def test_without_the_fold_such_a_door_takes_the_cut_log_for_its_own(log: FakeLog, last: Written | None) -> None:
    replace(log, c.encode(OURS), b"one")
    await SameLog(FakeReader(log, COMMANDS), {P: OURS}).check(P, last)


@pytest.mark.safety
async def test_the_fold_is_asked_at_each_look_and_not_remembered(log: FakeLog) -> None:
    one = Written.of(Offset(1), b"one")
    heads: dict[PartitionId, Head | None] = {P: Head(log=OURS.log, position=2, digest=one.digest)}
    same_log = SameLog(FakeReader(log, COMMANDS), {P: OURS}, folded_to(heads))
    await same_log.check(P, None)
    heads[P] = FOLDED
    replace(log, c.encode(OURS), b"one")
    with pytest.raises(LogReplaced, match="it ends at 2, and had a record at 2"):
        await same_log.check(P, None)


async def test_the_fold_of_the_same_log_or_of_another_one_stands_in_nobodys_way(log: FakeLog) -> None:
    foreign = Head(log=ANOTHER.log, position=99, digest=1)
    for head in (FOLDED, foreign, Head(log=OURS.log), None):
        heads = {P: head}
        await SameLog(FakeReader(log, COMMANDS), {P: OURS}, folded_to(heads)).check(P, None)


@pytest.fixture
def producer(log: FakeLog) -> FakeProducer:
    return FakeProducer(log)


@pytest.fixture
async def start(log: FakeLog, producer: FakeProducer) -> AsyncIterator[Start]:
    started: list[tuple[GroupCommit, asyncio.Task[None]]] = []

    def begin(looks: bool) -> GroupCommit:
        check = look(log).check if looks else None
        group = GroupCommit(producer, COMMANDS, [P], GroupCommitSettings(), check_log=check)
        started.append((group, asyncio.create_task(group.run())))
        return group

    yield begin
    for group, running in started:
        await group.stop()
        await running


async def outcome(future: "asyncio.Future[Place]") -> Place | BaseException:
    (answer,) = await asyncio.gather(future, return_exceptions=True)
    return answer


async def promised_in_another_log(log: FakeLog, producer: FakeProducer, group: GroupCommit) -> bool:
    """Whether somebody is told a place in a log that was put there over a new connection."""
    assert isinstance(await outcome(group.offer(P, b"three")), Place)
    replace(log, *(c.encode(ANOTHER), *(b"of others" for _ in range(9))))
    producer.has_reconnected = True
    return isinstance(await outcome(group.offer(P, b"four")), Place)


@pytest.mark.safety
async def test_nobody_is_promised_a_place_in_another_log(
    start: Start, log: FakeLog, producer: FakeProducer
) -> None:
    group = start(True)
    assert not await promised_in_another_log(log, producer, group)
    assert b"four" not in [record.value for record in log.records[COMMANDS, P]]
    with pytest.raises(LogUnavailable, match="is not the log that this process has written to"):
        await refused(group)


@pytest.mark.control
async def test_without_the_look_somebody_is_promised_a_place_in_another_log(
    start: Start, log: FakeLog, producer: FakeProducer
) -> None:
    assert await promised_in_another_log(log, producer, start(False))


async def refused(group: GroupCommit) -> None:
    """Until it has looked and says why."""
    async with asyncio.timeout(5):
        while True:
            try:
                await group.offer(P, b"five")
            except LogUnavailable as error:
                if "connection" not in str(error):
                    raise
            await asyncio.sleep(0.02)


async def test_over_a_new_connection_to_the_same_log_those_who_wait_are_written(
    start: Start, log: FakeLog, producer: FakeProducer
) -> None:
    group = start(True)
    producer.has_reconnected = True
    assert await group.offer(P, b"three") == Place(P, Offset(3))


async def test_when_the_right_log_is_back_it_takes_commands_again(
    start: Start, log: FakeLog, producer: FakeProducer
) -> None:
    group = start(True)
    assert not await promised_in_another_log(log, producer, group)
    replace(log, c.encode(OURS), b"one", b"two", b"three")
    async with asyncio.timeout(5):
        while group.is_away(P):
            await asyncio.sleep(0.02)
    assert await group.offer(P, b"five") == Place(P, Offset(4))


async def test_what_a_new_leader_of_the_same_log_acknowledges_is_promised(
    start: Start, log: FakeLog, producer: FakeProducer
) -> None:
    producer.acknowledges_anew = True
    group = start(True)
    assert await group.offer(P, b"three") == Place(P, Offset(3))
    assert await group.offer(P, b"four") == Place(P, Offset(4))


async def told_of_what_another_log_acknowledges(log: FakeLog, producer: FakeProducer, group: GroupCommit) -> object:
    """The log is replaced while a batch is on its way, and the other one takes it."""
    assert isinstance(await outcome(group.offer(P, b"three")), Place)
    producer.acknowledges_anew, producer.delay_s = True, 0.05
    answer = group.offer(P, b"four")
    await asyncio.sleep(0.01)
    replace(log, *(c.encode(ANOTHER), *(b"of others" for _ in range(9))))
    return await outcome(answer)


@pytest.mark.safety
async def test_what_another_log_acknowledges_is_promised_to_nobody(
    start: Start, log: FakeLog, producer: FakeProducer
) -> None:
    group = start(True)
    assert isinstance(await told_of_what_another_log_acknowledges(log, producer, group), UnknownOutcome)
    assert b"four" in [record.value for record in log.records[COMMANDS, P]]
    with pytest.raises(LogUnavailable, match="is not the log that this process has written to"):
        await refused(group)


@pytest.mark.control
async def test_a_look_that_sees_no_difference_promises_what_another_log_acknowledges(
    log: FakeLog, producer: FakeProducer
) -> None:
    async def no_difference(*_: object) -> None:
        await asyncio.sleep(0)

    group = GroupCommit(producer, COMMANDS, [P], check_log=no_difference)
    running = asyncio.create_task(group.run())
    assert isinstance(await told_of_what_another_log_acknowledges(log, producer, group), Place)
    await group.stop()
    await running


async def test_a_look_that_does_not_end_is_given_up_and_begun_again(producer: FakeProducer) -> None:
    looks = 0

    async def look_once_in_vain(*_: object) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            await asyncio.Event().wait()

    settings = GroupCommitSettings(ack_timeout_s=0.2)
    group = GroupCommit(producer, COMMANDS, [P], settings, check_log=look_once_in_vain)
    running = asyncio.create_task(group.run())
    producer.has_reconnected = True
    heard = await outcome(group.offer(P, b"three"))
    assert isinstance(heard, LogUnavailable)
    assert "not looked at within 0.2 s" in str(heard)
    async with asyncio.timeout(5):
        while group.is_away(P):
            await asyncio.sleep(0.02)
    assert await group.offer(P, b"four") == Place(P, Offset(3))
    assert looks == 2
    await group.stop()
    await running


async def test_an_offset_that_goes_back_is_nobodys_place(
    start: Start, log: FakeLog, producer: FakeProducer
) -> None:
    group = start(False)
    assert await group.offer(P, b"three") == Place(P, Offset(3))
    replace(log, c.encode(OURS), b"one")
    assert isinstance(await outcome(group.offer(P, b"four")), UnknownOutcome)
