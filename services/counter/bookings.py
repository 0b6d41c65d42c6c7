"""Booking for somebody at the desk: from the assisted share first, and then like everybody.

It is the front door's booking with a terminal in it, and it always waits for the decision.
"""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

import msgspec
import structlog
from msgspec import UNSET

from services.counter.contract import Booked, DeskBooking
from services.counter.records import Record, Records, campaign_time
from services.counter.terminals import Terminal
from services.domain.campaign import Definition
from services.domain.commands import Reserve
from services.domain.days import MINUTE_MS, iso_day
from services.domain.documents import DocumentInvalid, canonical
from services.domain.phones import PhoneInvalid, canonical_phone
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Facts, ReservationRow, ReservationState
from services.domain.rules.answers import Fact
from services.platform.booking import Wish, asked_as, digit_for, pass_content, reserve_command
from services.platform.contact import ContactKey, ContactKeys
from services.platform.errors import MasklineError
from services.platform.identities import Identities
from services.platform.pass_keys import PassKeys
from services.platform.passes import PassTooLong
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.desk import Desk
from services.state.door import Door

log = structlog.get_logger(__name__)


class _Asked(NamedTuple):
    """A wish on its way: its campaign as the doors read it, its owner's credential, and its command."""

    campaign: CampaignView
    rules: Definition
    id: str
    command: Reserve


