"""How much a front door takes in: as much as the log acknowledges, and the fold decides, in good time.

What is more is refused at once, where it has cost next to nothing. Each partition has limits of its own, so that a
region whose log is slow takes no room from another one; cancels and changes have a reserve that new bookings cannot
take.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Final, NamedTuple, Self

from msgspec import Meta

from services.domain.reasons import DoorReason
from services.front_door.adaptive_limit import AdaptiveLimit
from services.front_door.line import Line
from services.platform.metrics import IN_FLIGHT_LIMIT, UNDECIDED_LIMIT
from services.platform.problems import Problem
from services.platform.settings import Settings
from services.stream.place import Place

MARK_EVERY_S: Final = 0.01
FOR_TURNS: Final = 0.2
"""The part of each limit that is kept, while people have tickets, for those whose turn it is."""
MAX_MARKS: Final = 1_000
"""Moments that are remembered of a partition until the fold has passed them: ten seconds and more."""


class SheddingSettings(Settings, frozen=True, kw_only=True):
    """How much a front door takes in at once; what is more hears 503."""

    max_in_flight_bookings: Annotated[
        int, Meta(description="Bookings that may wait for the log's acknowledgement at once.", ge=1)
    ] = 800
    max_in_flight_changes: Annotated[
        int, Meta(description="Cancellations and changes that may wait for it: a reserve of their own.", ge=1)
    ] = 200
    ack_target_s: Annotated[
        float, Meta(description="A partition takes fewer bookings at once while acknowledgements take longer.", gt=0)
    ] = 0.2
    fold_target_s: Annotated[
        float, Meta(description="And fewer that are not decided while decisions come later after them.", gt=0)
    ] = 0.1
    max_undecided: Annotated[
        int, Meta(description="Commands of a partition that may be in the log and not decided; then 503.", ge=1)
    ] = 10_000
    least_in_flight_bookings: Annotated[
        int, Meta(description="However long it takes, so many bookings a partition takes at once.", ge=1)
    ] = 16
    least_undecided: Annotated[
        int, Meta(description="However late decisions are, so many may be undecided.", ge=1)
    ] = 1_000


class InFlight:
    """Counts what waits for the log. Checked before a body is read, counted after: a slow body holds no place."""

    __slots__ = ("count", "limit")

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.limit = limit

    @property
    def full(self) -> bool:
        """Whether one more has to be refused."""
        return self.count >= self.limit

    def __enter__(self) -> None:
        """One more. Raises Problem 503 where there is no room."""
        if self.full:
            raise Problem(DoorReason.OVERLOADED)
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1


class _Mark(NamedTuple):
    """A command in the log that the fold has not passed: its offset, when it came there, how many were undecided."""

    offset: int
    at_s: float
    undecided: int


class Load:
    """One partition: bookings on their way into the log, and how many commands the fold has before it."""

    def __init__(self, partition: int, line: Line, settings: SheddingSettings, now_s: Callable[[], float]) -> None:
        self.in_flight = 0
        self.refused = 0
        """Bookings that found no room, ever."""
        self._was_full = False
        self.acks: Final = AdaptiveLimit(
            least=settings.least_in_flight_bookings,
            most=settings.max_in_flight_bookings,
            target_s=settings.ack_target_s,
        )
        self.decisions: Final = AdaptiveLimit(
            least=settings.least_undecided, most=settings.max_undecided, target_s=settings.fold_target_s
        )
        self._partition: Final = partition
        self._line: Final = line
        self._now_s: Final = now_s
        self._written = 0
        """One past the last command that this process knows to be in the log."""
        self._marks: Final = deque[_Mark]()

    @property
    def full(self) -> bool:
        """Whether one more would surely be refused; who enters finds out for good. While nobody was refused it costs
        next to nothing to ask."""
        return self._was_full and self._look()

    @property
    def full_but_for_turns(self) -> bool:
        """Whether one more has to be refused who has no turn, where others have."""
        part = 1 - FOR_TURNS
        return self.in_flight >= part * self.acks.limit or self._undecided() >= part * self.decisions.limit

    def _look(self) -> bool:
        self._was_full = self.in_flight >= self.acks.limit or self._undecided() >= self.decisions.limit
        return self._was_full

    def __enter__(self) -> Self:
        """One more. Raises Problem 503 where there is no room."""
        if self._look():
            self.refused += 1
            raise Problem(DoorReason.OVERLOADED)
        self.in_flight += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.in_flight -= 1

    async def timed(self, written: Awaitable[Place]) -> Place:
        """The place of a command that is being written: how long it takes tells how many more may be. Raises what
        writing raises."""
        began_s, ahead = self._now_s(), self.in_flight
        try:
            place = await written
        except Problem as problem:
            if problem.reason is DoorReason.UNKNOWN_OUTCOME:
                now_s = self._now_s()
                self.acks.done(now_s, now_s - began_s, ahead)
            raise
        now_s = self._now_s()
        self.acks.done(now_s, now_s - began_s, ahead)
        self._written = max(self._written, place.offset + 1)
        marks = self._marks
        if not marks or (now_s - marks[-1].at_s >= MARK_EVERY_S and len(marks) < MAX_MARKS):
            position, _ = self._line.position(self._partition)
            marks.append(_Mark(place.offset, now_s, self._written - position))
        return place

    def _undecided(self) -> int:
        """Commands in the log that are not decided, as of the last reading. Where none are, nobody reads."""
        marks = self._marks
        if not marks:
            return 0
        self._line.watch(self._partition)
        position, read_at_s = self._line.position(self._partition)
        undecided = self._written - position
        while marks and marks[0].offset < position:
            passed = marks.popleft()
            self.decisions.done(read_at_s, read_at_s - passed.at_s, passed.undecided)
        return max(undecided, 0)


class Shedding:
    """The limits of one front door."""

    def __init__(self, line: Line, settings: SheddingSettings) -> None:
        self.bookings: Final = InFlight(settings.max_in_flight_bookings)
        self.changes: Final = InFlight(settings.max_in_flight_changes)
        self._line: Final = line
        self._settings: Final = settings
        self._now_s: Final = asyncio.get_running_loop().time
        self._loads: Final[dict[int, Load]] = {}

    def load(self, partition: int) -> Load:
        """What a partition has to carry."""
        load = self._loads.get(partition)
        if load is None:
            load = self._loads[partition] = Load(partition, self._line, self._settings, self._now_s)
            IN_FLIGHT_LIMIT.labels(partition).set_function(lambda: load.acks.limit)
            UNDECIDED_LIMIT.labels(partition).set_function(lambda: load.decisions.limit)
        return load

    def full(self, partitions: Collection[int], *, with_turn: bool = True) -> bool:
        """Whether a booking is refused wherever it wants to go, of these partitions: its body need not be read."""
        if self.bookings.full:
            return True
        for partition in partitions:  # nearly always the first one has room
            load = self.load(partition)
            if not (load.full if with_turn else load.full_but_for_turns):
                return False
        return bool(partitions)
