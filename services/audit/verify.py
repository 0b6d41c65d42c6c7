"""`maskline verify`: replays the log with the model and compares Redis, recorded decisions and events with it.

One partition after the other, so memory holds the rows of one. It only reads, and works on a system in use: whatever
is compared was read together with the position it belongs to.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from services.audit.errors import CouldNotLookError, MovedBackError
from services.audit.events_check import EventsCheck
from services.audit.ledger_check import LedgerCheck
from services.audit.replay import Decided, Replay
from services.audit.report import Kind, Report, merge
from services.audit.rows_check import RowsCheck
from services.audit.rows_reader import RowsReader
from services.domain.limits import DECISIONS_PER_CHUNK
from services.domain.rows import Head
from services.platform.settings import SystemSettings
from services.sql.database import Database, DatabaseSettings
from services.state.recovery import GROUP
from services.stream.errors import HoleInLog, PositionOutsideLog
from services.stream.genesis import GenesisMissing, read_genesis
from services.stream.partition_reader import LogReader
from services.stream.place import PartitionId

LOOK_AGAIN_S = 0.1


class VerifySettings(SystemSettings, frozen=True, kw_only=True):
    """What verify is told."""

    redis_timeout_s: Annotated[
        float, Meta(description="Seconds before a call to Redis counts as unanswered.", gt=0)
    ] = 5.0  # nobody waits for it, and a machine in a rush answers late
    catch_up_timeout_s: Annotated[
        float, Meta(description="Seconds to wait for Redis to reach what was published, or to come back.", gt=0)
    ] = 30.0
    verify_tries: Annotated[
        int, Meta(description="How often a partition is looked at anew when Redis goes back meanwhile.", ge=1)
    ] = 3
    database: DatabaseSettings = DatabaseSettings()


@dataclass(frozen=True)
class Sources:
    """What verify reads: the two topics and Redis, or fakes of them, and the ledger's database where there is one."""

    commands: LogReader
    events: LogReader
    rows: RowsReader
    partitions: int
    ledger: Database | None = None


@dataclass(frozen=True)
class _Standing:
    """How far everything had come when a partition was first looked at; read in this order."""

    head: Head
    published: int  # all events below are acknowledged
    events_end: int
    log_end: int


async def verify(
    sources: Sources, settings: VerifySettings, on_partition: Callable[[int, Report], None] | None = None
) -> Report:
    """Look at every partition. Raises CouldNotLookError, and LogUnavailable when the log is away."""
    started_s = time.monotonic()
    report = Report()
    for number in range(sources.partitions):
        merge(report, await _with_more_tries(sources, settings, PartitionId(number)))
        report.partitions += 1
        report.seconds = round(time.monotonic() - started_s, 3)
        if on_partition is not None:
            on_partition(number, report)
    return report


async def _with_more_tries(sources: Sources, settings: VerifySettings, partition: PartitionId) -> Report:
    """A fail-over or a rebuild in the middle of it means to look anew, a bounded number of times."""
    for left in reversed(range(settings.verify_tries)):
        report = Report()
        try:
            await _verify_partition(sources, settings, partition, report)
        except MovedBackError as error:
            if not left:
                raise CouldNotLookError(partition=partition, why=str(error)) from error
            await asyncio.sleep(LOOK_AGAIN_S)
        except (HoleInLog, PositionOutsideLog, GenesisMissing) as error:
            report.add(Kind.LOG, partition, str(error))
            return report
        else:
            return report
    raise AssertionError("unreachable")


async def _verify_partition(sources: Sources, settings: VerifySettings, partition: PartitionId, report: Report) -> None:
    genesis = await read_genesis(sources.commands, partition)
    standing = await _standing(sources, settings, partition)
    head = standing.head
    report.records = head.position
    report.behind = standing.log_end - head.position
    if head.position < standing.published:
        what = "Redis is behind what was published, and does not catch up: its last part was lost"
        report.add(
            Kind.LOG, partition, what, expected=f"position {standing.published}", found=f"position {head.position}"
        )
    if head.position > standing.log_end:
        what = "Redis has applied more than the log has: the log was cut, or it is another one"
        report.add(Kind.LOG, partition, what, expected=f"at most {standing.log_end}", found=f"position {head.position}")
        return
    if head.position > 0 and head.log != genesis.log:
        report.add(Kind.LOG, partition, "Redis holds the state of another log", expected=genesis.log, found=head.log)
        return

    replay = Replay(sources.commands, partition, keep_from=head.trimmed * DECISIONS_PER_CHUNK)
    await replay.begin()
    events = EventsCheck(sources.events, partition, genesis.log, report)
    await events.begin(standing.events_end, standing.log_end)
    ledger = None if sources.ledger is None else LedgerCheck(sources.ledger, partition, genesis.log, report)
    if ledger is not None:
        await ledger.begin(sources.commands)

    async def follow(decided: Sequence[Decided]) -> None:
        await events.follow(decided)
        if ledger is not None:
            await ledger.follow(decided)

    await replay.advance(head.position, follow)
    await events.finish(standing.published)
    if ledger is not None:
        await ledger.finish(head.position)

    rows = RowsCheck(sources.rows, partition, replay, report)
    await rows.compare_rows()
    report.oversold = max(report.oversold, rows.oversold)
    await rows.compare_decisions()
    await rows.find_foreign_keys()


async def _standing(sources: Sources, settings: VerifySettings, partition: PartitionId) -> _Standing:
    """Where everything stands. Redis may be catching up (a fail-over, a rebuild): it gets a bounded time for that."""
    deadline_s = time.monotonic() + settings.catch_up_timeout_s
    while True:
        head = (await sources.rows.read(partition, [])).head
        published = max(head.published, await sources.commands.committed(GROUP, partition))
        if head.position >= published or time.monotonic() > deadline_s:
            break
        await asyncio.sleep(LOOK_AGAIN_S)
    # Read after the head: whatever was published by then is in the topic, and whatever is there is in the log.
    events_end = await sources.events.log_end(partition)
    return _Standing(head, published, events_end, await sources.commands.log_end(partition))
