"""How many look-ups a terminal may make: a pharmacist needs a few a minute, whoever tries document numbers needs all.

A pick-up by document counts where nobody is found: what is found is handed out, and that is in the log. Each counter
process counts for itself, so a terminal that is spread over N of them has N times as many.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable

from services.domain.reasons import DoorReason
from services.platform.http_answers import retry_after
from services.platform.problems import Problem

WITHIN_S = 60.0
MAX_WATCHED = 10_000


class Allowance:
    """At most `most` look-ups of one terminal within a minute; `clock` is monotonic, in seconds."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._made: dict[Hashable, deque[float]] = {}

    def check(self, terminal: Hashable) -> None:
        """Raises Problem `too_many_lookups`, with the time after which there is one more."""
        made = self._made.get(terminal)
        if made is None or len(made) < self._most:
            return
        left_s = made[0] + WITHIN_S - self._clock()
        if left_s > 0:
            raise Problem(DoorReason.TOO_MANY_LOOKUPS, headers=retry_after(math.ceil(left_s)))

    def count(self, terminal: Hashable) -> None:
        """One more look-up of this terminal."""
        if len(self._made) >= MAX_WATCHED and terminal not in self._made:
            self._forget_old()
        self._made.setdefault(terminal, deque(maxlen=self._most)).append(self._clock())

    def _forget_old(self) -> None:
        """Only terminals that signed in get here, so there are never more of them than pharmacies have."""
        now_s = self._clock()
        self._made = {each: made for each, made in self._made.items() if now_s - made[-1] < WITHIN_S}
