"""What comes in and goes out as JSON: the types that read requests, write answers, and stand in `/openapi.json`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from services.domain.command_fields import whole
from services.domain.documents import MAX_TYPED_CHARS, DocumentType
from services.platform.pairing_codes import MAX_TYPED_CHARACTERS
from services.platform.passes import MAX_PASS_CHARACTERS

PassNo = Annotated[str, whole("[A-Za-z0-9_-]{16}")]
Date = Annotated[str, Meta(description="YYYY-MM-DD where the pharmacy is.", extra_json_schema={"format": "date"})]
Time = Annotated[str, Meta(description="RFC 3339 with offset.")]
Why = Annotated[str, Meta(min_length=1, max_length=500, description="For the audit trail.")]
PassText = Annotated[str, Meta(min_length=1, max_length=MAX_PASS_CHARACTERS + 20)]  # scanners add spaces
ShortCode = Annotated[str, whole("[0-9]{8}")]
Last4 = Annotated[str, Meta(min_length=4, max_length=4, description="The document's last four characters.")]
DocumentNumber = Annotated[str, Meta(min_length=1, max_length=MAX_TYPED_CHARS)]
# JSON has one kind of number: 5.0 is as whole as 5.
Change = Annotated[float, Meta(ge=-1_000_000, le=1_000_000, multiple_of=1, description="Units, a whole number.")]
MAX_RECORDS = 500
MAX_BATCH_BYTES = 1024 * 1024
_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_OF_DAY = r"([01][0-9]|2[0-3]):[0-5][0-9]"
Instant = Annotated[
    str,
    whole(
        rf"{_DATE}T{_OF_DAY}:[0-5][0-9](\.[0-9]{{1,9}})?(Z|[+-]{_OF_DAY})",
        "RFC 3339 with offset, by the terminal's clock, however wrong.",
    ),
]
State = Literal["confirmed", "rejected", "cancelled", "picked_up", "expired", "waitlisted"]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body: a field that we do not know is an error, never passed over."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer's body."""


# ------------------------------------------------------------------------------------------------------- requests


class Pairing(Body, frozen=True, kw_only=True):
    """The code that the ops team gave out for this terminal."""

    pairing_code: Annotated[str, Meta(min_length=1, max_length=MAX_TYPED_CHARACTERS)]


class PassShown(Body, frozen=True, kw_only=True):
    """The pass, as its QR code says it."""

    pass_: PassText = msgspec.field(name="pass")


class ShortCodeShown(Body, frozen=True, kw_only=True):
    """The eight digits, and the last four characters of the document."""

    short_code: ShortCode
    document_last4: Last4


class DocumentShown(Body, frozen=True, kw_only=True):
    """The document itself."""

    document_type: DocumentType
    document_number: DocumentNumber


class AnythingShown(Body, frozen=True, kw_only=True):
    """Any of the three, as it comes in; `shown` tells which one it is, and that it is only one."""

    pass_: PassText | UnsetType = msgspec.field(name="pass", default=UNSET)
    short_code: ShortCode | UnsetType = UNSET
    document_last4: Last4 | UnsetType = UNSET
    document_type: DocumentType | UnsetType = UNSET
    document_number: DocumentNumber | UnsetType = UNSET

    def shown(self) -> Shown | None:
        """What was shown; None where it is not exactly one thing, whole."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if getattr(self, name) is not UNSET}
        kind = _KINDS.get(frozenset(given))
        return None if kind is None else kind(**given)


Shown = PassShown | ShortCodeShown | DocumentShown
_KINDS: dict[frozenset[str], type[Shown]] = {
    frozenset(kind.__struct_fields__): kind for kind in (PassShown, ShortCodeShown, DocumentShown)
}


class Resident(Body, frozen=True, kw_only=True):
    """Who books. `birth_year` where the campaign goes by it and the document does not tell it."""

    document_type: DocumentType
    document_number: DocumentNumber
    birth_year: Annotated[float, Meta(ge=1880, le=2099, multiple_of=1)] | UnsetType = UNSET


class DeskBooking(Body, frozen=True, kw_only=True):
    """Units in a slot for somebody who is present; `phone` where they have one."""

    campaign: Annotated[str, Meta(min_length=1, max_length=48)]
    slot: Annotated[str, Meta(min_length=1, max_length=48)]
    units: Annotated[float, Meta(ge=1, le=1_000_000, multiple_of=1, description="A whole number.")]
    resident: Resident
    phone: Annotated[str, Meta(min_length=1, max_length=40)] | UnsetType = UNSET


class OfflineRecord(Body, frozen=True, kw_only=True):
    """Something that was handed out without a network. Its nonce is the key that the pick-up would have had."""

    nonce: Annotated[str, whole(r"[\x21-\x7e]{1,64}")]
    picked_up_at: Instant
    pass_: PassText | UnsetType = msgspec.field(name="pass", default=UNSET)


class OfflineBatch(Body, frozen=True, kw_only=True):
    """What a terminal handed out without a network."""

    records: Annotated[list[OfflineRecord], Meta(min_length=1, max_length=MAX_RECORDS)]


class Reasoned(Body, frozen=True, kw_only=True):
    """Why it is done."""

    why: Why


class QuotaChange(Body, frozen=True, kw_only=True):
    """More or less stock; `campaign` only where two campaigns call a slot here by the same name."""

    change: Change
    why: Why
    share: Literal["public", "assisted"] = "public"
    campaign: Annotated[str, Meta(min_length=1, max_length=48)] | UnsetType = UNSET


# -------------------------------------------------------------------------------------------------------- answers


class Paired(Result, frozen=True, kw_only=True):
    """The terminal's token: shown now and never again; the same one when the same request is sent again."""

    token: str
    terminal: str
    pharmacy: str


