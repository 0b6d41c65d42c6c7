"""What the fold keeps, row by row: the same logical keys and the same arrays in Redis and in the reference model.

A row is a msgpack array; a field's place in it is its order here, and the Lua library gets these places from these
classes (`services/state/library`), so neither can drift from the other. Fields are only ever appended. Trailing fields
that a row does not need are left out, which keeps a refused reservation small; reading fills in the defaults. No field
is ever nil: nil makes holes in a Lua array.

| logical key                | row              | one for each                                                        |
|----------------------------|------------------|---------------------------------------------------------------------|
| `head`                     | `Head`           | partition: identity of the log, position, time                       |
| `c:<campaign>`             | `CampaignRow`    | campaign                                                             |
| `n:<no>`                   | str              | campaign number: its name                                            |
| `cat`                      | list[str]        | partition: names of sealed campaigns, in the order of their sealing  |
| `x:<no>`                   | str              | campaign: its definition as JSON, as the file had it                 |
| `x:<no>:p:<first>`         | list[Pharmacy]   | chunk of at most 200 pharmacies                                      |
| `x:<no>:s:<first>`         | list[str]        | chunk of at most 200 slot ids                                        |
| `s:<no>:<slot>`            | `SlotRow`        | slot: when, where, quota, taken                                      |
| `p:<region>:<resident>`    | `PersonRow`      | resident: the campaign they came to last, and their cool-down        |
| `a:<no>:<resident>`        | `PersonRow`      | resident and earlier campaign, where that says anything              |
| `h:<no>:<phone>`           | int              | phone and campaign: people it acts for                               |
| `h:<no>:<receipt>`         | int              | ticket and campaign: people it let in                                |
| `e:<no>:<resident>`        | int (1)          | resident on the list of the entitled                                 |
| `r:<pass_no>`              | `ReservationRow` | reservation, refused ones included                                   |
| `m:<region>:<pharmacy>:<day>` | int           | pharmacy and day: sheets given out so far                            |
| `m:<region>:<pharmacy>:<day>:<k>` | `SheetRow` | sheet: its slot, and once it is full its pass numbers            |
| `q:<no>`                  | `RoomRow`        | campaign: its waiting room, whoever waits in it                      |
| `w:<no>:<slot>:<k>`        | str              | 32 entries of a slot's waiting list: pass numbers                    |
| `work`                     | `WorkRow`        | partition: queue of slots whose waiting lists are to be looked at    |
| `work:<i>`                 | list             | entry of that queue: campaign number, slot                           |
| `withdrawals`              | `WorkRow`        | partition: queue of slots that take places back                      |
| `withdrawals:<i>`          | `WithdrawalRow`  | entry of that queue: how far it has come                             |
| `o:<command id>`           | Facts            | command on a campaign, slot, terminal or region: its first answer    |
| `t:<terminal>`             | `TerminalRow`    | terminal                                                             |
| `tc:<code digest>`         | `CodeRow`        | pairing code                                                         |
| `tl`                       | list[str]        | partition: terminals                                                 |
| `g:<region>`               | int              | (partition 0) region: its partition                                  |
| `gn:<campaign>`            | str              | (partition 0) campaign: its region                                   |
| `gc`                       | list[int]        | (partition 0) number of regions of each partition                    |
| `d:<chunk>`                | decisions        | 64 offsets: time, then the facts of each; not part of the model    |
"""

from enum import IntEnum
from typing import Annotated, Any

import msgspec

HEAD = "head"


class Phase(IntEnum):
    """Where a campaign stands."""

    DRAFT = 0  # its definition is still coming in; nobody sees it
    SCHEDULED = 1
    OPEN = 2
    PAUSED = 3
    CLOSED = 4


class ReservationState(IntEnum):
    """Where a reservation stands. `pending` is not here: it is what a door says of a command that is not folded yet."""

    CONFIRMED = 1
    REJECTED = 2
    CANCELLED = 3
    PICKED_UP = 4
    EXPIRED = 5
    WAITLISTED = 6

    @property
    def word(self) -> str:
        """The stable word of API.md."""
        return self.name.lower()


class Share(IntEnum):
    """Which part of a slot's units."""

    PUBLIC = 1
    ASSISTED = 2
    RESERVE = 3


class Valve(IntEnum):
    """What a campaign's waiting room is set to."""

    OFF = 0
    ON = 1
    AUTOMATIC = 2


class TerminalState(IntEnum):
    """Where a pharmacy's terminal stands."""

    INVITED = 1
    PAIRED = 2
    REVOKED = 3


class Row(msgspec.Struct, array_like=True):
    """A row of the fold: an array in Redis, an object here."""


