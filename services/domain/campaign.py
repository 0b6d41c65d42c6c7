"""A campaign as it is once its file has been checked.

`Definition` is what stands in the log as JSON and what the doors read; `Campaign` adds the tables. Instants are
integers here; `campaign_document` turns a campaign into the form of the file, `campaign_check` turns it back, and
`campaign_commands` writes it into the log.
"""

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from services.domain.commands import Pharmacy, Slot
from services.domain.days import later
from services.domain.documents import DocumentType

REVISION_CHARS = 16
DEFAULT_OPENS_BEFORE_MIN = 30
DEFAULT_FACTOR_PER_MILLE = 1_500
DEFAULT_DELETE_AFTER_DAYS = 14
REHEARSAL_REGION = "rehearsal-"
"""How the region of a rehearsal begins, and no other: whoever books in one has nothing to do with the real one."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time in which residents may book: from its opening up to, and not including, its closing."""

    opens_ms: int
    closes_ms: int


class Controller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who answers for the data."""

    name: str
    contact: str


class AppealContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where somebody who was refused can ask a person; at least one of the three is there."""

    phone: str = ""
    place: str = ""
    hours: str = ""


class StaggerBy(StrEnum):
    """The digit by which a campaign staggers: the last one of the document, or of the year of birth."""

    DOCUMENT_DIGIT = "document_digit"
    BIRTH_YEAR_DIGIT = "birth_year_digit"


class Stagger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may book on which weekday; on a day that is not listed everybody may."""

    by: StaggerBy
    days: Mapping[str, tuple[int, ...]]  # one of WEEKDAYS: digits in order, at least one


class Assisted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The share of each slot for those who book at a desk; never released where `release_h` is None."""

    per_mille: int
    release_h: int | None = None  # so many hours before a slot begins, what is left of it becomes public


class WaitingList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who finds a slot full may wait for what comes free in it, in order."""

    per_mille: int  # units that may wait, of the slot's public quota
    promote_until_h: int  # so many hours before the slot begins the list ends; who still waits then is told no


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rules that are enforced: kinds of document by the doors, all others by the fold.

    What a campaign does not demand has its default and stands neither in the log nor in the revision, so a rule that a
    later version adds changes no revision of a campaign without it.
    """

    units_max: int
    document_types: tuple[DocumentType, ...]
    cool_down_days: int = 0  # whole days that somebody waits after the day of the slot
    household_max: int = 0  # people for whom one phone may book; 0: no limit
    stagger: Stagger | None = None
    entitled: int = 0  # people on the list of the entitled; 0: there is no list
    assisted: Assisted | None = None
    reserve_per_mille: int = 0
    pickup_grace_h: int | None = None  # hours after a slot's end; None: to the end of its day
    waiting_list: WaitingList | None = None
    change_until_h: int | None = None  # hours before a slot begins up to which it may be changed; None: till it begins


class WaitingRoom(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the campaign's waiting room begins; the ops team turns it later (`set_valve`)."""

    mode: str  # on or automatic; a campaign whose is off has none
    opens_before_min: int = DEFAULT_OPENS_BEFORE_MIN  # before each opening
    admission_factor_per_mille: int = DEFAULT_FACTOR_PER_MILLE  # people let in at once, for what is left


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign without its tables."""

    campaign: str
    region: str
    timezone: str
    title: Mapping[str, str]  # language: text; at least one of zh-Hans, zh-Hant, en
    controller: Controller
    appeal_contact: AppealContact
    windows: tuple[Window, ...]  # by time, none overlapping
    rules: Rules
    delete_after_days: int
    deletion_day: str  # YYYY-MM-DD, that many days after the last slot's day; it names the contact key
    rehearsal: bool = False  # to be load-tested: in a region of its own, and listed nowhere for residents
    waiting_room: WaitingRoom | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An identity document in its canonical form. It is on its way to become a pseudonym, and is never shown."""

    document_type: DocumentType
    document_number: str

    def __repr__(self) -> str:
        return "Document(***)"


class Campaign(Definition, frozen=True, kw_only=True):
    """A whole campaign. `entitled` is there only between its file and the console that makes pseudonyms of it."""

    pharmacies: tuple[Pharmacy, ...]
    slots: tuple[Slot, ...]
    entitled: tuple[Document, ...] = ()

    @property
    def units(self) -> int:
        """All units of all slots."""
        return sum(slot.units for slot in self.slots)


def definition_of(campaign: Definition) -> dict[str, object]:
    """The fields of a definition, without the tables. What came with a later version stands there only where a campaign
    has it, so that no other campaign gets another revision by it."""
    fields = {name: getattr(campaign, name) for name in Definition.__struct_fields__}
    if not campaign.rehearsal:
        del fields["rehearsal"]
    if campaign.waiting_room is None:
        del fields["waiting_room"]
    return fields


def definition_json(campaign: Definition) -> str:
    """What `define_campaign` carries: the definition without the tables, the same text for the same content."""
    return msgspec.json.encode(definition_of(campaign), order="deterministic").decode()


def revision(campaign: Campaign, entitled: Sequence[str] = ()) -> str:
    """16 hex characters over the content: the same file is the same revision, wherever and whenever it is read.

    Days are content too: where a new time-zone table moves one of them, the file has become another revision. Of the
    entitled only pseudonyms are: a revision stands in the log, and a digest of a document number can be guessed.
    """
    content = definition_of(campaign) | {"pharmacies": campaign.pharmacies, "slots": campaign.slots}
    if entitled:
        content["entitled"] = sorted(entitled)
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:REVISION_CHARS]


def deletion_day(slots: Sequence[Slot], delete_after_days: int) -> str:
    """The day, YYYY-MM-DD, on which personal data of a campaign with these slots is deleted."""
    return later(max(slot.day for slot in slots), delete_after_days)