class Reservation(Result, frozen=True, kw_only=True):
    """One reservation, as somebody at a counter needs it. Times and names are absent where they are not known."""

    pass_no: PassNo
    state: State
    campaign: str
    slot: str
    pharmacy: str
    units: int
    pharmacy_name: str = ""
    pharmacy_address: str = ""
    starts_at: Time = ""
    ends_at: Time = ""
    picked_up_at: Time = ""
    undo_until: Time = ""
    reason: Annotated[str, Meta(description="`slot_withdrawn`: cancelled because the pharmacy got less.")] = ""


class Booked(Result, frozen=True, kw_only=True):
    """A booking made at the desk. `id` is its owner's credential: give it to them, with the pass."""

    id: str
    pass_no: PassNo
    state: State
    campaign: str
    slot: str
    pharmacy: str
    units: int
    starts_at: Time
    ends_at: Time
    pharmacy_name: str = ""
    pharmacy_address: str = ""
    pass_: Annotated[str, Meta(description="The signed pass, while it is worth something.")] = msgspec.field(
        name="pass", default=""
    )
    short_code: str = ""
    units_ahead: Annotated[int, Meta(description="Of one who waits: units that others wait for longer.")] = 0


class RecordTold(Result, frozen=True, kw_only=True):
    """What a record is. A conflict tells when and where it had been handed out before; `unproved` had no pass."""

    nonce: str
    state: Literal["picked_up", "picked_up_late", "conflict", "unproved"]
    pass_no: str = ""
    campaign: str = ""
    slot: str = ""
    units: int = 0
    reason: Annotated[str, Meta(description="Why it is late.")] = ""
    when: Time = ""
    pharmacy: str = ""
    terminal: str = ""


class RecordsTold(Result, frozen=True, kw_only=True):
    """Every record of the batch, in its order."""

    records: list[RecordTold]


class Found(Result, frozen=True, kw_only=True):
    """What somebody has, over all campaigns here: confirmed or picked up."""

    reservations: list[Reservation]
    precedence: Annotated[
        list[str], Meta(description="Campaigns in which the person lost a place and may book before others.")
    ] = []


class OwnSlot(Result, frozen=True, kw_only=True):
    """A slot in units; quota = confirmed + picked_up + expired + moving_in + left."""

    campaign: str
    slot: str
    starts_at: Time
    ends_at: Time
    quota: int
    confirmed: int
    picked_up: int
    expired: int
    left: int
    left_for_desks: Annotated[int, Meta(description="Of `left`: bookings at a desk take these first.")] = 0
    left_for_appeals: Annotated[int, Meta(description="Of `left`: kept for appeals.")] = 0
    waiting: Annotated[int, Meta(description="Units that people wait for.")] = 0
    beside: Annotated[int, Meta(description="Units handed out offline beside the quota.")] = 0
    moving_in: Annotated[int, Meta(description="Units kept for people on their way here from another slot.")] = 0
    to_withdraw: Annotated[int, Meta(description="Of `confirmed`: units that people are about to lose.")] = 0
    withdrawn: Annotated[bool, Meta(description="Nobody can book here until stock comes.")] = False


class OwnSlots(Result, frozen=True, kw_only=True):
    """The slots of the terminal's pharmacy on a day."""

    date: Date
    pharmacy: str
    as_of: Time
    slots: list[OwnSlot]


class QuotaChanged(Result, frozen=True, kw_only=True):
    """The slot's quota after the change (that of the first time, where the request was sent again)."""

    campaign: str
    slot: str
    quota: int
    left: int


class TodayEntry(Result, frozen=True, kw_only=True):
    """A pass of today."""

    pass_no: PassNo
    state: Annotated[
        State | Literal["moved"], Meta(description="`moved`: to another day or pharmacy, so not expected any more.")
    ]
    slot: str
    units: int


class Today(Result, frozen=True, kw_only=True):
    """Everybody who was expected today, so that cancelled passes are refused without a network too."""

    date: Date
    pharmacy: str
    as_of: Time
    reservations: list[TodayEntry]


class Key(Result, frozen=True, kw_only=True):
    """A key that passes are signed with."""

    key_id: str
    algorithm: Literal["Ed25519"]
    public_key: Annotated[str, Meta(description="32 bytes, base64url without padding.")]


class Keys(Result, frozen=True, kw_only=True):
    """All keys whose passes are accepted."""

    keys: list[Key]
