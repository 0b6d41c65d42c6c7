"""`python -m tests.simulation [first seed] [schedules] [safety|liveness]`: many schedules, and how fast they go."""

import sys
import time

from tests.simulation.schedules import Mode, run_schedule


def main() -> int:
    """0 where all promises were kept."""
    first, count = int(sys.argv[1]) if sys.argv[1:] else 0, int(sys.argv[2]) if sys.argv[2:] else 200
    mode = Mode(sys.argv[3]) if sys.argv[3:] else Mode.SAFETY
    started_s = time.process_time()
    bad = 0
    for seed in range(first, first + count):
        verdict = run_schedule(seed, mode)
        if verdict.broken:
            bad += 1
            print(f"{seed}: {verdict.broken[0]}")
    seconds = time.process_time() - started_s
    print(f"{count} {mode} schedules, {bad} broke a promise, {60 * count / seconds:.0f} a minute of one core")
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
