"""Commands: what somebody wants, one record each in the topic `commands`, as JSON that any Kafka tool can read.

`decode` is the one gate between the log and the fold: what passes it is clean (bounded strings of a known alphabet,
integers of a known range), so the fold never has to defend itself against its input. What does not pass becomes
`Malformed` and is decided as such: a record nobody can read never stops a partition.

Every command but a reservation's carries the id of the one who sent it again: a repeat gets its first answer. A
reservation's id is its pass number. `actor` and `why` make the log the audit trail.
"""

from typing import Annotated, get_args

import msgspec
from msgspec import Meta

from services.domain.command_base import Command
from services.domain.command_fields import (
    CampaignRules,
    Contact,
    Count,
    Day,
    Digest8,
    Digest16,
    Name,
    OptionalDigest16,
    OptionalName,
    Pharmacy,
    Revision,
    SheetName,
    Slot,
    StaggerDay,
    Text,
    Ticket,
    TimeMs,
    Units,
    WaitingChunk,
    whole,
)
from services.domain.room_commands import Admit, CloseRoom, CountRoom, FreezeRoom, LeaseNumbers, PrepareRoom, SetValve

__all__ = [
    "Admit", "CampaignRules", "CloseRoom", "Command", "CountRoom", "FreezeRoom", "LeaseNumbers", "Pharmacy",
    "PrepareRoom", "SetValve", "SheetName", "Slot", "StaggerDay", "WaitingChunk",
]  # fmt: skip
"""All commands and their parts, to be had in one place."""

MAX_CHUNK = 200  # pharmacies or slots in one command
MAX_ENTITLED_CHUNK = 500
MAX_PURGED = 200  # names in one command
MAX_PURGED_SHEETS = 25  # of them: behind each stand up to 16 reservations to look at
MAX_RECORD_BYTES = 256 * 1024


class Malformed(Command, tag="malformed", frozen=True):
    """Stands in the fold for a record that could not be read. Never written to the log."""


class Genesis(Command, tag="genesis", frozen=True):
    """The record at offset 0: the log's identity, and a check value of the keys that made its pseudonyms."""

    log: Digest16
    key_check: Digest16
    rules: Annotated[int, Meta(ge=1, le=1_000)]


class Tick(Command, tag="tick", frozen=True):
    """The clock service says what time it is; record time may run at most 120 s ahead of it."""

    at_ms: TimeMs


class AdoptRules(Command, tag="adopt_rules", frozen=True):
    """From here on the fold decides by this version of the rules."""

    id: Digest16
    version: Annotated[int, Meta(ge=1, le=1_000)]
    actor: Text = ""
    why: Text = ""


class AssignRegion(Command, tag="assign_region", frozen=True):
    """Partition 0: gives a region its partition for ever, and a campaign's name to its region."""

    id: Digest16
    region: Name
    campaign: Name
    partitions: Annotated[int, Meta(ge=1, le=100)]
    actor: Text = ""
    why: Text = ""


class DefineCampaign(Command, tag="define_campaign", frozen=True):
    """Begins a definition; visible to nobody before it is sealed. `definition` is the campaign file as JSON text."""

    id: Digest16
    campaign: Name
    region: Name
    revision: Revision
    units_max: Units
    pharmacies: Count
    slots: Count
    definition: Annotated[str, Meta(max_length=100_000)]
    rules: CampaignRules = CampaignRules()
    delete_ms: TimeMs = 0  # when the deletion day begins; 0: never
    actor: Text = ""
    why: Text = ""


class _Chunk(Command, frozen=True):
    """A piece of a definition, in order; `first` is how many of the same kind came before."""

    id: Digest16
    campaign: Name
    revision: Revision
    first: Count


class AddPharmacies(_Chunk, tag="add_pharmacies", frozen=True):
    """Some of the definition's pharmacies."""

    pharmacies: Annotated[list[Pharmacy], Meta(min_length=1, max_length=MAX_CHUNK)]


class AddSlots(_Chunk, tag="add_slots", frozen=True):
    """Some of the definition's slots."""

    slots: Annotated[list[Slot], Meta(min_length=1, max_length=MAX_CHUNK)]


class AddEntitled(_Chunk, tag="add_entitled", frozen=True):
    """Some of the entitled, by pseudonym."""

    residents: Annotated[list[Digest16], Meta(min_length=1, max_length=MAX_ENTITLED_CHUNK)]


