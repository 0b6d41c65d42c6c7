"""The function library: the `.lua` files of this folder behind constants that come from the Python domain.

Its name holds a digest of its own text. So two versions stand side by side while a new one is rolled out, and nobody
can replace one unseen: a call names the text that it means.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from importlib import resources

from services.domain import limits, rows
from services.domain.commands import Command
from services.domain.fold import REMEMBERED
from services.domain.reasons import Reason
from services.domain.rules.answers import Fact

# In the order in which they build on each other.
FILES = (
    "state", "answers", "buckets", "log", "definition", "phases", "members", "waiting", "bookings", "reservations",
    "offline", "pharmacies", "fold",
)  # fmt: skip

_ENUMS: dict[str, type[IntEnum]] = {
    "FACT": Fact,
    "REASON": Reason,
    "PHASE": rows.Phase,
    "RESERVATION_STATE": rows.ReservationState,
    "SHARE": rows.Share,
    "TERMINAL_STATE": rows.TerminalState,
}
_ROWS: dict[str, type[rows.Row]] = {
    "HEAD": rows.Head,
    "CAMPAIGN": rows.CampaignRow,
    "SLOT": rows.SlotRow,
    "PERSON": rows.PersonRow,
    "COOL": rows.CoolRow,
    "WORK": rows.WorkRow,
    "RESERVATION": rows.ReservationRow,
    "ACTION": rows.Action,
    "MEMBERS": rows.MembersRow,
    "TERMINAL": rows.TerminalRow,
    "CODE": rows.CodeRow,
}
_LIMITS = (
    "RULES_VERSION",
    "AHEAD_OF_TICK_MS",
    "MAX_REFUSALS",
    "MAX_ACTIONS",
    "UNDO_WITHIN_MS",
    "WAITING_PER_RECORD",
    "WAITING_PER_CHUNK",
    "PASS_NO_CHARS",
    "MEMBERS_PER_CHUNK",
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
    """Lua tables of the domain's enums and of the places of fields in rows (1-based, as Lua counts)."""
    lines = []
    for name, enum in _ENUMS.items():
        lines.append(f"local {name} = {{{', '.join(f'{e.name} = {int(e)}' for e in enum)}}}")
    for name, row in _ROWS.items():
        places = ", ".join(f"{field} = {i}" for i, field in enumerate(row.__struct_fields__, start=1))
        lines.append(f"local {name} = {{{places}}}")
    lines += [f"local {name} = {getattr(limits, name)}" for name in _LIMITS]
    kinds = ", ".join(f"{kind} = true" for kind in sorted(map(_type_word, REMEMBERED)))
    lines.append(f"local REMEMBERED = {{{kinds}}}")
    return "\n".join(lines) + "\n"


def _type_word(command: type[Command]) -> str:
    return str(command.__struct_config__.tag)


def source(file: str) -> str:
    """The text of one `.lua` file."""
    return resources.files(__package__).joinpath(f"{file}.lua").read_text(encoding="utf-8")


def build(body: str | None = None) -> Library:
    """The library as it is loaded. `body` stands in for the `.lua` files: tests take a protection away with it."""
    text = constants() + (body if body is not None else "\n".join(map(source, FILES)))
    name = "maskline_" + hashlib.sha256(text.encode()).hexdigest()[:12]
    header = f"#!lua name={name}\nlocal FUNCTION_NAME = '{name}_fold'\n"
    return Library(name=name, text=header + text)
