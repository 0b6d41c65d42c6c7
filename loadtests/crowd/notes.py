"""What the people of one process heard, second by second, and every wish with its last word; written once, at the end.

Ids of reservations are their owners' credentials: the file is for the verdict, in a folder of this user alone.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from hdrh.histogram import HdrHistogram

from loadtests.arrivals import DIGITS, HIGHEST_US, latencies

NO_ANSWER: Final = 0


class WishHeard(msgspec.Struct):
    """A booking under one key. `state` is a state of API.md, a reason where it has no record, or `unknown`."""

    person: int
    life: str
    slot: str
    units: int
    key: str
    id: str = ""
    state: str = "unknown"
    reason: str = ""
    wanted_s: float = 0.0  # of the run
    heard_s: float | None = None


class CallsHeard(msgspec.Struct):
    """One kind of call within one second: how many heard each status, and how long that took."""

    second: int
    call: str
    statuses: dict[int, int]
    latencies: str


class Notes(msgspec.Struct):
    """Of one process. `slip_ms` is how late its own clockwork was, a hundred times a second, 99 % of the time."""

    wishes: list[WishHeard]
    calls: list[CallsHeard]
    unexpected: dict[str, int]
    worse: int  # places in the waiting room that were behind the one heard before
    slip_ms: float


class Notebook:
    """Takes notes. `now_s` is the run's time, the same in all processes of a machine."""

    def __init__(self, began_s: float) -> None:
        self.wishes: list[WishHeard] = []
        self.unexpected: Counter[str] = Counter()
        self.worse = 0
        self.slip_us: Final = latencies()
        self._began_s = began_s
        self._statuses: dict[tuple[int, str], Counter[int]] = defaultdict(Counter)
        self._latencies: dict[tuple[int, str], HdrHistogram] = {}

    @property
    def now_s(self) -> float:
        """Seconds since the run began."""
        return time.time() - self._began_s

    def heard(self, call: str, status: int, took_s: float, second: int | None = None) -> None:
        """An answer, or NO_ANSWER; now, or in a second that is told."""
        of = max(0, int(self.now_s)) if second is None else second, call
        self._statuses[of][status] += 1
        histogram = self._latencies.get(of)
        if histogram is None:
            histogram = self._latencies[of] = latencies()
        histogram.record_value(min(max(round(took_s * 1e6), 1), HIGHEST_US))

    def taken(self) -> Notes:
        """All of it."""
        calls = [
            CallsHeard(second, call, dict(statuses), self._latencies[second, call].encode().decode("ascii"))
            for (second, call), statuses in sorted(self._statuses.items())
        ]
        slip_ms = self.slip_us.get_value_at_percentile(99) / 1000
        return Notes(self.wishes, calls, dict(self.unexpected), self.worse, slip_ms)

    def write(self, folder: Path) -> None:
        """Under a name of this process."""
        (folder / f"notes-{os.getpid()}.json").write_bytes(msgspec.json.encode(self.taken()))


def read_all(folder: Path) -> list[Notes]:
    """Those of all processes."""
    return [msgspec.json.decode(path.read_bytes(), type=Notes) for path in sorted(folder.glob("notes-*.json"))]


def together(histograms: Sequence[str]) -> HdrHistogram:
    """The sum of encoded histograms."""
    found = HdrHistogram(1, HIGHEST_US, DIGITS)
    for encoded in histograms:
        found.decode_and_add(encoded)
    return found
