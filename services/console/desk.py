"""What the ops team asks for is to be done: a refusal is a problem, with what the fold says beside the reason."""

from __future__ import annotations

from typing import Any

from services.domain.commands import Command
from services.domain.reasons import Reason
from services.domain.rows import Phase
from services.platform.problems import Problem
from services.state.desk import Decision, Desk


class OpsDesk(Desk):
    """The desk of the console."""

    async def done(self, partition: int, command: Command, **members: Any) -> Decision:
        """The decision on a command that is done. Raises what `decide` raises, and the Problem of a refusal."""
        decision = await self.decide(partition, command)
        refuse(decision, **members)
        return decision


def refuse(decision: Decision, **members: Any) -> None:
    """Raises the Problem of a refusal."""
    reason = decision.refusal
    if reason is None:
        return
    said = decision.fact[2:]
    if reason == Reason.WRONG_PHASE and said:
        members["phase"] = phase_word(said[0])
    elif reason == Reason.BELOW_CONFIRMED and said:
        members["confirmed"] = said[0]
    elif reason in (Reason.ALREADY_DEFINED, Reason.REVISION_CHANGED) and said:
        members["revision"] = said[0]
    elif reason == Reason.NOT_IN_MID_CAMPAIGN and said:
        members["rule"] = said[0]
    elif reason in (Reason.SLOT_FULL, Reason.SOLD_OUT) and said:
        members["left"] = said[0]
    elif reason == Reason.CAMPAIGN_ELSEWHERE and said:
        members["region"] = said[0]
    raise Problem(reason, **members)


def phase_word(phase: int) -> str:
    """The word of a phase."""
    return Phase(phase).name.lower()
