"""When people heard, beside what they heard."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from loadtests.tally import Heard, Tally


class Moment(NamedTuple):
    """Somebody came, and heard."""

    came_s: float
    heard_s: float


@dataclass
class TimedTally(Tally):
    """Also when: of everybody who heard 202, and of everybody who heard a decision."""

    accepted_at: list[Moment] = field(default_factory=list)
    decided_at: list[Moment] = field(default_factory=list)

    def promised(self, reservation_id: str, heard: Heard, _latency_s: float) -> None:
        """Somebody has a 202 for a reservation."""
        super().promised(reservation_id, heard, _latency_s)
        self.accepted_at.append(_moment(_latency_s))

    def decided(self, reservation_id: str, heard: Heard, reason: str, latency_s: float) -> None:
        """Somebody heard the decision on a reservation."""
        super().decided(reservation_id, heard, reason, latency_s)
        self.decided_at.append(_moment(latency_s))


def now_s() -> float:
    """The loop's clock, which people's times are of."""
    return asyncio.get_running_loop().time()


def _moment(latency_s: float) -> Moment:
    heard_s = now_s()
    return Moment(heard_s - latency_s, heard_s)
