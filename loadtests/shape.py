"""How many come when: the rate of arrivals over the time of a run.

Pure; whoever sends, the open-arrival generator or Locust, asks the same shape.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from services.platform.errors import MasklineError


class NoShape(MasklineError):
    """A stretch of {seconds:g} s from {from_per_s:g} to {to_per_s:g} a second: none of them may be negative."""


class Stretch(NamedTuple):
    """A time in which the rate goes evenly from one value to another; rates are arrivals a second."""

    seconds: float
    from_per_s: float
    to_per_s: float

    @property
    def arrivals(self) -> float:
        """How many come in it."""
        return self.seconds * (self.from_per_s + self.to_per_s) / 2

    def at_s(self, arrivals: float) -> float:
        """When so many have come, in seconds from its beginning."""
        if not arrivals:
            return 0.0
        grows = 0.0 if self.from_per_s == self.to_per_s else (self.to_per_s - self.from_per_s) / self.seconds
        # The stable form of the quadratic's root: it is also right where the rate does not change.
        return 2 * arrivals / (self.from_per_s + math.sqrt(max(0.0, self.from_per_s**2 + 2 * grows * arrivals)))


class Shape:
    """Stretches, one after the other."""

    def __init__(self, *stretches: Stretch) -> None:
        """Raises NoShape."""
        for stretch in stretches:
            if min(stretch) < 0:
                raise NoShape(**stretch._asdict())
        self.stretches: Sequence[Stretch] = stretches

    @classmethod
    def steady(cls, per_s: float, seconds: float) -> Self:
        """The same rate all the time."""
        return cls(Stretch(seconds, per_s, per_s))

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return sum(stretch.seconds for stretch in self.stretches)

    @property
    def arrivals(self) -> int:
        """How many come in all."""
        return math.floor(sum(stretch.arrivals for stretch in self.stretches) + _ROUNDING)

    def rate_per_s(self, at_s: float) -> float:
        """The rate at a moment; 0 before and after the run."""
        begins_s = 0.0
        for stretch in self.stretches:
            ends_s = begins_s + stretch.seconds
            if begins_s <= at_s < ends_s:
                gone = (at_s - begins_s) / stretch.seconds
                return stretch.from_per_s + gone * (stretch.to_per_s - stretch.from_per_s)
            begins_s = ends_s
        return 0.0

    def times_s(self) -> Iterator[float]:
        """When each one comes, in seconds from the beginning; the first as soon as a whole one is due."""
        begins_s, come, number = 0.0, 0.0, 1
        for stretch in self.stretches:
            come_then = come + stretch.arrivals
            while number <= come_then + _ROUNDING:
                yield begins_s + stretch.at_s(number - come)
                number += 1
            begins_s, come = begins_s + stretch.seconds, come_then


_ROUNDING = 1e-6
