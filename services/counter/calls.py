"""The calls of the counter in one table: it makes the routes and `/openapi.json`."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from services.counter.contract import (
    Booked,
    Date,
    DeskBooking,
    DocumentShown,
    Found,
    Keys,
    OfflineBatch,
    OwnSlots,
    Paired,
    Pairing,
    PassNo,
    PassShown,
    QuotaChange,
    QuotaChanged,
    Reasoned,
    RecordsTold,
    Reservation,
    ShortCodeShown,
    Today,
)
from services.counter.handlers import Handlers
from services.domain.reasons import DoorReason, Reason
from services.platform.openapi import Call, Parameter, document

VERSION: Final = "1"
TERMINAL: Final = "terminal"
SECURITY: Final = {
    TERMINAL: {"type": "http", "scheme": "bearer", "description": "The token from `POST /v1/terminals`."}
}
PASS_NO: Final = Parameter(name="pass_no", place="path", kind=PassNo, description="The pass's number.")
SLOT: Final = Parameter(
    name="slot",
    place="path",
    kind=Annotated[str, Meta(min_length=1, max_length=48)],
    description="A slot of the own pharmacy.",
)
DATE: Final = Parameter(name="date", place="query", kind=Date, description="A day; today where none is given.")

OF_THE_LOG: Final = (DoorReason.LOG_UNAVAILABLE, DoorReason.CATCHING_UP, DoorReason.UNKNOWN_OUTCOME)
BEFORE_THE_LOG: Final = (
    Reason.UNKNOWN_CAMPAIGN,
    Reason.UNKNOWN_SLOT,
    DoorReason.DOCUMENT_INVALID,
    DoorReason.DOCUMENT_TYPE_NOT_ACCEPTED,
    DoorReason.PHONE_INVALID,
)
DECIDED: Final = (
    Reason.SOLD_OUT,
    Reason.SLOT_FULL,
    Reason.SLOT_OVER,
    Reason.SLOT_WITHDRAWN,
    Reason.ALREADY_RESERVED,
    Reason.NOT_OPEN,
    Reason.PAUSED,
    Reason.CAMPAIGN_CLOSED,
    Reason.UNITS_OVER_LIMIT,
    Reason.TOO_MANY_TRIES,
    Reason.NOT_ELIGIBLE,
    Reason.WRONG_DAY,
    Reason.HOUSEHOLD_LIMIT,
    Reason.COOLING_DOWN,
    Reason.IDEMPOTENCY_KEY_REUSED,
)
REVOKED: Final = (Reason.UNKNOWN_TERMINAL,)
"""Decided by the fold, where a terminal was revoked in the last second."""


def calls(handlers: Handlers) -> list[Call]:
    """Every call of `/v1`."""
    return [
        *_terminals(handlers), *_pick_ups(handlers), *_offline(handlers), *_lookups(handlers), *_bookings(handlers),
        *_pharmacy(handlers),
    ]  # fmt: skip


def openapi(handlers: Handlers) -> bytes:
    """The description of this service."""
    return document(
        title="Maskline counter",
        version=VERSION,
        description=(
            "For the terminals of pharmacies. Each call that changes something waits for its decision. Whatever ends "
            "in 503 or 504 is sent again with the same key: it is done once, and answered as the first time."
        ),
        calls=calls(handlers),
        security=SECURITY,
    )


def _terminals(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/terminals",
            name="pair_terminal",
            summary="Pair this terminal, once, with the code that the organisers gave out.",
            description="The same code with the same key gives the same token; with another key the code is used up.",
            handler=handlers.pair,
            body=(Pairing,),
            needs_key=True,
            answers={201: Paired},
            reasons=(
                Reason.UNKNOWN_PAIRING_CODE,
                Reason.PAIRING_CODE_EXPIRED,
                Reason.PAIRING_CODE_USED,
                *OF_THE_LOG,
            ),
        ),
        Call(
            method="GET",
            path="/v1/keys",
            name="list_keys",
            summary="The public keys that verify passes without a network.",
            description=(
                "A pass is `M1.<payload>.<signature>`; the signature (Ed25519) covers everything before its dot. The "
                "payload is base64url of the msgpack array [pass_no, pharmacy, starts and ends in minutes since 1970, "
                "units, salt, last4_hash, key_id]; last4_hash is the first 8 characters of base64url(SHA-256(salt and "
                "the document's last four characters)), with salt as base64url text."
            ),
            handler=handlers.keys,
            answers={200: Keys},
            answer_headers={200: ("Cache-Control",)},
        ),
    ]


def _pick_ups(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/pickups",
            name="pick_up",
            summary="Hand out what a pass, its short code or a document stands for.",
            description=(
                "Of several live reservations of one document: the one for this pharmacy and today. Five wrong short "
                "codes within a minute lock the terminal's short codes for a minute."
            ),
            handler=handlers.pick_up,
            body=(PassShown, ShortCodeShown, DocumentShown),
            needs_key=True,
            sign_in=TERMINAL,
            answers={200: Reservation},
            reasons=(
                DoorReason.UNKNOWN_PASS,
                DoorReason.DOCUMENT_INVALID,
                DoorReason.TERMINAL_LOCKED,
                DoorReason.TOO_MANY_LOOKUPS,
                Reason.ALREADY_PICKED_UP,
                Reason.OTHER_PHARMACY,
                Reason.WRONG_TIME,
                Reason.CANCELLED,
                Reason.SLOT_WITHDRAWN,
                Reason.EXPIRED,
                Reason.NOT_CONFIRMED,
                Reason.TOO_MANY_TRIES,
                *REVOKED,
                *OF_THE_LOG,
            ),
        ),
        Call(
            method="POST",
            path="/v1/pickups/{pass_no}/undo",
            name="undo_pick_up",
            summary="Take a pick-up back: the same terminal, within five minutes.",
            handler=handlers.undo,
            parameters=(PASS_NO,),
            body=(Reasoned,),
            needs_key=True,
            sign_in=TERMINAL,
            answers={200: Reservation},
            reasons=(
                Reason.UNKNOWN_RESERVATION,
                Reason.NOT_PICKED_UP,
                Reason.OTHER_TERMINAL,
                Reason.UNDO_TOO_LATE,
                Reason.NOT_CONFIRMED,
                Reason.TOO_MANY_TRIES,
                *REVOKED,
                *OF_THE_LOG,
            ),
        ),
    ]


def _offline(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/pickups/batch",
            name="record_pick_ups",
            summary="Tell what was handed out without a network; always accepted, each record as what it is.",
            description=(
                "At most 500 records and 1 MiB, each with the pass that was shown, the time by the terminal's clock, "
                "and a nonce: the key that the pick-up would have had, so one that was tried before is the same. "
                "`picked_up` was right then; `picked_up_late` should not have been, with the reason; `conflict` had "
                "been handed out before; `unproved` shows no genuine pass. Whatever ends in 503 or 504 is sent again "
                "as it is."
            ),
            handler=handlers.record_pick_ups,
            body=(OfflineBatch,),
            needs_key=True,
            sign_in=TERMINAL,
            answers={200: RecordsTold},
            reasons=(*REVOKED, *OF_THE_LOG),
        ),
    ]


def _lookups(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/lookups",
            name="look_up",
            summary="What somebody who is present with the document has: confirmed or picked up.",
            description="A terminal may look up so many documents in a minute; beyond: 429 with Retry-After.",
            handler=handlers.look_up,
            body=(DocumentShown,),
            sign_in=TERMINAL,
            answers={200: Found},
            reasons=(DoorReason.DOCUMENT_INVALID, DoorReason.TOO_MANY_LOOKUPS, DoorReason.CATCHING_UP),
        ),
        Call(
            method="POST",
            path="/v1/reservations/{pass_no}/cancel",
            name="cancel_reservation",
            summary="Cancel for somebody who is present with the document; also what an impostor booked.",
            handler=handlers.cancel,
            parameters=(PASS_NO,),
            body=(Reasoned,),
            needs_key=True,
            sign_in=TERMINAL,
            answers={200: Reservation},
            reasons=(
                Reason.UNKNOWN_RESERVATION,
                Reason.ALREADY_PICKED_UP,
                Reason.CANCELLED,
                Reason.SLOT_WITHDRAWN,
                Reason.EXPIRED,
                Reason.NOT_CONFIRMED,
                Reason.TOO_MANY_TRIES,
                *REVOKED,
                *OF_THE_LOG,
            ),
        ),
    ]


def _bookings(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/reservations",
            name="book",
            summary="Book for somebody at the desk: from the assisted share first.",
            description=(
                "In any slot of the region. 201: confirmed; 200: waitlisted, or what a booking that is sent again has "
                "become. Give the person the pass, the short code, and the id: who has it may look and cancel."
            ),
            handler=handlers.book,
            body=(DeskBooking,),
            needs_key=True,
            sign_in=TERMINAL,
            answers={200: Booked, 201: Booked},
            reasons=(*BEFORE_THE_LOG, *DECIDED, *REVOKED, *OF_THE_LOG),
        ),
    ]


def _pharmacy(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="GET",
            path="/v1/slots",
            name="list_slots",
            summary="The own slots of a day, in units.",
            handler=handlers.slots,
            parameters=(DATE,),
            sign_in=TERMINAL,
            answers={200: OwnSlots},
            reasons=(DoorReason.CATCHING_UP,),
        ),
        Call(
            method="POST",
            path="/v1/slots/{slot}/quota",
            name="change_quota",
            summary="More or less stock in an own slot; never below what is given out.",
            description="The key belongs to this slot and change: with another change it is another wish.",
            handler=handlers.change_quota,
            parameters=(SLOT,),
            body=(QuotaChange,),
            needs_key=True,
            sign_in=TERMINAL,
            answers={200: QuotaChanged},
            reasons=(
                Reason.UNKNOWN_SLOT,
                Reason.UNKNOWN_CAMPAIGN,
                Reason.OTHER_PHARMACY,
                Reason.BELOW_CONFIRMED,
                *REVOKED,
                *OF_THE_LOG,
            ),
        ),
        Call(
            method="GET",
            path="/v1/today",
            name="list_today",
            summary="Everybody expected today, so that cancelled passes are refused without a network too.",
            handler=handlers.today,
            sign_in=TERMINAL,
            answers={200: Today},
            reasons=(DoorReason.CATCHING_UP,),
        ),
    ]