class Head(Row):
    """What a partition's fold knows of itself; written last in every batch, in the same atomic step as the rest.

    `published` and `trimmed` are the allocator's bookkeeping: they decide nothing and the model does not have them.
    """

    log: str = ""
    key_check: str = ""
    position: int = 0  # the next offset that is not applied
    digest: int = 0  # CRC-32 of the last applied record's value
    now_ms: int = 0
    tick_ms: int = 0  # the last tick of the clock service; the genesis record is the first
    rules: int = 0
    campaigns: int = 0  # numbers given out so far, drafts included
    published: int = 0
    trimmed: int = 0  # the first chunk of recorded decisions that is still there


class CampaignRow(Row):
    """One campaign: its phase, its limits, what is left, and what was counted on the way."""

    no: int
    revision: str
    region: str
    phase: int
    units_max: int
    pharmacies: int  # expected by the seal
    slots: int
    pharmacies_seen: int = 0
    slots_seen: int = 0
    quota: int = 0  # units over all slots
    left: int = 0  # of the public share
    closed_by_operator: int = 0
    confirmed: int = 0  # reservations, ever
    rejected: int = 0
    cancelled: int = 0
    picked_up: int = 0
    household_max: int = 0
    cool_down: int = 0
    entitled: int = 0
    entitled_seen: int = 0
    stagger: list[list[int]] = []  # [from_ms, to_ms, digits as a bit mask], by time
    assisted_per_mille: int = 0
    reserve_per_mille: int = 0
    assisted_left: int = 0
    reserve_left: int = 0
    expired: int = 0
    waiting_per_mille: int = 0
    waitlisted: int = 0  # reservations, ever
    promoted: int = 0
    picked_up_late: int = 0
    conflicts: int = 0  # hand-outs of what had been handed out before
    demands: int = 0  # 1 where it asks something of the resident: most campaigns in a rush ask nothing
    cooling_slots: int = 0  # slots that say until when who got some has to wait
    promoting_slots: int = 0  # slots that say until when somebody may be promoted
    delete_ms: int = 0  # when its deletion day begins; 0: never
    precedence: int = 0  # people who lost their place to a withdrawal and have got no other since


class SlotRow(Row):
    """A slot: a pick-up window at one pharmacy, and for each share the bucket of units it may give out.

    In order of need: most slots of a rush end after `on_sheet`, and packing a row is what a booking costs most.
    """

    pharmacy: str
    day: int  # YYYYMMDD in the campaign's time zone
    starts_ms: int
    ends_ms: int
    day_from_ms: int  # the boundaries of the day, decided when the campaign was written: the fold knows no time zone
    day_to_ms: int
    quota: int  # of the public share, as `taken`
    taken: int = 0
    sheet: int = 0  # the number of its open sheet
    on_sheet: str = ""  # the pass numbers on it; none: the next reservation needs a new one
    cool_until_ms: int = 0  # who has a reservation here may book again from then on; 0: at once
    grace_until_ms: int = 0  # 0: units wait until the end of the day; see `pick_until_ms`
    picked_up: int = 0  # units
    expired: int = 0  # units
    release_ms: int = 0
    assisted_quota: int = 0
    assisted_taken: int = 0
    reserve_quota: int = 0
    reserve_taken: int = 0
    change_before_ms: int = 0  # 0: until it begins; see `change_until_ms`
    promote_until_ms: int = 0
    waiting: int = 0  # units that wait
    waiting_first: int = 0  # the next entry of the waiting list to look at
    waiting_next: int = 0  # where the next one is written
    waiting_work: int = 0  # 1 while the slot stands in the queue of unfinished work
    beside: int = 0  # units handed out offline beside the quota: after they had gone back, or a second time
    withdrawn: int = 0  # 1 where the pharmacy got nothing: nobody books here, and what comes back is gone
    to_withdraw: int = 0  # units that people still have and the pharmacy has not: nothing is left while there are any
    withdrawal_work: int = 0  # 1 while the slot stands in the queue of withdrawals
    moving_in: int = 0  # units of `taken` kept for people who are on their way here from another slot

    @property
    def pick_until_ms(self) -> int:
        """Until when units of this slot are handed out."""
        return self.grace_until_ms or max(self.day_to_ms, self.ends_ms)

    @property
    def change_until_ms(self) -> int:
        """Until when who is in it may change to another slot."""
        return self.change_before_ms or self.starts_ms


class WorkRow(Row):
    """A queue of unfinished work."""

    first: int = 0
    next: int = 0


class WithdrawalRow(Row):
    """A slot that takes places back, from its last sheet to its first."""

    no: int  # campaign number
    slot: str
    to: str  # the slot that people move to; none: they lose their place
    kept: int  # units kept for them there
    sheet: int  # of the pharmacy's day, to be looked at next; below 0: all are through


