"""Stock and terminals of pharmacies."""

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import CodeRow, Facts, ReservationState, Share, State, TerminalRow, TerminalState
from services.domain.rules.answers import Fact, done, refused
from services.domain.rules.buckets import SHARES, absorb, stock, units_left, units_taken
from services.domain.rules.members import count_household, is_paired, pass_nos_on
from services.domain.rules.people import free_person
from services.domain.rules.phases import sealed_campaign
from services.domain.rules.reservations import give_back
from services.domain.rules.waiting import units_came_free


def change_quota(state: State, command: c.ChangeQuota) -> Facts:
    """Never below what is given out; a terminal changes its own pharmacy's slots only.

    What comes to a slot that withdraws places leaves as many people theirs.
    """
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    slot = state.get(f"s:{campaign.no}:{command.slot}")
    if slot is None:
        return refused(Reason.UNKNOWN_SLOT)
    if command.terminal != "":
        if not is_paired(state, command.terminal):
            return refused(Reason.UNKNOWN_TERMINAL)
        terminal = state.get(f"t:{command.terminal}")
        if terminal.pharmacy != slot.pharmacy or terminal.region != campaign.region:
            return refused(Reason.OTHER_PHARMACY, slot.pharmacy)
    share = SHARES[command.share]
    if units_left(slot, share) + command.change < 0:
        return refused(Reason.BELOW_CONFIRMED, units_taken(slot, share))
    stock(campaign, slot, share, command.change)
    campaign.quota += command.change
    kept = min(max(command.change, 0), slot.to_withdraw)
    if command.change > 0:
        slot.withdrawn = 0  # it was a mistake, or there is something after all
        absorb(campaign, slot, share, command.change)
        units_came_free(state, campaign.no, command.slot, slot)
    state.put(f"s:{campaign.no}:{command.slot}", slot)
    state.put(f"c:{command.campaign}", campaign)
    left = units_left(slot, share)
    quota = units_taken(slot, share) + left
    return done(Fact.QUOTA_CHANGED, quota, left, command.change, *([kept] if kept > 0 else []))


def release(state: State, command: c.Release) -> Facts:
    """What the assisted share has not used becomes public; a slot that is not there is passed over."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    released: Facts = []
    for name in command.slots:
        key = f"s:{campaign.no}:{name}"
        slot = state.get(key)
        if slot is not None and slot.release_ms > 0 and slot.release_ms <= state.head.now_ms:
            units = units_left(slot, Share.ASSISTED)
            if units > 0:
                stock(campaign, slot, Share.ASSISTED, -units)
                stock(campaign, slot, Share.PUBLIC, units)
                units_came_free(state, campaign.no, name, slot)
                state.put(key, slot)
                released.append([int(Fact.UNITS_RELEASED), command.campaign, name, units])
    state.put(f"c:{command.campaign}", campaign)
    return [*done(Fact.RELEASED, sum(fact[3] for fact in released)), *released]


def expire(state: State, command: c.Expire) -> Facts:
    """Of one sheet of a pharmacy's day: who did not come while there was time. Their units go back to their slots."""
    expired: Facts = []
    for pass_no in pass_nos_on_sheet(state, command):
        key = f"r:{pass_no}"
        row = state.get(key)
        if row is None or row.state != ReservationState.CONFIRMED:
            continue
        slot_key = f"s:{row.no}:{row.slot}"
        slot = state.get(slot_key)
        if slot.pharmacy != command.pharmacy or state.head.now_ms < slot.pick_until_ms:
            continue
        name = state.get(f"n:{row.no}")
        campaign = state.get(f"c:{name}")
        give_back(state, campaign, slot, row)
        row.state = int(ReservationState.EXPIRED)
        state.put(key, row)
        free_person(state, campaign, row)
        slot.expired += row.units
        campaign.expired += 1
        count_household(state, campaign, row, -1)
        state.put(slot_key, slot)
        state.put(f"c:{name}", campaign)
        expired.append([int(Fact.EXPIRED), pass_no, name, row.slot, row.units])
    return [*done(Fact.EXPIRY_DONE, len(expired)), *expired]


def pass_nos_on_sheet(state: State, command: c.Expire) -> list[str]:
    """The pass numbers on one sheet of a pharmacy's day."""
    sheet = state.get(f"m:{command.region}:{command.pharmacy}:{command.day}:{command.sheet}")
    return [] if sheet is None else pass_nos_on(state, sheet)


def invite_terminal(state: State, command: c.InviteTerminal) -> Facts:
    """A terminal is expected; its pairing code is known by digest only."""
    key = f"t:{command.terminal}"
    code_key = f"tc:{command.code_digest}"
    if state.get(key) is not None or state.get(code_key) is not None:
        return refused(Reason.TERMINAL_EXISTS)
    now = state.head.now_ms
    row = TerminalRow(state=int(TerminalState.INVITED), pharmacy=command.pharmacy, since_ms=now, region=command.region)
    state.put(key, row)
    state.put(code_key, CodeRow(terminal=command.terminal, expires_ms=command.expires_ms))
    terminals = state.get("tl") or []
    terminals.append(command.terminal)
    state.put("tl", terminals)
    return done(Fact.TERMINAL_INVITED)


def pair_terminal(state: State, command: c.PairTerminal) -> Facts:
    """A code works once, and not after its time."""
    code = state.get(f"tc:{command.code_digest}")
    if code is None:
        return refused(Reason.UNKNOWN_PAIRING_CODE)
    if code.used == 1:
        return refused(Reason.PAIRING_CODE_USED)
    terminal = state.get(f"t:{code.terminal}")
    if state.head.now_ms >= code.expires_ms or terminal.state != TerminalState.INVITED:
        return refused(Reason.PAIRING_CODE_EXPIRED)
    code.used = 1
    state.put(f"tc:{command.code_digest}", code)
    terminal.state = int(TerminalState.PAIRED)
    terminal.token_digest = command.token_digest
    terminal.since_ms = state.head.now_ms
    state.put(f"t:{code.terminal}", terminal)
    return done(Fact.TERMINAL_PAIRED, code.terminal, terminal.pharmacy)


def revoke_terminal(state: State, command: c.RevokeTerminal) -> Facts:
    """Its token and its pairing code are worth nothing from here on."""
    terminal = state.get(f"t:{command.terminal}")
    if terminal is None:
        return refused(Reason.UNKNOWN_TERMINAL)
    terminal.state = int(TerminalState.REVOKED)
    terminal.since_ms = state.head.now_ms
    state.put(f"t:{command.terminal}", terminal)
    return done(Fact.TERMINAL_REVOKED)
