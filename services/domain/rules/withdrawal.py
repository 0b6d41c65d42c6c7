"""A pharmacy got less than was promised: what nobody has goes at once, then people lose their places, the latest first.

They move to another slot, where units are kept for them from the start, or they lose their place and have precedence in
the campaign. Hand-outs are facts and stay. There may be thousands of places, so they are gone through as unfinished
work: from the last sheet of the pharmacy's day to the first, one sheet of the slot's a record. Whatever comes back to
the slot meanwhile counts for it, so nobody gets units that are not there.
"""

from services.domain import commands as c
from services.domain.limits import FOREIGN_SHEETS_PER_RECORD
from services.domain.reasons import Reason
from services.domain.rows import (
    CampaignRow,
    Facts,
    ReservationRow,
    ReservationState,
    Share,
    SheetRow,
    SlotRow,
    State,
    WithdrawalRow,
)
from services.domain.rules.answers import Fact, done, refused
from services.domain.rules.bookings import confirm, why_not_slot
from services.domain.rules.buckets import stock, take, units_left
from services.domain.rules.members import count_household, pass_nos_on, remember
from services.domain.rules.people import end_cool_down, free_person, give_precedence
from services.domain.rules.phases import sealed_campaign
from services.domain.rules.reservations import give_back
from services.domain.rules.unfinished import WITHDRAWALS, add, drop_first, first, put_first
from services.domain.rules.waiting import units_came_free

CUT_FIRST = (Share.PUBLIC, Share.RESERVE, Share.ASSISTED)


def withdraw_slot(state: State, command: c.WithdrawSlot) -> Facts:
    """People lose their place, and have precedence."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    slot = state.get(f"s:{campaign.no}:{command.slot}")
    if slot is None:
        return refused(Reason.UNKNOWN_SLOT)
    if is_busy(slot):
        return refused(Reason.WITHDRAWAL_UNDER_WAY)
    return withdraw(state, campaign, slot, command, "")


def move_slot(state: State, command: c.MoveSlot) -> Facts:
    """People move to another slot, which has room for all of them or is not taken."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    slot = state.get(f"s:{campaign.no}:{command.slot}")
    to_key = f"s:{campaign.no}:{command.to}"
    to = state.get(to_key)
    if slot is None or to is None:
        return refused(Reason.UNKNOWN_SLOT)
    if command.to == command.slot:
        return refused(Reason.SAME_SLOT)
    if is_busy(slot):
        return refused(Reason.WITHDRAWAL_UNDER_WAY)
    units = excess(slot, command.keep) - min(excess(slot, command.keep), units_of_nobody(slot))
    reason, left = why_not_slot(campaign, to, state.head.now_ms, Share.PUBLIC, units)
    if reason is not None:
        return refused(reason, left)
    take(campaign, to, Share.PUBLIC, units)
    to.moving_in += units
    state.put(to_key, to)
    return withdraw(state, campaign, slot, command, command.to)


def is_busy(slot: SlotRow) -> bool:
    """Whether people of this slot, or on their way into it, are still being dealt with."""
    return slot.withdrawal_work == 1 or slot.moving_in > 0


def excess(slot: SlotRow, keep: int) -> int:
    """Units that a slot has promised beyond these, or beyond what it has handed out already."""
    return max(0, slot.quota + slot.assisted_quota + slot.reserve_quota - max(keep, slot.picked_up))


def units_of_nobody(slot: SlotRow) -> int:
    """Units that no share has given out."""
    return sum(units_left(slot, share) for share in Share)


def withdraw(
    state: State, campaign: CampaignRow, slot: SlotRow, command: c.WithdrawSlot | c.MoveSlot, to: str
) -> Facts:
    """Cuts what nobody has, and leaves the rest to the next records. To a slot `to`, or to nowhere."""
    units = excess(slot, command.keep)
    cut: dict[Share, int] = {}
    for share in CUT_FIRST:
        cut[share] = min(units, units_left(slot, share))
        stock(campaign, slot, share, -cut[share])
        campaign.quota -= cut[share]
        units -= cut[share]
    if command.keep == 0:
        slot.withdrawn = 1
        units_came_free(state, campaign.no, command.slot, slot)  # nobody waits there any more
    if units > 0:
        slot.to_withdraw = units
        slot.withdrawal_work = 1
        sheets = state.get(f"m:{campaign.region}:{slot.pharmacy}:{slot.day}")
        kept = units if to != "" else 0
        row = WithdrawalRow(no=campaign.no, slot=command.slot, to=to, kept=kept, sheet=sheets - 1)
        add(state, WITHDRAWALS, row)
    state.put(f"s:{campaign.no}:{command.slot}", slot)
    state.put(f"c:{command.campaign}", campaign)
    where = [to] if to != "" else []
    return done(Fact.SLOT_WITHDRAWN, *(cut[share] for share in Share), units, *where)


