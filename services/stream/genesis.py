"""The log's identity: a record at offset 0 of each partition of `commands`, which whoever comes first writes.

It holds a random id (another log with the same offsets is recognised) and a check value of the pepper and the id key
(with another key everybody would be a new person). Its time is the first tick, and the fold's time never goes back: a
log that begins years ahead has no use, so nobody starts with one.
"""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from services.domain import commands
from services.domain.limits import RULES_VERSION
from services.stream.client import ANSWER_TIMEOUT_S
from services.stream.errors import StreamError, UnknownOutcome
from services.stream.log_producer import BatchProducer, append
from services.stream.partition_reader import LogReader, record_at
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS

TRIES: Final = 3
CLOCKS_APART_MS: Final = 600_000
"""More than that between Kafka's clock and ours is told before anybody books."""


class GenesisMissing(StreamError):
    """Partition {partition} of 'commands' does not begin with a genesis record: {why}.

    This is no log of Maskline, or its beginning was deleted. Name another Kafka, or start a new log.
    """


class AnotherKey(StreamError):
    """Partition {partition} of 'commands' was made with another pepper or id key: with ours everybody would be new.

    Put back the secrets that this log was made with, or start a new log.
    """


class ClocksApart(StreamError):
    """Partition {partition} of 'commands' begins at {began}, but this machine's clock says {now}.

    Time in a log never goes back, so one that begins ahead would refuse everybody as too late. Put the clocks of Kafka
    and of this machine right. If the log is the one that is wrong, delete the topics 'commands' and 'events' while
    nobody has booked, and start again.
    """


async def ensure_genesis(
    producer: BatchProducer, reader: LogReader, partitions: Iterable[PartitionId], key_check: str, now_ms: int
) -> dict[PartitionId, commands.Genesis]:
    """The genesis record of each partition, written where the partition is empty.

    Where two processes write at once, the one at offset 0 counts and the other is a record without effect. Raises
    AnotherKey, GenesisMissing, ClocksApart, LogUnavailable.
    """
    ours = commands.Genesis(log=secrets.token_urlsafe(12), key_check=key_check, rules=RULES_VERSION)
    found = {}
    for partition in partitions:
        is_new = await _write_if_empty(producer, reader, partition, commands.encode(ours), now_ms)
        found[partition], began_ms = await _read_first(reader, partition)
        if found[partition].key_check != key_check:
            raise AnotherKey(partition=partition)
        if began_ms - now_ms > CLOCKS_APART_MS or (is_new and now_ms - began_ms > CLOCKS_APART_MS):
            raise ClocksApart(partition=partition, began=_as_text(began_ms), now=_as_text(now_ms))
    return found


async def read_genesis(reader: LogReader, partition: PartitionId) -> commands.Genesis:
    """The genesis record of one partition. Reassigns `reader` to that partition. Raises GenesisMissing."""
    return (await _read_first(reader, partition))[0]


async def _read_first(reader: LogReader, partition: PartitionId) -> tuple[commands.Genesis, int]:
    """The genesis record and its time."""
    start, end = await reader.log_start(partition), await reader.log_end(partition)
    if start > 0:
        raise GenesisMissing(partition=partition, why=f"its first record has offset {start}")
    if end == 0:
        raise GenesisMissing(partition=partition, why="it is empty")
    await reader.assign([partition])
    record = await record_at(reader, partition, Offset(0))
    command = commands.decode(record.value)
    if not isinstance(command, commands.Genesis):
        raise GenesisMissing(partition=partition, why="offset 0 holds something else")
    return command, record.timestamp


async def _write_if_empty(
    producer: BatchProducer, reader: LogReader, partition: PartitionId, value: bytes, now_ms: int
) -> bool:
    """Whether it was empty."""
    for left in reversed(range(TRIES)):
        if await reader.log_end(partition) > 0:
            return left < TRIES - 1
        try:
            await append(producer, COMMANDS, partition, [value], timestamp_ms=now_ms, ack_timeout_s=ANSWER_TIMEOUT_S)
        except UnknownOutcome:  # it may be there: look, and write again if not
            if not left:
                raise
    return True


def _as_text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(" ", "seconds")
