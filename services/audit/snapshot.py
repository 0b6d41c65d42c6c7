"""`maskline snapshot`: folds each partition's log in a store of its own, and writes down what came out.

Everything is that of a rebuild: the same start, the same refusals, the same library. So a snapshot is what a rebuild of
an empty Redis would have made, at the position where the log ended when it was begun (`services/state/snapshots`).
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from services.audit.from_snapshot import Snapshots
from services.audit.rebuild import Progress, Target, rebuild_partition
from services.platform.errors import MasklineError
from services.state.fold_call import FoldCall
from services.state.keys import head_key
from services.state.library import Library
from services.state.readers import read_head
from services.state.recovery import Start
from services.state.redis_client import AbstractConnection, RedisError
from services.state.snapshots.file import Description, write_snapshot
from services.state.snapshots.folder import SnapshotFolder
from services.state.snapshots.rows import StoreInUse, all_rows
from services.state.stopped import PartitionStoppedError
from services.state.store import Store, fold_connection, open_store
from services.stream.errors import HoleInLog, PositionOutsideLog
from services.stream.genesis import GenesisMissing
from services.stream.partition_reader import LogReader
from services.stream.place import PartitionId

OwnStore = Callable[[], AbstractContextManager[str]]
"""Starts an empty Valkey or Redis that nobody else knows, and ends it; its address."""
STORE_TIMEOUT_S: Final = 30.0
"""A store of its own that nobody waits for: it may be slow, on a machine that has better things to do."""


class SnapshotFailed(MasklineError):
    """No snapshot of partition {partition} was made, for {why}. Those from before are still there."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What was done for one partition: the snapshot's position and rows, and the one that it began with (0: none)."""

    partition: int
    position: int = 0
    began_with: int = 0
    rows: int = 0
    seconds: float = 0.0
    why: str = ""
    """Why none was made; empty where one was, or where nothing has come since the last."""

    def __str__(self) -> str:
        if self.why:
            return self.why
        if self.position == self.began_with:
            return f"Partition {self.partition}: nothing has come since the snapshot of position {self.position}."
        return (
            f"Partition {self.partition}: snapshot of position {self.position}, {self.rows} rows, begun with that of "
            f"position {self.began_with}, in {self.seconds:.1f} s."
        )


@dataclass(frozen=True)
class Studio:
    """What it takes to make snapshots."""

    log: LogReader
    folder: SnapshotFolder
    own_store: OwnStore
    library: Library
    key_check: str
    keep: int
    max_age_s: float


async def take_all(studio: Studio, partitions: int, on_progress: Progress) -> list[Taken]:
    """A snapshot of every partition, one after the other; one that cannot be made says why.

    Raises LogUnavailable, SnapshotFailed, and what starting a store raises.
    """
    studio.folder.prepare()
    done = []
    for number in range(partitions):
        partition = PartitionId(number)
        try:
            done.append(await take(studio, partition, on_progress))
        except (PartitionStoppedError, GenesisMissing, HoleInLog, PositionOutsideLog, StoreInUse) as error:
            done.append(Taken(partition=partition, why=str(error)))
        except (RedisError, OSError) as error:
            raise SnapshotFailed(partition=partition, why=str(error) or type(error).__name__) from error
        finally:
            studio.folder.tidy(partition, keep=studio.keep, max_age_s=studio.max_age_s)
    return done


async def take(studio: Studio, partition: PartitionId, on_progress: Progress) -> Taken:
    """A snapshot of one partition. Raises as `rebuild_partition`, and StoreInUse."""
    began_s = time.monotonic()
    with studio.own_store() as url:
        store = open_store(url, timeout_s=STORE_TIMEOUT_S)
        try:
            rebuilt = await rebuild_partition(studio.log, _target(studio, store, url), partition, on_progress)
            rows = 0
            if rebuilt.position > rebuilt.snapshot:
                rows = await _write(studio, store, partition)
        finally:
            await store.aclose()
    return Taken(
        partition=partition,
        position=rebuilt.position,
        began_with=rebuilt.snapshot,
        rows=rows,
        seconds=round(time.monotonic() - began_s, 3),
    )


def _target(studio: Studio, store: Store, url: str) -> Target:
    def connection(partition: PartitionId) -> AbstractConnection:
        return fold_connection(store, url, partition, timeout_s=STORE_TIMEOUT_S)

    def fold_call(partition: PartitionId, start: Start) -> FoldCall:
        return FoldCall(connection(partition), studio.library, partition, start.identity)

    snapshots = Snapshots(studio.folder, store, connection, studio.library.name)
    return Target(partial(read_head, store), fold_call, studio.key_check, snapshots=snapshots)


async def _write(studio: Studio, store: Store, partition: PartitionId) -> int:
    head: Any
    (head,) = await store.mget([head_key(partition)])
    description = Description(
        partition=partition, head=head, library=studio.library.name, made_at_ms=time.time_ns() // 1_000_000
    )
    path = studio.folder.name(partition, description.known.position)
    return await write_snapshot(path, description, all_rows(store, partition, head))
