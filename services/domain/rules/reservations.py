"""Who gets what."""

from collections.abc import Callable
from typing import Any

from services.domain import commands as c
from services.domain.limits import MAX_ACTIONS, MAX_REFUSALS, MEMBERS_PER_CHUNK, UNDO_WITHIN_MS
from services.domain.reasons import Reason
from services.domain.rows import (
    Action,
    CampaignRow,
    Facts,
    MembersRow,
    PersonRow,
    Phase,
    ReservationRow,
    ReservationState,
    SlotRow,
    State,
    TerminalState,
)
from services.domain.rules.answers import Fact, done, refused, repeated


def reserve(state: State, command: c.Reserve) -> Facts:
    """First come, first served: whoever stands earlier in the log is decided earlier."""
    key = f"r:{command.pass_no}"
    before = state.get(key)
    if before is not None:
        if before.digest != command.digest:
            return refused(Reason.IDEMPOTENCY_KEY_REUSED)
        return repeated([before.state, before.reason, before.left])
    campaign = state.get(f"c:{command.campaign}")
    if campaign is None or campaign.phase == Phase.DRAFT:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    slot_key = f"s:{campaign.no}:{command.slot}"
    slot = state.get(slot_key)
    if slot is None:
        return refused(Reason.UNKNOWN_SLOT)
    person_key = f"p:{campaign.no}:{command.resident}"
    person = state.get(person_key) or PersonRow()
    if person.refusals >= MAX_REFUSALS:
        return refused(Reason.TOO_MANY_TRIES)

    reason, left = why_not(campaign, slot, person, command)
    row = ReservationRow(
        state=int(ReservationState.CONFIRMED if reason is None else ReservationState.REJECTED),
        no=campaign.no,
        slot=command.slot,
        units=command.units,
        at_ms=state.head.now_ms,
        digest=command.digest,
    )
    if reason is not None:
        row.reason = int(reason)
        row.left = left
        state.put(key, row)
        person.refusals += 1
        state.put(person_key, person)
        campaign.rejected += 1
        state.put(f"c:{command.campaign}", campaign)
        return done(Fact.REJECTED, row.reason, left)

    slot.taken += command.units
    state.put(slot_key, slot)
    campaign.left -= command.units
    campaign.confirmed += 1
    state.put(f"c:{command.campaign}", campaign)
    row.resident = command.resident
    row.ordinal = enrol(state, slot, command.pass_no)
    row.last4_hash = command.last4_hash
    state.put(key, row)
    person.live = command.pass_no
    state.put(person_key, person)
    return done(Fact.CONFIRMED, row.ordinal)


def why_not(
    campaign: CampaignRow, slot: SlotRow, person: PersonRow, command: c.Reserve
) -> tuple[Reason | None, int]:
    """The reason against a reservation, and the units left in its slot where that is the reason."""
    if campaign.phase == Phase.CLOSED:
        return Reason.CAMPAIGN_CLOSED, 0
    if campaign.phase == Phase.SCHEDULED:
        return Reason.NOT_OPEN, 0
    if campaign.phase == Phase.PAUSED:
        return Reason.PAUSED, 0
    if command.units > campaign.units_max:
        return Reason.UNITS_OVER_LIMIT, 0
    if person.live != "":
        return Reason.ALREADY_RESERVED, 0
    if campaign.left == 0:
        return Reason.SOLD_OUT, 0
    left = slot.quota - slot.taken
    if left < command.units:
        return Reason.SLOT_FULL, left
    return None, 0


def enrol(state: State, slot: SlotRow, pass_no: str) -> int:
    """Adds a pass number to the list of its pharmacy and day; its ordinal there makes the short code."""
    key = f"m:{slot.pharmacy}:{slot.day}"
    members = state.get(key) or MembersRow()
    ordinal: int = members.count
    members.count += 1
    members.tail += pass_no
    if members.count % MEMBERS_PER_CHUNK == 0:
        state.put(f"{key}:{members.count // MEMBERS_PER_CHUNK - 1}", members.tail)
        members.tail = ""
    state.put(key, members)
    return ordinal


def picked_up_when_and_where(row: ReservationRow) -> tuple[int, str]:
    """Time and terminal of the last pick-up in the reservation's history."""
    for action in reversed(row.history):
        if action.fact == Fact.PICKED_UP:
            return action.at_ms, action.actor
    return 0, ""


def is_paired(state: State, terminal: str) -> bool:
    """Whether a terminal may act now."""
    row = state.get(f"t:{terminal}")
    return row is not None and row.state == TerminalState.PAIRED


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
        if len(row.history) >= MAX_ACTIONS:
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
def cancel(state: State, _: c.Cancel, row: ReservationRow) -> Facts:
    """Gives the units back to the slot; the resident may book again."""
    if row.state == ReservationState.PICKED_UP:
        return refused(Reason.ALREADY_PICKED_UP, *picked_up_when_and_where(row))
    if row.state == ReservationState.CANCELLED:
        return refused(Reason.CANCELLED)
    name = state.get(f"n:{row.no}")
    campaign = state.get(f"c:{name}")
    slot = state.get(f"s:{row.no}:{row.slot}")
    person = state.get(f"p:{row.no}:{row.resident}")
    row.state = int(ReservationState.CANCELLED)
    slot.taken -= row.units
    state.put(f"s:{row.no}:{row.slot}", slot)
    campaign.left += row.units
    campaign.cancelled += 1
    state.put(f"c:{name}", campaign)
    person.live = ""
    state.put(f"p:{row.no}:{row.resident}", person)
    return done(Fact.CANCELLED, name, row.slot, row.units)


@on_reservation
def pick_up(state: State, command: c.PickUp, row: ReservationRow) -> Facts:
    """At the slot's pharmacy, on the slot's day."""
    if row.state == ReservationState.PICKED_UP:
        return refused(Reason.ALREADY_PICKED_UP, *picked_up_when_and_where(row))
    if row.state == ReservationState.CANCELLED:
        return refused(Reason.CANCELLED)
    slot = state.get(f"s:{row.no}:{row.slot}")
    terminal = state.get(f"t:{command.terminal}")
    if terminal.pharmacy != slot.pharmacy:
        return refused(Reason.OTHER_PHARMACY, slot.pharmacy)
    now = state.head.now_ms
    if now < slot.day_from_ms or now >= max(slot.day_to_ms, slot.ends_ms):
        return refused(Reason.WRONG_TIME, slot.starts_ms, slot.ends_ms)
    name = state.get(f"n:{row.no}")
    campaign = state.get(f"c:{name}")
    row.state = int(ReservationState.PICKED_UP)
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
    row.state = int(ReservationState.CONFIRMED)
    campaign.picked_up -= 1
    state.put(f"c:{name}", campaign)
    return done(Fact.PICK_UP_UNDONE, name, row.slot, row.units)

