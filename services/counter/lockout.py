"""Five wrong short codes within a minute lock a terminal for a minute.

A short code is eight digits with a check digit, and needs the document's last four: guessing is hopeless at five a
minute and easy at a thousand. Passes and documents are not counted: a signature cannot be guessed, a document is shown.

Each counter process counts for itself, so a terminal that is spread over N of them has N times five tries. Nothing is
kept longer than the minute it matters.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable

from services.domain.reasons import DoorReason
from services.platform.http_answers import retry_after
from services.platform.problems import Problem

WRONG_TRIES = 5
WITHIN_S = 60.0
LOCKED_FOR_S = 60.0
MAX_WATCHED = 10_000


class Lockout:
    """Counts wrong short codes; `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[Hashable, deque[float]] = {}

    def check(self, terminal: Hashable) -> None:
        """Raises Problem `terminal_locked`, with the time that is left, while the terminal is locked."""
        wrong = self._wrong.get(terminal)
        if wrong is None:
            return
        now_s = self._clock()
        if len(wrong) == WRONG_TRIES and wrong[-1] - wrong[0] <= WITHIN_S and now_s - wrong[-1] < LOCKED_FOR_S:
            left_s = math.ceil(LOCKED_FOR_S - (now_s - wrong[-1]))
            raise Problem(DoorReason.TERMINAL_LOCKED, headers=retry_after(left_s))
        if now_s - wrong[-1] >= max(WITHIN_S, LOCKED_FOR_S):
            del self._wrong[terminal]

    def wrong(self, terminal: Hashable) -> None:
        """One more wrong try of this terminal."""
        if len(self._wrong) >= MAX_WATCHED and terminal not in self._wrong:
            self._forget_old()
        self._wrong.setdefault(terminal, deque(maxlen=WRONG_TRIES)).append(self._clock())

    def _forget_old(self) -> None:
        """Only terminals that signed in get here, so there are never more of them than pharmacies have."""
        now_s = self._clock()
        for terminal in [each for each, wrong in self._wrong.items() if now_s - wrong[-1] >= WITHIN_S]:
            del self._wrong[terminal]
