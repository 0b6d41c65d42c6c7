"""The ledger's process, and its rebuild, put together."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated

import structlog
from msgspec import Meta

from services.ledger.follower import Follower, FollowerSettings
from services.ledger.progress import shown
from services.ledger.rebuild import OnProgress, Rebuild
from services.platform.admin import AdminServer
from services.platform.health import Health
from services.platform.lifecycle import Stop, TaskSet, fast_loop, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.settings import ProcessSettings, SystemSettings
from services.platform.telemetry import configure_command_logging, configure_logging
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

    anew: Annotated[
        bool, Meta(description="Start over also where an earlier rebuild was interrupted, and would go on.")
    ] = False
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
        commands = PartitionReader(settings, COMMANDS, settings.reader, looks_only=True)
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


async def rebuild_all(
    settings: LedgerRebuildSettings, tell: Callable[[str], None], on_progress: OnProgress
) -> dict[int, str]:
    """What keeps a partition from being whole, by partition. Raises what keeps it from log or database."""
    if not settings.database.ledger:
        raise LedgerNotNamed
    async with AsyncExitStack() as stack:
        database = Database(settings.database)
        stack.callback(database.close)
        count = await count_partitions(settings)
        commands = PartitionReader(settings, COMMANDS, looks_only=True)
        events = PartitionReader(settings, EVENTS)
        stack.push_async_callback(commands.stop)
        stack.push_async_callback(events.stop)
        rebuild = Rebuild(Follower(commands, events, database, count, settings.follower), database)
        begun = await rebuild.begin(anew=settings.anew)
        if begun.is_resumed:
            tell(f"A rebuild was interrupted: going on at {begun.done:,} of {begun.end:,} events. --anew starts over.")
        else:
            tell(f"The ledger is empty now, and is made of {begun.end:,} events.")
        return await rebuild.run(on_progress)


def run_rebuild(settings_of: Callable[[], LedgerRebuildSettings], tell: Callable[[str], None]) -> int:
    """The command `maskline ledger rebuild`: 0 where the ledger is whole, 1 where a partition cannot be."""
    settings = settings_of()
    configure_command_logging("ledger-rebuild", settings.log_level)
    with shown(tell) as progress, asyncio.Runner(loop_factory=fast_loop()) as runner:
        stopped = runner.run(rebuild_all(settings, tell, progress))
    for why in stopped.values():
        tell(why)
    tell(f"{len(stopped)} partitions are not whole." if stopped else "The ledger has all events of the log.")
    return 1 if stopped else 0
