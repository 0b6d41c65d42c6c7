"""A log in memory, the Redis that people are served from, and snapshots made beside it."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from services.audit.from_snapshot import Snapshots
from services.audit.rebuild import Rebuilt, Target, rebuild
from services.audit.snapshot import Studio, Taken, take_all
from services.state.fold_call import FoldCall
from services.state.library import Library, build
from services.state.readers import read_head
from services.state.recovery import GROUP, Start
from services.state.redis_client import AbstractConnection, connect
from services.state.redis_cluster import RedisCluster
from services.state.snapshots.folder import SnapshotFolder
from services.state.store import Store, fold_connection
from services.stream.fake import FakeLog, FakeReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS
from tests import builders as b
from tests.contract.worlds import REDIS_TIMEOUT_S, LuaWorld, lua_world

P = PartitionId(0)
KEEP = 3
DAY_S = 86_400.0


@contextmanager
def nothing_but(url: str) -> Iterator[str]:
    """A store that is empty each time."""
    yield url


class SnapshotWorld:
    """Partition 0. `own_url` is a Valkey that snapshots are made in."""

    def __init__(self, lua: LuaWorld, url: str, own_url: str, folder: Path) -> None:
        self.lua = lua
        self.log = FakeLog(partitions=1)
        self.folder = SnapshotFolder(folder)
        self.library: Library = build()
        self._url = url
        self._own_url = own_url

    @property
    def store(self) -> Store:
        return self.lua.store

    def write(self, records: Sequence[tuple[bytes, int]]) -> None:
        """Append values with their time stamps to the log."""
        for value, at_ms in records:
            self.log.write(COMMANDS, P, [value], at_ms)

    def published(self, offset: int) -> None:
        """An allocator has committed that everything below was told."""
        self.log.committed[GROUP, COMMANDS, P] = Offset(offset)

    async def snapshot(self, key_check: str = b.KEY_CHECK) -> Taken:
        """Of what the log has now."""
        own = connect(self._own_url, timeout_s=REDIS_TIMEOUT_S)
        await own.flushall()
        await own.aclose()
        studio = Studio(
            log=FakeReader(self.log, COMMANDS),
            folder=self.folder,
            own_store=lambda: nothing_but(self._own_url),
            library=self.library,
            key_check=key_check,
            keep=KEEP,
            max_age_s=DAY_S,
        )
        (taken,) = await take_all(studio, 1, lambda *_: None)
        return taken

    async def rebuild(self, *, from_snapshots: bool = True, key_check: str = b.KEY_CHECK) -> Rebuilt:
        """Of the Redis that serves."""
        snapshots = Snapshots(self.folder if from_snapshots else None, self.store, self.connection)
        target = Target(
            partial(read_head, self.store),
            self.fold_call,
            key_check,
            is_cluster=isinstance(self.store, RedisCluster),
            snapshots=snapshots,
        )
        (rebuilt,) = await rebuild(FakeReader(self.log, COMMANDS), target, 1, lambda *_: None)
        return rebuilt

    async def empty(self) -> None:
        """Redis has lost all of this partition, not the library."""
        await self.lua.put_back({})

    async def replayed(self) -> dict[str, bytes]:
        """Every row after a replay of the whole log into an empty Redis."""
        await self.empty()
        rebuilt = await self.rebuild(from_snapshots=False)
        assert (rebuilt.why, rebuilt.snapshot) == ("", 0)
        return await self.lua.values()

    def connection(self, partition: PartitionId) -> AbstractConnection:
        return fold_connection(self.store, self._url, partition, timeout_s=REDIS_TIMEOUT_S)

    def fold_call(self, partition: PartitionId, start: Start) -> FoldCall:
        return FoldCall(self.connection(partition), self.library, partition, start.identity)


@asynccontextmanager
async def snapshot_world(url: str, own_url: str, folder: Path) -> AsyncIterator[SnapshotWorld]:
    """An empty Redis, an empty log, no snapshot."""
    async with lua_world(url) as lua:
        yield SnapshotWorld(lua, url, own_url, folder)
