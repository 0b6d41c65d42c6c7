"""The ledger's process, and its rebuild, put together."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.ledger.follower import Follower, FollowerSettings
from services.ledger.rebuild import OnProgress, rebuild
from services.platform.admin import AdminServer
from services.platform.health import Health
from services.platform.lifecycle import Stop, TaskSet, fast_loop, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.settings import ProcessSettings, SystemSettings
from services.platform.telemetry import configure_logging
from services.sql.database import Database, DatabaseSettings
from services.sql.errors import LedgerNotNamed
from services.stream.partition_reader import PartitionReader, ReaderSettings
from services.stream.topics import COMMANDS, EVENTS, count_partitions

log = structlog.get_logger(__name__)

BEHIND_OTHERS = 10
"""Niceness: where cores are short, whoever serves people goes first. The ledger may come later, it loses nothing."""


class LedgerSettings(ProcessSettings, frozen=True, kw_only=True):
    """How the ledger keeps its book."""

    database: DatabaseSettings = DatabaseSettings()
    follower: FollowerSettings = FollowerSettings()
    reader: ReaderSettings = ReaderSettings(fetch_max_wait_ms=200)


class LedgerRebuildSettings(SystemSettings, frozen=True, kw_only=True):
    """What `maskline ledger rebuild` is told."""

    database: DatabaseSettings = DatabaseSettings()
    follower: FollowerSettings = FollowerSettings()


async def main(settings: LedgerSettings, stop: Stop) -> None:
    """One ledger, until it is asked to stop. Two of them do no harm."""
    configure_logging("ledger", settings.log_level)
    os.nice(BEHIND_OTHERS)
    log.info("Starting", action="starting", settings=settings.lines())
    if not settings.database.ledger:
        raise LedgerNotNamed
    health = Health()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(AdminServer(settings.host, settings.admin_port, health))
        database = Database(settings.database)
        stack.callback(database.close)
        count = await count_partitions(settings)
        commands = PartitionReader(settings, COMMANDS, settings.reader)
        stack.push_async_callback(commands.stop)
        events = PartitionReader(settings, EVENTS, settings.reader)
        stack.push_async_callback(events.stop)
        tasks = await stack.enter_async_context(TaskSet(stop))
        follower = Follower(commands, events, database, count, settings.follower)
        tasks.start(follower.run(), "follow")
        health.add("ledger", follower.wrong)
        health.started()
        settle_memory()
        await stop.wait()


def run(settings: LedgerSettings) -> None:
    """The command `maskline ledger`."""
    run_process(lambda stop: main(settings, stop))


async def rebuild_all(settings: LedgerRebuildSettings, on_progress: OnProgress) -> dict[int, str]:
    """What keeps a partition from being whole, by partition. Raises what keeps it from log or database."""
    if not settings.database.ledger:
        raise LedgerNotNamed
    async with AsyncExitStack() as stack:
        database = Database(settings.database)
        stack.callback(database.close)
        count = await count_partitions(settings)
        commands, events = PartitionReader(settings, COMMANDS), PartitionReader(settings, EVENTS)
        stack.push_async_callback(commands.stop)
        stack.push_async_callback(events.stop)
        follower = Follower(commands, events, database, count, settings.follower)
        return await rebuild(follower, database, count, on_progress)


def run_rebuild(settings_of: Callable[[], LedgerRebuildSettings], tell: Callable[[str], None]) -> int:
    """The command `maskline ledger rebuild`: 0 where the ledger is whole, 1 where a partition cannot be."""
    settings = settings_of()
    configure_logging("ledger-rebuild", settings.log_level if settings.log_level != "info" else "warning")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[int, object] = {}

        def progress(partition: int, done: int, end: int) -> None:
            task = tasks.setdefault(partition, bars.add_task(f"partition {partition}") if partition not in tasks else 0)
            bars.update(task, completed=done, total=end)  # type: ignore[arg-type]

        with asyncio.Runner(loop_factory=fast_loop()) as runner:
            stopped = runner.run(partial(rebuild_all, settings, progress)())
    for why in stopped.values():
        tell(why)
    tell(f"{len(stopped)} partitions are not whole." if stopped else "The ledger has all events of the log.")
    return 1 if stopped else 0
