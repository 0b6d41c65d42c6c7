"""What goes in and out over HTTP, one struct each: the wire and `/openapi.json` are made of the same classes.

Times are RFC 3339 in the campaign's own time zone. What is not known (yet) is null.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from services.domain.campaign import StaggerBy
from services.domain.documents import DocumentType
from services.domain.stock import Band

MAX_UNITS_ASKED = 1_000_000
Time = Annotated[str, Meta(description="RFC 3339, with the offset of the campaign's zone.")]
ReservationId = Annotated[str, Meta(description="The credential of its owner: keep it to yourself.")]
Ahead = Annotated[int, Meta(description="Requests before this one in the log; null without a signed place.", ge=0)]
UnitsAsked = Annotated[int, Meta(ge=1, le=MAX_UNITS_ASKED)]
DocumentNumber = Annotated[str, Meta(min_length=1, max_length=64, examples=["11010519491231002X"])]
BirthYear = Annotated[
    int, Meta(ge=1880, le=2099, description="Where the campaign goes by it and the document does not tell it.")
]
PhoneText = Annotated[str, Meta(min_length=1, max_length=40, examples=["+8613800000000"])]
StateWord = Literal["pending", "confirmed", "waitlisted", "rejected", "cancelled", "picked_up", "expired"]
WaitingBefore = Annotated[int, Meta(description="People before this one in the slot's waiting list, at most.", ge=0)]
WaitingWord = Literal["open", "full"]


class In(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Comes from a client; a field that nobody knows is refused."""


class Out(msgspec.Struct, frozen=True, kw_only=True):
    """Goes to a client."""


class Resident(In, frozen=True, kw_only=True):
    """Who books, by an identity document. The number leaves this process only as a keyed pseudonym."""

    document_type: DocumentType
    document_number: DocumentNumber
    birth_year: BirthYear | None = None


class ReservationRequest(In, frozen=True, kw_only=True):
    """A wish for units in a slot."""

    campaign: Annotated[str, Meta(min_length=1, max_length=48)]
    slot: Annotated[str, Meta(min_length=1, max_length=48)]
    units: UnitsAsked
    resident: Resident
    phone: PhoneText


class TicketRequest(In, frozen=True, kw_only=True):
    """Somebody joins a waiting room."""

    resident: Resident


class Draw(Out, frozen=True, kw_only=True):
    """How places are drawn among those who were there before the opening: the first 8 bytes of HMAC-SHA256(seed,
    receipt), spread over as many places as there were people. The seed was committed to before anybody had a ticket."""

    commitment: Annotated[str, Meta(description="SHA-256 of the seed, in hex.")]
    receipt: Annotated[str, Meta(description="The same for every ticket of this resident.")]
    seed: Annotated[str, Meta(description="In hex; null before the opening.")] | None
    people: Annotated[int, Meta(description="Who were there, estimated; null before the opening.", ge=1)] | None


class TicketStanding(Out, frozen=True, kw_only=True):
    """Where a ticket stands. `ahead` and `estimate_s` are null while nobody can tell, as before the opening."""

    state: Literal["waiting", "admitted", "closed"]
    ahead: Annotated[int, Meta(description="People before this one, estimated.", ge=0)] | None = None
    estimate_s: Annotated[int, Meta(description="Seconds until the turn comes, estimated.", ge=0)] | None = None
    poll_after_s: Annotated[int, Meta(description="When to ask again; null where nothing changes.", ge=1)] | None = None
    probably_gone: Annotated[bool, Meta(description="Whether those before will probably leave nothing.")] = False
    draw: Draw | None = None


class TicketGiven(TicketStanding, frozen=True, kw_only=True):
    """A ticket and where it stands. Goes into the header `Maskline-Ticket` of a booking once it is admitted."""

    ticket: Annotated[str, Meta(description="Keep it: who comes again after the opening stands further behind.")]


class SlotChange(In, frozen=True, kw_only=True):
    """Another slot of the same campaign."""

    slot: Annotated[str, Meta(min_length=1, max_length=48)]


class Pending(Out, frozen=True, kw_only=True):
    """The log has it; nothing can lose it now."""

    id: ReservationId
    state: Literal["pending"]
    ahead: Ahead | None
    status_url: str


class HistoryEntry(Out, frozen=True, kw_only=True):
    """Something that happened to a reservation."""

    at: Time
    event: Literal[
        "confirmed", "rejected", "cancelled", "picked_up", "pick_up_undone", "refused", "picked_up_late",
        "pick_up_conflict", "slot_changed", "waitlisted", "promoted", "waiting_ended", "withdrawn",
        "moved",
    ]  # fmt: skip
    by: Literal["owner", "pharmacy", "rules"]
    reason: str | None


