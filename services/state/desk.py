"""A command and its answer, for doors where somebody stands and waits; whatever can go wrong becomes a problem.

The front door is not one of them: its residents may go away with a place in line.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from services.domain.commands import Command
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Facts
from services.domain.rules.answers import Fact
from services.platform.metrics import REFUSED_BEFORE_LOG
from services.platform.problems import Problem
from services.state.decisions import DecisionGoneError
from services.state.door import Door
from services.state.errors import CatchingUpError, StateUnavailableError

MAX_IN_FLIGHT: Final = 500


class Decision(NamedTuple):
    """The answer to a command, and whether it is the answer of an earlier time."""

    fact: list[Any]
    repeated: bool

    @property
    def refusal(self) -> Reason | None:
        """Why not; None where it was done."""
        return Reason(self.fact[1]) if self.fact[0] == Fact.REFUSED else None


class Desk:
    """Every command is decided before it is answered."""

    def __init__(self, door: Door, *, decision_timeout_s: float, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self.door: Final = door
        self._decision_timeout_s = decision_timeout_s
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    def admit(self) -> None:
        """Raises Problem `overloaded` where one more command is too many. Asked before a body is read."""
        if self._in_flight >= self._max_in_flight:
            REFUSED_BEFORE_LOG.add(DoorReason.OVERLOADED)
            raise Problem(DoorReason.OVERLOADED)

    async def decide(self, partition: int, command: Command) -> Decision:
        """The decision on a command; of a repeated one the first.

        Raises Problem: `overloaded` or `log_unavailable` where surely nothing was written, `unknown_outcome` from there
        on, whatever the cause: the command may stand in the log, and the same key asks for its answer again.
        """
        fact = (await self.facts(partition, command))[0]
        return Decision(fact[1:], True) if fact[0] == Fact.REPEATED else Decision(fact, False)

    async def facts(self, partition: int, command: Command) -> Facts:
        """The whole decision; a repeated one says so. Raises Problem like `decide`."""
        self.admit()
        self._in_flight += 1
        try:
            return await self._decided(partition, command)
        finally:
            self._in_flight -= 1

    async def read(self, partition: int, keys: Sequence[str]) -> list[Any]:
        """Rows as of now. Raises Problem `catching_up`."""
        try:
            return (await self.door.reader.read(partition, keys)).rows
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error

    async def learn_campaigns(self, partition: int) -> None:
        """From here on the catalogue has every campaign that somebody can have booked in. Raises Problem
        `catching_up`."""
        try:
            await self.door.catalogue.learn(partition)
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error

    async def _decided(self, partition: int, command: Command) -> Facts:
        try:
            place = await self.door.write(partition, command)
        except Problem as problem:
            if problem.reason != DoorReason.UNKNOWN_OUTCOME:
                REFUSED_BEFORE_LOG.add(problem.reason)
            raise
        try:
            facts = await self.door.decided(place, self._decision_timeout_s)
        except (DecisionGoneError, CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from error
        if facts is None:
            raise Problem(DoorReason.UNKNOWN_OUTCOME)
        return facts
