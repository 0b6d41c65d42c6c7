"""The waiting list of a slot's public share: freed units go to it in order, inside the fold, a bounded piece a record.

A list is written in chunks and looked at from its first entry on. Who leaves it leaves an entry behind, which is passed
over when its turn comes. A slot with something to do stands in the queue of unfinished work; every record, whoever's it
is, looks at a few entries, so batch cuts change nothing and no dead process can leave somebody waiting.
"""

from typing import Any

from services.domain import commands as c
from services.domain.limits import PASS_NO_CHARS, READABLE_BEFORE_MS, WAITING_PER_CHUNK, WAITING_PER_RECORD
from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, Facts, ReservationRow, ReservationState, Share, SlotRow, State
from services.domain.rules.answers import Fact, done, refused
from services.domain.rules.buckets import take, units_left
from services.domain.rules.members import count_household, enrol, remember
from services.domain.rules.people import free_person, start_cool_down, use_precedence
from services.domain.rules.phases import sealed_campaign
from services.domain.rules.unfinished import WAITING, add, drop_first, first


def may_wait(campaign: CampaignRow, slot: SlotRow, now_ms: int, units: int) -> bool:
    """Whether the list takes these units: only while somebody may still be promoted, and up to its bound."""
    bound = slot.quota * campaign.waiting_per_mille // 1000
    return campaign.waiting_per_mille > 0 and now_ms < slot.promote_until_ms and slot.waiting + units <= bound


def join(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> int:
    """Writes an entry at the end; the units that wait before it. The caller puts the slot."""
    key = f"w:{campaign.no}:{row.slot}:{slot.waiting_next // WAITING_PER_CHUNK}"
    state.put(key, (state.get(key) or "") + pass_no)
    before = slot.waiting
    slot.waiting_next += 1
    slot.waiting += row.units
    return before


def units_came_free(state: State, no: int, name: str, slot: SlotRow) -> None:
    """Somebody waiting may be next: the slot joins the queue of unfinished work. The caller puts the slot."""
    if slot.waiting == 0 or slot.waiting_work == 1:
        return
    add(state, WAITING, [no, name])
    slot.waiting_work = 1


def do_a_piece(state: State) -> Facts:
    """What each record does of the unfinished work, whatever the record itself was."""
    facts: Facts = []
    looked_at = 0
    while looked_at < WAITING_PER_RECORD and (entry := first(state, WAITING)) is not None:
        looked_at += 1
        no, name = entry
        if not look_at_next(state, no, name, facts):
            drop_first(state, WAITING)
    return facts


def look_at_next(state: State, no: int, name: str, facts: list[Any]) -> bool:
    """Deals with the next entry of a slot's list; False where there is nothing more to do for now."""
    slot_key = f"s:{no}:{name}"
    slot = state.get(slot_key)
    if slot.waiting == 0:
        slot.waiting_work = 0
        state.put(slot_key, slot)
        return False
    chunk_key = f"w:{no}:{name}:{slot.waiting_first // WAITING_PER_CHUNK}"
    start = slot.waiting_first % WAITING_PER_CHUNK * PASS_NO_CHARS
    pass_no = state.get(chunk_key)[start : start + PASS_NO_CHARS]
    row = state.get(f"r:{pass_no}")
    if row is not None and row.state == ReservationState.WAITLISTED and row.slot == name:
        is_over = slot.withdrawn == 1 or state.head.now_ms >= slot.promote_until_ms
        if not is_over and units_left(slot, Share.PUBLIC) < row.units:
            slot.waiting_work = 0
            state.put(slot_key, slot)
            return False
        slot.waiting -= row.units
        campaign_name = state.get(f"n:{no}")
        campaign = state.get(f"c:{campaign_name}")
        if is_over:
            end(state, campaign, slot, row, pass_no)
            why = [row.reason] if row.reason != Reason.SLOT_FULL else []
            facts.append([int(Fact.WAITING_ENDED), pass_no, campaign_name, name, row.units, *why])
        else:
            ordinal = promote(state, campaign, slot, row, pass_no)
            facts.append([int(Fact.PROMOTED), pass_no, campaign_name, name, row.units, ordinal])
        state.put(f"c:{campaign_name}", campaign)
    slot.waiting_first += 1
    if slot.waiting_first % WAITING_PER_CHUNK == 0:
        state.remove(chunk_key)
    state.put(slot_key, slot)
    return True


def promote(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> int:
    """From waitlisted to confirmed; the ordinal. The caller puts campaign and slot."""
    take(campaign, slot, Share.PUBLIC, row.units)
    campaign.promoted += 1
    row.state = int(ReservationState.CONFIRMED)
    remember(state, row, Fact.PROMOTED)
    row.ordinal = enrol(state, campaign, slot, row, pass_no)
    if state.head.now_ms + READABLE_BEFORE_MS < slot.starts_ms:  # one that came too late to read makes nobody wait
        start_cool_down(state, campaign, slot, row, pass_no)
    use_precedence(state, campaign, row.resident)
    state.put(f"r:{pass_no}", row)
    return row.ordinal


def end(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> None:
    """Nothing came free in time, or ever will: the reservation is refused, and the resident may look elsewhere."""
    row.state = int(ReservationState.REJECTED)
    row.reason = int(Reason.SLOT_WITHDRAWN if slot.withdrawn == 1 else Reason.SLOT_FULL)
    remember(state, row, Fact.WAITING_ENDED, row.reason)
    state.put(f"r:{pass_no}", row)
    free_person(state, campaign, row)
    count_household(state, campaign, row, -1)


def end_waiting(state: State, command: c.EndWaiting) -> Facts:
    """The lists of slots past their `promote_until_ms` come to their end, piece by piece."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    ending = 0
    for name in command.slots:
        key = f"s:{campaign.no}:{name}"
        slot = state.get(key)
        if slot is not None and slot.waiting > 0 and slot.promote_until_ms <= state.head.now_ms:
            units_came_free(state, campaign.no, name, slot)
            state.put(key, slot)
            ending += 1
    return done(Fact.ENDING_WAITING, ending)
