"""What the people of a surge heard, counted as it happens. Only a client knows this; the log knows the rest."""

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

RECENT_ANSWERS: Final = 1_000


@dataclass(slots=True)
class Heard:
    """The last word somebody heard of one reservation: a state of API.md, or "unknown" where nobody answered."""

    state: str
    slot: str
    units: int


@dataclass(slots=True)
class Tally:
    """Counts of people, of requests and of reservations."""

    arrived: int = 0
    gone: int = 0  # people who have what they wanted, or gave up
    sent: int = 0  # requests, repeats included
    shed: int = 0  # answered 503
    unanswered: int = 0  # answered 504, or by nobody in time
    unexpected: Counter[str] = field(default_factory=Counter)  # answers that no such request should get
    unknown: int = 0  # wishes whose fate was not to be heard within the time
    refused: Counter[str] = field(default_factory=Counter)  # reservations, by reason
    refused_before_log: Counter[str] = field(default_factory=Counter)  # wishes that got no record, by reason
    confirmed: int = 0  # reservations
    confirmed_units: int = 0
    waitlisted: int = 0  # reservations
    reservations: dict[str, Heard] = field(default_factory=dict)  # by id, which is a credential: never printed
    latencies_s: list[float] = field(default_factory=list)  # from the intended start to the decision
    recent_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_ANSWERS))

    @property
    def accepted(self) -> int:
        """Reservations that the log has taken."""
        return len(self.reservations)

    @property
    def rejected(self) -> int:
        """Reservations that were refused."""
        return sum(self.refused.values())

    @property
    def reasons(self) -> Counter[str]:
        """What those who were refused heard, with and without a record."""
        return self.refused + self.refused_before_log

    def promised(self, reservation_id: str, heard: Heard, _latency_s: float) -> None:
        """Somebody has a 202 for a reservation."""
        self.reservations[reservation_id] = heard

    def decided(self, reservation_id: str, heard: Heard, reason: str, latency_s: float) -> None:
        """Somebody heard the decision on a reservation."""
        self.reservations[reservation_id] = heard
        self.latencies_s.append(latency_s)
        self.recent_s.append(latency_s)
        if heard.state == "confirmed":
            self.confirmed += 1
            self.confirmed_units += heard.units
        elif heard.state == "waitlisted":
            self.waitlisted += 1
        else:
            self.refused[reason] += 1


def percentile_ms(latencies_s: list[float] | deque[float], share: float) -> float:
    """The nearest-rank percentile in milliseconds; 0 where there is nothing."""
    if not latencies_s:
        return 0.0
    ordered = sorted(latencies_s)
    rank = max(1, math.ceil(share * len(ordered)))
    return round(ordered[rank - 1] * 1000, 2)
