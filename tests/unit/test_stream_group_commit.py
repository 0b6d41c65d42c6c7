"""What a command may hear from the log when the log is slow, full, silent or gone: never a wrong certainty."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from services.stream.errors import LogUnavailable, Overloaded, StreamError, UnknownOutcome
from services.stream.fake import FakeLog, FakeProducer
from services.stream.group_commit import GroupCommit, GroupCommitSettings
from services.stream.place import PartitionId, Place
from services.stream.topics import COMMANDS

P = PartitionId(0)
Start = Callable[..., GroupCommit]


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def producer(log: FakeLog) -> FakeProducer:
    return FakeProducer(log)


@pytest.fixture
async def start(producer: FakeProducer) -> AsyncIterator[Start]:
    started: list[tuple[GroupCommit, asyncio.Task[None]]] = []

    def begin(partitions: int = 1, **settings: float) -> GroupCommit:
        numbers = [PartitionId(number) for number in range(partitions)]
        group = GroupCommit(producer, COMMANDS, numbers, GroupCommitSettings(**settings))  # type: ignore[arg-type]
        started.append((group, asyncio.create_task(group.run())))
        return group

    yield begin
    for group, running in started:
        await group.stop()
        await running


async def answers(*futures: asyncio.Future[Place]) -> list[Place | BaseException]:
    return await asyncio.gather(*futures, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def written(log: FakeLog) -> list[bytes]:
    return [record.value for record in log.records[COMMANDS, P]]


async def test_while_a_batch_is_in_flight_the_next_one_fills(start: Start, producer: FakeProducer) -> None:
    group = start()
    producer.delay_s = 0.05
    first = group.offer(P, b"0")
    await asyncio.sleep(0.02)
    later = [group.offer(P, b"%d" % number) for number in range(1, 51)]
    await asyncio.gather(first, *later)
    assert producer.batches == [1, 50]


async def test_an_idle_log_is_written_to_without_waiting(start: Start) -> None:
    group = start()
    waited_s = []
    for _ in range(5):  # the machine may stand still for once; a timer would make every one wait
        started_s = asyncio.get_running_loop().time()
        await group.offer(P, b"0")
        waited_s.append(asyncio.get_running_loop().time() - started_s)
    assert min(waited_s) < 0.05


async def test_a_batch_holds_no_more_records_than_its_limit(start: Start, producer: FakeProducer) -> None:
    group = start(max_batch_records=10)
    places = await asyncio.gather(*[group.offer(P, b"%d" % number) for number in range(25)])
    assert producer.batches == [10, 10, 5]
    assert [place.offset for place in places] == list(range(25))


async def test_above_the_limit_a_command_is_refused_before_it_is_kept(
    start: Start, producer: FakeProducer, log: FakeLog
) -> None:
    group = start(max_pending=3)
    producer.delay_s = 0.05
    kept = [group.offer(P, b"%d" % number) for number in range(3)]
    with pytest.raises(Overloaded, match="3 records wait for partition 0"):
        group.offer(P, b"too many")
    await asyncio.gather(*kept)
    assert (await group.offer(P, b"3")).offset == 3
    assert written(log) == [b"0", b"1", b"2", b"3"]


async def test_what_is_in_flight_counts_for_the_limit(start: Start, producer: FakeProducer) -> None:
    group = start(max_pending=2)
    producer.delay_s = 0.05
    group.offer(P, b"0")
    await until(lambda: producer.batches == [1])
    group.offer(P, b"1")
    with pytest.raises(Overloaded):
        group.offer(P, b"2")


async def test_a_full_partition_refuses_nothing_of_another(start: Start, producer: FakeProducer) -> None:
    group = start(partitions=2, max_pending=1)
    producer.delay_s = 0.02
    group.offer(P, b"0")
    with pytest.raises(Overloaded):
        group.offer(P, b"1")
    assert (await group.offer(PartitionId(1), b"2")).partition == 1


@pytest.mark.safety
async def test_a_lost_acknowledgement_is_an_unknown_outcome_and_never_a_failure(
    start: Start, producer: FakeProducer, log: FakeLog
) -> None:
    group = start(ack_timeout_s=0.05)
    producer.loses_acknowledgements = True
    with pytest.raises(UnknownOutcome, match="may have"):
        await group.offer(P, b"written")
    assert written(log) == [b"written"]


@pytest.mark.safety
async def test_an_error_after_sending_is_an_unknown_outcome(start: Start, producer: FakeProducer, log: FakeLog) -> None:
    group = start()
    producer.fails_after_writing = True
    with pytest.raises(UnknownOutcome):
        await group.offer(P, b"written")
    assert written(log) == [b"written"]


@pytest.mark.control
async def test_a_group_commit_that_took_errors_for_failures_would_be_caught(
    start: Start, producer: FakeProducer, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protection taken away: an error of the acknowledgement told as 'nothing was written'."""
    monkeypatch.setattr("services.stream.group_commit.UnknownOutcome", LogUnavailable)
    group = start()
    producer.fails_after_writing = True
    with pytest.raises(LogUnavailable, match="Nothing was written"):
        await group.offer(P, b"written")
    assert written(log) == [b"written"]  # so what it said was false


async def test_what_waits_behind_a_silent_batch_surely_was_not_written(
    start: Start, producer: FakeProducer, log: FakeLog
) -> None:
    group = start(ack_timeout_s=0.1)
    producer.loses_acknowledgements = True
    first = group.offer(P, b"first")
    await until(lambda: producer.batches == [1])
    behind = group.offer(P, b"behind")
    outcome = await answers(first, behind)
    assert isinstance(outcome[0], UnknownOutcome)
    assert isinstance(outcome[1], LogUnavailable)
    assert written(log) == [b"first"]


