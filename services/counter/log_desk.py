"""How this door writes a wish into the log and hears the decision; whatever can go wrong becomes a problem."""

from __future__ import annotations

from services.domain.commands import Command
from services.domain.reasons import DoorReason
from services.domain.rows import Fact, Facts
from services.domain.rules.answers import Fact as FactCode
from services.platform.metrics import COMMANDS_OFFERED
from services.platform.problems import Problem
from services.state.decisions import DecisionGoneError
from services.state.door import Door
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import Reading
from services.stream.errors import LogUnavailable, Overloaded, StreamError


class LogDesk:
    """Somebody stands at the counter and waits, so every command is decided before it is answered."""

    def __init__(self, door: Door, *, decision_timeout_s: float, max_in_flight: int) -> None:
        self._door = door
        self._decision_timeout_s = decision_timeout_s
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    def admit(self) -> None:
        """Raises Problem `overloaded` where one more command is too many. Asked before a body is read."""
        if self._in_flight >= self._max_in_flight:
            raise Problem(DoorReason.OVERLOADED)

    async def decide(self, partition: int, command: Command) -> Fact:
        """The answer to a command; of a repeated one its first answer.

        Raises Problem: `overloaded` or `log_unavailable` where surely nothing was written, `unknown_outcome` from there
        on, whatever the cause: the command may stand in the log, and the same key asks for its answer again.
        """
        answer = (await self.facts(partition, command))[0]
        return answer[1:] if answer[0] == FactCode.REPEATED else answer

    async def facts(self, partition: int, command: Command) -> Facts:
        """The whole decision; a repeated one says so. Raises Problem like `decide`."""
        self.admit()
        self._in_flight += 1
        try:
            return await self._decided(partition, command)
        finally:
            self._in_flight -= 1

    async def _decided(self, partition: int, command: Command) -> Facts:
        try:
            future = self._door.offer(partition, command)
            COMMANDS_OFFERED.add(str(type(command).__struct_config__.tag), partition)
            place = await future
        except Overloaded as error:
            raise Problem(DoorReason.OVERLOADED) from error
        except LogUnavailable as error:
            raise Problem(DoorReason.LOG_UNAVAILABLE) from error
        except StreamError as error:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from error
        try:
            facts = await self._door.decided(place, self._decision_timeout_s)
        except (DecisionGoneError, CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from error
        if facts is None:
            raise Problem(DoorReason.UNKNOWN_OUTCOME)
        return facts

    async def read(self, partition: int, keys: list[str]) -> Reading:
        """Rows as of now. Raises Problem `catching_up`."""
        try:
            return await self._door.reader.read(partition, keys)
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error
