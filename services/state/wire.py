"""How commands travel to the function: one msgpack value after the other, of a booking its bare fields.

Everything but a booking is a map by name. Bookings are what a rush is made of: a table that Lua makes of ten fields at
once costs half of one that grows name by name. What the fold does not decide by stays here: the encrypted contact.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec

from services.domain.commands import Command, Reserve

BOOKING_FIELDS = (
    "pass_no", "campaign", "slot", "units", "resident", "digest", "last4_hash", "phone_pseudonym", "digit", "terminal",
    "ticket",
)  # fmt: skip


class Booking(msgspec.Struct, array_like=True):
    """A booking as `batch.lua` makes a table of it: keys of rows, where the next value begins, then BOOKING_FIELDS."""

    slot_key: str
    person_key: str
    named_for: str
    next: int
    pass_no: str
    campaign: str
    slot: str
    units: int
    resident: str
    digest: str
    last4_hash: str
    phone_pseudonym: str
    digit: int
    terminal: str
    ticket: str


_fields_of = attrgetter(*BOOKING_FIELDS)
_encode = msgspec.msgpack.Encoder().encode


def values_of(commands: Sequence[Command]) -> memoryview:
    """The commands as the function takes them."""
    values: list[Any] = []
    for command in commands:
        if type(command) is Reserve:
            values.extend(_fields_of(command))
        else:
            values.append(command)
    return _without_header(_encode(values), len(values))


def _without_header(array: bytes, length: int) -> memoryview:
    """The values of a msgpack array alone (fixarray, array 16, array 32)."""
    return memoryview(array)[1 if length < 16 else 3 if length < 65_536 else 5 :]