class PersonRow(Row):
    """A resident of a region: what they did in one campaign, and until when they have to wait in all of them.

    One row and not two, because a booking reads and writes it. Most come to one campaign at a time: what they did in an
    earlier one is put aside under `a:` when they come to the next, and changes places with it if they come back.
    """

    no: int  # the campaign that the next two are about; 0: none, what was about one is deleted
    live: str = ""  # pass number of the one live reservation
    refusals: int = 0
    cool_until_ms: int = 0
    cool_pass_no: str = ""  # the reservation that began the cool-down; none: it is deleted
    aside: int = 0  # earlier campaigns of which something stands aside
    precedence: int = 0  # in the campaign of `no`: 1 after a place was lost to a withdrawal, until there is another


class Action(Row):
    """Something that was asked of a reservation, with its first answer: a repeat of `id` gets it again."""

    id: str
    fact: int
    reason: int
    at_ms: int
    actor: str = ""


class ReservationRow(Row):
    """A reservation under its pass number. A refused one ends after `left`."""

    state: int
    no: int  # campaign number
    slot: str
    units: int
    at_ms: int
    digest: str  # keyed digest of the body: the same key with another body is found out
    reason: int = 0
    left: int = 0
    resident: str = ""
    ordinal: int = 0  # its number within pharmacy and day: the short code is made of it
    last4_hash: str = ""
    share: int = 1
    phone: str = ""  # its pseudonym, where the campaign limits households
    history: list[Action] = []


class SheetRow(Row):
    """Who has a reservation at a pharmacy on a day: a sheet with SHEET_LINES lines, which one slot fills.

    While it is open its pass numbers stand in the slot's own row, which every reservation writes anyway.
    """

    no: int  # campaign number
    slot: str
    pass_nos: str = ""


class RoomRow(Row):
    """A campaign's waiting room. First come the places of those who were there before the opening, in an order that
    `seed` draws; behind them stand the numbers of those who came later. Nothing here is about a person."""

    valve: int = 0
    outflow_per_s: int = 0  # people; 0: as fast as they are served
    factor_per_mille: int = 0
    round: int = 0  # a ticket is good for one round
    active: int = 0  # 1 while a booking needs a ticket
    commitment: str = ""  # SHA-256 of the seed, in hex; none: the round began when the campaign was open already
    seed: str = ""  # in hex, once `early` stands
    early: int = 0  # residents who were there before the opening
    frozen: int = 0  # 1 once `early` stands
    late: int = 0  # numbers given out for those who came after
    serving: int = 0  # places before this one may come in


class TerminalRow(Row):
    """A pharmacy's terminal."""

    state: int
    pharmacy: str
    token_digest: str = ""
    since_ms: int = 0
    region: str = ""


class CodeRow(Row):
    """A pairing code, known by its digest."""

    terminal: str
    expires_ms: int
    used: int = 0


class PharmacyRow(Row):
    """A pharmacy as the campaign's definition tells it; coordinates in millionths of a degree."""

    id: str
    name: str
    address: str = ""
    lon_e6: int = 0
    lat_e6: int = 0
    phone: str = ""


Fact = Annotated[list[Any], "fact code, then its values: integers and strings"]
Facts = list[Fact]

ROW_TYPES: dict[str, Any] = {
    HEAD: Head,
    "c": CampaignRow,
    "n": str,
    "cat": list[str],
    "x": str,
    "x:p": list[PharmacyRow],
    "x:s": list[str],
    "s": SlotRow,
    "p": PersonRow,
    "a": PersonRow,
    "h": int,
    "e": int,
    "r": ReservationRow,
    "q": RoomRow,
    "w": str,
    "work": WorkRow,
    "work:i": list[Any],
    "withdrawals": WorkRow,
    "withdrawals:i": WithdrawalRow,
    "m": int,
    "m:k": SheetRow,
    "o": Facts,
    "t": TerminalRow,
    "tc": CodeRow,
    "tl": list[str],
    "g": int,
    "gn": str,
    "gc": list[int],
}


def row_type(logical_key: str) -> Any:
    """The type of the row under a logical key; KeyError when no row of the fold has such a key."""
    parts = logical_key.split(":")
    kind = parts[0]
    if kind == "x" and len(parts) == 4:
        kind = f"x:{parts[2]}"
    elif kind in ("work", "withdrawals") and len(parts) == 2:
        kind = f"{kind}:i"
    elif kind == "m" and len(parts) == 5:
        kind = "m:k"
    return ROW_TYPES[kind]


class State:
    """The rows of one partition. The rules read and write nothing else."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {HEAD: Head()}

    @property
    def head(self) -> Head:
        """The partition's own row."""
        head: Head = self.rows[HEAD]
        return head

    def get(self, key: str) -> Any:
        """The row, or None. Rows are changed in place and put back."""
        return self.rows.get(key)

    def put(self, key: str, row: Any) -> None:
        """Keep the row."""
        self.rows[key] = row

    def remove(self, key: str) -> None:
        """Forget the row."""
        self.rows.pop(key, None)
