"""How the console writes a command into the log and hears the decision; whatever can go wrong becomes a problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from services.domain.commands import Command
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Phase
from services.domain.rules.answers import Fact
from services.platform.metrics import COMMANDS_OFFERED
from services.platform.problems import Problem
from services.state.decisions import DecisionGoneError
from services.state.door import Door
from services.state.errors import CatchingUpError, StateUnavailableError
from services.stream.errors import LogUnavailable, Overloaded, RecordTooLarge, StreamError


class Decision(NamedTuple):
    """The answer to a command, and whether it is the answer of an earlier time."""

    fact: list[Any]
    repeated: bool

    @property
    def refusal(self) -> Reason | None:
        """Why not; None where it was done."""
        return Reason(self.fact[1]) if self.fact[0] == Fact.REFUSED else None


class Desk:
    """An operator waits, so every command is decided before it is answered."""

    def __init__(self, door: Door, *, decision_timeout_s: float) -> None:
        self.door = door
        self._decision_timeout_s = decision_timeout_s

    async def decide(self, partition: int, command: Command) -> Decision:
        """The decision on a command.

        Raises Problem: `overloaded` or `log_unavailable` where surely nothing was written, `unknown_outcome` from there
        on: the command may stand in the log, and the same key asks for its answer again.
        """
        try:
            place = await self.door.offer(partition, command)
        except Overloaded as error:
            raise Problem(DoorReason.OVERLOADED) from error
        except LogUnavailable as error:
            raise Problem(DoorReason.LOG_UNAVAILABLE) from error
        except RecordTooLarge as error:
            raise Problem(DoorReason.TOO_LARGE) from error
        except StreamError as error:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from error
        COMMANDS_OFFERED.add(str(command.__struct_config__.tag), partition)
        try:
            facts = await self.door.decided(place, self._decision_timeout_s)
        except (DecisionGoneError, CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from error
        if facts is None:
            raise Problem(DoorReason.UNKNOWN_OUTCOME)
        fact = facts[0]
        return Decision(fact[1:], True) if fact[0] == Fact.REPEATED else Decision(fact, False)

    async def done(self, partition: int, command: Command, **members: Any) -> Decision:
        """The same for a command that is to be done: a refusal is a Problem with its reason and these members."""
        decision = await self.decide(partition, command)
        refuse(decision, **members)
        return decision

    async def read(self, partition: int, keys: Sequence[str]) -> list[Any]:
        """Rows as of now. Raises Problem `catching_up`."""
        try:
            return (await self.door.reader.read(partition, keys)).rows
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error


def refuse(decision: Decision, **members: Any) -> None:
    """Raises the Problem of a refusal, with what the fold says beside the reason."""
    reason = decision.refusal
    if reason is None:
        return
    said = decision.fact[2:]
    if reason == Reason.WRONG_PHASE and said:
        members["phase"] = phase_word(said[0])
    elif reason == Reason.BELOW_CONFIRMED and said:
        members["confirmed"] = said[0]
    elif reason == Reason.ALREADY_DEFINED and said:
        members["revision"] = said[0]
    elif reason == Reason.CAMPAIGN_ELSEWHERE and said:
        members["region"] = said[0]
    raise Problem(reason, **members)


def phase_word(phase: int) -> str:
    """The word of a phase."""
    return Phase(phase).name.lower()
