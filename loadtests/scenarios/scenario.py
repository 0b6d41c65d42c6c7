"""A scenario: what happened, what of it is kept when people are scaled down, and what must hold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from loadtests.scenarios.outcome import Outcome
from loadtests.scenarios.plan import Group
from loadtests.shape import Shape

Judge = Callable[[Outcome], Iterable[str]]
"""What did not hold, in words; nothing where all did."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """The campaign's waiting room, on from the beginning."""

    outflow_per_s: int


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One of SCENARIOS.md."""

    name: str
    title: str
    happened: str
    """The real report."""
    kept: str
    """The ratios, in words."""
    people: int
    """In `make loadtests`; any other number by --people."""
    units_a_person: float
    """Units of the campaign, for each who comes."""
    arrive: Callable[[int], Shape]
    """When so many people come."""
    groups: Sequence[Group]
    zipf: float = 1.0
    patience_s: float = 40.0
    looks: int = 0
    outage: tuple[float, float] | None = None
    """From when to when of the run, in seconds, the log answers nobody."""
    room: Room | None = None
    judges: Sequence[Judge] = field(default=())
    """Beside what always must hold."""
    needs: str = ""
    """What is not built yet that it needs; then it is listed, and cannot be run."""
