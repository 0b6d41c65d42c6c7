"""What comes in and goes out as JSON: the types that read requests, write answers, and stand in `/openapi.json`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from services.console.users import Role
from services.domain.command_fields import Name, whole

Time = Annotated[str, Meta(description="RFC 3339 with offset.")]
Why = Annotated[str, Meta(min_length=1, max_length=500, description="Stands in the audit trail.")]
Change = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
Partition = Annotated[int, Meta(ge=0, le=99)]
TerminalName = Annotated[str, whole("[A-Za-z0-9][A-Za-z0-9_-]{0,31}")]
PhaseWord = Literal["scheduled", "open", "paused", "closed"]
ValveWord = Literal["off", "on", "automatic"]
TerminalWord = Literal["invited", "paired", "revoked"]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request's body: a field that we do not know is an error, never passed over."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """An answer's body."""


# ------------------------------------------------------------------------------------------------------- requests


class SignInRequest(Body, frozen=True, kw_only=True):
    """Name and password of a console user."""

    user: Annotated[str, Meta(min_length=1, max_length=100)]
    password: Annotated[str, Meta(min_length=1, max_length=1_024)]

    def __repr__(self) -> str:
        return "SignInRequest(***)"


class Reasoned(Body, frozen=True, kw_only=True):
    """Why it is done."""

    why: Why


class QuotaChange(Body, frozen=True, kw_only=True):
    """More or less stock in a slot."""

    change: Change
    why: Why
    share: Literal["public", "assisted", "reserve"] = "public"


class ValveRequest(Body, frozen=True, kw_only=True):
    """How a campaign's waiting room is to let people in. `outflow_per_s` 0: as fast as they are served."""

    mode: ValveWord
    why: Why
    outflow_per_s: Annotated[int, Meta(ge=0, le=100_000, description="People a second.")] = 0
    admission_factor: Annotated[float, Meta(ge=1, le=10, description="People let in at once, for what is left.")] = 1.5


class Withdrawal(Body, frozen=True, kw_only=True):
    """The pharmacy got less than was promised: the slot keeps `keep` units in all; 0 withdraws it."""

    keep: Annotated[int, Meta(ge=0, le=1_000_000)]
    why: Why


class Moving(Withdrawal, frozen=True, kw_only=True):
    """A withdrawal whose people move to the slot `to`."""

    to: Name


class RulesVersion(Body, frozen=True, kw_only=True):
    """The version of the rules of the fold that is to be in force."""

    version: Annotated[int, Meta(ge=1, le=1_000)]
    why: Why


class Invitation(Body, frozen=True, kw_only=True):
    """A terminal that the ops team expects at a pharmacy.

    `region` only where pharmacies of two regions have the same id; without `terminal` a name is made.
    """

    pharmacy: Name
    why: Why
    terminal: TerminalName | None = None
    region: Name | None = None


# -------------------------------------------------------------------------------------------------------- answers


class SignedIn(Result, frozen=True, kw_only=True):
    """The token goes into `Authorization: Bearer`."""

    token: str
    user: str
    role: Role
    expires_at: Time


class WindowTimes(Result, frozen=True, kw_only=True):
    """A time in which residents may book."""

    opens_at: Time
    closes_at: Time


class RoomNumbers(Result, frozen=True, kw_only=True):
    """A campaign's waiting room. `people` were let in or wait in this round, estimated; `let_in` may book."""

    mode: ValveWord
    outflow_per_s: int
    admission_factor: float
    round: int
    is_active: bool
    people: int
    let_in: int


class CampaignNumbers(Result, frozen=True, kw_only=True):
    """A campaign as it stands. Units are units, the others are reservations since it began; `precedence` are people who
    lost a place to a withdrawal and have no other yet."""

    campaign: str
    region: str
    partition: int
    phase: PhaseWord
    title: dict[str, str]
    rehearsal: bool
    revision: str
    windows: list[WindowTimes]
    pharmacies: int
    slots: int
    units: int
    units_left: int
    confirmed: int
    rejected: int
    cancelled: int
    picked_up: int
    waitlisted: int
    promoted: int
    precedence: int
    waiting_room: RoomNumbers | None = None


class CampaignList(Result, frozen=True, kw_only=True):
    """All sealed campaigns of this system, in the order of their names."""

    campaigns: list[CampaignNumbers]


class CampaignWhole(Result, frozen=True, kw_only=True):
    """A campaign with the document it was applied from; `definition` has the keys of a campaign file."""

    numbers: CampaignNumbers
    definition: dict[str, Any]


class SlotNumbers(Result, frozen=True, kw_only=True):
    """A slot in units. `taken` is of the public share; `moving_in` of it are kept for people on their way there.

    While `to_withdraw` is not 0, people lose their places or move.
    """

    slot: str
    pharmacy: str
    starts_at: Time
    ends_at: Time
    quota: int
    taken: int
    left: int
    waiting: int
    assisted_left: int
    reserve_left: int
    withdrawn: bool
    to_withdraw: int
    moving_in: int