async def test_without_a_leader_commands_are_refused_and_nothing_is_written(
    start: Start, producer: FakeProducer, log: FakeLog
) -> None:
    group = start()
    producer.is_down = True
    outcome = await answers(*[group.offer(P, b"%d" % number) for number in range(3)])
    assert [type(each) for each in outcome] == [LogUnavailable] * 3
    assert written(log) == []


async def test_while_the_log_is_away_refusals_are_immediate(start: Start, producer: FakeProducer) -> None:
    group = start()
    producer.is_down = True
    await answers(group.offer(P, b"0"))
    await until(lambda: group.is_away(P))
    with pytest.raises(LogUnavailable, match="has no leader"):
        group.offer(P, b"1")


async def test_a_log_that_answers_again_is_tried_by_a_few_first(start: Start, producer: FakeProducer) -> None:
    group = start(trial_pending=2)
    producer.is_down = True
    await answers(group.offer(P, b"0"))
    await until(lambda: group.is_away(P))
    producer.is_down = False
    producer.delay_s = 0.05
    await until(lambda: not group.is_away(P))
    trials = [group.offer(P, b"1"), group.offer(P, b"2")]
    with pytest.raises(LogUnavailable):
        group.offer(P, b"3")
    assert [place.offset for place in await asyncio.gather(*trials)] == [0, 1]
    assert len(await asyncio.gather(*[group.offer(P, b"4") for _ in range(50)])) == 50


async def test_a_log_that_was_away_for_long_is_asked_so_often_that_it_is_back_within_two_seconds(
    start: Start, producer: FakeProducer
) -> None:
    group = start()
    producer.is_down = True
    await answers(group.offer(P, b"0"))
    await asyncio.sleep(2.0)  # by then the pauses are as long as they ever get
    producer.is_down = False
    back_s = asyncio.get_running_loop().time()
    await until(lambda: not group.is_away(P))
    await group.offer(P, b"1")
    assert len(await asyncio.gather(*[group.offer(P, b"2") for _ in range(500)])) == 500
    assert asyncio.get_running_loop().time() - back_s < 2.0


async def test_one_partition_away_leaves_the_others_alone(start: Start, producer: FakeProducer) -> None:
    group = start(partitions=5)  # the fake's log has four
    await answers(group.offer(PartitionId(4), b"0"))
    assert (await group.offer(P, b"1")).offset == 0
    assert group.is_away(PartitionId(4))
    assert not group.is_away(P)
    assert producer.batches == [1]


async def test_who_gave_up_waiting_does_not_disturb_the_others(start: Start, log: FakeLog) -> None:
    group = start()
    futures = [group.offer(P, b"%d" % number) for number in range(3)]
    futures[1].cancel()
    assert (await futures[2]).offset == 2
    assert written(log) == [b"0", b"1", b"2"]


async def test_an_outcome_nobody_waits_for_is_not_reported_as_forgotten(
    start: Start, producer: FakeProducer, caplog: pytest.LogCaptureFixture
) -> None:
    group = start(ack_timeout_s=0.02)
    producer.loses_acknowledgements = True
    group.offer(P, b"0")
    await until(lambda: group.is_away(P))
    assert "never retrieved" not in caplog.text


async def test_after_a_stop_commands_are_refused(start: Start) -> None:
    group = start()
    await group.offer(P, b"0")
    await group.stop()
    with pytest.raises(LogUnavailable, match="stopping"):
        group.offer(P, b"1")


async def test_a_stop_while_the_log_is_asked_whether_it_is_back_is_the_last_word(
    start: Start, producer: FakeProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def probe(_topic: str, _partition: PartitionId) -> bool:
        asked.set()
        await answer.wait()
        return True

    monkeypatch.setattr(producer, "probe", probe)
    group = start()
    producer.is_down = True
    await answers(group.offer(P, b"0"))
    await asked.wait()
    stopping = asyncio.create_task(group.stop())
    await asyncio.sleep(0.01)
    answer.set()
    await stopping
    with pytest.raises(LogUnavailable, match="stopping"):
        group.offer(P, b"1")  # kept, it would never have been written nor answered


async def test_a_stop_is_bounded_even_when_the_log_is_silent(start: Start, producer: FakeProducer) -> None:
    group = start(flush_timeout_s=0.1, ack_timeout_s=30.0)
    producer.loses_acknowledgements = True
    first = group.offer(P, b"in flight")
    await until(lambda: producer.batches == [1])
    second = group.offer(P, b"waiting")
    started_s = asyncio.get_running_loop().time()
    await group.stop()
    assert asyncio.get_running_loop().time() - started_s < 1.0
    outcome = await answers(first, second)
    assert [type(each) for each in outcome] == [UnknownOutcome, LogUnavailable]
    assert all(isinstance(each, StreamError) for each in outcome)


async def test_every_acknowledged_batch_is_reported_with_its_size_and_time(producer: FakeProducer) -> None:
    reports: list[tuple[int, int, float]] = []
    group = GroupCommit(producer, COMMANDS, [P], on_batch=lambda *report: reports.append(report))
    running = asyncio.create_task(group.run())
    producer.delay_s = 0.02
    await asyncio.gather(*[group.offer(P, b"x") for _ in range(7)])
    await group.stop()
    await running
    ((partition, records, seconds),) = reports
    assert (partition, records) == (0, 7)
    assert 0.015 < seconds < 1.0
