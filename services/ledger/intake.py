"""From records of the topic `events` to rows: what was there before is dropped, and nothing is ever skipped."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from aiokafka import ConsumerRecord

from services.domain.events import Event, decode, place_of
from services.ledger.errors import EventsMissing, EventsOfAnotherLog
from services.platform.errors import MasklineError
from services.sql.tables import Watermark, row_of

log = structlog.get_logger(__name__)


@dataclass
class Intake:
    """What a batch of records comes to: rows to be added with the watermark that then holds, and what stopped it."""

    before: Watermark
    after: Watermark
    rows: list[dict[str, Any]] = field(default_factory=list)
    stopped_because: MasklineError | None = None


def take_in(records: Sequence[ConsumerRecord], before: Watermark) -> Intake:
    """Records of one partition, in the topic's order, the first one at `before.next_record`.

    A record that cannot be read is passed over: an event that it hid is a gap to the next one.
    """
    intake = Intake(before, before)
    for record in records:
        event = _event(record)
        if event is not None:
            intake.stopped_because = _take(event, intake)
            if intake.stopped_because is not None:
                break
        intake.after = msgspec.structs.replace(intake.after, next_record=record.offset + 1)
    return intake


def row_in(record: ConsumerRecord) -> dict[str, Any] | None:
    """The row that this record has in SQL; None where it is no event."""
    event = _event(record)
    return None if event is None else row_of(event)


def _take(event: Event, intake: Intake) -> MasklineError | None:
    """Why it cannot be taken, if so."""
    at = intake.after
    found_log, partition, *place = place_of(event.id)
    if (found_log, partition) != (at.log, at.partition):
        return EventsOfAnotherLog(partition=at.partition, ours=at.log, found=f"{found_log}:{partition}")
    offset, index = place
    if (offset, index) <= at.place:
        return None  # published again after a crash
    if (offset, index) not in ((at.log_offset, at.event_index + 1), (at.log_offset + 1, 0)):
        expected = f"offset {at.log_offset + 1}"
        return EventsMissing(partition=at.partition, expected=expected, found=f"offset {offset}, index {index}")
    intake.rows.append(row_of(event))
    intake.after = msgspec.structs.replace(at, log_offset=offset, event_index=index)
    return None


def _event(record: ConsumerRecord) -> Event | None:
    try:
        event = decode(record.value)
        place_of(event.id)
    except (msgspec.DecodeError, ValueError, TypeError):
        log.warning("No event", action="record_passed_over", partition=record.partition, offset=record.offset)
        return None
    return event
