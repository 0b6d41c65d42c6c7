"""Why something was refused: one word each, the same in the log, in events, in HTTP problems and on screens.

`Reason` is what the fold can decide. Its numbers are written into Redis rows and recorded decisions (a refused
reservation must stay small: in a rush fifteen people share one unit), so they are append-only: never renumber, never
reuse. `DoorReason` is what a door answers before the log, or about the attempt itself; it is never stored.
"""

from enum import IntEnum, StrEnum


class Reason(IntEnum):
    """Decided by the fold, in log order."""

    SOLD_OUT = 1  # nothing left in the whole campaign
    SLOT_FULL = 2  # not enough left in this slot; others have some; `left` says how many units this one has
    ALREADY_RESERVED = 3  # one live reservation per resident and campaign
    NOT_OPEN = 4
    PAUSED = 5
    CAMPAIGN_CLOSED = 6
    UNITS_OVER_LIMIT = 7
    TOO_MANY_TRIES = 8  # after 20 recorded refusals (reserve), 10 of one actor or 40 actions (one reservation)
    IDEMPOTENCY_KEY_REUSED = 9  # the same key with another body
    UNKNOWN_CAMPAIGN = 10
    UNKNOWN_SLOT = 11
    UNKNOWN_RESERVATION = 12
    ALREADY_PICKED_UP = 13  # when and where follow
    CANCELLED = 14
    EXPIRED = 15
    OTHER_PHARMACY = 16
    WRONG_TIME = 17
    UNKNOWN_TERMINAL = 18  # never paired here, or revoked
    NOT_PICKED_UP = 19
    OTHER_TERMINAL = 20
    UNDO_TOO_LATE = 21
    BELOW_CONFIRMED = 22  # the quota would fall under what is given out; that number follows
    WRONG_PHASE = 23  # the campaign's phase does not allow this transition; the phase follows
    DEFINITION_INCOMPLETE = 24  # a chunk of the definition is missing or out of order
    ALREADY_DEFINED = 25  # the campaign is sealed under another revision
    UNKNOWN_PAIRING_CODE = 26
    PAIRING_CODE_EXPIRED = 27
    PAIRING_CODE_USED = 28
    CAMPAIGN_ELSEWHERE = 29  # the name belongs to a campaign of another region
    MALFORMED = 30
    NOT_CONFIRMED = 31  # the reservation was refused: there is nothing to cancel or to pick up
    TERMINAL_EXISTS = 32
    COOLING_DOWN = 33  # got some not long ago; until when follows
    NOT_ELIGIBLE = 34  # not on the campaign's list of the entitled
    WRONG_DAY = 35  # the campaign lets other digits come today
    HOUSEHOLD_LIMIT = 36  # this phone acts for as many people as it may
    SLOT_OVER = 37  # the slot has ended
    SAME_SLOT = 38  # the reservation is in that slot already
    TOO_LATE_TO_CHANGE = 39
    REVISION_CHANGED = 40  # the campaign's rules are not those that were to be changed; the revision in force follows
    NOT_IN_MID_CAMPAIGN = 41  # a rule that stands in slots or in a list; its name follows
    TOO_EARLY_TO_PURGE = 42  # the campaign's deletion day has not come, or it has none; its first instant follows
    SLOT_WITHDRAWN = 43  # the pharmacy did not get what was promised
    WITHDRAWAL_UNDER_WAY = 44  # people of this slot, or on their way into it, are still being dealt with
    TICKET_USED_UP = 45  # it has let in as many as the household rule allows
    TICKET_INVALID = 46  # not a ticket of this campaign, round and resident; or its own resident has not booked first
    NO_WAITING_ROOM = 47  # there is none now, or it is in another round

    @property
    def word(self) -> str:
        """The stable word of API.md."""
        return self.name.lower()


class DoorReason(StrEnum):
    """Answered before the log, or about this attempt alone."""

    MALFORMED = "malformed"
    IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required"
    DOCUMENT_INVALID = "document_invalid"
    DOCUMENT_TYPE_NOT_ACCEPTED = "document_type_not_accepted"
    PHONE_INVALID = "phone_invalid"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    UNKNOWN_PASS = "unknown_pass"
    TERMINAL_LOCKED = "terminal_locked"  # five wrong short codes
    TOO_MANY_LOOKUPS = "too_many_lookups"
    OVERLOADED = "overloaded"
    LOG_UNAVAILABLE = "log_unavailable"
    CATCHING_UP = "catching_up"
    UNKNOWN_OUTCOME = "unknown_outcome"
    NO_LEDGER = "no_ledger"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    INTERNAL = "internal_error"
    TICKET_REQUIRED = "ticket_required"
    TICKET_NOT_ADMITTED = "ticket_not_admitted"
