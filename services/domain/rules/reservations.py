"""What happens to a reservation: cancelled, picked up, and taken back."""

from collections.abc import Callable
from typing import Any

from services.domain import commands as c
from services.domain.limits import MAX_ACTIONS, MAX_REFUSED_ACTIONS, UNDO_WITHIN_MS
from services.domain.reasons import Reason
from services.domain.rows import Action, CampaignRow, Facts, Phase, ReservationRow, ReservationState, SlotRow, State
from services.domain.rules.answers import Fact, done, refused, repeated
from services.domain.rules.bookings import confirm, why_not_slot
from services.domain.rules.buckets import absorb, take
from services.domain.rules.members import count_household, is_desk_of, is_paired
from services.domain.rules.people import end_cool_down, free_person
from services.domain.rules.waiting import units_came_free


def picked_up_when_and_where(row: ReservationRow) -> tuple[int, str]:
    """Time and terminal of the last pick-up in the reservation's history."""
    for action in reversed(row.history):
        if action.fact in (Fact.PICKED_UP, Fact.PICKED_UP_LATE):
            return action.at_ms, action.actor
    return 0, ""


def why_cancelled(row: ReservationRow) -> Reason:
    """Whether a cancelled reservation was given back, or lost to a withdrawal."""
    return Reason.SLOT_WITHDRAWN if row.reason == Reason.SLOT_WITHDRAWN else Reason.CANCELLED


def on_reservation(rule: Callable[[State, Any, ReservationRow], Facts]) -> Callable[[State, Any], Facts]:
    """What `cancel`, `pick_up` and `undo_pick_up` share: the terminal, the reservation, and the first answer."""

    def decide_on_reservation(state: State, command: Any) -> Facts:
        key = f"r:{command.pass_no}"
        row = state.get(key)
        if row is None:
            return refused(Reason.UNKNOWN_RESERVATION)
        for action in row.history:
            if action.id == command.id:
                return repeated([action.fact, action.reason])
        refusals = sum(action.fact == Fact.REFUSED and action.actor == command.terminal for action in row.history)
        if refusals >= MAX_REFUSED_ACTIONS or len(row.history) >= MAX_ACTIONS:
            return refused(Reason.TOO_MANY_TRIES)
        if row.state == ReservationState.REJECTED:
            return refused(Reason.NOT_CONFIRMED, row.reason)
        if command.terminal != "" and not is_paired(state, command.terminal):
            facts = refused(Reason.UNKNOWN_TERMINAL)
        else:
            facts = rule(state, command, row)
        fact = facts[0]
        row.history.append(
            Action(
                id=command.id,
                fact=fact[0],
                reason=fact[1] if fact[0] == Fact.REFUSED else 0,
                at_ms=state.head.now_ms,
                actor=command.terminal,
            )
        )
        state.put(key, row)
        return facts

    return decide_on_reservation


@on_reservation
def cancel(state: State, command: c.Cancel, row: ReservationRow) -> Facts:
    """Gives the units back to the slot; the resident may book again."""
    if row.state == ReservationState.PICKED_UP:
        return refused(Reason.ALREADY_PICKED_UP, *picked_up_when_and_where(row))
    if row.state == ReservationState.CANCELLED:
        return refused(why_cancelled(row))
    if row.state == ReservationState.EXPIRED:
        return refused(Reason.EXPIRED)
    name = state.get(f"n:{row.no}")
    campaign = state.get(f"c:{name}")
    slot = state.get(f"s:{row.no}:{row.slot}")
    if command.terminal != "" and not is_desk_of(state, campaign, command.terminal):
        return refused(Reason.OTHER_PHARMACY, slot.pharmacy)
    give_back(state, campaign, slot, row)
    row.state = int(ReservationState.CANCELLED)
    campaign.cancelled += 1
    free_person(state, campaign, row)
    state.put(f"s:{row.no}:{row.slot}", slot)
    state.put(f"c:{name}", campaign)
    count_household(state, campaign, row, -1)
    if state.head.now_ms < slot.starts_ms:
        end_cool_down(state, campaign, row, command.pass_no)
    return done(Fact.CANCELLED, name, row.slot, row.units)


def give_back(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow) -> None:
    """The units go back to their share, or out of the waiting list. Where the slot withdraws places they are gone.

    The caller puts campaign and slot.
    """
    if row.state == ReservationState.WAITLISTED:
        slot.waiting -= row.units
    else:
        take(campaign, slot, row.share, -row.units)
        absorb(campaign, slot, row.share, row.units)
    units_came_free(state, row.no, row.slot, slot)


