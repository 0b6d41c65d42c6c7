"""The function library: the `.lua` files of this folder, with names that the Python domain gives a number.

`SLOT.taken` in a `.lua` file is the place of that field in the row, `REASON.SOLD_OUT` the reason's number: both are
written in as numbers when the library is built: a look-up less each time, and a wrong name is found at once.

The library's name holds a digest of its own text. So two versions stand side by side while a new one is rolled out, and
nobody can replace one unseen: a call names the text that it means.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from importlib import resources

from services.domain import limits, rows
from services.domain.commands import Command
from services.domain.fold import REMEMBERED
from services.domain.reasons import Reason
from services.domain.rules.answers import Fact
from services.state.wire import BOOKING_FIELDS, Booking

# In the order in which they build on each other.
FILES = (
    "state", "answers", "slots", "buckets", "log", "definition", "phases", "members", "people", "unfinished", "waiting",
    "waiting_room", "bookings", "reservations", "offline", "pharmacies", "withdrawal", "purge", "decisions", "batch",
    "fold",
)  # fmt: skip

_ENUMS: dict[str, type[IntEnum]] = {
    "FACT": Fact,
    "REASON": Reason,
    "PHASE": rows.Phase,
    "RESERVATION_STATE": rows.ReservationState,
    "SHARE": rows.Share,
    "VALVE": rows.Valve,
    "TERMINAL_STATE": rows.TerminalState,
}
_ROWS: dict[str, type[rows.Row | Booking]] = {
    "HEAD": rows.Head,
    "CAMPAIGN": rows.CampaignRow,
    "SLOT": rows.SlotRow,
    "PERSON": rows.PersonRow,
    "WORK": rows.WorkRow,
    "WITHDRAWAL": rows.WithdrawalRow,
    "RESERVATION": rows.ReservationRow,
    "ACTION": rows.Action,
    "SHEET": rows.SheetRow,
    "TERMINAL": rows.TerminalRow,
    "ROOM": rows.RoomRow,
    "CODE": rows.CodeRow,
    "BOOKING": Booking,
}
_NAMED_NUMBER = re.compile(rf"\b({'|'.join([*_ENUMS, *_ROWS])})\.(\w+)")
_LIMITS = (
    "RULES_VERSION",
    "AHEAD_OF_TICK_MS",
    "MAX_REFUSALS",
    "MAX_ACTIONS",
    "MAX_REFUSED_ACTIONS",
    "UNDO_WITHIN_MS",
    "WAITING_PER_RECORD",
    "WAITING_PER_CHUNK",
    "FOREIGN_SHEETS_PER_RECORD",
    "RULES_KNOWN_MS",
    "READABLE_BEFORE_MS",
    "PASS_NO_CHARS",
    "SHEET_LINES",
    "DECISIONS_PER_CHUNK",
    "DECISIONS_READABLE_MS",
    "MAX_ROWS_PER_CALL",
    "MAX_TRIM_PER_CALL",
)


@dataclass(frozen=True)
class Library:
    """The text for FUNCTION LOAD, and the name of the function in it."""

    name: str
    text: str

    @property
    def function(self) -> str:
        """What FCALL names."""
        return f"{self.name}_fold"


def constants() -> str:
    """What the `.lua` files take from the domain as values of their own."""
    lines = [f"local {name} = {getattr(limits, name)}" for name in _LIMITS]
    lines.append(f"local SLOT_FIELDS = {len(rows.SlotRow.__struct_fields__)}")
    lines.append(f"local BOOKING_FIELDS = {len(BOOKING_FIELDS)}")
    kinds = ", ".join(f"{kind} = true" for kind in sorted(map(_type_word, REMEMBERED)))
    lines.append(f"local REMEMBERED = {{{kinds}}}")
    return "\n".join(lines) + "\n"


def with_numbers(lua: str) -> str:
    """The text with a number for each `SLOT.taken` (1-based, as Lua counts) and each `REASON.SOLD_OUT`.

    Raises KeyError or ValueError for a name that the domain does not have.
    """

    def number(found: re.Match[str]) -> str:
        table, name = found.groups()
        if table in _ENUMS:
            return str(int(_ENUMS[table][name]))
        return str(_ROWS[table].__struct_fields__.index(name) + 1)

    return _NAMED_NUMBER.sub(number, lua)


def _type_word(command: type[Command]) -> str:
    return str(command.__struct_config__.tag)


def source(file: str) -> str:
    """The text of one `.lua` file."""
    return resources.files(__package__).joinpath(f"{file}.lua").read_text(encoding="utf-8")


def build(body: str | None = None) -> Library:
    """The library as it is loaded. `body` stands in for the `.lua` files: tests take a protection away with it."""
    text = constants() + with_numbers(body if body is not None else "\n".join(map(source, FILES)))
    name = "maskline_" + hashlib.sha256(text.encode()).hexdigest()[:12]
    header = f"#!lua name={name}\nlocal FUNCTION_NAME = '{name}_fold'\n"
    return Library(name=name, text=header + text)
