"""Hand-outs that happened without a network, told afterwards: facts, which nobody can refuse any more.

What should have been handed out is picked up. What should not, because it was given back before, or at another time or
place, is picked up late; what somebody else had handed out before is a conflict. Whatever is handed out of units that
the slot had taken back, or a second time, stands beside the slot's quota.
"""

from services.domain import commands as c
from services.domain.limits import MAX_ACTIONS
from services.domain.reasons import Reason
from services.domain.rows import (
    Action,
    CampaignRow,
    Facts,
    ReservationRow,
    ReservationState,
    SlotRow,
    State,
    TerminalRow,
)
from services.domain.rules.answers import Fact, done, refused, repeated
from services.domain.rules.members import is_paired
from services.domain.rules.people import person_of, start_cool_down, use_precedence
from services.domain.rules.reservations import why_cancelled

HAD_A_PASS = frozenset(
    {
        ReservationState.CONFIRMED,
        ReservationState.CANCELLED,
        ReservationState.PICKED_UP,
        ReservationState.EXPIRED,
    }
)


def record_pick_up(state: State, command: c.RecordPickUp) -> Facts:
    """Accepted whatever the state; only a terminal that is none is not believed."""
    if not is_paired(state, command.terminal):
        return refused(Reason.UNKNOWN_TERMINAL)
    row = state.get(f"r:{command.pass_no}")
    if row is None or row.state not in HAD_A_PASS:
        return done(Fact.PICK_UP_UNPROVED)
    name = state.get(f"n:{row.no}")
    campaign = state.get(f"c:{name}")
    slot = state.get(f"s:{row.no}:{row.slot}")
    terminal = state.get(f"t:{command.terminal}")
    # A terminal's clock may be wrong, but nothing was handed out before it was booked, and nothing will be.
    at_ms = max(row.at_ms, min(command.at_ms, state.head.now_ms))
    before = handed_out(row)
    if before is not None and before.id == command.id:
        return repeated([before.fact, name, row.slot, row.units])
    if before is not None:
        facts = done(Fact.PICK_UP_CONFLICT, name, row.slot, row.units, before.at_ms, before.actor)
        slot.beside += row.units
        campaign.conflicts += 1
    else:
        reason = why_late(campaign, slot, row, terminal, at_ms)
        if reason is None:
            facts = done(Fact.PICKED_UP, name, row.slot, row.units)
        else:
            facts = done(Fact.PICKED_UP_LATE, name, row.slot, row.units, int(reason))
            campaign.picked_up_late += 1
        hand_out(state, campaign, slot, row, command.pass_no)
    if before is None or len(row.history) < MAX_ACTIONS:
        fact = facts[0]
        late = fact[4] if fact[0] == Fact.PICKED_UP_LATE else 0
        row.history.append(Action(id=command.id, fact=fact[0], reason=late, at_ms=at_ms, actor=command.terminal))
    state.put(f"r:{command.pass_no}", row)
    state.put(f"s:{row.no}:{row.slot}", slot)
    state.put(f"c:{name}", campaign)
    return facts


def handed_out(row: ReservationRow) -> Action | None:
    """The hand-out that stands: the last one, unless it was taken back."""
    for action in reversed(row.history):
        if action.fact == Fact.PICK_UP_UNDONE:
            return None
        if action.fact in (Fact.PICKED_UP, Fact.PICKED_UP_LATE):
            return action
    return None


def why_late(
    campaign: CampaignRow, slot: SlotRow, row: ReservationRow, terminal: TerminalRow, at_ms: int
) -> Reason | None:
    """Why this should not have been handed out there and then; None where it was right."""
    if row.state == ReservationState.CANCELLED:
        return why_cancelled(row)
    if row.state == ReservationState.EXPIRED:
        return Reason.EXPIRED
    if terminal.pharmacy != slot.pharmacy or terminal.region != campaign.region:
        return Reason.OTHER_PHARMACY
    if at_ms < slot.day_from_ms or at_ms >= slot.pick_until_ms:
        return Reason.WRONG_TIME
    return None


def hand_out(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> None:
    """The units are gone. Who had given theirs back has them after all, and waits like everybody who got some."""
    if row.state == ReservationState.CONFIRMED:
        row.state = int(ReservationState.PICKED_UP)
        slot.picked_up += row.units
        campaign.picked_up += 1
        return
    slot.beside += row.units
    if row.reason == Reason.SLOT_WITHDRAWN:
        use_precedence(state, campaign, row.resident)
    if person_of(state, campaign, row.resident).cool_until_ms < slot.cool_until_ms:
        start_cool_down(state, campaign, slot, row, pass_no)
