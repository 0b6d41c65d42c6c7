"""What goes with one call of the fold: so many commands, so many bytes, and never nothing."""

from collections import deque

from aiokafka import ConsumerRecord

from services.domain.commands import Command, Malformed, encode
from services.state.fold_call import BYTES_PER_CALL, COMMANDS_PER_CALL, Batch
from services.state.records import next_batch
from services.stream.fake import FakeLog
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests import builders as b

P = PartitionId(0)


def records_of(values: list[bytes]) -> deque[ConsumerRecord]:
    log = FakeLog(partitions=1)
    log.write(COMMANDS, P, values, b.NOON_MS)
    return deque(log.records[COMMANDS, P])


def cut(values: list[bytes]) -> list[Batch]:
    records = records_of(values)
    batches = []
    while records:
        batches.append(next_batch(records))
    return batches


def a_list(count: int) -> list[Command]:
    people = [f"resident {n}" for n in range(500)]
    return [b.add_entitled(people, 500 * n) for n in range(count)]


def test_bookings_of_a_rush_go_by_their_number() -> None:
    rush = [encode(b.reserve(f"resident {n}")) for n in range(COMMANDS_PER_CALL + 3)]
    assert [len(batch.commands) for batch in cut(rush)] == [COMMANDS_PER_CALL, 3]


def test_chunks_of_a_list_go_by_their_length() -> None:
    values = [encode(chunk) for chunk in a_list(9)]
    assert [len(batch.commands) for batch in cut(values)] == [4, 4, 1]
    assert sum(len(value) for value in values[:4]) <= BYTES_PER_CALL < sum(len(value) for value in values[:5])


def test_a_record_that_is_longer_goes_alone() -> None:
    short = encode(b.reserve("anna"))
    (first, second, third) = cut([short, b"x" * (BYTES_PER_CALL + 1), short])
    assert [batch.start for batch in (first, second, third)] == [0, 1, 2]
    assert isinstance(second.commands[0], Malformed)


def test_nothing_is_left_out_and_nothing_comes_twice() -> None:
    commands = [*a_list(5), *(b.reserve(f"resident {n}") for n in range(200)), *a_list(3)]
    batches = cut([encode(command) for command in commands])
    assert [command for batch in batches for command in batch.commands] == commands
    assert [batch.start for batch in batches[1:]] == [batch.end for batch in batches[:-1]]
