"""Who gets what: first come, first served, and every reason against it."""

from services.domain import commands as c
from services.domain.limits import MAX_REFUSALS, MEMBERS_PER_CHUNK
from services.domain.reasons import Reason
from services.domain.rows import (
    CampaignRow,
    CoolRow,
    Facts,
    MembersRow,
    PersonRow,
    Phase,
    ReservationRow,
    ReservationState,
    Share,
    SlotRow,
    State,
    TerminalState,
)
from services.domain.rules.answers import Fact, done, refused, repeated
from services.domain.rules.buckets import take, units_left


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
    if command.terminal != "" and not is_paired(state, command.terminal):
        return refused(Reason.UNKNOWN_TERMINAL)

    share = share_for(slot, command)
    reason, left = why_not(state, campaign, slot, person, share, command)
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

    take(campaign, slot, share, command.units)
    state.put(slot_key, slot)
    campaign.confirmed += 1
    state.put(f"c:{command.campaign}", campaign)
    row.resident = command.resident
    row.ordinal = enrol(state, campaign, slot, command.pass_no)
    row.last4_hash = command.last4_hash
    row.share = share
    if campaign.household_max > 0:
        row.phone = command.phone_pseudonym
        count_household(state, campaign, row, 1)
    state.put(key, row)
    person.live = command.pass_no
    state.put(person_key, person)
    if slot.cool_until_ms > 0:
        state.put(cool_key(campaign, command.resident), CoolRow(until_ms=slot.cool_until_ms, pass_no=command.pass_no))
    return done(Fact.CONFIRMED, row.ordinal)


def why_not(
    state: State, campaign: CampaignRow, slot: SlotRow, person: PersonRow, share: int, command: c.Reserve
) -> tuple[Reason | None, int]:
    """The reason against a reservation, and the units left in its slot where that is the reason."""
    reason = why_not_now(campaign, command) or why_not_somebody(state, campaign, person, command)
    if reason is not None:
        return reason, 0
    return why_not_slot(campaign, slot, state.head.now_ms, share, command.units)


def why_not_now(campaign: CampaignRow, command: c.Reserve) -> Reason | None:
    """What stands against everybody who asks for this, whoever it is."""
    if campaign.phase == Phase.CLOSED:
        return Reason.CAMPAIGN_CLOSED
    if campaign.phase == Phase.SCHEDULED:
        return Reason.NOT_OPEN
    if campaign.phase == Phase.PAUSED:
        return Reason.PAUSED
    if command.units > campaign.units_max:
        return Reason.UNITS_OVER_LIMIT
    return None


def why_not_somebody(state: State, campaign: CampaignRow, person: PersonRow, command: c.Reserve) -> Reason | None:
    """What stands against this resident."""
    if campaign.entitled > 0 and state.get(f"e:{campaign.no}:{command.resident}") is None:
        return Reason.NOT_ELIGIBLE
    if not may_come_now(campaign, command.digit, state.head.now_ms):
        return Reason.WRONG_DAY
    if person.live != "":
        return Reason.ALREADY_RESERVED
    if campaign.household_max > 0 and people_of(state, campaign, command) >= campaign.household_max:
        return Reason.HOUSEHOLD_LIMIT
    if campaign.cool_down == 1:
        cool = state.get(cool_key(campaign, command.resident))
        if cool is not None and cool.until_ms > state.head.now_ms:
            return Reason.COOLING_DOWN
    return None


def why_not_slot(
    campaign: CampaignRow, slot: SlotRow, now_ms: int, share: int, units: int
) -> tuple[Reason | None, int]:
    """What stands against this slot."""
    if now_ms >= slot.ends_ms:
        return Reason.SLOT_OVER, 0
    left = units_left(slot, share)
    if left >= units:
        return None, 0
    if campaign.left == 0:
        return Reason.SOLD_OUT, 0
    return Reason.SLOT_FULL, left


def share_for(slot: SlotRow, command: c.Reserve) -> int:
    """A desk books from the assisted share while that has enough, and then like everybody."""
    if command.terminal != "" and units_left(slot, Share.ASSISTED) >= command.units:
        return int(Share.ASSISTED)
    return int(Share.PUBLIC)


def may_come_now(campaign: CampaignRow, digit: int, now_ms: int) -> bool:
    """Whether a campaign that staggers lets this digit book now; on a day that is not listed everybody may."""
    for from_ms, to_ms, digits in campaign.stagger:
        if from_ms <= now_ms < to_ms:
            return digit >= 0 and digits // 2**digit % 2 == 1
    return True


def cool_key(campaign: CampaignRow, resident: str) -> str:
    """Where it stands until when somebody has to wait; one for all campaigns of a region."""
    return f"y:{campaign.region}:{resident}"


def people_of(state: State, campaign: CampaignRow, command: c.Reserve) -> int:
    """For how many people the command's phone acts already."""
    if command.phone_pseudonym == "":
        return 0
    people: int = state.get(f"h:{campaign.no}:{command.phone_pseudonym}") or 0
    return people


def count_household(state: State, campaign: CampaignRow, row: ReservationRow, people: int) -> None:
    """One person more, or one less, for whom a phone acts."""
    if row.phone != "":
        key = f"h:{campaign.no}:{row.phone}"
        state.put(key, (state.get(key) or 0) + people)


def enrol(state: State, campaign: CampaignRow, slot: SlotRow, pass_no: str) -> int:
    """Adds a pass number to the list of its pharmacy and day; its ordinal there makes the short code."""
    key = f"m:{campaign.region}:{slot.pharmacy}:{slot.day}"
    members = state.get(key) or MembersRow()
    ordinal: int = members.count
    members.count += 1
    members.tail += pass_no
    if members.count % MEMBERS_PER_CHUNK == 0:
        state.put(f"{key}:{members.count // MEMBERS_PER_CHUNK - 1}", members.tail)
        members.tail = ""
    state.put(key, members)
    return ordinal


def is_paired(state: State, terminal: str) -> bool:
    """Whether a terminal may act now."""
    row = state.get(f"t:{terminal}")
    return row is not None and row.state == TerminalState.PAIRED
