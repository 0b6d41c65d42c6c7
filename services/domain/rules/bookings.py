"""Who gets what: first come, first served, and every reason against it."""

from services.domain import commands as c
from services.domain.limits import MAX_REFUSALS
from services.domain.reasons import Reason
from services.domain.rows import (
    CampaignRow,
    Facts,
    PersonRow,
    Phase,
    ReservationRow,
    ReservationState,
    Share,
    SlotRow,
    State,
)
from services.domain.rules.answers import Fact, done, refused, repeated
from services.domain.rules.buckets import left_in_campaign, take, units_left
from services.domain.rules.members import count_household, enrol, is_desk_of, remember
from services.domain.rules.people import person_in, person_key, start_cool_down, use_precedence
from services.domain.rules.phases import is_past_deletion
from services.domain.rules.waiting import join, may_wait
from services.domain.rules.waiting_room import use_ticket, why_not_ticket

MINUTE_MS = 60_000
WAITABLE = (Reason.SOLD_OUT, Reason.SLOT_FULL)


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
    if is_past_deletion(state, campaign):  # who had one in it is forgotten, so "one per resident" could not hold
        return refused(Reason.CAMPAIGN_CLOSED)
    slot_key = f"s:{campaign.no}:{command.slot}"
    slot = state.get(slot_key)
    if slot is None:
        return refused(Reason.UNKNOWN_SLOT)
    person = person_in(state, campaign, command.resident)
    if person.refusals >= MAX_REFUSALS:
        return refused(Reason.TOO_MANY_TRIES)
    if command.terminal != "" and not is_desk_of(state, campaign, command.terminal):
        return refused(Reason.UNKNOWN_TERMINAL)
    if (against := why_not_ticket(state, campaign, command.ticket)) is not None:
        return refused(against)

    share = share_for(campaign, slot, person, command)
    reason, left = why_not(state, campaign, slot, person, share, command)
    row = ReservationRow(
        state=int(ReservationState.CONFIRMED),
        no=campaign.no,
        slot=command.slot,
        units=command.units,
        at_ms=state.head.now_ms,
        digest=command.digest,
    )
    waits = reason in WAITABLE and share == Share.PUBLIC and may_wait(campaign, slot, state.head.now_ms, command.units)
    if reason is not None and not waits:
        row.state = int(ReservationState.REJECTED)
        row.reason = int(reason)
        row.left = left
        state.put(key, row)
        person.refusals += 1
        state.put(person_key(campaign, command.resident), person)
        campaign.rejected += 1
        state.put(f"c:{command.campaign}", campaign)
        return done(Fact.REJECTED, row.reason, left, *([share] if share == Share.RESERVE else []))

    row.resident = command.resident
    row.last4_hash = command.last4_hash
    row.share = share
    row.phone = command.phone_pseudonym if campaign.household_max > 0 else ""
    count_household(state, campaign, row, 1)
    use_ticket(state, campaign, command.ticket)
    person.live = command.pass_no
    state.put(person_key(campaign, command.resident), person)
    if waits:
        row.state = int(ReservationState.WAITLISTED)
        remember(state, row, Fact.WAITLISTED)
        campaign.waitlisted += 1
        facts = done(Fact.WAITLISTED, join(state, campaign, slot, row, command.pass_no))
    else:
        take(campaign, slot, share, command.units)
        campaign.confirmed += 1
        confirm(state, campaign, slot, row, command.pass_no)
        facts = done(Fact.CONFIRMED, row.ordinal, *([share] if share != Share.PUBLIC else []))
    state.put(key, row)
    state.put(slot_key, slot)
    state.put(f"c:{command.campaign}", campaign)
    return facts


def confirm(state: State, campaign: CampaignRow, slot: SlotRow, row: ReservationRow, pass_no: str) -> None:
    """What a confirmation brings: its ordinal, and its cool-down. The caller puts row, slot and campaign."""
    row.ordinal = enrol(state, campaign, slot, row, pass_no)
    start_cool_down(state, campaign, slot, row, pass_no)
    use_precedence(state, campaign, row.resident)


