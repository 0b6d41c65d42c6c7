"""Rows and watermark move together: each function is one transaction's work.

The watermark in SQL is the truth of how far the ledger has come. Whoever stores says from where he goes on; where
somebody else has stored meanwhile (a second ledger, a rebuild), nothing is written. So each event has one row, whoever
runs beside whom.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from services.sql.tables import EVENTS, WATERMARKS, Watermark


def read_watermarks(connection: sa.Connection) -> dict[int, Watermark]:
    """By partition; one that has none was never read."""
    rows = connection.execute(sa.select(WATERMARKS)).all()
    return {row.partition: Watermark(**row._mapping) for row in rows}


def begin_partition(connection: sa.Connection, partition: int, log: str) -> Watermark:
    """The partition's watermark, written where there is none: from the log's first event on."""
    known = read_watermarks(connection).get(partition)
    if known is None:
        known = Watermark(partition, log)
        connection.execute(sa.insert(WATERMARKS), [_values(known)])
    return known


def store(connection: sa.Connection, rows: Sequence[dict[str, Any]], before: Watermark, after: Watermark) -> bool:
    """Add the rows and go from `before` to `after`; False, and nothing, where the watermark is not `before`."""
    is_before = [WATERMARKS.c[name] == value for name, value in _values(before).items()]
    moved = connection.execute(sa.update(WATERMARKS).where(*is_before).values(_values(after)))
    if moved.rowcount != 1:
        return False
    if rows:
        connection.execute(sa.insert(EVENTS), list(rows))
    return True


def has_row(connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    """Whether this row is there, and says the same."""
    key = [EVENTS.c[column.name] == row[column.name] for column in EVENTS.primary_key]
    found = connection.execute(sa.select(EVENTS).where(*key)).first()
    return found is not None and dict(found._mapping) == row


def count_rows(connection: sa.Connection, *, partition: int, log_offset: int) -> int:
    """How many rows the events of one place have."""
    there = (EVENTS.c.partition == partition, EVENTS.c.log_offset == log_offset)
    found: int = connection.execute(sa.select(sa.func.count()).select_from(EVENTS).where(*there)).scalar_one()
    return found


def begin_anew(connection: sa.Connection, marks: Iterable[Watermark]) -> None:
    """No row of any partition, and these watermarks: as small a transaction however many rows there were."""
    # The watermarks first: whoever stores meanwhile waits for them, and then finds other ones.
    connection.execute(sa.delete(WATERMARKS))
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"TRUNCATE {EVENTS.name}"))
    else:
        connection.execute(sa.delete(EVENTS))  # without a condition SQLite lets go of whole pages, and not of rows
    if values := [_values(mark) for mark in marks]:
        connection.execute(sa.insert(WATERMARKS), values)


def _values(watermark: Watermark) -> dict[str, Any]:
    return {name: getattr(watermark, name) for name in Watermark.__struct_fields__}
