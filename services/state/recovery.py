"""Where a partition starts, and when it must not: run at each assignment, whatever happened before it.

A crash, a zombie, a rebalance, a fail-over, an empty Redis are all one case: apply what is not applied yet, publish
what is not published yet. What is not that case is a log other than the one Redis has applied; then nothing is applied.
"""

from typing import Protocol

from services.domain.rows import Head
from services.state.fold_call import LogIdentity
from services.state.records import digest_of
from services.state.snapshots.loading import is_being_loaded
from services.state.stopped import BeingLoadedError, LogDiffersError, LogTooShortError, OtherKeyError, OtherLogError
from services.stream.genesis import read_genesis
from services.stream.partition_reader import LogReader, record_at
from services.stream.place import Offset, PartitionId

GROUP = "allocator"


class HeadReader(Protocol):
    """Reads a partition's head from Redis; None where Redis is empty."""

    async def __call__(self, partition: int) -> Head | None:
        """The head, straight from the primary."""


class Start:
    """Where to read from, what is published, and which log it is."""

    __slots__ = ("identity", "offset", "published")

    def __init__(self, identity: LogIdentity, offset: int, published: int) -> None:
        self.identity = identity
        self.offset = offset
        self.published = published


async def find_start(log: LogReader, read_head: HeadReader, partition: PartitionId, key_check: str) -> Start:
    """The place to start from: the smaller of position and published, so that nothing is left out of either.

    `log` is for looking only. Raises PartitionStoppedError, GenesisMissing, LogUnavailable, or the errors of Redis.
    """
    genesis = await read_genesis(log, partition)
    if genesis.key_check != key_check:
        raise OtherKeyError(partition=partition)
    head = await read_head(partition) or Head()
    if is_being_loaded(head):
        raise BeingLoadedError(partition=partition)
    committed = await log.committed(GROUP, partition)
    published = max(head.published, committed)
    end = await log.log_end(partition)
    if head.position > 0:
        await _check_same_log(log, partition, head, genesis.log, end)
        if head.key_check != key_check:
            raise OtherKeyError(partition=partition)
    if published > end:
        raise LogTooShortError(partition=partition, what="what was published", offset=published, end=end)
    return Start(LogIdentity(genesis.log, genesis.key_check), min(head.position, published), published)


async def _check_same_log(log: LogReader, partition: PartitionId, head: Head, log_id: str, end: int) -> None:
    if head.log != log_id:
        raise OtherLogError(partition=partition, in_redis=head.log, in_kafka=log_id)
    if head.position > end:
        raise LogTooShortError(partition=partition, what="Redis", offset=head.position, end=end)
    last = Offset(head.position - 1)
    if digest_of((await record_at(log, partition, last)).value) != head.digest:
        raise LogDiffersError(partition=partition, offset=last)
