"""Who has a reservation at a pharmacy on a day: the sheets of that day, which slots fill one after the other.

A sheet that is full holds its pass numbers itself; those of an open one stand in the row of the slot that fills it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from services.domain.limits import PASS_NO_CHARS
from services.domain.rows import SheetRow, SlotRow
from services.state.readers import MAX_KEYS_PER_READ

READS = 3
"""A sheet that becomes full between looking at it and looking at its slot is looked at once more, and is full then."""

Read = Callable[[Sequence[str]], Awaitable[list[Any]]]
"""Reads rows of one partition by their logical keys."""


def sheets_key(region: str, pharmacy: str, day: int) -> str:
    """The row that counts the sheets of a pharmacy's day (YYYYMMDD)."""
    return f"m:{region}:{pharmacy}:{day}"


async def pass_nos_on(read: Read, sheets: Sequence[str]) -> list[list[str]]:
    """The pass numbers on each of these sheets (logical keys), in the order of their lines; none where there is none.

    Raises what `read` raises.
    """
    found: dict[str, str] = {}
    open_sheets = list(dict.fromkeys(sheets))
    for _ in range(READS):
        rows: list[SheetRow | None] = await _in_pieces(read, open_sheets)
        asked = [(key, row) for key, row in zip(open_sheets, rows, strict=True) if row is not None]
        found |= {key: row.pass_nos for key, row in asked if row.pass_nos != ""}
        asked = [(key, row) for key, row in asked if row.pass_nos == ""]
        slots: list[SlotRow] = await _in_pieces(read, [f"s:{row.no}:{row.slot}" for _, row in asked])
        open_sheets = []
        for (key, _), slot in zip(asked, slots, strict=True):
            if slot.sheet == int(key.rpartition(":")[2]) and slot.on_sheet != "":
                found[key] = slot.on_sheet
            else:
                open_sheets.append(key)
        if not open_sheets:
            break
    return [_split(found.get(key, "")) for key in sheets]


def _split(pass_nos: str) -> list[str]:
    return [pass_nos[at : at + PASS_NO_CHARS] for at in range(0, len(pass_nos), PASS_NO_CHARS)]


async def _in_pieces(read: Read, keys: Sequence[str]) -> list[Any]:
    rows: list[Any] = []
    for first in range(0, len(keys), MAX_KEYS_PER_READ):
        rows += await read(keys[first : first + MAX_KEYS_PER_READ])
    return rows
