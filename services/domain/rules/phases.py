"""A campaign's phases: scheduled, open, paused, closed."""

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, Facts, Phase, State
from services.domain.rules.answers import Fact, done, refused


def sealed_campaign(state: State, name: str) -> CampaignRow | None:
    """The campaign, unless its definition is still coming in."""
    row: CampaignRow | None = state.get(f"c:{name}")
    return None if row is None or row.phase == Phase.DRAFT else row


def is_past_deletion(state: State, campaign: CampaignRow) -> bool:
    """Whether the campaign's deletion day has come: nothing is kept of anybody any more."""
    return 0 < campaign.delete_ms <= state.head.now_ms


def open_campaign(state: State, command: c.Open) -> Facts:
    """From scheduled or closed; the clock never reopens what an operator closed."""
    row = sealed_campaign(state, command.campaign)
    if row is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if row.phase != Phase.SCHEDULED and row.phase != Phase.CLOSED:
        return refused(Reason.WRONG_PHASE, row.phase)
    if command.by_clock and row.closed_by_operator == 1:
        return refused(Reason.WRONG_PHASE, row.phase)
    row.phase = int(Phase.OPEN)
    row.closed_by_operator = 0
    state.put(f"c:{command.campaign}", row)
    return done(Fact.OPENED)


def pause(state: State, command: c.Pause) -> Facts:
    """From open."""
    row = sealed_campaign(state, command.campaign)
    if row is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if row.phase != Phase.OPEN:
        return refused(Reason.WRONG_PHASE, row.phase)
    row.phase = int(Phase.PAUSED)
    state.put(f"c:{command.campaign}", row)
    return done(Fact.PAUSED)


def resume(state: State, command: c.Resume) -> Facts:
    """From paused."""
    row = sealed_campaign(state, command.campaign)
    if row is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if row.phase != Phase.PAUSED:
        return refused(Reason.WRONG_PHASE, row.phase)
    row.phase = int(Phase.OPEN)
    state.put(f"c:{command.campaign}", row)
    return done(Fact.RESUMED)


def close(state: State, command: c.Close) -> Facts:
    """From scheduled, open or paused; closing what is closed is an operator's last word over the clock's."""
    row = sealed_campaign(state, command.campaign)
    if row is None:
        return refused(Reason.UNKNOWN_CAMPAIGN)
    if command.by_clock and (row.phase == Phase.CLOSED or row.phase == Phase.SCHEDULED):
        return refused(Reason.WRONG_PHASE, row.phase)
    row.phase = int(Phase.CLOSED)
    row.closed_by_operator = 0 if command.by_clock else 1
    state.put(f"c:{command.campaign}", row)
    return done(Fact.CLOSED)
