"""A campaign as it is once its file has been checked, and the commands that write it into the log.

`Definition` is what stands in the log as JSON and what the doors read; `Campaign` adds the tables. Instants are
integers here; `campaign_document` turns a campaign into the form of the file and `campaign_check` turns it back.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from services.domain.commands import (
    MAX_CHUNK,
    AddPharmacies,
    AddSlots,
    DefineCampaign,
    Pharmacy,
    SealDefinition,
    Slot,
)
from services.domain.days import later
from services.domain.documents import DocumentType

MAX_CHUNK_BYTES = 128 * 1024  # half a record: long names in Chinese reach it before they are 200
REVISION_CHARS = 16
DEFAULT_DELETE_AFTER_DAYS = 14

DefinitionCommand = DefineCampaign | AddPharmacies | AddSlots | SealDefinition
_Entry = TypeVar("_Entry", Pharmacy, Slot)


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


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules that this version enforces: units a person (by the fold), kinds of document (by the doors)."""

    units_max: int
    document_types: tuple[DocumentType, ...] = tuple(DocumentType)


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


class Campaign(Definition, frozen=True, kw_only=True):
    """A whole campaign."""

    pharmacies: tuple[Pharmacy, ...]
    slots: tuple[Slot, ...]

    @property
    def units(self) -> int:
        """All units of all slots."""
        return sum(slot.units for slot in self.slots)


def definition_json(campaign: Definition) -> str:
    """What `define_campaign` carries: the definition without the tables, the same text for the same content."""
    definition = {name: getattr(campaign, name) for name in Definition.__struct_fields__}
    return msgspec.json.encode(definition, order="deterministic").decode()


def read_definition(text: str | bytes) -> Definition:
    """The definition in a `define_campaign`. Raises ValidationError; fields of later versions are passed over."""
    return msgspec.json.decode(text, type=Definition)


def revision(campaign: Campaign) -> str:
    """16 hex characters over the content: the same file is the same revision, wherever and whenever it is read.

    Days are content too: where a new time-zone table moves one of them, the file has become another revision.
    """
    content = msgspec.json.encode(campaign, order="deterministic")
    return hashlib.sha256(content).hexdigest()[:REVISION_CHARS]


def deletion_day(slots: Sequence[Slot], delete_after_days: int) -> str:
    """The day, YYYY-MM-DD, on which personal data of a campaign with these slots is deleted."""
    return later(max(slot.day for slot in slots), delete_after_days)


def commands_of(campaign: Campaign, of_revision: str, *, actor: str = "", why: str = "") -> list[DefinitionCommand]:
    """The definition as commands, in the order in which they have to stand in the log.

    Their ids are digests of campaign, revision and part: whoever sends the same file again sends the same commands.
    """
    name = campaign.campaign

    def command_id(part: str) -> str:
        digest = hashlib.sha256(f"definition|{name}|{of_revision}|{part}".encode()).digest()
        return urlsafe_b64encode(digest[:12]).decode()

    commands: list[DefinitionCommand] = [
        DefineCampaign(
            id=command_id("define"),
            campaign=name,
            region=campaign.region,
            revision=of_revision,
            units_max=campaign.rules.units_max,
            pharmacies=len(campaign.pharmacies),
            slots=len(campaign.slots),
            definition=definition_json(campaign),
            actor=actor,
            why=why,
        )
    ]
    for first, pharmacies in _chunks(campaign.pharmacies):
        chunk_id = command_id(f"pharmacies|{first}")
        commands.append(
            AddPharmacies(id=chunk_id, campaign=name, revision=of_revision, first=first, pharmacies=pharmacies)
        )
    for first, slots in _chunks(campaign.slots):
        commands.append(
            AddSlots(id=command_id(f"slots|{first}"), campaign=name, revision=of_revision, first=first, slots=slots)
        )
    commands.append(SealDefinition(id=command_id("seal"), campaign=name, revision=of_revision, actor=actor, why=why))
    return commands


def _chunks(entries: Sequence[_Entry]) -> Iterator[tuple[int, list[_Entry]]]:
    """Pieces of at most MAX_CHUNK entries and MAX_CHUNK_BYTES of JSON, each with the number of entries before it."""
    chunk: list[_Entry] = []
    first = used_bytes = 0
    for index, entry in enumerate(entries):
        entry_bytes = len(msgspec.json.encode(entry)) + 1
        if chunk and (len(chunk) == MAX_CHUNK or used_bytes + entry_bytes > MAX_CHUNK_BYTES):
            yield first, chunk
            chunk, first, used_bytes = [], index, 0
        chunk.append(entry)
        used_bytes += entry_bytes
    if chunk:
        yield first, chunk
