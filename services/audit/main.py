"""Where verify, trace and rebuild are put together, each as a command."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import msgspec

from services.audit import progress
from services.audit.errors import ConnectionBroke
from services.audit.from_snapshot import Snapshots
from services.audit.rebuild import Progress, RebuildSettings, Rebuilt, Target, rebuild
from services.audit.report import Report
from services.audit.rows_reader import RedisRows
from services.audit.trace import Trace, place_in, trace
from services.audit.verify import Sources, VerifySettings, verify
from services.platform.errors import MasklineError
from services.platform.lifecycle import fast_loop
from services.platform.secrets import SECRETS, Secrets
from services.platform.telemetry import configure_command_logging
from services.sql.database import Database
from services.state.errors import StateUnavailableError
from services.state.fold_call import FoldCall
from services.state.library import Library, build
from services.state.readers import read_head
from services.state.recovery import Start
from services.state.redis_access import redis_address
from services.state.redis_client import AbstractConnection, RedisError, ResponseError
from services.state.redis_cluster import RedisCluster
from services.state.snapshots.folder import SNAPSHOTS, SnapshotFolder
from services.state.store import Store, fold_connection, open_store
from services.state.store_check import StoreUnfit, check_libraries, check_stores
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, EVENTS, count_partitions

T = TypeVar("T")


async def main(settings: VerifySettings, on_partition: Callable[[int, Report], None] | None = None) -> Report:
    """The report on the whole system. Raises CouldNotLookError, KafkaUnreachable, TopicMissing, LogUnavailable,
    and what the ledger's database raises, where one is named."""
    async with _sources(settings) as sources:
        return await verify(sources, settings, on_partition)


@asynccontextmanager
async def _sources(settings: VerifySettings) -> AsyncIterator[Sources]:
    partitions = await count_partitions(settings)
    commands, events = PartitionReader(settings, COMMANDS), PartitionReader(settings, EVENTS)
    redis = open_store(redis_address(settings), timeout_s=settings.redis_timeout_s)
    ledger = Database(settings.database) if settings.database.ledger else None
    try:
        yield Sources(commands, events, RedisRows(redis), partitions, ledger)
    finally:
        if ledger is not None:
            ledger.close()
        await commands.stop()
        await events.stop()
        await redis.aclose()


def run(settings_of: Callable[[], VerifySettings], tell: Callable[[str], None], *, as_json: bool) -> int:
    """The command `maskline verify`: its exit code. Raises, in words, what kept it from looking."""
    try:
        settings = settings_of()
        configure_command_logging("verify", settings.log_level)
        report = _run(main(settings))
    except MasklineError as error:
        if as_json:
            tell(msgspec.json.encode({"verify": "could not look", "why": str(error)}).decode())
        raise
    if as_json:
        tell(msgspec.json.encode(report).decode())
    else:
        for line in report.lines():
            tell(line)
    return report.exit_code


def run_trace(
    settings_of: Callable[[], VerifySettings], text: str, tell: Callable[[str], None], *, as_json: bool
) -> int:
    """The command `maskline trace`: 0 where the command has come to its end, 1 where it has not. Raises, in words, what
    kept it from looking."""
    place, settings = place_in(text), settings_of()
    configure_command_logging("trace", settings.log_level)

    async def traced() -> Trace:
        async with _sources(settings) as sources:
            return await trace(sources, place)

    found = _run(traced())
    for line in [msgspec.json.encode(found).decode()] if as_json else found.lines():
        tell(line)
    return 0 if found.is_whole else 1


async def rebuild_all(settings: RebuildSettings, on_progress: Progress) -> list[Rebuilt]:
    """What was done to each partition. Raises StoreUnfit, LibraryReplaced, LogUnavailable, RebuildFailed, and what
    keeps it from reaching Kafka or the secrets."""
    key_check = Secrets.load(settings.data / SECRETS, settings.secret_files).key_check()
    partitions = await count_partitions(settings)
    commands = PartitionReader(settings, COMMANDS)
    address = redis_address(settings)
    redis = open_store(address, timeout_s=settings.redis_timeout_s)
    library = build()

    def fold_call(partition: PartitionId, start: Start) -> FoldCall:
        connection = fold_connection(redis, address, partition, timeout_s=settings.fold_timeout_s)
        return FoldCall(connection, library, partition, start.identity)

    try:
        await _check_redis(redis, library)
        target = Target(
            partial(read_head, redis),
            fold_call,
            key_check,
            isinstance(redis, RedisCluster),
            _snapshots(settings, redis, address),
        )
        return await rebuild(commands, target, partitions, on_progress)
    finally:
        await commands.stop()
        await redis.aclose()


def run_rebuild(settings_of: Callable[[], RebuildSettings], tell: Callable[[str], None], *, as_json: bool) -> int:
    """The command `maskline rebuild`: 0 where all is whole, 1 where a partition must not be touched. Raises, in words,
    what kept it from its work."""
    began_s = time.monotonic()
    try:
        settings = settings_of()
        configure_command_logging("rebuild", settings.log_level)
        with progress.lines(tell) if as_json else progress.bars() as on_progress:
            done = _run(rebuild_all(settings, on_progress))
    except MasklineError as error:
        if as_json:
            tell(msgspec.json.encode({"rebuild": "could not be done", "why": str(error)}).decode())
        raise
    not_whole = sum(1 for each in done if each.why)
    if as_json:
        seconds = round(time.monotonic() - began_s, 3)
        word = "incomplete" if not_whole else "whole"
        tell(msgspec.json.encode({"rebuild": word, "seconds": seconds, "partitions": done}).decode())
    else:
        for each in done:
            tell(str(each))
        tell(f"{not_whole} of {len(done)} partitions are not whole." if not_whole else "Redis has all of the log.")
    return 1 if not_whole else 0


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            return runner.run(work)
    except OSError as error:
        # click takes a broken pipe for a reader of its output that went away, and ends without a word with exit code 1,
        # which is what verify says where something differs.
        raise ConnectionBroke(why=error) from error


def _snapshots(settings: RebuildSettings, redis: Store, address: str) -> Snapshots:
    def connection(partition: PartitionId) -> AbstractConnection:
        return fold_connection(redis, address, partition, timeout_s=settings.fold_timeout_s)

    folder = SnapshotFolder(settings.snapshots or settings.data / SNAPSHOTS) if settings.use_snapshots else None
    return Snapshots(folder, redis, connection)


async def _check_redis(redis: Store, library: Library) -> None:
    try:
        found = await check_stores(redis)
        if found.wrong:
            raise StoreUnfit(what=" ".join(found.wrong))
        with suppress(ResponseError):  # FUNCTION LIST is not allowed: the fold call itself may be
            await check_libraries(redis, library)
    except (RedisError, OSError) as error:
        raise StateUnavailableError(what=str(error) or type(error).__name__) from error
