"""Whose reservation is meant by what somebody shows: the pass, its short code, or the document.

- A **pass** is signed and names its reservation; nothing is looked up.
- A **short code** is the reservation's number within pharmacy and day, scrambled; behind it stand the list of that day
  and the hash of the document's last four characters. The day is today or, so that somebody who comes on the wrong day
  hears which one is theirs, any other day that the pharmacy has.
- A **document** is the resident, who may have one live reservation in each campaign.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from services.counter.allowance import Allowance
from services.counter.contract import DocumentShown, PassShown, ShortCodeShown
from services.counter.days import PharmacyDays
from services.counter.lockout import Lockout
from services.counter.records import Record, Records
from services.counter.terminals import Terminal
from services.domain.days import days_apart, iso_day
from services.domain.documents import DocumentInvalid, DocumentType, canonical
from services.domain.limits import SHEET_LINES
from services.domain.reasons import DoorReason
from services.domain.rows import PersonRow, ReservationState
from services.domain.rules.people import aside_key
from services.platform.crypto import equal
from services.platform.identities import Identities
from services.platform.pass_keys import PassKeys
from services.platform.passes import PassInvalid
from services.platform.problems import Problem
from services.state.desk import Desk
from services.state.readers import MAX_KEYS_PER_READ
from services.state.sheets import pass_nos_on, sheets_key

MAX_DAYS_TRIED = 31
"""Days that a short code is tried on, those nearest to today: with more, a wrong code would fit somebody too often."""


class Shown(NamedTuple):
    """What was shown, and the reservation that it stands for."""

    pass_no: str
    how: str
    pharmacy: str = ""
    """Where it is known from the pass itself."""


class Holder(NamedTuple):
    """What the holder of a document has, and the campaigns in which a lost place lets them book before others."""

    records: list[Record]
    precedence: list[str]


class _Entry(NamedTuple):
    """A place in a pharmacy's list of a day."""

    pass_no: str
    day: int
    ordinal: int

    def is_of(self, record: Record, terminal: Terminal) -> bool:
        """Whether the reservation still stands at this place: who changed the slot has another code."""
        slot = record.slot
        is_here = slot is None or (slot.pharmacy, slot.day) == (terminal.pharmacy, self.day)
        return is_here and record.row.ordinal == self.ordinal


