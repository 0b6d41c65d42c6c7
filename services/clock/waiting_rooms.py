"""The clock's part in waiting rooms: a round before each opening, the count, the freeze, who may come in, the end.

    … prepared ── count, count, count ── open ── 2.5 s ── frozen ── admitted, admitted, … ── closed
                  early tickets ───────────── at most 2 s later    late tickets

Nothing is remembered that matters: what is done stands in the room's row. Two clocks do no harm; what they send only
grows, or is done once.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from services.clock.admission import Admission
from services.domain.campaign import DEFAULT_OPENS_BEFORE_MIN
from services.domain.commands import Admit, CloseRoom, Command, CountRoom, FreezeRoom, PrepareRoom
from services.domain.places import commitment_of
from services.domain.rows import CampaignRow, Phase, RoomRow, Valve
from services.domain.schedule import CLOCK
from services.platform.errors import MasklineError
from services.platform.identities import Identities
from services.platform.metrics import COMMANDS_OFFERED
from services.platform.problems import Problem
from services.platform.waiting_seeds import WaitingSeeds
from services.state.catalogue import CampaignView
from services.state.decisions import DecisionGoneError
from services.state.door import Door

BEAT_S: Final = 0.5
COUNT_EVERY_S: Final = 10.0
FREEZE_AFTER_S: Final = 2.5
"""After the clock has seen the campaign open: by then no front door gives out early tickets (its lease is 2 s), and
those given out last are counted."""
DRAINED_S: Final = 30.0
"""An automatic waiting room ends when nobody has had to wait for so long."""
DECIDED_WITHIN_S: Final = 2.0
OPENED: Final = (Phase.OPEN, Phase.PAUSED)
MINUTE_MS: Final = 60_000

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Course:
    """What the clock has seen of a campaign's waiting room."""

    round: int = -1
    opened_at_s: float | None = None
    counted_at_s: float = -COUNT_EVERY_S
    drained_since_s: float | None = None
    late_s: float | None = 0.0
    admission: Admission = field(default_factory=Admission)


