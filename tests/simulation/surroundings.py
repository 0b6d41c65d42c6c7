"""What everything in a simulated world stands in: its loop, its chance, its weather, and who watches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests import builders as b
from tests.simulation.protections import ALL, Protection
from tests.simulation.virtual_loop import Process, VirtualLoop
from tests.simulation.weather import Weather

EPOCH_S: Final = b.NOON_MS / 1000
"""What the clocks of the world say at virtual second 0: the campaigns of `tests.builders` begin then."""


class Trace:
    """Who did what, line by line; kept only when somebody wants to read it."""

    def __init__(self, *, is_kept: bool) -> None:
        self.is_kept = is_kept
        self.lines: list[str] = []

    def note(self, now_s: float, who: str, what: str) -> None:
        """Keep one line."""
        self.lines.append(f"{now_s:9.3f} s  {who:<14} {what}")


@dataclass(slots=True)
class Surroundings:
    """One world. What is tied to a partition is called with its number first."""

    loop: VirtualLoop
    chance: Random
    weather: Weather
    trace: Trace
    partitions: int
    protections: frozenset[Protection] = ALL
    struck: Callable[[Process], None] = lambda _: None
    """Called when a server has just done what a process asked: a good moment for that process to die."""
    held: Callable[[Process], None] = lambda _: None
    """Called then, too: a good moment for that process to be busy with something else for a while."""
    broken: list[str] = field(default_factory=list)
    """Promises that were broken, in words; the first one ends the schedule."""

    @property
    def now_ms(self) -> int:
        """What a clock without fault says."""
        return int((EPOCH_S + self.loop.now_s) * 1000)

    def has(self, protection: Protection) -> bool:
        """Whether a protection is in its place."""
        return protection in self.protections

    def note(self, who: str, what: str) -> None:
        """A line for the reader of a failure."""
        if self.trace.is_kept:
            self.trace.note(self.loop.now_s, who, what)

    def break_promise(self, what: str) -> None:
        """The system did what it must never do."""
        self.broken.append(what)
        self.note("PROMISE", what)
        self.loop.halt()

    def delay_s(self) -> float:
        """How long one message travels now."""
        return self.weather.delay_s(self.chance)

    def done(self, process: Process) -> None:
        """A server has done what `process` asked for; the answer is not yet on its way."""
        if self.weather.struck_at_work and self.chance.random() < self.weather.struck_at_work:
            self.struck(process)
        elif self.weather.hiccups and self.chance.random() < self.weather.hiccups:
            self.held(process)


def clock_ms(process: Process, now_s: float) -> int:
    """What a process believes the time is: its clock goes wrong by its skew."""
    return int((EPOCH_S + now_s + process.skew_s) * 1000)