class Showing:
    """Finds reservations."""

    def __init__(
        self,
        desk: Desk,
        records: Records,
        days: PharmacyDays,
        identities: Identities,
        pass_keys: PassKeys,
        lockout: Lockout,
        allowance: Allowance,
        now_ms: Callable[[], int],
    ) -> None:
        self._desk = desk
        self._records = records
        self._days = days
        self._identities = identities
        self._pass_keys = pass_keys
        self._lockout = lockout
        self._allowance = allowance
        self._now_ms = now_ms

    async def find(self, terminal: Terminal, shown: PassShown | ShortCodeShown | DocumentShown, key: str) -> Shown:
        """The reservation to hand out. Raises Problem: `unknown_pass`, `document_invalid`, `terminal_locked`, 503.

        `key` is the request's: sent again it means the reservation that it meant the first time.
        """
        match shown:
            case PassShown():
                return self._by_pass(shown.pass_)
            case ShortCodeShown():
                return await self._by_short_code(terminal, shown.short_code, shown.document_last4)
            case DocumentShown():
                return await self._by_document(terminal, shown, key)

    def _by_pass(self, text: str) -> Shown:
        try:
            content = self._pass_keys.verify(text)
        except PassInvalid as error:
            raise Problem(DoorReason.UNKNOWN_PASS) from error
        return Shown(content.pass_no, "pass", content.pharmacy)

    # ---------------------------------------------------------------------------------------------- short codes

    async def _by_short_code(self, terminal: Terminal, code: str, last4: str) -> Shown:
        who = (terminal.partition, terminal.name)
        self._lockout.check(who)
        await self._desk.learn_campaigns(terminal.partition)
        today = self._days.today(terminal)
        known = [day for day in self._days.days(terminal) if day != today]
        nearest = sorted(known, key=lambda day: days_apart(day, today))[: MAX_DAYS_TRIED - 1]
        for entry in await self._entries(terminal, code, [today, *nearest]):
            record = await self._records.one(terminal.partition, entry.pass_no)
            if record is not None and entry.is_of(record, terminal) and self._fits(record, last4):
                return Shown(entry.pass_no, "short_code")
        self._lockout.wrong(who)
        raise Problem(DoorReason.UNKNOWN_PASS)

    async def _entries(self, terminal: Terminal, code: str, days: list[int]) -> list[_Entry]:
        """What this code can stand for, one entry a day at most, in the order of `days`."""
        ordinals: list[int] = []
        for day in days:
            ordinal = self._identities.ordinal_of(code, terminal.pharmacy, iso_day(day))
            if ordinal is None:
                return []  # its check digit is wrong, whatever the day
            ordinals.append(ordinal)
        keys = [
            f"{sheets_key(terminal.region, terminal.pharmacy, day)}:{ordinal // SHEET_LINES}"
            for day, ordinal in zip(days, ordinals, strict=True)
        ]
        sheets = await pass_nos_on(lambda rows: self._desk.read(terminal.partition, rows), keys)
        return [
            _Entry(pass_nos[ordinal % SHEET_LINES], day, ordinal)
            for day, ordinal, pass_nos in zip(days, ordinals, sheets, strict=True)
            if ordinal % SHEET_LINES < len(pass_nos)
        ]

    def _fits(self, record: Record, last4: str) -> bool:
        typed = unicodedata.normalize("NFKC", last4).upper()
        return equal(self._identities.last4_hash(record.pass_no, typed), record.row.last4_hash)

    # ------------------------------------------------------------------------------------------------ documents

    async def look_up(self, terminal: Terminal, shown: DocumentShown) -> Holder:
        """What the document's holder has in this region: confirmed, waiting or picked up. Raises Problem."""
        who = (terminal.partition, terminal.name)
        self._allowance.check(who)
        self._allowance.count(who)
        return await self._reservations_of(terminal, shown.document_type, shown.document_number)

    async def _by_document(self, terminal: Terminal, shown: DocumentShown, key: str) -> Shown:
        who = (terminal.partition, terminal.name)
        self._allowance.check(who)
        records = (await self._reservations_of(terminal, shown.document_type, shown.document_number)).records
        if not records:
            self._allowance.count(who)
            raise Problem(DoorReason.UNKNOWN_PASS)
        now_ms = self._now_ms()

        def order(record: Record) -> tuple[bool, ...] | tuple[bool | int, ...]:
            slot = record.slot
            sent_before = pick_up_id(self._identities, terminal, record.pass_no, key)
            return (
                all(action.id != sent_before for action in record.row.history),
                record.state != ReservationState.CONFIRMED,
                slot is None or slot.pharmacy != terminal.pharmacy,
                slot is None or not slot.day_from_ms <= now_ms < slot.pick_until_ms,
                abs(slot.starts_ms - now_ms) if slot else 0,
            )

        return Shown(min(records, key=order).pass_no, "document")

    async def _reservations_of(self, terminal: Terminal, document_type: DocumentType, number: str) -> Holder:
        try:
            resident = self._identities.resident(document_type, canonical(document_type, number))
        except DocumentInvalid as error:
            raise Problem(DoorReason.DOCUMENT_INVALID, field="document_number", expected=error.values["what"]) from None
        await self._desk.learn_campaigns(terminal.partition)
        numbers = [campaign.row.no for campaign in self._days.campaigns(terminal)]
        keys = [f"p:{terminal.region}:{resident}", *(aside_key(no, resident) for no in numbers)]
        people: list[PersonRow | None] = []
        for first in range(0, len(keys), MAX_KEYS_PER_READ):
            people += await self._desk.read(terminal.partition, keys[first : first + MAX_KEYS_PER_READ])
        live = [person.live for person in people if person is not None and person.live]
        ahead = {person.no for person in people if person is not None and person.precedence == 1}
        campaigns = [campaign.name for campaign in self._days.campaigns(terminal) if campaign.row.no in ahead]
        return Holder(await self._records.many(terminal.partition, live), campaigns)


def pick_up_id(identities: Identities, terminal: Terminal, pass_no: str, key: str) -> str:
    """The id of a pick-up: the same terminal, reservation and `Idempotency-Key` mean the same one."""
    return identities.command_id(terminal.name, f"pick_up|{pass_no}", key)
