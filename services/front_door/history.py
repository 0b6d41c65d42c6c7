"""What happened to a reservation, in order, as its owner reads it."""

from typing import Final

from services.domain.reasons import Reason
from services.domain.rows import Action, ReservationRow, ReservationState
from services.domain.rules.answers import Fact
from services.front_door.campaigns import Offered
from services.front_door.messages import HistoryEntry

_EVENTS: Final = {
    Fact.CANCELLED: "cancelled",
    Fact.PICKED_UP: "picked_up",
    Fact.PICK_UP_UNDONE: "pick_up_undone",
    Fact.REFUSED: "refused",
    Fact.PICKED_UP_LATE: "picked_up_late",
    Fact.PICK_UP_CONFLICT: "pick_up_conflict",
    Fact.SLOT_CHANGED: "slot_changed",
    Fact.WAITLISTED: "waitlisted",
    Fact.PROMOTED: "promoted",
    Fact.WAITING_ENDED: "waiting_ended",
    Fact.WITHDRAWN: "withdrawn",
    Fact.MOVED: "moved",
}
_BY: Final = {
    Fact.WAITLISTED: "rules", Fact.PROMOTED: "rules", Fact.WAITING_ENDED: "rules",
    Fact.WITHDRAWN: "pharmacy", Fact.MOVED: "pharmacy",
}  # fmt: skip
"""Whose doing it was where no command of owner or terminal asked for it."""


def history_of(campaign: Offered, row: ReservationRow) -> list[HistoryEntry]:
    """From the first decision on."""
    actions = [_entry(campaign, action) for action in row.history]
    if actions and row.history[0].fact == Fact.WAITLISTED:
        return actions  # the first decision stands among them
    return [_first(campaign, row), *actions]


def waited_in_vain(row: ReservationRow) -> bool:
    """Whether a refused reservation stood on a waiting list: who is refused at once is not kept by name."""
    return row.state == ReservationState.REJECTED and row.resident != ""


def _first(campaign: Offered, row: ReservationRow) -> HistoryEntry:
    at = campaign.time(row.at_ms)
    if row.state == ReservationState.REJECTED:
        return HistoryEntry(at=at, event="rejected", by="rules", reason=Reason(row.reason).word)
    return HistoryEntry(at=at, event="confirmed", by="rules", reason=None)


def _entry(campaign: Offered, action: Action) -> HistoryEntry:
    by_whom = _BY.get(Fact(action.fact)) or ("pharmacy" if action.actor else "owner")
    return HistoryEntry(
        at=campaign.time(action.at_ms),
        event=_EVENTS[Fact(action.fact)],  # type: ignore[arg-type]
        by=by_whom,  # type: ignore[arg-type]
        reason=Reason(action.reason).word if action.reason else None,
    )
