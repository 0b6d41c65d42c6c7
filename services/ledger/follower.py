"""Reads events and writes rows, a bounded batch at a time; where it stands is what SQL says, and nothing else.

Whatever goes wrong with the log or the database, it begins again from the watermarks. While the database is away it
reads nothing: there is one batch in memory and never more. A partition that cannot go on stands still alone.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress
from functools import partial
from typing import Annotated, Final

import structlog
from aiokafka import ConsumerRecord
from msgspec import Meta

from services.ledger.errors import EventsChanged, EventsCut, EventsOfAnotherLog
from services.ledger.intake import row_in, take_in
from services.platform.errors import MasklineError
from services.platform.metrics import LEDGER_BEHIND, LEDGER_ROWS
from services.platform.settings import Settings
from services.platform.telemetry import tells_ways
from services.sql.database import Database
from services.sql.errors import DatabaseUnavailableError
from services.sql.schema import migrate
from services.sql.tables import Watermark
from services.sql.watermarks import begin_partition, has_row, store
from services.stream.errors import HoleInLog, PositionOutsideLog, StreamError
from services.stream.genesis import GenesisMissing, read_genesis
from services.stream.partition_reader import LogReader
from services.stream.place import Offset, PartitionId

FETCH_TIMEOUT_MS: Final = 500
LOOK_BACK_TIMEOUT_MS: Final = 5_000

log = structlog.get_logger(__name__)


class FollowerSettings(Settings, frozen=True, kw_only=True):
    """How the ledger follows."""

    batch_records: Annotated[int, Meta(description="Events in one transaction at most.", ge=1, le=10_000)] = 1_000
    ledger_pause_s: Annotated[
        float, Meta(description="Seconds between two batches where the ledger keeps up: it need not hurry.", ge=0)
    ] = 0.1
    ledger_retry_s: Annotated[
        float, Meta(description="Seconds before it begins again after the database or the log failed.", gt=0)
    ] = 1.0


class Follower:
    """Of all partitions; one task runs it."""

    def __init__(
        self, commands: LogReader, events: LogReader, database: Database, partitions: int, settings: FollowerSettings
    ) -> None:
        self.stopped: dict[PartitionId, MasklineError] = {}
        self.away: MasklineError | None = None
        self.watermarks: dict[PartitionId, Watermark] = {}
        """Of the partitions that go on."""
        self._commands = commands
        self._events = events
        self._database = database
        self._partitions = [PartitionId(number) for number in range(partitions)]
        self._settings = settings

    async def run(self) -> None:
        """Follow for ever. Raises SchemaTooNewError and what no new try can heal."""
        while True:
            try:
                await self.begin()
                while True:
                    if await self.step() < self._settings.batch_records:
                        await asyncio.sleep(self._settings.ledger_pause_s)
            except (DatabaseUnavailableError, StreamError) as error:
                self.away = error
                log.warning("The ledger waits", action="ledger_waits", why=str(error))
                await self._measure_while_away()
                await asyncio.sleep(self._settings.ledger_retry_s)

    async def begin(self) -> None:
        """Stand where SQL says. Raises DatabaseUnavailableError, SchemaTooNewError, LogUnavailable."""
        await self._database.call(migrate, writes=True)
        self.stopped.clear()
        self.watermarks.clear()
        for partition in self._partitions:
            try:
                self.watermarks[partition] = await self._standing(partition)
            except (EventsOfAnotherLog, EventsCut, GenesisMissing) as error:
                self._stop(partition, error)
        await self._events.assign(self.watermarks)
        for partition, watermark in list(self.watermarks.items()):
            try:
                await self._check_last_read(partition, watermark)
            except (EventsChanged, HoleInLog, PositionOutsideLog) as error:
                self._stop(partition, error)
        for partition, watermark in self.watermarks.items():
            self._events.seek(partition, Offset(watermark.next_record))
        self.away = None

    async def beginnings(self) -> dict[int, Watermark]:
        """Watermarks of a ledger without rows that is to have what the topic has now; none of a log not begun.

        Raises LogUnavailable.
        """
        found: dict[int, Watermark] = {}
        for partition in self._partitions:
            with suppress(GenesisMissing):
                genesis = await read_genesis(self._commands, partition)
                end = await self._events.log_end(partition)
                found[partition] = Watermark(partition, genesis.log, rebuild_end=end)
        return found

    async def step(self) -> int:
        """One fetch and its rows. How many records it was. Raises DatabaseUnavailableError, StreamError."""
        going_on = list(self.watermarks)
        if not going_on:
            return 0
        try:
            records = await self._events.fetch(going_on, self._settings.batch_records, FETCH_TIMEOUT_MS)
        except (HoleInLog, PositionOutsideLog) as error:
            self._stop(error.values["partition"], error)
            return 0
        by_partition: dict[PartitionId, list[ConsumerRecord]] = defaultdict(list)
        for record in records:
            by_partition[PartitionId(record.partition)].append(record)
        for partition, of_partition in by_partition.items():
            await self._store(partition, of_partition)
        for partition, watermark in self.watermarks.items():
            if (end := self._events.end_seen(partition)) is not None:
                LEDGER_BEHIND.labels(partition).set(max(0, end - watermark.next_record))
        return len(records)

    def wrong(self) -> str | None:
        """What keeps the ledger from going on, in words."""
        return "; ".join(str(error) for error in [*self.stopped.values(), self.away] if error is not None) or None

    async def _standing(self, partition: PartitionId) -> Watermark:
        genesis = await read_genesis(self._commands, partition)
        begin = partial(begin_partition, partition=partition, log=genesis.log)
        watermark = await self._database.call(begin, writes=True)
        if watermark.log != genesis.log:
            raise EventsOfAnotherLog(partition=partition, ours=watermark.log, found=genesis.log)
        end = await self._events.log_end(partition)
        if end < watermark.next_record:
            raise EventsCut(partition=partition, read=watermark.next_record, end=end)
        return watermark

    async def _measure_while_away(self) -> None:
        """What it falls behind by while it cannot write: whoever watches must not see the number of before."""
        with suppress(StreamError):
            for partition, watermark in self.watermarks.items():
                end = await self._events.log_end(partition)
                LEDGER_BEHIND.labels(partition).set(max(0, end - watermark.next_record))

    async def _check_last_read(self, partition: PartitionId, watermark: Watermark) -> None:
        """A log that was cut and has grown again is not told by its length. Raises EventsChanged, HoleInLog."""
        last = Offset(watermark.next_record - 1)
        if last < await self._events.log_start(partition):
            return
        self._events.seek(partition, last)
        for record in await self._events.fetch(partition, 1, LOOK_BACK_TIMEOUT_MS):
            row = row_in(record)
            if row is not None and not await self._database.call(partial(has_row, row=row)):
                raise EventsChanged(partition=partition, record=last)

    async def _store(self, partition: PartitionId, records: list[ConsumerRecord]) -> None:
        intake = take_in(records, self.watermarks[partition])
        if intake.after != intake.before:
            work = partial(store, rows=intake.rows, before=intake.before, after=intake.after)
            if not await self._database.call(work, writes=True):
                raise DatabaseUnavailableError(why=f"somebody else wrote partition {partition} meanwhile")
            self.watermarks[partition] = intake.after
            LEDGER_ROWS.add_many(len(intake.rows), partition)
            if tells_ways():
                log.debug(
                    "In the ledger", action="in_ledger", partition=partition, offset=intake.before.log_offset + 1,
                    to=intake.after.log_offset,
                )  # fmt: skip
        if intake.stopped_because is not None:
            self._stop(partition, intake.stopped_because)

    def _stop(self, partition: PartitionId, error: MasklineError) -> None:
        log.error("A partition of the ledger stands still", action="ledger_stopped", why=str(error))
        self.stopped[partition] = error
        self.watermarks.pop(partition, None)