class SealDefinition(Command, tag="seal_definition", frozen=True):
    """The definition is whole: from here on the campaign is visible, and scheduled."""

    id: Digest16
    campaign: Name
    revision: Revision
    actor: Text = ""
    why: Text = ""


class ChangeRules(Command, tag="change_rules", frozen=True):
    """A sealed campaign that stands under revision `before` has these rules, and this definition, from here on.

    What stands in slots and lists stays as it is: shares, times, who is entitled.
    """

    id: Digest16
    campaign: Name
    before: Revision
    revision: Revision
    units_max: Units
    definition: Annotated[str, Meta(max_length=100_000)]
    rules: CampaignRules = CampaignRules()
    actor: Text = ""
    why: Text = ""

    def __post_init__(self) -> None:
        """Raises ValueError; a record that says so is malformed. Doors know by the revision that something changed."""
        if self.revision == self.before:
            raise ValueError("other rules are another revision")


class _Transition(Command, frozen=True):
    id: Digest16
    campaign: Name
    by_clock: bool = False  # a clock never reopens what an operator closed
    actor: Text = ""
    why: Text = ""


class Open(_Transition, tag="open", frozen=True):
    """Residents may book."""


class Pause(_Transition, tag="pause", frozen=True):
    """Nobody may book until `resume`; pick-ups and cancels go on."""


class Resume(_Transition, tag="resume", frozen=True):
    """Ends a pause."""


class Close(_Transition, tag="close", frozen=True):
    """Nobody may book any more; pick-ups and cancels go on."""


class Reserve(Command, tag="reserve", frozen=True):
    """A resident wants units in a slot. `pass_no` names the reservation from here on."""

    campaign: Name
    slot: Name
    units: Units
    resident: Digest16
    pass_no: Digest16
    digest: Digest8
    last4_hash: Digest8
    phone_pseudonym: OptionalDigest16 = ""
    contact: Contact = ""  # encrypted under the key of (campaign, deletion day)
    digit: Annotated[int, Meta(ge=-1, le=9)] = -1  # of the document or the birth year, where the campaign staggers
    terminal: OptionalName = ""  # the desk that books for somebody: from the assisted share first
    ticket: Ticket = ""  # receipt of the waiting-room ticket where it may let in more than one; "+" before: another's


class Cancel(Command, tag="cancel", frozen=True):
    """The owner, or a terminal for somebody present with the document, gives a reservation back."""

    id: Digest16
    pass_no: Digest16
    terminal: OptionalName = ""
    why: Text = ""


class ChangeSlot(Command, tag="change_slot", frozen=True):
    """The owner wants another slot; the old one is kept unless the new one is got."""

    id: Digest16
    pass_no: Digest16
    slot: Name
    terminal: OptionalName = ""


class PickUp(Command, tag="pick_up", frozen=True):
    """A pharmacy hands the units out."""

    id: Digest16
    pass_no: Digest16
    terminal: Name
    shown: Annotated[str, whole("(pass|short_code|document)")] = "pass"


class RecordPickUp(Command, tag="record_pick_up", frozen=True):
    """A terminal handed out while it had no network, and tells it now: a fact, accepted whatever the state.

    Its id is that of the `pick_up` with the same terminal, pass and key: what a terminal tried before the network went
    is the same hand-out.
    """

    id: Digest16
    terminal: Name
    at_ms: TimeMs  # by the terminal's clock
    pass_no: OptionalDigest16 = ""  # of the genuine pass that was shown; empty: nothing proves this


class UndoPickUp(Command, tag="undo_pick_up", frozen=True):
    """The terminal that confirmed takes it back, within five minutes."""

    id: Digest16
    pass_no: Digest16
    terminal: Name
    why: Text = ""


class ChangeQuota(Command, tag="change_quota", frozen=True):
    """More or less stock in a slot; never below what is given out."""

    id: Digest16
    campaign: Name
    slot: Name
    change: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
    share: Annotated[str, whole("(public|assisted|reserve)")] = "public"
    terminal: OptionalName = ""  # empty: the ops team
    actor: Text = ""
    why: Text = ""


class WithdrawSlot(Command, tag="withdraw_slot", frozen=True):
    """The pharmacy got less than was promised: the slot keeps `keep` units in all, or what was picked up already.

    Who loses a place over it has precedence in the campaign.
    """

    id: Digest16
    campaign: Name
    slot: Name
    keep: Count = 0  # 0: the slot is withdrawn
    actor: Text = ""
    why: Text = ""


