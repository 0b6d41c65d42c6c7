"""What every door that books shares: from a wish to its command, and from a reservation to its pass.

A document number and a phone are canonical already, and go no further than here: the log gets a pseudonym, the salted
hash of four characters, and an encrypted phone.
"""

from __future__ import annotations

from typing import NamedTuple

from services.domain import documents
from services.domain.campaign import Stagger
from services.domain.campaign_times import digit_of
from services.domain.commands import Reserve
from services.domain.documents import DocumentType
from services.domain.rows import SlotRow
from services.platform.contact import ContactKey
from services.platform.http_requests import malformed
from services.platform.identities import Identities
from services.platform.passes import MINUTE_MS, Pass

NO_DIGIT = -1


class Wish(NamedTuple):
    """Units in a slot for somebody. `phone` may be empty; `digit_for` says `digit`, and Reserve what `ticket` is."""

    campaign: str
    slot: str
    units: int
    document_type: DocumentType
    number: str
    phone: str
    birth_year: int | None
    digit: int
    terminal: str = ""
    ticket: str = ""


def digit_for(stagger: Stagger | None, kind: DocumentType, number: str, birth_year: int | None) -> int:
    """The digit by which a campaign staggers, NO_DIGIT where it does not. Raises Problem 400 where nothing tells it."""
    if stagger is None:
        return NO_DIGIT
    digit = digit_of(stagger.by, kind, number, birth_year)
    if digit is None:
        raise malformed("resident.birth_year", "four digits; the campaign goes by it, the document does not tell it")
    return digit


class Asked(NamedTuple):
    """Who asks, and under which id. `id` is the credential of its owner, and stands in no command."""

    id: str
    resident: str
    pass_no: str


def asked_as(identities: Identities, partition: int, wish: Wish, key: str) -> Asked:
    """The names of a wish: the same at every retry, and all it takes to tell whether it came before."""
    resident = identities.resident(wish.document_type, wish.number)
    reservation_id = identities.reservation_id(partition, wish.campaign, resident, key)
    return Asked(reservation_id, resident, identities.pass_no(reservation_id))


def reserve_command(identities: Identities, contact_key: ContactKey | None, wish: Wish, asked: Asked) -> Reserve:
    """The command for a wish. `contact_key` is None only where there is no phone."""
    pass_no = asked.pass_no
    # What the id does not cover already, in canonical form: another spelling of the same wish is the same wish.
    body = f"{wish.slot}\x1f{wish.units}\x1f{wish.phone}\x1f{wish.birth_year or ''}"
    return Reserve(
        campaign=wish.campaign,
        slot=wish.slot,
        units=wish.units,
        resident=asked.resident,
        pass_no=pass_no,
        digest=identities.body_digest(f"{pass_no}\x1f{body}".encode()),
        last4_hash=identities.last4_hash(pass_no, documents.last4(wish.number)),
        phone_pseudonym=contact_key.pseudonym(wish.phone) if contact_key else "",
        contact=contact_key.encrypt(wish.phone) if contact_key else "",
        digit=wish.digit,
        terminal=wish.terminal,
        ticket=wish.ticket,
    )


def pass_content(identities: Identities, pass_no: str, slot: SlotRow, units: int, last4_hash: str) -> Pass:
    """What the pass of a reservation in this slot says; the same for the same reservation, whoever makes it."""
    return Pass(
        pass_no=pass_no,
        pharmacy=slot.pharmacy,
        starts_ms=slot.starts_ms // MINUTE_MS * MINUTE_MS,
        ends_ms=slot.ends_ms // MINUTE_MS * MINUTE_MS,
        units=units,
        salt=identities.last4_salt(pass_no),
        last4_hash=last4_hash,
    )
