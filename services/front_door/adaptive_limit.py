"""How much may be under way, found from how long it takes: additive increase, multiplicative decrease.

Not a gradient (concurrency-limits' Gradient2): that compares with a latency of its own past, which drifts with a queue
that stands. Here latency has a target, and Little's law says which limit meets it: what was ahead of somebody and was
done in the time that they waited is the capacity. Pure: time is passed in.
"""

from typing import Final

INCREASE: Final = 8.0
"""How much more at once for each time that everything under way was done in time: from 16 to 800 in a hundred such."""
MOST_DECREASE: Final = 0.5
LATE_FOR: Final = 0.5
"""Part of the target. What is late for so long, with nothing in time between, lowers the limit, to half at most, and
then again after as long. A pause, after which all are late at once, is no capacity."""
IN_TIME_AFTER: Final = 0.05
"""Part of the target. So soon after what was late it is the end of the same batch, and no sign of better times."""


class AdaptiveLimit:
    """A limit between `least` and `most`; what takes longer than `target_s` seconds lowers it."""

    def __init__(self, *, least: int, most: int, target_s: float) -> None:
        self.limit = float(most)
        self._least: Final = float(min(least, most))
        self._most: Final = float(most)
        self._target_s: Final = target_s
        self._late_since_s: float | None = None
        self._late_at_s = float("-inf")

    def done(self, now_s: float, took_s: float, ahead: int) -> None:
        """Something is done `now_s` that took so many seconds; so much was under way when it began, itself included."""
        if took_s > self._target_s:
            self._late(now_s, took_s, ahead)
            return
        if now_s - self._late_at_s > self._target_s * IN_TIME_AFTER:
            self._late_since_s = None
        if ahead * 2 >= self.limit:  # a limit that holds nobody back proves nothing
            self.limit = min(self._most, self.limit + INCREASE / self.limit)

    def _late(self, now_s: float, took_s: float, ahead: int) -> None:
        self._late_at_s = now_s
        if self._late_since_s is None:
            self._late_since_s = now_s
        elif now_s - self._late_since_s >= self._target_s * LATE_FOR:
            self._late_since_s = now_s
            meets_target = ahead * self._target_s / took_s
            self.limit = max(self._least, self.limit * MOST_DECREASE, min(self.limit, meets_target))