@on_reservation
def change_slot(state: State, command: c.ChangeSlot, row: ReservationRow) -> Facts:
    """Keeps the old slot unless the new one is got; nobody who waits for the new one is passed."""
    if row.state != ReservationState.CONFIRMED and row.state != ReservationState.WAITLISTED:
        return refused(Reason.NOT_CONFIRMED, row.state)
    name = state.get(f"n:{row.no}")
    campaign = state.get(f"c:{name}")
    old_name, old = row.slot, state.get(f"s:{row.no}:{row.slot}")
    new = state.get(f"s:{row.no}:{command.slot}")
    now_ms = state.head.now_ms
    if command.terminal != "" and not is_desk_of(state, campaign, command.terminal):
        return refused(Reason.OTHER_PHARMACY, old.pharmacy)
    if new is None:
        return refused(Reason.UNKNOWN_SLOT)
    if command.slot == old_name or now_ms >= old.change_until_ms:
        return refused(Reason.TOO_LATE_TO_CHANGE if command.slot != old_name else Reason.SAME_SLOT)
    if campaign.phase == Phase.PAUSED:
        return refused(Reason.PAUSED)
    reason, left = why_not_slot(campaign, new, now_ms, row.share, row.units)
    if reason is not None:
        return refused(reason, left)
    give_back(state, campaign, old, row)
    state.put(f"s:{row.no}:{old_name}", old)
    take(campaign, new, row.share, row.units)
    row.state = int(ReservationState.CONFIRMED)
    row.slot = command.slot
    confirm(state, campaign, new, row, command.pass_no)
    state.put(f"s:{row.no}:{command.slot}", new)
    state.put(f"c:{name}", campaign)
    return done(Fact.SLOT_CHANGED, name, old_name, command.slot, row.units, row.ordinal)


@on_reservation
def pick_up(state: State, command: c.PickUp, row: ReservationRow) -> Facts:
    """At the slot's pharmacy, on the slot's day."""
    if row.state == ReservationState.PICKED_UP:
        return refused(Reason.ALREADY_PICKED_UP, *picked_up_when_and_where(row))
    if row.state == ReservationState.CANCELLED:
        return refused(why_cancelled(row))
    if row.state == ReservationState.EXPIRED:
        return refused(Reason.EXPIRED)
    if row.state == ReservationState.WAITLISTED:
        return refused(Reason.NOT_CONFIRMED, 0)
    name = state.get(f"n:{row.no}")
    campaign = state.get(f"c:{name}")
    slot = state.get(f"s:{row.no}:{row.slot}")
    terminal = state.get(f"t:{command.terminal}")
    if terminal.pharmacy != slot.pharmacy or terminal.region != campaign.region:
        return refused(Reason.OTHER_PHARMACY, slot.pharmacy)
    now_ms = state.head.now_ms
    if now_ms < slot.day_from_ms or now_ms >= slot.pick_until_ms:
        return refused(Reason.WRONG_TIME, slot.starts_ms, slot.ends_ms)
    row.state = int(ReservationState.PICKED_UP)
    slot.picked_up += row.units
    state.put(f"s:{row.no}:{row.slot}", slot)
    campaign.picked_up += 1
    state.put(f"c:{name}", campaign)
    return done(Fact.PICKED_UP, name, row.slot, row.units)


@on_reservation
def undo_pick_up(state: State, command: c.UndoPickUp, row: ReservationRow) -> Facts:
    """A slip of the hand: the same terminal, within five minutes."""
    if row.state != ReservationState.PICKED_UP:
        return refused(Reason.NOT_PICKED_UP)
    at_ms, terminal = picked_up_when_and_where(row)
    if terminal != command.terminal:
        return refused(Reason.OTHER_TERMINAL)
    if state.head.now_ms - at_ms > UNDO_WITHIN_MS:
        return refused(Reason.UNDO_TOO_LATE)
    name = state.get(f"n:{row.no}")
    campaign = state.get(f"c:{name}")
    slot = state.get(f"s:{row.no}:{row.slot}")
    row.state = int(ReservationState.CONFIRMED)
    slot.picked_up -= row.units
    state.put(f"s:{row.no}:{row.slot}", slot)
    campaign.picked_up -= 1
    state.put(f"c:{name}", campaign)
    return done(Fact.PICK_UP_UNDONE, name, row.slot, row.units)
