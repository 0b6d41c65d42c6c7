"""What came out of a run: everything that people heard, beside what the log says."""

import math
from collections import Counter

import msgspec

from loadtests.crowd.notes import NO_ANSWER, CallsHeard, Notes, WishHeard, together

SATURATED_SLIP_MS = 250.0
"""A crowd whose own clockwork is so late (99 % of the time) measures itself."""


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the system in one second of the run."""

    second: int
    process: str
    cpu: float  # of one core
    memory_mib: float


class LogSample(msgspec.Struct, frozen=True, kw_only=True):
    """The campaign's partition in one second: its end, and how far it is decided."""

    second: int
    end: int
    decided: int


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What log, Redis and `maskline verify` say once all is decided."""

    units: int
    confirmed: int
    confirmed_units: int
    unused_units: int
    rejected: int
    oversold: int
    lost: int
    duplicates: int
    ghosts: int  # confirmed, and the one who asked heard neither that nor that it is unknown
    differences: list[str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one scenario."""

    scenario: str
    people: int
    seconds: float
    notes: list[Notes]
    processes: list[ProcessSample]
    log: list[LogSample]
    truth: Truth
    outage: tuple[float, float] | None = None

    @property
    def wishes(self) -> list[WishHeard]:
        """Of all processes."""
        return [wish for notes in self.notes for wish in notes.wishes]

    @property
    def calls(self) -> list[CallsHeard]:
        """The same."""
        return [call for notes in self.notes for call in notes.calls]

    @property
    def unexpected(self) -> Counter[str]:
        """Answers that no such request should get."""
        found: Counter[str] = Counter()
        for notes in self.notes:
            found.update(notes.unexpected)
        return found

    @property
    def void_because(self) -> str:
        """Why this run proves nothing, in words; empty where it does."""
        if not self.notes:
            return "nobody took notes: the crowd did not come to its end"
        slip_ms = max(notes.slip_ms for notes in self.notes)
        if slip_ms > SATURATED_SLIP_MS:
            return f"the crowd was late itself: one time in a hundred by {slip_ms:.0f} ms (bound {SATURATED_SLIP_MS:g})"
        return ""

    def statuses(self, call: str) -> Counter[int]:
        """How many heard each status."""
        found: Counter[int] = Counter()
        for each in self.calls:
            if each.call == call:
                found.update(each.statuses)
        return found

    def latency_ms(self, call: str, percentile: float, *, since_s: float = 0.0, until_s: float = math.inf) -> float:
        """From asking to hearing, of those who asked in this part of the run."""
        of_call = [each.latencies for each in self.calls if each.call == call and since_s <= each.second < until_s]
        return float(together(of_call).get_value_at_percentile(percentile)) / 1000 if of_call else 0.0

    def heard_share(self, life: str = "") -> float:
        """Of the wishes of some people, those that were heard."""
        wishes = [wish for wish in self.wishes if not life or wish.life == life]
        return sum(wish.state != "unknown" for wish in wishes) / len(wishes) if wishes else 1.0


def unanswered(outcome: Outcome) -> int:
    """Requests that heard nothing, or that nobody can tell."""
    return sum(count for each in outcome.calls for status, count in each.statuses.items() if status in (NO_ANSWER, 504))
