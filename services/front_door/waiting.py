"""Where somebody stands in the waiting list of a slot: how many entries are before theirs.

It is the most people who may come first. Who has left the list in the meantime leaves an entry behind, so the number is
never too small; entries are only ever passed over from the front, so it never grows.
"""

from typing import Final, NamedTuple

from services.domain.limits import PASS_NO_CHARS, WAITING_PER_CHUNK
from services.domain.rows import ReservationRow, SlotRow
from services.state.readers import StateReader

MAX_CHUNKS_READ: Final = 64
"""2,048 entries, 32 KB: a place further behind is not told."""


class InList(NamedTuple):
    """A reservation's row as it was when its list was read, and how many entries stand before its own.

    `before` is None where it has no entry (any more), or one that is too far behind to look for.
    """

    row: ReservationRow
    before: int | None


async def in_list(reader: StateReader, partition: int, pass_no: str, row: ReservationRow) -> InList:
    """Look for an entry. Raises what the reader raises."""
    slot_key = f"s:{row.no}:{row.slot}"
    slot: SlotRow = (await reader.read(partition, [slot_key])).rows[0]
    chunks = _chunks(slot)
    keys = [slot_key, f"r:{pass_no}", *(f"w:{row.no}:{row.slot}:{chunk}" for chunk in chunks)]
    slot, now, *texts = (await reader.read(partition, keys)).rows  # all of one instant
    for chunk, text in zip(chunks, texts, strict=True):
        entries = [text[at : at + PASS_NO_CHARS] for at in range(0, len(text or ""), PASS_NO_CHARS)]
        if pass_no in entries:
            place = chunk * WAITING_PER_CHUNK + entries.index(pass_no)
            return InList(now, place - slot.waiting_first if place >= slot.waiting_first else None)
    return InList(now, None)


def _chunks(slot: SlotRow) -> range:
    first, behind_last = slot.waiting_first // WAITING_PER_CHUNK, -(-slot.waiting_next // WAITING_PER_CHUNK)
    return range(first, min(behind_last, first + MAX_CHUNKS_READ))
