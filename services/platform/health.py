"""Whether a process can do its work right now: named checks, asked at each look so that no answer is stale."""

from __future__ import annotations

from collections.abc import Callable

Check = Callable[[], str | None]
"""None where all is well, else what is wrong in a few words. Must return at once: it reads what the process knows."""


class Health:
    """The checks of one process. It is ready when every one of them is well, and not before `started`."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._started = False

    def add(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def started(self) -> None:
        """The process has everything it needs; from here on the checks alone decide."""
        self._started = True

    def failing(self) -> dict[str, str]:
        """Name → what is wrong. Empty: ready."""
        found = {} if self._started else {"start": "still starting"}
        for name, check in self._checks.items():
            if (wrong := check()) is not None:
                found[name] = wrong
        return found