class WaitingRooms:
    """Looks after the rooms of all campaigns. `wrong` is what keeps it from its work, in words."""

    def __init__(
        self,
        door: Door,
        identities: Identities,
        seeds: WaitingSeeds,
        *,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wrong: str | None = None
        self._door: Final = door
        self._identities: Final = identities
        self._seeds: Final = seeds
        self._now_ms: Final = now_ms
        self._now_s: Final = now_s
        self._courses: dict[tuple[int, int], _Course] = {}

    async def beat(self) -> None:
        """What is due in each room, one step. What fails is tried again at the next beat."""
        views = [view for view in self._door.catalogue if view.room is not None]
        told = await asyncio.gather(*(self._step(view) for view in views), return_exceptions=True)
        errors = [error for error in told if error is not None]
        for error in errors:
            if not isinstance(error, MasklineError | Problem | DecisionGoneError):
                raise error
        self.wrong = f"waiting rooms: {errors[0]}" if errors else None

    async def _step(self, view: CampaignView) -> None:
        row, room = (await self._door.reader.read(view.partition, [f"c:{view.name}", f"q:{view.row.no}"])).rows
        if row is None or room is None:
            return
        course = self._courses.setdefault((view.partition, row.no), _Course())
        if course.round != room.round:
            course = self._courses[view.partition, row.no] = _Course(room.round)
        command = await self._due(view, row, room, course)
        if command is not None:
            await self._send(view, command, course)

    async def _due(self, view: CampaignView, row: CampaignRow, room: RoomRow, course: _Course) -> Command | None:
        has_opened = row.phase in OPENED
        opening_ms = None if has_opened else self._opening_to_prepare(view)
        if room.valve == Valve.OFF:
            return None
        if opening_ms is not None:
            commitment = commitment_of(self._seed(view, opening_ms))
            if room.active == 0 or room.commitment != commitment:
                return PrepareRoom(
                    id=self._id(view, room, f"prepare|{opening_ms}"), campaign=view.name, commitment=commitment
                )
        if room.active == 0:
            if has_opened and room.valve == Valve.ON:  # opened by hand, or while no clock was there
                nothing = commitment_of("00" * 32)
                return PrepareRoom(id=self._id(view, room, "begin"), campaign=view.name, commitment=nothing)
            return None
        if room.frozen == 0:
            return await self._before_the_freeze(view, room, course, has_opened=has_opened)
        if row.phase == Phase.CLOSED:
            return self._end(view, room)
        return self._admit(view, row, room, course)

    async def _before_the_freeze(
        self, view: CampaignView, room: RoomRow, course: _Course, *, has_opened: bool
    ) -> Command | None:
        now_s = self._now_s()
        of = (view.partition, view.row.no, room.round)
        if has_opened and course.opened_at_s is None:
            course.opened_at_s = now_s
        if course.opened_at_s is not None and has_opened and now_s - course.opened_at_s >= FREEZE_AFTER_S:
            people = await self._door.waiting_count.count(of)
            seed = self._seed_of(view, room)
            # A try that came while the campaign was closed by hand is answered for ever: each has an id of its own.
            command_id = self._id(view, room, f"freeze|{self._now_ms()}")
            return FreezeRoom(id=command_id, campaign=view.name, round=room.round, seed=seed, people=people)
        if not has_opened and now_s - course.counted_at_s >= COUNT_EVERY_S:
            course.counted_at_s = now_s
            people = await self._door.waiting_count.count(of)
            if people > room.early:
                return CountRoom(campaign=view.name, round=room.round, people=people)
        return None

    def _admit(self, view: CampaignView, row: CampaignRow, room: RoomRow, course: _Course) -> Command | None:
        now_s = self._now_s()
        places = course.admission.places(room, row, late_s=course.late_s, now_s=now_s)
        if places > 0 and row.phase == Phase.OPEN:
            course.drained_since_s = None
            return Admit(campaign=view.name, round=room.round, up_to=room.serving + places)
        if room.serving < room.early + room.late:
            course.drained_since_s = None
        elif room.valve == Valve.AUTOMATIC:
            course.drained_since_s = now_s if course.drained_since_s is None else course.drained_since_s
            if now_s - course.drained_since_s >= DRAINED_S:
                return self._end(view, room)
        return None

    def _end(self, view: CampaignView, room: RoomRow) -> CloseRoom:
        return CloseRoom(id=self._id(view, room, "end"), campaign=view.name, round=room.round)

    async def _send(self, view: CampaignView, command: Command, course: _Course) -> None:
        word, began_s = str(command.__struct_config__.tag), self._now_s()
        course.late_s = None
        place = await self._door.write(view.partition, command)
        COMMANDS_OFFERED.add(word, view.partition)
        if not isinstance(command, Admit | CountRoom):
            log.info("By the clock", action=f"clock_{word}", campaign=view.name, round=course.round)
        if await self._door.decided(place, DECIDED_WITHIN_S) is not None:
            course.late_s = self._now_s() - began_s

    def _opening_to_prepare(self, view: CampaignView) -> int | None:
        """The next opening whose waiting room is open by now."""
        now_ms, settings = self._now_ms(), view.definition.waiting_room
        before_ms = (DEFAULT_OPENS_BEFORE_MIN if settings is None else settings.opens_before_min) * MINUTE_MS
        for window in view.definition.windows:
            if window.opens_ms > now_ms:
                return window.opens_ms if window.opens_ms - before_ms <= now_ms else None
        return None

    def _seed(self, view: CampaignView, opening_ms: int) -> str:
        return self._seeds.seed(view.name, str(opening_ms))

    def _seed_of(self, view: CampaignView, room: RoomRow) -> str:
        """The seed that was committed to."""
        for window in view.definition.windows:
            seed = self._seed(view, window.opens_ms)
            if commitment_of(seed) == room.commitment:
                return seed
        log.error(
            "The seed of a waiting room is not the one that was committed to: its window or the ticket key was changed",
            action="seed_not_committed", campaign=view.name, round=room.round,
        )  # fmt: skip
        return self._seeds.seed(view.name, f"round {room.round}")

    def _id(self, view: CampaignView, room: RoomRow, step: str) -> str:
        return self._identities.command_id(CLOCK, view.name, f"waiting room|{room.round}|{step}")