class Reservation(Out, frozen=True, kw_only=True):
    """A reservation as its owner sees it."""

    id: ReservationId
    state: StateWord
    reason: Annotated[
        str | None, Meta(description="Why it was refused; `slot_withdrawn` of a cancelled one: its place was lost.")
    ] = None
    left: Annotated[int | None, Meta(description="Units the slot had left, where that was the reason.")] = None
    from_day: Annotated[
        str | None, Meta(description="YYYY-MM-DD: who was refused for coming too early may book again from then on.")
    ] = None
    refused: Annotated[
        str | None, Meta(description="Why what was asked for at this place was refused; the rest stands as it did.")
    ] = None
    ahead: Ahead | None = None
    campaign: str | None = None
    slot: str | None = None
    pharmacy: str | None = None
    starts_at: Time | None = None
    ends_at: Time | None = None
    units: int | None = None
    pass_text: Annotated[str | None, Meta(description="The signed pass, while it is worth something.")] = msgspec.field(
        default=None, name="pass"
    )
    short_code: str | None = None
    waiting_before: WaitingBefore | None = None
    waiting_until: Annotated[
        Time | None, Meta(description="Until then it may still be confirmed; who waits longer is refused.")
    ] = None
    change_until: Annotated[Time | None, Meta(description="Until then the slot may be changed.")] = None
    how_to_appeal: dict[str, str] | None = None
    history: list[HistoryEntry] = []


class Window(Out, frozen=True, kw_only=True):
    """A time in which residents may book."""

    opens_at: Time
    closes_at: Time


class CampaignSummary(Out, frozen=True, kw_only=True):
    """One line of the list."""

    campaign: str
    region: str
    title: Annotated[dict[str, str], Meta(description="Language: text.")]
    phase: Literal["scheduled", "open", "paused", "closed"]
    windows: list[Window]


class CampaignList(Out, frozen=True, kw_only=True):
    """What is on offer."""

    campaigns: list[CampaignSummary]


class StaggerOut(Out, frozen=True, kw_only=True):
    """Who may book on which weekday."""

    by: Annotated[StaggerBy, Meta(description="Whose last digit counts; of a document a letter counts as 0.")]
    days: Annotated[dict[str, list[int]], Meta(description="mon … sun: digits. On other days everybody may book.")]


class AssistedOut(Out, frozen=True, kw_only=True):
    """The share for those who book at a desk."""

    per_mille: int
    release_h: Annotated[int | None, Meta(description="Hours before a slot begins; then the rest is public.")]


class WaitingListOut(Out, frozen=True, kw_only=True):
    """What comes free in a full slot goes to those who wait for it, in order."""

    per_mille: Annotated[int, Meta(description="Units that may wait, of the slot's public quota.")]
    promote_until_h: Annotated[int, Meta(description="Hours before the slot begins; then the list ends.")]


class RulesOut(Out, frozen=True, kw_only=True):
    """The rules that are enforced; null and false where the campaign does not demand it."""

    units_max: int
    document_types: list[DocumentType]
    cool_down_days: Annotated[int | None, Meta(description="Whole days to wait after the day of a slot.")]
    household_max: Annotated[int | None, Meta(description="People for whom one phone may book.")]
    stagger: StaggerOut | None
    entitled_only: Annotated[bool, Meta(description="Only those on the organisers' list may book.")]
    assisted: AssistedOut | None
    reserve_per_mille: Annotated[int, Meta(description="Kept for appeals.")]
    pickup_grace_h: Annotated[int | None, Meta(description="Hours after a slot's end; null: to the end of its day.")]
    waiting_list: WaitingListOut | None
    change_until_h: Annotated[
        int | None, Meta(description="Hours before a slot begins up to which it may be changed; null: till it begins.")
    ]


class PharmacyOut(Out, frozen=True, kw_only=True):
    """Where masks are handed out."""

    id: str
    name: str
    address: str
    lon: float | None
    lat: float | None
    phone: str


class SlotOut(Out, frozen=True, kw_only=True):
    """A pick-up window at a pharmacy."""

    id: str
    pharmacy: str
    starts_at: Time
    ends_at: Time


class CampaignOut(CampaignSummary, frozen=True, kw_only=True):
    """A whole campaign; what is left of it stands in its stock."""

    timezone: str
    mode: Literal["first_come"]
    controller: Annotated[dict[str, str], Meta(description="Who answers for the data.")]
    appeal_contact: Annotated[dict[str, str], Meta(description="Where a person who was refused can ask a person.")]
    rules: RulesOut
    delete_after_days: int
    deletion_day: Annotated[str, Meta(description="YYYY-MM-DD: phones can be read by nobody from then on.")]
    rehearsal: Annotated[bool, Meta(description="Only a rehearsal may be load-tested; it is listed nowhere.")]
    pharmacies: list[PharmacyOut]
    slots: list[SlotOut]


class SlotStock(Out, frozen=True, kw_only=True):
    """How much is left of a slot, in bands."""

    slot: str
    pharmacy: str
    starts_at: Time
    band: Band
    waiting_list: Annotated[
        WaitingWord | None, Meta(description="Whether its waiting list takes anybody; null where there is none (now).")
    ]


class Stock(Out, frozen=True, kw_only=True):
    """What was left at a moment."""

    as_of: Time
    slots: list[SlotStock]
