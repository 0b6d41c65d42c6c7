"""Stock and terminals of pharmacies."""

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import CodeRow, Facts, State, TerminalRow, TerminalState
from services.domain.rules.answers import Fact, done, refused
from services.domain.rules.phases import sealed_campaign
from services.domain.rules.reservations import is_paired


def change_quota(state: State, command: c.ChangeQuota) -> Facts:
    """Never below what is given out; a terminal changes its own pharmacy's slots only."""
    campaign = sealed_campaign(state, command.campaign)
    if campaign is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    slot = state.get(f"s:{campaign.no}:{command.slot}")
    if slot is None:
        return refused(Reason.UNKNOWN_SLOT)
    if command.terminal != "":
        if not is_paired(state, command.terminal):
            return refused(Reason.UNKNOWN_TERMINAL)
        if state.get(f"t:{command.terminal}").pharmacy != slot.pharmacy:
            return refused(Reason.OTHER_PHARMACY, slot.pharmacy)
    if slot.quota + command.change < slot.taken:
        return refused(Reason.BELOW_CONFIRMED, slot.taken)
    slot.quota += command.change
    state.put(f"s:{campaign.no}:{command.slot}", slot)
    campaign.quota += command.change
    campaign.left += command.change
    state.put(f"c:{command.campaign}", campaign)
    return done(Fact.QUOTA_CHANGED, slot.quota, slot.quota - slot.taken)


def invite_terminal(state: State, command: c.InviteTerminal) -> Facts:
    """A terminal is expected; its pairing code is known by digest only."""
    key = f"t:{command.terminal}"
    code_key = f"tc:{command.code_digest}"
    if state.get(key) is not None or state.get(code_key) is not None:
        return refused(Reason.TERMINAL_EXISTS)
    now = state.head.now_ms
    state.put(key, TerminalRow(state=int(TerminalState.INVITED), pharmacy=command.pharmacy, since_ms=now))
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
