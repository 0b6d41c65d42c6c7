"""Events: what the fold decided, one or more records for each offset, as JSON in the topic `events`.

An event is made of the command and its facts alone, so publishing it again from the recorded decision gives the same
bytes. Its id `log:partition:offset:index` is how a consumer drops repeats. The contact goes through encrypted.
"""

from typing import Any

import msgspec

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import Facts, ReservationState, Share
from services.domain.rules.answers import Fact


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """One fact, with what a reader of the events needs to understand it. Absent fields are empty or zero."""

    id: str
    type: str  # the fact's word: confirmed, rejected, cancelled, …
    command: str  # the command's word: reserve, cancel, …
    at_ms: int  # the record's time stamp
    command_id: str = ""
    campaign: str = ""
    slot: str = ""
    units: int = 0
    resident: str = ""
    pass_no: str = ""
    phone_pseudonym: str = ""
    contact: str = ""
    ordinal: int = 0
    reason: str = ""
    left: int = 0
    first: str = ""  # of a repeat: the word of its first answer
    terminal: str = ""
    pharmacy: str = ""
    region: str = ""
    revision: str = ""
    change: int = 0
    share: str = "public"
    old_slot: str = ""  # before a change of slot
    partition: int = 0
    values: list[Any] = []  # what else the fact says: integers and words
    actor: str = ""
    why: str = ""


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Event)
_FACT_WORDS = {int(fact): fact.name.lower() for fact in Fact}
_REASON_WORDS = {int(reason): reason.word for reason in Reason}
_SHARE_WORDS = {int(share): share.name.lower() for share in Share}
_COPIED = (
    "campaign", "slot", "units", "resident", "pass_no", "phone_pseudonym", "contact", "terminal", "pharmacy", "region",
    "revision", "change", "share", "actor", "why",
)  # fmt: skip


_REFUSED_AS_MALFORMED = [int(Fact.REFUSED), int(Reason.MALFORMED)]
_RESERVATION = ("campaign", "slot", "units")
_NAMES: dict[int, tuple[str, ...]] = {
    Fact.CONFIRMED: ("ordinal", "share"),
    Fact.REJECTED: ("reason", "left", "share"),
    Fact.REFUSED: ("reason",),
    Fact.CANCELLED: _RESERVATION,
    Fact.PICKED_UP: _RESERVATION,
    Fact.PICK_UP_UNDONE: _RESERVATION,
    Fact.PICKED_UP_LATE: (*_RESERVATION, "reason"),
    Fact.PICK_UP_CONFLICT: _RESERVATION,  # and when and where it had been handed out before
    Fact.REGION_ASSIGNED: ("partition",),
    Fact.TERMINAL_PAIRED: ("terminal", "pharmacy"),
    Fact.EXPIRED: ("pass_no", *_RESERVATION),
    Fact.UNITS_RELEASED: _RESERVATION,
    Fact.PROMOTED: ("pass_no", *_RESERVATION, "ordinal"),
    Fact.WAITING_ENDED: ("pass_no", *_RESERVATION, "reason"),
    Fact.SLOT_CHANGED: ("campaign", "old_slot", *_RESERVATION[1:], "ordinal"),
    Fact.WITHDRAWN: ("pass_no", *_RESERVATION),
    Fact.MOVED: ("pass_no", "campaign", "old_slot", *_RESERVATION[1:], "ordinal"),
    Fact.WITHDRAWAL_DONE: _RESERVATION[:2],
}
"""Which fields of an event the values of a fact are, from the first on."""


def _copied_fields(kind: type[c.Command]) -> tuple[str, ...]:
    return tuple(field for field in kind.__struct_fields__ if field in _COPIED)


_KINDS: tuple[type[c.Command], ...] = (*c.COMMAND_TYPES, c.MALFORMED.__class__)
_FIELDS = {kind: _copied_fields(kind) for kind in _KINDS}
_WORDS = {kind: str(kind.__struct_config__.tag) for kind in _FIELDS}


def events_of(
    log: str, partition: int, offset: int, timestamp_ms: int, command: c.Command, facts: Facts
) -> list[Event]:
    """The events of one decision, in order; at least one, because every offset has one.

    What was refused as malformed tells nothing of itself, also where this version can read it: a record of a version
    to come has the same event whoever publishes it.
    """
    if facts[0] == _REFUSED_AS_MALFORMED:
        command = c.MALFORMED
    kind = type(command)
    about = {field: getattr(command, field) for field in _FIELDS[kind]}
    command_id = getattr(command, "id", "")
    events = []
    for index, fact in enumerate(facts):
        events.append(
            Event(
                id=f"{log}:{partition}:{offset}:{index}",
                type=_FACT_WORDS[fact[0]],
                command=_WORDS[kind],
                at_ms=timestamp_ms,
                command_id=command_id,
                # What follows the answer is about other reservations than the command's.
                **(about | _told_by(kind, fact) if index == 0 else _told_by(kind, fact)),
            )
        )
    return events


def _told_by(kind: type[c.Command], fact: list[Any]) -> dict[str, Any]:
    """What the fact itself says, as fields of the event; what has no field of its own stands in `values`."""
    if fact[0] == Fact.REPEATED:
        return {"first": _first_word(kind, fact[1:]), "values": fact[2:]}
    names = _NAMES.get(fact[0], ())
    told = dict(zip(names, fact[1:], strict=False))
    if "reason" in told:
        told["reason"] = _REASON_WORDS[told["reason"]]
    if "share" in told:
        told["share"] = _SHARE_WORDS[told["share"]]
    rest = fact[1 + len(names) :]
    return told | {"values": rest} if rest else told


def _first_word(kind: type[c.Command], first: list[Any]) -> str:
    """The word of a repeat's first answer: a reservation repeats its state of now, everything else its first fact."""
    return ReservationState(first[0]).word if kind is c.Reserve else _FACT_WORDS[first[0]]


def encode(event: Event) -> bytes:
    """The record's value: compact JSON, UTF-8."""
    return _encode(event)


def decode(value: bytes) -> Event:
    """The event in a record's value; raises `msgspec.DecodeError` for a foreign record."""
    return _decoder.decode(value)


def place_of(event_id: str) -> tuple[str, int, int, int]:
    """Log, partition, offset and index of an event's id; ValueError for anything else."""
    log, partition, offset, index = event_id.rsplit(":", 3)
    return log, int(partition), int(offset), int(index)
