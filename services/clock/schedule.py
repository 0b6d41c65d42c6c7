"""What the clock says: how late it is, which campaigns open or close now, and (in `rounds`) what slots make due.

It remembers nothing that matters. What was sent before stands in the state under the id of its command, so a clock that
slept, started anew, or has a twin sends what is missing, in order, and what is there already is a repeat.
"""

import time
from asyncio import Future
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from services.clock.rounds import Rounds
from services.domain.commands import Close, Open, Tick
from services.domain.schedule import Transition, transitions
from services.platform.errors import MasklineError
from services.platform.identities import Identities
from services.platform.metrics import COMMANDS_OFFERED
from services.state.catalogue import CampaignView
from services.state.door import Door
from services.stream.errors import StreamError
from services.stream.place import Place

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Course:
    """How far a campaign is through its transitions. The first `settled` ones have their answer in the state."""

    revision: str
    transitions: list[Transition]
    settled: int = 0
    sent: list[Future[Place]] = field(default_factory=list)
    sent_up_to: int = 0
    resend_at_s: float = 0.0


class Schedule:
    """Ticks, transitions and rounds. `beat` is called once a second."""

    def __init__(
        self,
        door: Door,
        identities: Identities,
        *,
        resend_after_s: float,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self.wrong: str | None = "no tick was sent yet"
        """What keeps the clock from its work, in words; None where all is well."""
        self._door: Final = door
        self._identities: Final = identities
        self._resend_after_s: Final = resend_after_s
        self._now_ms: Final = now_ms
        self._courses: dict[tuple[int, int], _Course] = {}
        self._rounds: Final = Rounds(door, identities.command_id, resend_after_s=resend_after_s)
        self._ticks: dict[int, Future[Place]] = {}
        self._acknowledged: dict[int, Place] = {}

    def last_tick(self, partition: int) -> Place | None:
        """Where the newest tick stands that the log has acknowledged; None before the first."""
        tick = self._ticks.get(partition)
        if tick is not None and tick.done() and tick.exception() is None:
            self._acknowledged[partition] = tick.result()
        return self._acknowledged.get(partition)

    async def beat(self) -> None:
        """Tell every partition the time, then send what is due. What fails is tried again at the next beat."""
        now_ms = self._now_ms()
        wrong = self._tick(now_ms)
        for campaign in self._door.catalogue:
            try:
                await self._send_due(campaign, now_ms)
            except MasklineError as error:
                wrong = wrong or str(error)
        for partition in range(self._door.partitions):
            campaigns = [campaign for campaign in self._door.catalogue if campaign.partition == partition]
            try:
                await self._rounds.make(partition, campaigns, now_ms)
            except MasklineError as error:
                wrong = wrong or str(error)
        for name in self._door.catalogue.unreadable:
            wrong = wrong or f"the definition of campaign {name} cannot be read by this version"
        self._note(wrong)

    def _tick(self, now_ms: int) -> str | None:
        """One tick in flight a partition: a log that is slow gets no heap of them when it comes back."""
        wrong = None
        for partition in range(self._door.partitions):
            last = self._ticks.get(partition)
            if last is not None and not last.done():
                wrong = f"partition {partition} of the log has not acknowledged a tick for a second"
                continue
            if last is not None and (error := last.exception()) is not None:
                wrong = str(error)
            self.last_tick(partition)  # whoever asks while the next one is on its way hears of this one
            try:
                self._ticks[partition] = self._door.offer(partition, Tick(at_ms=now_ms))
            except StreamError as error:
                wrong = str(error)
            else:
                COMMANDS_OFFERED.add("tick", partition)
        return wrong

    async def _send_due(self, campaign: CampaignView, now_ms: int) -> None:
        course = self._course(campaign)
        missing = [one for one in course.transitions[course.settled :] if one.at_ms <= now_ms]
        if not missing:
            return
        up_to = course.settled + len(missing)
        commands = [one.command(campaign.name, self._identities.command_id) for one in missing]
        keys = [f"c:{campaign.name}", *(f"o:{command.id}" for command in commands)]
        row, *answers = (await self._door.reader.read(campaign.partition, keys)).rows
        if row is None or row.revision != course.revision:
            return  # its windows may be others by now; the next refresh tells
        while answers and answers[0] is not None:
            answers.pop(0)
            commands.pop(0)
            course.settled += 1
        if commands and self._may_send(course, up_to):
            self._send(campaign, course, commands)
            course.sent_up_to = up_to

    def _may_send(self, course: _Course, up_to: int) -> bool:
        """Not the same again while the last sending may only be waiting for its decision."""
        failed = any(future.done() and future.exception() is not None for future in course.sent)
        return failed or up_to > course.sent_up_to or time.monotonic() >= course.resend_at_s

    def _send(self, campaign: CampaignView, course: _Course, commands: list[Open | Close]) -> None:
        """All of them at once: they stand side by side in the log, so nobody books in a window that is long over."""
        course.sent = []
        course.resend_at_s = 0.0
        for command in commands:
            # A refusal ends the row, for order is what matters; `beat` says it, and the next one begins again.
            course.sent.append(self._door.offer(campaign.partition, command))
            word = "open" if isinstance(command, Open) else "close"
            COMMANDS_OFFERED.add(word, campaign.partition)
            log.info("By the clock", action=f"clock_{word}", campaign=campaign.name, window=command.why)
        course.resend_at_s = time.monotonic() + self._resend_after_s

    def _course(self, campaign: CampaignView) -> _Course:
        key = (campaign.partition, campaign.row.no)
        course = self._courses.get(key)
        if course is None or course.revision != campaign.row.revision:
            course = self._courses[key] = _Course(campaign.row.revision, transitions(campaign.definition.windows))
        return course

    def _note(self, wrong: str | None) -> None:
        """One line when something begins to be wrong and one when it ends, not one a second."""
        if (wrong is None) != (self.wrong is None):
            if wrong is None:
                log.info("The clock ticks", action="clock_ticks", partitions=self._door.partitions)
            else:
                log.warning("The clock cannot do its work", action="clock_hindered", why=wrong)
        self.wrong = wrong
