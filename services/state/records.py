"""From the log's records to the fold's batches: decoded once, with what publishing needs beside it."""

import zlib
from collections import deque
from collections.abc import Sequence

from aiokafka import ConsumerRecord

from services.domain.commands import Command, decode
from services.state.fold_call import BYTES_PER_CALL, COMMANDS_PER_CALL, Batch


def digest_of(value: bytes | None) -> int:
    """CRC-32 of a record's value: whether the record at an offset is still the one that was applied."""
    return zlib.crc32(value or b"")


def batch_of(records: Sequence[ConsumerRecord]) -> Batch:
    """Consecutive records of one partition, as the fold wants them. A record that cannot be read is `Malformed`."""
    commands: list[Command] = [decode(record.value) for record in records]
    return Batch(
        start=records[0].offset,
        timestamps_ms=[record.timestamp for record in records],
        digests=[digest_of(record.value) for record in records],
        commands=commands,
    )


def next_batch(records: deque[ConsumerRecord]) -> Batch:
    """Takes what goes with one call, one record at least, from consecutive records of one partition."""
    taken = [records.popleft()]
    length = len(taken[0].value or b"")
    while records and len(taken) < COMMANDS_PER_CALL:
        length += len(records[0].value or b"")
        if length > BYTES_PER_CALL:
            break
        taken.append(records.popleft())
    return batch_of(taken)


def rest_of(batch: Batch, position: int) -> Batch:
    """What is left of a batch from `position` on."""
    done = position - batch.start
    return Batch(position, batch.timestamps_ms[done:], batch.digests[done:], batch.commands[done:])
