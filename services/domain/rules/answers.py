"""The answers of a decision: a list of facts, the first of which answers the command."""

from enum import IntEnum
from typing import Any

from services.domain.reasons import Reason
from services.domain.rows import Facts


class Fact(IntEnum):
    """What a decision can say. The numbers stand in recorded decisions: append only. Behind each: its values."""

    CONFIRMED = 1  # ordinal, and the share unless it is the public one
    REJECTED = 2  # reason, left, and the share where it was the reserve: recorded under its pass number
    REFUSED = 3  # reason, then what the reason needs: nothing was changed
    REPEATED = 4  # the first answer
    CANCELLED = 5  # campaign, slot, units
    PICKED_UP = 6  # campaign, slot, units
    PICK_UP_UNDONE = 7  # campaign, slot, units
    QUOTA_CHANGED = 8  # quota, left, change, and how much of it went against a withdrawal
    REGION_ASSIGNED = 9  # partition
    DEFINED = 10  # campaign number
    PHARMACIES_ADDED = 11  # how many there are now
    SLOTS_ADDED = 12  # how many there are now
    SEALED = 13  # units over all slots
    OPENED = 14
    PAUSED = 15
    RESUMED = 16
    CLOSED = 17
    TERMINAL_INVITED = 18
    TERMINAL_PAIRED = 19  # terminal, pharmacy
    TERMINAL_REVOKED = 20
    TICKED = 21
    LOG_BEGAN = 22
    RULES_ADOPTED = 23
    ENTITLED_ADDED = 24  # how many there are now
    RELEASED = 25  # units that became public, over all slots
    EXPIRY_DONE = 26  # reservations that became no-shows
    EXPIRED = 27  # pass number, campaign, slot, units
    WAITLISTED = 28  # units that wait before this one
    PROMOTED = 29  # pass number, campaign, slot, units, ordinal
    WAITING_ENDED = 30  # pass number, campaign, slot, units, and the reason unless the slot was full to the end
    ENDING_WAITING = 31  # slots whose waiting lists come to their end
    SLOT_CHANGED = 32  # campaign, old slot, new slot, units, ordinal
    RULES_CHANGED = 33
    PICKED_UP_LATE = 40  # campaign, slot, units, reason: handed out offline when it should not have been
    PICK_UP_CONFLICT = 41  # campaign, slot, units, when and where it had been handed out before
    PICK_UP_UNPROVED = 42
    UNITS_RELEASED = 43  # campaign, slot, units
    PURGED = 44  # reservations, residents, phones, entitled, sheets and chunks of waiting lists that are gone
    SLOT_WITHDRAWN = 45  # units cut (public, assisted, reserve), units that people have to give up, slot they move to
    WITHDRAWN = 46  # pass number, campaign, slot, units
    MOVED = 47  # pass number, campaign, old slot, new slot, units, ordinal
    WITHDRAWAL_DONE = 48  # campaign, slot
    VALVE_SET = 49  # round, and whether a booking needs a ticket
    ROOM_PREPARED = 50  # round
    ROOM_COUNTED = 51  # residents who are there
    ROOM_FROZEN = 52  # residents who were there
    NUMBERS_LEASED = 53  # the first number, how many
    ADMITTED = 54  # places before this one may come in
    ROOM_CLOSED = 55


def refused(reason: Reason, *values: Any) -> Facts:
    """The answer no, with what the reason needs; nothing was changed."""
    return [[int(Fact.REFUSED), int(reason), *values]]


def repeated(first: list[Any]) -> Facts:
    """The answer to a command that was answered before: the first answer."""
    return [[int(Fact.REPEATED), *first]]


def done(fact: Fact, *values: Any) -> Facts:
    """The answer yes."""
    return [[int(fact), *values]]