class MoveSlot(Command, tag="move_slot", frozen=True):
    """As `withdraw_slot`, but whoever would lose a place gets one in the slot `to`."""

    id: Digest16
    campaign: Name
    slot: Name
    to: Name
    keep: Count = 0
    actor: Text = ""
    why: Text = ""


class _TimeOfSlots(Command, frozen=True):
    id: Digest16
    campaign: Name
    slots: Annotated[list[Name], Meta(min_length=1, max_length=MAX_CHUNK)]


class Release(_TimeOfSlots, tag="release", frozen=True):
    """The clock: what the assisted share of these slots has not used becomes public."""


class EndWaiting(_TimeOfSlots, tag="end_waiting", frozen=True):
    """The clock: nobody is promoted in these slots any more; who still waits hears so."""


class Expire(Command, tag="expire", frozen=True):
    """The clock: of a pharmacy's day, the reservations on one sheet whose time to pick up is over are no-shows."""

    id: Digest16
    region: Name
    pharmacy: Name
    day: Day
    sheet: Count


class Purge(Command, tag="purge", frozen=True):
    """The clock: the deletion day of this campaign has come, and nothing is kept of these. At most MAX_PURGED in all.

    It has no id, for its repeat finds nothing to delete.
    """

    campaign: Name
    pass_nos: list[Digest16] = msgspec.field(default_factory=list)
    residents: list[Digest16] = msgspec.field(default_factory=list)
    phones: list[Digest16] = msgspec.field(default_factory=list)
    entitled: list[Digest16] = msgspec.field(default_factory=list)
    draft: Count = 0  # the number under which `entitled` stand, where this campaign's definition was begun anew
    sheets: Annotated[list[SheetName], Meta(max_length=MAX_PURGED_SHEETS)] = msgspec.field(default_factory=list)
    waiting: list[WaitingChunk] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        """Raises ValueError; a record that says so is malformed."""
        people = len(self.pass_nos) + len(self.residents) + len(self.phones) + len(self.entitled)
        if people + len(self.sheets) + len(self.waiting) > MAX_PURGED:
            raise ValueError(f"more than {MAX_PURGED} names")


class InviteTerminal(Command, tag="invite_terminal", frozen=True):
    """The ops team expects a terminal at a pharmacy; who brings the pairing code is it."""

    id: Digest16
    terminal: Name
    region: Name
    pharmacy: Name
    code_digest: Digest16
    expires_ms: TimeMs
    actor: Text = ""
    why: Text = ""


class PairTerminal(Command, tag="pair_terminal", frozen=True):
    """A terminal brings its pairing code, once, and the digest of the token it will sign in with."""

    id: Digest16
    code_digest: Digest16
    token_digest: Digest16


class RevokeTerminal(Command, tag="revoke_terminal", frozen=True):
    """A terminal may do nothing from here on."""

    id: Digest16
    terminal: Name
    actor: Text = ""
    why: Text = ""


AnyCommand = (
    Genesis | Tick | AdoptRules | AssignRegion | DefineCampaign | AddPharmacies | AddSlots | AddEntitled
    | SealDefinition | ChangeRules | Open | Pause | Resume | Close | Reserve | Cancel | PickUp | RecordPickUp
    | UndoPickUp | ChangeQuota | WithdrawSlot | MoveSlot | ChangeSlot | Release | EndWaiting | Expire | Purge
    | InviteTerminal | PairTerminal | RevokeTerminal | SetValve | PrepareRoom | CountRoom | FreezeRoom
    | LeaseNumbers | Admit | CloseRoom
)  # fmt: skip

COMMAND_TYPES: tuple[type[Command], ...] = get_args(AnyCommand)
_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(AnyCommand)
_encoder = msgspec.json.Encoder()
MALFORMED = Malformed()


def encode(command: Command) -> bytes:
    """The record's value: compact JSON, UTF-8."""
    return _encoder.encode(command)


def decode(value: bytes | None) -> Command:
    """The command in a record's value, or `MALFORMED`; never raises, whatever the bytes."""
    if value is None or len(value) > MAX_RECORD_BYTES:
        return MALFORMED
    try:
        return _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return MALFORMED