def why_not(
    state: State, campaign: CampaignRow, slot: SlotRow, person: PersonRow, share: int, command: c.Reserve
) -> tuple[Reason | None, int]:
    """The reason against a reservation, with the units left in its slot or the minute when a cool-down ends."""
    reason = why_not_now(campaign, person, command.units) or why_not_somebody(state, campaign, person, command)
    if reason == Reason.COOLING_DOWN:
        return reason, person.cool_until_ms // MINUTE_MS
    if reason is not None:
        return reason, 0
    return why_not_slot(campaign, slot, state.head.now_ms, share, command.units)


def why_not_now(campaign: CampaignRow, person: PersonRow, units: int) -> Reason | None:
    """What stands against everybody who asks for this; a campaign that is closed is not for those with precedence."""
    if campaign.phase == Phase.CLOSED and person.precedence == 0:
        return Reason.CAMPAIGN_CLOSED
    if campaign.phase == Phase.SCHEDULED:
        return Reason.NOT_OPEN
    if campaign.phase == Phase.PAUSED:
        return Reason.PAUSED
    if units > campaign.units_max:
        return Reason.UNITS_OVER_LIMIT
    return None


def why_not_somebody(state: State, campaign: CampaignRow, person: PersonRow, command: c.Reserve) -> Reason | None:
    """What stands against this resident."""
    if campaign.demands == 0:
        return Reason.ALREADY_RESERVED if person.live != "" else None
    if campaign.entitled > 0 and state.get(f"e:{campaign.no}:{command.resident}") is None:
        return Reason.NOT_ELIGIBLE
    if person.precedence == 0 and not may_come_now(campaign, command.digit, state.head.now_ms):
        return Reason.WRONG_DAY
    if person.live != "":
        return Reason.ALREADY_RESERVED
    if campaign.household_max > 0 and people_of(state, campaign, command) >= campaign.household_max:
        return Reason.HOUSEHOLD_LIMIT
    if campaign.cool_down == 1 and person.cool_until_ms > state.head.now_ms:
        return Reason.COOLING_DOWN
    return None


def why_not_slot(
    campaign: CampaignRow, slot: SlotRow, now_ms: int, share: int, units: int
) -> tuple[Reason | None, int]:
    """What stands against this slot."""
    if now_ms >= slot.ends_ms:
        return Reason.SLOT_OVER, 0
    if slot.withdrawn == 1:
        return Reason.SLOT_WITHDRAWN, 0
    left = units_left(slot, share)
    if share == Share.PUBLIC and slot.waiting > 0:
        left = 0  # nobody takes units past those who wait
    if left >= units:
        return None, 0
    if left_in_campaign(campaign, share) == 0:
        return Reason.SOLD_OUT, 0
    return Reason.SLOT_FULL, left


def share_for(campaign: CampaignRow, slot: SlotRow, person: PersonRow, command: c.Reserve) -> int:
    """Who has precedence books from the reserve while that has enough, and once the campaign is closed from nowhere
    else; a desk from the assisted share while that has enough. And then like everybody."""
    if person.precedence == 1 and (campaign.phase == Phase.CLOSED or units_left(slot, Share.RESERVE) >= command.units):
        return int(Share.RESERVE)
    if command.terminal != "" and units_left(slot, Share.ASSISTED) >= command.units:
        return int(Share.ASSISTED)
    return int(Share.PUBLIC)


def may_come_now(campaign: CampaignRow, digit: int, now_ms: int) -> bool:
    """Whether a campaign that staggers lets this digit book now; on a day that is not listed everybody may."""
    for from_ms, to_ms, digits in campaign.stagger:
        if from_ms <= now_ms < to_ms:
            return digit >= 0 and digits // 2**digit % 2 == 1
    return True


def people_of(state: State, campaign: CampaignRow, command: c.Reserve) -> int:
    """For how many people the command's phone acts already."""
    if command.phone_pseudonym == "":
        return 0
    people: int = state.get(f"h:{campaign.no}:{command.phone_pseudonym}") or 0
    return people
