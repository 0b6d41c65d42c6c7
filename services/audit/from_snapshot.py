"""A partition from its newest snapshot that fits: what a rebuild does before it replays the rest."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from services.domain.rows import Head
from services.platform.private_files import OthersCanRead
from services.state.fold_call import LogIdentity
from services.state.recovery import GROUP
from services.state.redis_client import AbstractConnection
from services.state.snapshots.file import Snapshot, SnapshotUnreadable, describe, open_snapshot
from services.state.snapshots.fitting import why_unfit
from services.state.snapshots.folder import SnapshotFolder
from services.state.snapshots.loading import Loading, is_being_loaded, with_published
from services.state.stopped import OtherKeyError
from services.state.store import Store
from services.stream.genesis import read_genesis
from services.stream.partition_reader import LogReader
from services.stream.place import PartitionId

ROWS_PER_RECORD: Final = 5
"""Rows that are loaded in the time of one record's replay; eight where both were measured (60,000 bookings, all rules),
and a booking makes three."""


@dataclass(frozen=True)
class Snapshots:
    """Where snapshots are, and the Redis that they are loaded into."""

    folder: SnapshotFolder | None
    """None: there are none, and a load that died is only taken back."""
    store: Store
    connection: Callable[[PartitionId], AbstractConnection]
    library: str | None = None
    """Only those that this library made; None takes what any made whose rules we know, as Redis' own rows are taken."""


@dataclass
class Loaded:
    """What was loaded, and what was not. `position` is 0 where nothing was."""

    position: int = 0
    rows: int = 0
    passed_over: list[str] = field(default_factory=list)
    """Snapshots that were not taken, each with the reason, in words."""


def is_worth_it(records: int, rows: int) -> bool:
    """Whether loading so many rows takes less time than replaying so many records."""
    return records * ROWS_PER_RECORD > rows


async def load_newest(
    log: LogReader, snapshots: Snapshots, head: Head | None, partition: PartitionId, key_check: str
) -> Loaded:
    """Load the newest that fits, where that is faster than replaying what it has.

    A load that died is done anew, or what it wrote is removed. `head` is that of Redis, compared with the log before.
    Raises LoadingTakenOver, OtherKeyError, GenesisMissing, LogUnavailable, and the errors of Redis.
    """
    loaded = Loaded()
    was_interrupted = is_being_loaded(head)
    position = 0 if head is None or was_interrupted else head.position
    snapshot = await _newest(log, snapshots, position, partition, key_check, loaded)
    if snapshot is None and not was_interrupted:
        return loaded
    try:
        await _load(log, snapshots, partition, snapshot)
    finally:
        if snapshot is not None:
            snapshot.close()
    return loaded


async def _newest(
    log: LogReader, snapshots: Snapshots, position: int, partition: PartitionId, key_check: str, loaded: Loaded
) -> Snapshot | None:
    """The one to load, written down in `loaded` with those before it. Raises what reading the log raises."""
    paths = snapshots.folder.newest_first(partition) if snapshots.folder is not None else []
    if not paths:
        return None
    genesis = await read_genesis(log, partition)
    if genesis.key_check != key_check:
        raise OtherKeyError(partition=partition)
    identity, end = LogIdentity(genesis.log, genesis.key_check), await log.log_end(partition)
    for path in paths:
        try:
            description = describe(path)
            if snapshots.library not in (None, description.library):
                continue
            if why := await why_unfit(log, partition, description, identity, end):
                loaded.passed_over.append(f"{path} was not taken: {why}.")
                continue
            snapshot = await asyncio.to_thread(open_snapshot, path)
        except (SnapshotUnreadable, OthersCanRead) as error:
            loaded.passed_over.append(str(error))
            continue
        there = description.known.position
        if not is_worth_it(there - position, snapshot.end.rows):  # and older ones bring less
            snapshot.close()
            return None
        loaded.position, loaded.rows = there, snapshot.end.rows
        return snapshot
    return None


async def _load(log: LogReader, snapshots: Snapshots, partition: PartitionId, snapshot: Snapshot | None) -> None:
    """Take the partition, make it empty, fill it, give it back; without a snapshot it stays empty."""
    ours = None if snapshot is None else snapshot.description.known

    def may_replace(head: Head | None) -> bool:
        """A load that died, or a state of this log that is farther behind than the snapshot."""
        if ours is None or is_being_loaded(head):
            return is_being_loaded(head)
        return head is None or (head.log == ours.log and head.position < ours.position)

    committed = await log.committed(GROUP, partition)
    loading = Loading(snapshots.connection(partition), partition)
    try:
        before = await loading.take(may_replace)
        if before is not None:
            await loading.clear(snapshots.store)
        if snapshot is None:
            await loading.give_back(None)
            return
        for rows in snapshot.rows():
            await loading.put(rows)
        published = max(committed, 0 if before is None else before.published)
        await loading.give_back(with_published(snapshot.description.head, published))
    finally:
        await loading.drop()