def do_a_piece(state: State) -> Facts:
    """What each record does of the first withdrawal: one sheet of its slot, behind a few others of the day."""
    facts: Facts = []
    work = first(state, WITHDRAWALS)
    if work is None:
        return facts
    name = state.get(f"n:{work.no}")
    campaign = state.get(f"c:{name}")
    slot = state.get(f"s:{work.no}:{work.slot}")
    foreign = 0
    while slot.to_withdraw > 0 and work.sheet >= 0 and foreign < FOREIGN_SHEETS_PER_RECORD:
        sheet = state.get(f"m:{campaign.region}:{slot.pharmacy}:{slot.day}:{work.sheet}")
        work.sheet -= 1
        if sheet is not None and sheet.no == work.no and sheet.slot == work.slot:
            go_through(state, campaign, slot, work, sheet, facts)
            break
        foreign += 1
    if slot.to_withdraw > 0 and work.sheet >= 0:
        put_first(state, WITHDRAWALS, work)
    else:
        finish(state, campaign, slot, work)
        facts.append([int(Fact.WITHDRAWAL_DONE), name, work.slot])
    state.put(f"s:{work.no}:{work.slot}", slot)
    state.put(f"c:{name}", campaign)
    return facts


def go_through(
    state: State, campaign: CampaignRow, slot: SlotRow, work: WithdrawalRow, sheet: SheetRow, facts: Facts
) -> None:
    """Who is on this sheet and has not got theirs yet goes, from the last line to the first."""
    for pass_no in reversed(pass_nos_on(state, sheet)):
        row = state.get(f"r:{pass_no}")
        if slot.to_withdraw == 0:
            return
        if row is None or row.state != ReservationState.CONFIRMED or row.slot != work.slot:
            continue
        facts.append(move(state, campaign, slot, work, row, pass_no) or lose(state, campaign, slot, row, pass_no))


def move(
    state: State, campaign: CampaignRow, slot: SlotRow, work: WithdrawalRow, row: ReservationRow, pass_no: str
) -> list[int | str]:
    """The reservation goes to the other slot; the fact, or none where that has no room or is over.

    The last one may have more units than had to go: where more than was kept is needed, it comes last there.
    """
    if work.to == "":
        return []
    key = f"s:{work.no}:{work.to}"
    to = state.get(key)
    kept = min(work.kept, row.units)
    more = row.units - kept
    if why_not_slot(campaign, to, state.head.now_ms, Share.PUBLIC, more) != (None, 0):
        return []
    give_back(state, campaign, slot, row)
    work.kept -= kept
    to.moving_in -= kept
    take(campaign, to, Share.PUBLIC, more)
    row.slot = work.to
    row.share = int(Share.PUBLIC)
    remember(state, row, Fact.MOVED)
    confirm(state, campaign, to, row, pass_no)
    state.put(key, to)
    state.put(f"r:{pass_no}", row)
    name = state.get(f"n:{work.no}")
    return [int(Fact.MOVED), pass_no, name, work.slot, work.to, row.units, row.ordinal]


def lose(
    state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str
) -> list[int | str]:
    """The reservation is gone, and the resident has precedence. Nobody waits for what they did not get; the fact."""
    give_back(state, campaign, slot, row)
    row.state = int(ReservationState.CANCELLED)
    row.reason = int(Reason.SLOT_WITHDRAWN)
    remember(state, row, Fact.WITHDRAWN, row.reason)
    state.put(f"r:{pass_no}", row)
    campaign.cancelled += 1
    free_person(state, campaign, row)
    give_precedence(state, campaign, row)
    count_household(state, campaign, row, -1)
    end_cool_down(state, campaign, row, pass_no)
    return [int(Fact.WITHDRAWN), pass_no, state.get(f"n:{row.no}"), row.slot, row.units]


def finish(state: State, campaign: CampaignRow, slot: SlotRow, work: WithdrawalRow) -> None:
    """What could not be taken back was handed out meanwhile. What was kept and not needed is for everybody again."""
    slot.to_withdraw = 0
    slot.withdrawal_work = 0
    drop_first(state, WITHDRAWALS)
    if work.kept > 0:
        to = state.get(f"s:{work.no}:{work.to}")
        to.moving_in -= work.kept
        take(campaign, to, Share.PUBLIC, -work.kept)
        units_came_free(state, work.no, work.to, to)
        state.put(f"s:{work.no}:{work.to}", to)
