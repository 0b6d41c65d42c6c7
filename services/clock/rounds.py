"""The clock's rounds: at each beat a bounded piece of the chores that are due, in order, each until it is answered.

Nothing is remembered that matters: what was done has its answer in the state under the id of its command. A clock that
starts anew walks over what is answered, and what is left over at one beat is done at the next.

Time is the fold's own here. A command that came a moment too early by the clock of the log would be answered, find
nothing to do, and never come again.
"""

import time
from asyncio import Future
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from services.clock.chores import Chore, ChoreCommand, chores
from services.domain.schedule import MakeCommandId
from services.platform.metrics import COMMANDS_OFFERED
from services.state.catalogue import CampaignView
from services.state.door import Door
from services.stream.place import Place

CHORES_PER_LOOK: Final = 200
COMMANDS_PER_BEAT: Final = 200
"""In one partition: some 6,400 no-shows a second, each of which is three rows of the state."""
LOOKS_PER_BEAT: Final = 20
"""So often a clock that walks over what is answered looks at more within one beat."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Course:
    """How far a partition's chores are done: all of the agenda before `at`, and of that one all parts before `part`."""

    campaigns: frozenset[int] = frozenset()
    agenda: list[Chore] = field(default_factory=list)
    done: set[Chore] = field(default_factory=set)
    at: int = 0
    part: int = 0
    sent: list[Future[Place]] = field(default_factory=list)
    sent_ids: set[str] = field(default_factory=set)
    resend_at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Piece:
    """Commands of the chores that are due. Once the first n are answered, the course stands at `stands[n]`."""

    commands: list[ChoreCommand]
    stands: list[tuple[int, int]]


class Rounds:
    """Sends what chores are made of."""

    def __init__(self, door: Door, command_id: MakeCommandId, *, resend_after_s: float) -> None:
        self._door: Final = door
        self._command_id: Final = command_id
        self._resend_after_s: Final = resend_after_s
        self._courses: dict[int, _Course] = {}

    async def make(self, partition: int, campaigns: Sequence[CampaignView], now_ms: int) -> None:
        """One beat's piece in a partition that has these campaigns. Raises what the door raises; then try again."""
        course = self._course(partition, campaigns)
        for _ in range(LOOKS_PER_BEAT):
            piece = await self._piece(partition, course, now_ms)
            if piece is None:
                return
            keys = [f"o:{command.id}" for command in piece.commands]
            answers = (await self._door.reader.read(partition, keys)).rows if keys else []
            answered = next((at for at, answer in enumerate(answers) if answer is None), len(answers))
            _stand(course, *piece.stands[answered])
            missing = [command for command, answer in zip(piece.commands, answers, strict=True) if answer is None]
            if missing:
                self._send(partition, course, missing)
                return

    def _course(self, partition: int, campaigns: Sequence[CampaignView]) -> _Course:
        """The agenda is made anew for a new campaign, which may bring what is due before all others."""
        course = self._courses.setdefault(partition, _Course())
        numbers = frozenset(campaign.row.no for campaign in campaigns)
        if numbers != course.campaigns:
            course.done.update(course.agenda[: course.at])
            course.agenda = [chore for chore in chores(campaigns) if chore not in course.done]
            course.campaigns, course.at, course.part = numbers, 0, 0
        return course

    async def _piece(self, partition: int, course: _Course, now_ms: int) -> _Piece | None:
        """What is due by this clock and by the fold's time; None where nothing is."""
        due = []
        for chore in course.agenda[course.at : course.at + CHORES_PER_LOOK]:
            if chore.due_ms > now_ms:
                break
            due.append(chore)
        if not due:
            return None
        keys = sorted({key for chore in due if (key := chore.reads) is not None})
        reading = await self._door.reader.read(partition, keys)
        sheets: dict[str | None, int | None] = dict(zip(keys, reading.rows, strict=True))
        due = [chore for chore in due if chore.due_ms <= reading.head.now_ms]
        if not due:
            return None
        return self._parts(course, [(chore, chore.size(sheets.get(chore.reads))) for chore in due])

    def _parts(self, course: _Course, due: list[tuple[Chore, int]]) -> _Piece:
        commands: list[ChoreCommand] = []
        stands = [(course.at, course.part)]
        for index, (chore, size) in enumerate(due, start=course.at):
            for part in range(course.part if index == course.at else 0, size):
                if len(commands) == COMMANDS_PER_BEAT:
                    return _Piece(commands, stands)
                commands.append(chore.command(part, self._command_id))
                stands.append((index, part + 1))
            stands[-1] = (index + 1, 0)  # nothing of this one is left behind the last command so far
        return _Piece(commands, stands)

    def _send(self, partition: int, course: _Course, commands: list[ChoreCommand]) -> None:
        """All of them, unless the last sending may only be waiting for its decision."""
        failed = any(future.done() and future.exception() is not None for future in course.sent)
        waits = not course.sent_ids.isdisjoint(command.id for command in commands)
        if waits and not failed and time.monotonic() < course.resend_at_s:
            return
        course.sent, course.sent_ids, course.resend_at_s = [], set(), 0.0
        kinds: Counter[str] = Counter()
        for command in commands:
            course.sent.append(self._door.offer(partition, command))
            course.sent_ids.add(command.id)
            kinds[str(command.__struct_config__.tag)] += 1
        course.resend_at_s = time.monotonic() + self._resend_after_s
        for word, count in kinds.items():
            COMMANDS_OFFERED.add_many(count, word, partition)
            log.info("By the clock", action=f"clock_{word}", partition=partition, commands=count)


def _stand(course: _Course, at: int, part: int) -> None:
    course.at, course.part = at, part
