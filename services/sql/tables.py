"""The ledger's tables: one row for each event, and how far each partition has come.

A row's key is (partition, log_offset, event_index): with the log's id, which stands in the watermark, that is the
event's id. `body` is the event as JSON; the other columns are what reports ask for. Neither has the contact or the
phone's pseudonym: no report needs them, and what is not kept need not be deleted.
"""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from services.domain.events import Event, encode, place_of

METADATA: Final = sa.MetaData()

EVENTS: Final = sa.Table(
    "events",
    METADATA,
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("log_offset", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event_index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("slot", sa.Text, nullable=False),
    sa.Column("share", sa.Text, nullable=False),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("pass_no", sa.Text, nullable=False),
    sa.Column("terminal", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("left_units", sa.BigInteger, nullable=False),  # of a refusal: what the slot still had
    sa.Column("old_slot", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("events_by_campaign", "campaign", "type", "slot"),
)

WATERMARKS: Final = sa.Table(
    "watermarks",
    METADATA,
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("log", sa.Text, nullable=False),  # identity of the log
    sa.Column("log_offset", sa.BigInteger, nullable=False),  # place of the last event that has its row; -1: none has
    sa.Column("event_index", sa.Integer, nullable=False),
    sa.Column("next_record", sa.BigInteger, nullable=False),  # of the topic `events`: where to read on
    sa.Column("rebuild_end", sa.BigInteger, nullable=False, server_default="0"),
)

_COPIED: Final = (
    "at_ms", "type", "command", "campaign", "slot", "share", "units", "pass_no", "terminal", "reason", "old_slot",
)  # fmt: skip


class Watermark(msgspec.Struct, frozen=True):
    """How far one partition has come: everything up to and with this place has its row, and nothing behind it."""

    partition: int
    log: str
    log_offset: int = -1
    event_index: int = 0
    next_record: int = 0
    rebuild_end: int = 0  # of the topic `events` when the last rebuild began; below it, that one is not finished

    @property
    def place(self) -> tuple[int, int]:
        """Offset and index of the last event that has its row."""
        return self.log_offset, self.event_index


def row_of(event: Event) -> dict[str, Any]:
    """The event's row. Raises ValueError where its id is none."""
    _, partition, offset, index = place_of(event.id)
    kept = msgspec.structs.replace(event, contact="", phone_pseudonym="")
    columns = {name: getattr(kept, name) for name in _COPIED}
    return {
        "partition": partition,
        "log_offset": offset,
        "event_index": index,
        **columns,
        "left_units": kept.left,
        "body": encode(kept).decode(),
    }