class Bookings:
    """Books for people who are present."""

    def __init__(
        self,
        door: Door,
        desk: Desk,
        records: Records,
        identities: Identities,
        contact_keys: ContactKeys,
        pass_keys: PassKeys,
    ) -> None:
        self._door = door
        self._desk = desk
        self._records = records
        self._identities = identities
        self._contact_keys = contact_keys
        self._pass_keys = pass_keys

    async def book(self, terminal: Terminal, wish: DeskBooking, key: str) -> Booked:
        """The decision. Raises Problem: what cannot be asked for, and what the fold refused."""
        asked = self._asked(terminal, await self._campaign(terminal, wish.campaign), wish, key)
        facts = await self._desk.facts(terminal.partition, asked.command)
        return await self._told(terminal, asked, facts)

    # ---------------------------------------------------------------------------------------------------- asking

    def _asked(self, terminal: Terminal, campaign: CampaignView, wish: DeskBooking, key: str) -> _Asked:
        """Raises Problem 404, 400, 409 `document_invalid`, 503."""
        if wish.slot not in campaign.slots:
            raise Problem(Reason.UNKNOWN_SLOT)
        definition = campaign.definition
        resident = wish.resident
        kind = resident.document_type
        if kind not in definition.rules.document_types:
            accepted = ", ".join(definition.rules.document_types)
            raise Problem(DoorReason.DOCUMENT_TYPE_NOT_ACCEPTED, accepted=accepted)
        try:
            number = canonical(kind, resident.document_number)
            phone = canonical_phone(wish.phone) if wish.phone is not UNSET else ""
        except DocumentInvalid as error:
            what = error.values["what"]
            raise Problem(DoorReason.DOCUMENT_INVALID, field="resident.document_number", expected=what) from None
        except PhoneInvalid as error:
            raise Problem(DoorReason.PHONE_INVALID, field="phone") from error
        birth_year = None if resident.birth_year is UNSET else int(resident.birth_year)
        digit = digit_for(definition.rules.stagger, kind, number, birth_year)
        wanted = Wish(campaign.name, wish.slot, int(wish.units), kind, number, phone, birth_year, digit, terminal.name)
        contact_key = self._contact_key(definition) if phone else None
        # A key belongs to its terminal: two desks that count from one must not answer for each other.
        own_key = f"{terminal.name}\x1f{key}"
        asked = asked_as(self._identities, terminal.partition, wanted, own_key)
        command = reserve_command(self._identities, contact_key, wanted, asked)
        return _Asked(campaign, definition, asked.id, command)

    async def _campaign(self, terminal: Terminal, name: str) -> CampaignView:
        """A campaign of the terminal's region, looked for once more where it is not known."""
        campaign = self._door.catalogue.get(name)
        if campaign is None:
            if not await self._door.refresh_once():
                raise Problem(DoorReason.CATCHING_UP)
            campaign = self._door.catalogue.get(name)
        if campaign is None or (campaign.partition, campaign.row.region) != (terminal.partition, terminal.region):
            raise Problem(Reason.UNKNOWN_CAMPAIGN)
        return campaign

    def _contact_key(self, definition: Definition) -> ContactKey:
        try:
            return self._contact_keys.load(definition.campaign, date.fromisoformat(definition.deletion_day))
        except MasklineError as error:
            log.error("No contact key", action="contact_key_missing", campaign=definition.campaign, why=str(error))
            raise Problem(DoorReason.CATCHING_UP) from error

    # --------------------------------------------------------------------------------------------------- telling

    async def _told(self, terminal: Terminal, asked: _Asked, facts: Facts) -> Booked:
        command = asked.command
        match facts[0]:
            case [Fact.CONFIRMED, int(ordinal), *_]:
                return self._booked(asked, ReservationState.CONFIRMED, command.slot, ordinal)
            case [Fact.WAITLISTED, int(before)]:
                return self._booked(asked, ReservationState.WAITLISTED, command.slot, units_ahead=before)
            case [Fact.REJECTED, int(reason), int(left), *_]:
                raise self._rejected(asked, Reason(reason), left)
            case [Fact.REFUSED, int(reason), *_]:
                raise Problem(Reason(reason), how_to_appeal=asked.campaign.how_to_appeal)
        try:
            record = await self._records.one(terminal.partition, command.pass_no)  # repeated: its state of now
        except Problem as problem:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from problem
        if record is None:
            raise Problem(DoorReason.UNKNOWN_OUTCOME)
        return self._of_now(asked, record)

    def _of_now(self, asked: _Asked, record: Record) -> Booked:
        row: ReservationRow = record.row
        if record.state == ReservationState.REJECTED:
            raise self._rejected(asked, Reason(row.reason), row.left)
        return self._booked(asked, record.state, row.slot, row.ordinal)

    def _booked(
        self, asked: _Asked, state: ReservationState, slot_id: str, ordinal: int = 0, *, units_ahead: int = 0
    ) -> Booked:
        campaign, command = asked.campaign, asked.command
        slot = campaign.slots[slot_id]
        pharmacy = campaign.pharmacies.get(slot.pharmacy)
        told = Booked(
            id=asked.id,
            pass_no=command.pass_no,
            state=state.word,  # type: ignore[arg-type]  # the words of the states
            campaign=campaign.name,
            slot=slot_id,
            pharmacy=slot.pharmacy,
            pharmacy_name=pharmacy.name if pharmacy else "",
            pharmacy_address=pharmacy.address if pharmacy else "",
            units=command.units,
            starts_at=campaign_time(campaign, slot.starts_ms),
            ends_at=campaign_time(campaign, slot.ends_ms),
            units_ahead=units_ahead,
        )
        if state != ReservationState.CONFIRMED:
            return told
        content = pass_content(self._identities, command.pass_no, slot, command.units, command.last4_hash)
        try:
            text = self._pass_keys.sign(content)
        except PassTooLong:  # then there is still the short code
            text = ""
        code = self._identities.short_code(ordinal, slot.pharmacy, iso_day(slot.day))
        return msgspec.structs.replace(told, pass_=text, short_code=code)

    def _rejected(self, asked: _Asked, reason: Reason, left: int) -> Problem:
        """The same members as the front door's refusal."""
        rules = asked.rules.rules
        members: dict[str, Any] = {"id": asked.id, "state": "rejected", "campaign": asked.campaign.name}
        members |= {"slot": asked.command.slot}
        if reason == Reason.SLOT_FULL:
            members |= {"left": left}
        elif reason == Reason.COOLING_DOWN:
            members |= {"from_day": campaign_time(asked.campaign, left * MINUTE_MS)[:10]}
        elif reason == Reason.UNITS_OVER_LIMIT:
            members |= {"units_max": rules.units_max}
        elif reason == Reason.HOUSEHOLD_LIMIT:
            members |= {"household_max": rules.household_max}
        return Problem(reason, how_to_appeal=asked.campaign.how_to_appeal, **members)