class SlotList(Result, frozen=True, kw_only=True):
    """Slots of a campaign, by time; `next` is where the next page begins, if there is one."""

    campaign: str
    slots: list[SlotNumbers]
    total: int
    next: int | None


class Checked(Result, frozen=True, kw_only=True):
    """A campaign document that is right."""

    campaign: str
    region: str
    revision: str
    pharmacies: int
    slots: int
    units: int
    deletion_day: str


class Outlook(Result, frozen=True, kw_only=True, tag_field="kind", tag="outlook"):
    """What applying would do. `differs` says in words what would be changed in a campaign that is there; where it is
    refused, what cannot be changed, and what to do instead."""

    campaign: str
    region: str
    revision: str
    change: Literal["new", "unfinished", "unchanged", "changes", "refused"]
    partition: int | None
    pharmacies: int
    slots: int
    units: int
    commands: int
    would_open: bool
    differs: list[str]


class Applied(Result, frozen=True, kw_only=True, tag_field="kind", tag="applied"):
    """A campaign that is sealed now, with this content."""

    campaign: str
    region: str
    revision: str
    change: Literal["created", "changed", "unchanged"]
    partition: int
    phase: PhaseWord
    pharmacies: int
    slots: int
    units: int


class PhaseChanged(Result, frozen=True, kw_only=True):
    """The campaign's phase as it is now."""

    campaign: str
    phase: PhaseWord


class QuotaChanged(Result, frozen=True, kw_only=True):
    """The slot's quota after the change (that of the first time, where the request was sent again)."""

    campaign: str
    slot: str
    quota: int
    left: int


class WithdrawalOutlook(Result, frozen=True, kw_only=True, tag_field="kind", tag="outlook"):
    """What a withdrawal would do as things stand: units cut that nobody has, units and people that would have to go.

    `reason` says why it would be refused; null: it would not. People on their way already may be counted.
    """

    campaign: str
    slot: str
    to: str | None
    units_cut: int
    units_of_people: int
    people: int
    reason: str | None


class SlotWithdrawn(Result, frozen=True, kw_only=True, tag_field="kind", tag="withdrawn"):
    """Units cut, by share, and units that people have to give up: they are dealt with one after the other from now on,
    some a second. `GET …/slots` shows how many are left to go."""

    campaign: str
    slot: str
    to: str | None
    public_cut: int
    assisted_cut: int
    reserve_cut: int
    units_of_people: int


class TerminalNumbers(Result, frozen=True, kw_only=True):
    """A terminal as it stands; `since` is the time of its last change."""

    terminal: str
    pharmacy: str
    partition: int
    state: TerminalWord
    since: Time


class TerminalList(Result, frozen=True, kw_only=True):
    """All terminals, by partition in the order of their invitations."""

    terminals: list[TerminalNumbers]


class Invited(Result, frozen=True, kw_only=True):
    """The pairing code is shown here and nowhere else; the same one when the same request is sent again."""

    terminal: str
    pharmacy: str
    partition: int
    pairing_code: str
    expires_at: Time

    def __repr__(self) -> str:
        return f"Invited({self.terminal})"


class AuditEntry(Result, frozen=True, kw_only=True, omit_defaults=True):
    """Who, when, what, why, and what came of it. Only what a command carries is there."""

    partition: int
    offset: int
    at: Time
    command: str
    actor: str = ""
    why: str = ""
    campaign: str = ""
    region: str = ""
    slot: str = ""
    terminal: str = ""
    pharmacy: str = ""
    revision: str = ""
    change: int = 0
    to: str = ""
    keep: int | None = None
    version: int = 0
    valve: str = ""
    outflow_per_s: int = 0
    factor_per_mille: int = 0
    outcome: str = ""
    reason: str = ""


class AuditTrail(Result, frozen=True, kw_only=True):
    """Newest first. `before` asks for what is older; null: this goes back to the log's beginning."""

    partition: int
    entries: list[AuditEntry]
    before: int | None


class PartitionRules(Result, frozen=True, kw_only=True, omit_defaults=True):
    """A partition's rules; null where it could not be looked. `reason`: why it did not answer when asked to adopt."""

    partition: int
    version: int | None
    reason: str = ""


class RulesInForce(Result, frozen=True, kw_only=True):
    """By which version of the rules each partition decides, and the newest that this console knows."""

    known: int
    partitions: list[PartitionRules]


class PartitionNow(Result, frozen=True, kw_only=True):
    """A region's line: records in the log, records decided, and the difference. Null where it could not be looked."""

    partition: int
    position: int | None
    log_end: int | None
    lag: int | None
    last_tick: Time | None


class LiveNow(Result, frozen=True, kw_only=True):
    """One second of the whole system."""

    at: Time
    partitions: list[PartitionNow]
    campaigns: list[CampaignNumbers]
