"""How bad the world is at the moment: what can happen to a message, and how often something breaks.

A schedule draws its weather from its seed, each kind of fault on or off (faults hide each other: a world where
everything fails at once shows less than one where two things do), and calms it when it is time to heal.
"""

from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Final

USUAL_DELAY_S: Final = 0.002
SLOW_DELAY_S: Final = 0.8
LATE_FROM_S: Final = 1.0
LATE_TO_S: Final = 15.0
"""Longer than every time-out of ours: what arrives then, nobody waits for any more."""


class Fate(Enum):
    """What becomes of one request."""

    ARRIVES = auto()
    IS_LOST = auto()  # it does nothing, and nobody answers
    IS_UNHEARD = auto()  # it is done, and the answer is lost
    IS_LATE = auto()  # it is done when nobody waits any more
    IS_DOUBLE = auto()  # it is done twice


@dataclass(slots=True)
class Weather:
    """Chances of one message, and of one moment."""

    lost: float = 0.0
    unheard: float = 0.0
    late: float = 0.0
    double: float = 0.0
    slow: float = 0.0
    split: float = 0.0  # a batch goes to the log in pieces
    short_reads: float = 0.0
    early_stops: float = 0.0
    refused_commits: float = 0.0
    unfenced_commits: float = 0.0
    struck_at_work: float = 0.0  # killed or paused just when a server has done what was asked
    hiccups: float = 0.0  # held up then, so that what happens meanwhile is found all at once
    seconds_between_disasters: float = 1e9

    def fate(self, chance: Random) -> Fate:
        """Draw what becomes of a request."""
        at = chance.random()
        for fate, share in (
            (Fate.IS_LOST, self.lost),
            (Fate.IS_UNHEARD, self.unheard),
            (Fate.IS_LATE, self.late),
            (Fate.IS_DOUBLE, self.double),
        ):
            at -= share
            if at < 0:
                return fate
        return Fate.ARRIVES

    def delay_s(self, chance: Random) -> float:
        """How long a message travels."""
        if self.slow and chance.random() < self.slow:
            return chance.random() * SLOW_DELAY_S
        return chance.random() * 2 * USUAL_DELAY_S

    def late_s(self, chance: Random) -> float:
        """How long a message travels that comes late."""
        return LATE_FROM_S + chance.random() * (LATE_TO_S - LATE_FROM_S)

    def calm(self) -> None:
        """From now on everything arrives, and nothing breaks."""
        for name in self.__slots__:
            setattr(self, name, 0.0)
        self.seconds_between_disasters = 1e9


def drawn(chance: Random) -> Weather:
    """The weather of a schedule."""

    def share(most: float) -> float:
        return chance.random() * most if chance.random() < 0.6 else 0.0

    return Weather(
        lost=share(0.08),
        unheard=share(0.08),
        late=share(0.05),
        double=share(0.10),
        slow=share(0.10),
        split=share(0.5),
        short_reads=share(0.8),
        early_stops=share(0.5),
        refused_commits=share(0.6),
        unfenced_commits=share(0.8),
        struck_at_work=share(0.03),
        hiccups=share(0.2),
        seconds_between_disasters=chance.choice((2.0, 4.0, 8.0, 1e9)),
    )
