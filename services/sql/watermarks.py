"""Rows and watermark move together: each function is one transaction's work.

The watermark in SQL is the truth of how far the ledger has come. Whoever stores says from where he goes on; where
somebody else has stored meanwhile (a second ledger, a rebuild), nothing is written. So each event has one row, whoever
runs beside whom.
"""

from collections.abc import Sequence
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


def forget(connection: sa.Connection, partition: int) -> None:
    """Every row of a partition and its watermark: it is read again from the log's first event on."""
    # The watermark first: whoever stores meanwhile waits for it, and then finds another one.
    connection.execute(sa.delete(WATERMARKS).where(WATERMARKS.c.partition == partition))
    connection.execute(sa.delete(EVENTS).where(EVENTS.c.partition == partition))


def _values(watermark: Watermark) -> dict[str, Any]:
    return {name: getattr(watermark, name) for name in Watermark.__struct_fields__}
