"""The ledger in SQL, held against what the model decided: every event has one row, every row its event.

What the ledger has not read yet is no difference: rows are compared up to the watermark that stood at the beginning.
Whoever reads sees one moment of the database at a time, and rows and watermark move together in it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from services.audit.errors import LedgerMovedBackError
from services.audit.replay import Decided
from services.audit.report import Kind, Report, shortened
from services.domain.events import Event, events_of
from services.sql.database import Database
from services.sql.schema import check
from services.sql.tables import EVENTS, Watermark, row_of
from services.sql.watermarks import read_watermarks
from services.stream.partition_reader import LogReader
from services.stream.place import PartitionId

Place = tuple[int, int]
MAX_ROWS: Final = 100_000
"""Of one reading. A batch of decisions has a few thousand events; more rows than that are foreign ones."""


class LedgerCheck:
    """Of one partition: `begin`, then `follow` the replay, then `finish`."""

    def __init__(self, database: Database, partition: PartitionId, log: str, report: Report) -> None:
        self._database = database
        self._partition = partition
        self._log = log
        self._report = report
        self._watermark = Watermark(partition, log)
        self._next = 0  # offsets below it were compared

    async def begin(self, log: LogReader) -> None:
        """Where the ledger stands. Raises DatabaseUnavailableError, SchemaMissingError, SchemaTooNewError."""
        await self._database.call(check)
        known = (await self._database.call(read_watermarks)).get(self._partition)
        if known is None:
            return
        if known.log != self._log:
            what = "the ledger has the rows of another log"
            self._report.add(Kind.LEDGER, self._partition, what, expected=self._log, found=known.log)
            return
        log_end = await log.log_end(self._partition)  # asked for after the watermark: both move on
        if known.log_offset >= log_end:
            what = "the ledger has more than the log: the log was cut, or the watermark is wrong"
            found = f"offset {known.log_offset}"
            self._report.add(Kind.LEDGER, self._partition, what, expected=f"below {log_end}", found=found)
        self._watermark = known

    async def follow(self, decided: Sequence[Decided]) -> None:
        """Compare the rows of these decisions, as far as the ledger has come."""
        wanted: dict[Place, Event] = {}
        for each in decided:
            events = events_of(self._log, self._partition, each.offset, each.timestamp_ms, each.command, each.facts)
            wanted |= {(each.offset, index): event for index, event in enumerate(events)}
        if not decided or self._next > self._watermark.log_offset:
            return
        end = decided[-1].offset + 1
        found = await self._database.call(partial(_rows, partition=self._partition, first=self._next, end=end))
        self._next = end
        self._compare({place: event for place, event in wanted.items() if place <= self._watermark.place}, found)

    async def finish(self, position: int) -> None:
        """What stands behind the watermark, or before the log's beginning, is of no event.

        Raises LedgerMovedBackError where the ledger was begun anew since `begin`: rows were missing for a while.
        """
        now = (await self._database.call(read_watermarks)).get(self._partition, Watermark(self._partition, self._log))
        if now.place < self._watermark.place:
            before = self._watermark.log_offset
            raise LedgerMovedBackError(partition=self._partition, before=before, now=now.log_offset)
        self._report.ledger_behind += max(0, position - 1 - self._watermark.log_offset)
        beyond = await self._database.call(partial(_rows_beyond, partition=self._partition))
        for row in beyond:
            self._foreign(row)

    # --------------------------------------------------------------------------------------------------------------

    def _compare(self, wanted: dict[Place, Event], found: Sequence[dict[str, Any]]) -> None:
        seen: set[Place] = set()
        for row in found:
            place = (row["log_offset"], row["event_index"])
            if place > self._watermark.place:
                continue  # written since we looked at the watermark
            event = wanted.get(place)
            if event is None:
                self._foreign(row)
                continue
            self._report.ledger_rows += 1
            if place in seen:
                self._add("an event has two rows in the ledger", place, event)
            elif row != (expected := row_of(event)):
                self._differs(place, event, expected, row)
            seen.add(place)
        for place, event in wanted.items():
            if place not in seen:
                self._add(f"an event has no row in the ledger ({event.type})", place, event)

    def _differs(self, place: Place, event: Event, expected: dict[str, Any], found: dict[str, Any]) -> None:
        names = [name for name, value in expected.items() if found[name] != value]
        self._add(
            f"a row of the ledger says something else than the decision: {', '.join(names)}",
            place,
            event,
            expected=shortened(", ".join(f"{name} {expected[name]}" for name in names)),
            found=shortened(", ".join(f"{name} {found[name]}" for name in names)),
        )

    def _foreign(self, row: dict[str, Any]) -> None:
        what = f"the ledger has a row of no event (index {row['event_index']})"
        found = shortened(row["body"])
        self._report.add(Kind.LEDGER, self._partition, what, offset=row["log_offset"], slot=row["slot"], found=found)

    def _add(self, what: str, place: Place, event: Event, **about: Any) -> None:
        told = f"{what}, index {place[1]}"
        self._report.add(
            Kind.LEDGER, self._partition, told, offset=place[0], resident=event.resident, slot=event.slot, **about
        )


def _rows(connection: sa.Connection, partition: int, first: int, end: int) -> list[dict[str, Any]]:
    of_these = (EVENTS.c.partition == partition, EVENTS.c.log_offset >= first, EVENTS.c.log_offset < end)
    query = sa.select(EVENTS).where(*of_these).order_by(EVENTS.c.log_offset, EVENTS.c.event_index).limit(MAX_ROWS)
    return [dict(row._mapping) for row in connection.execute(query)]


def _rows_beyond(connection: sa.Connection, partition: int) -> list[dict[str, Any]]:
    """Rows behind the watermark of the same moment, or before offset 0; all rows where there is no watermark."""
    mark = read_watermarks(connection).get(partition, Watermark(partition, ""))
    place = sa.tuple_(EVENTS.c.log_offset, EVENTS.c.event_index)
    marked = sa.tuple_(sa.literal(mark.log_offset), sa.literal(mark.event_index))
    is_beyond = sa.or_(EVENTS.c.log_offset < 0, place > marked)
    query = sa.select(EVENTS).where(EVENTS.c.partition == partition, is_beyond).limit(MAX_ROWS)
    return [dict(row._mapping) for row in connection.execute(query)]
