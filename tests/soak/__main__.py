"""`make soak MINUTES=60`: new random logs and new simulated schedules, until the time is over or one of them fails.

A failure is told with its seed and the command that brings it back; the exit code is 1 then.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import Final

from infra.embedded.stores import running_stores
from tests.contract.checked_log import checking, log_of, told
from tests.simulation.schedules import Mode, run_schedule

MAX_MINUTES: Final = 7 * 24 * 60
TELL_EVERY_S: Final = 10.0
LOGS_A_ROUND: Final = 60
SCHEDULES_A_ROUND: Final = 15
TRACE_LINES: Final = 100

Step = Callable[[int], str]
"""Does what a seed says; what is wrong with it, in words, or nothing."""


class Soak:
    """Rounds of work, each seed once."""

    def __init__(self, first_seed: int, minutes: float) -> None:
        self.logs = 0
        self.schedules = 0
        self._seeds = count(first_seed)
        self._minutes = minutes
        self._began_s = self._told_s = time.monotonic()

    def run(self, check_log: Step) -> str:
        """What the first failure says; empty where there was none in all the time."""
        while self._is_time_left():
            seeds = [next(self._seeds) for _ in range(LOGS_A_ROUND)]
            for at, seed in enumerate(seeds):
                if not self._is_time_left():
                    break
                if wrong := check_log(seed):
                    return wrong
                self.logs += 1
                if at < SCHEDULES_A_ROUND:
                    if wrong := check_schedule(seed):
                        return wrong
                    self.schedules += 1
        return ""

    def in_words(self) -> str:
        """How far it is."""
        minutes = (time.monotonic() - self._began_s) / 60
        return (
            f"{minutes:.1f} of {self._minutes:g} min: {self.logs:,} random logs, {self.schedules:,} simulated schedules"
        )

    def _is_time_left(self) -> bool:
        now_s = time.monotonic()
        if now_s >= self._told_s + TELL_EVERY_S:
            self._told_s = now_s
            print(self.in_words(), flush=True)
        return now_s < self._began_s + 60 * self._minutes


def check_schedule(seed: int) -> str:
    """One simulated schedule; every third one asks for progress."""
    mode = Mode.LIVENESS if seed % 3 == 0 else Mode.SAFETY
    if not run_schedule(seed, mode).broken:
        return ""
    return run_schedule(seed, mode, is_traced=True).in_words(TRACE_LINES)


@contextmanager
def logs_checked(url: str) -> Iterator[Step]:
    """Random logs on a Valkey; between them no event loop runs, for each schedule brings its own."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        checker = runner.run(stack.enter_async_context(checking(url)))

        async def check(seed: int) -> str:
            return await told(checker, seed) if await checker.why_it_fails(log_of(seed), seed) else ""

        try:
            yield lambda seed: runner.run(check(seed))
        finally:
            runner.run(stack.aclose())


def main() -> int:
    """0 where nothing failed."""
    try:
        minutes = float(sys.argv[1])
    except (IndexError, ValueError):
        minutes = 0.0
    if not 0 < minutes <= MAX_MINUTES:
        print(f"Usage: make soak MINUTES=…, more than 0 and at most {MAX_MINUTES}", file=sys.stderr)
        return 2
    first = int(os.environ.get("SOAK_SEED") or SystemRandom().randrange(10**9))
    print(f"Seeds from {first} on; SOAK_SEED={first} begins there again", flush=True)
    soak = Soak(first, minutes)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stores(Path(folder)) as stores,
        logs_checked(stores.redis) as check_log,
        suppress(KeyboardInterrupt),  # enough, says who watches it
    ):
        if wrong := soak.run(check_log):
            print(wrong, flush=True)
            return 1
    print(f"{soak.in_words()}, and nothing failed", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
