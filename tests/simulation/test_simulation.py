"""Schedules of everything that can fail, and of what must hold whatever fails; each seed is one schedule.

    SIMULATION_SEED=1234 make test ARGS="tests/simulation -k test_safety"   a failure again, with its whole trace
    SIMULATION_SCHEDULES=20000 make test ARGS=tests/simulation              a longer run: so many of each mode

Each safety claim has its control: the same schedules without one protection must do harm that somebody outside sees.
"""

import os
import time
from collections.abc import Callable
from random import SystemRandom
from typing import Final

import pytest

from tests.simulation.protections import FOR_LIVENESS, Protection
from tests.simulation.schedules import Mode, Verdict, run_schedule
from tests.work_counted import SCHEDULES, SCHEDULES_CPU_S

SEED: Final = os.environ.get("SIMULATION_SEED")
CHOSEN: Final = os.environ.get("SIMULATION_SCHEDULES")
# The integration server judges a change, so it runs the same schedules each time; everybody else runs new ones.
FIRST: Final = int(SEED) if SEED else 0 if os.environ.get("CI") else SystemRandom().randrange(10**9)
PIECES: Final = 1 if SEED else 5
SAFETY_SCHEDULES: Final = 1 if SEED else int(CHOSEN or 300)
LIVENESS_SCHEDULES: Final = 1 if SEED else int(CHOSEN or 100)
TRIES_OF_A_CONTROL: Final = 300
"""The rarest harm is found by one schedule in twelve."""
TRIES_AT_ONCE: Final = 60
CAUGHT_AT_ONCE: Final = {
    Protection.EVENTS_ARE_PUBLISHED_IN_ORDER,
    Protection.BATCHES_ARE_REPEATED_WHOLE,
    Protection.ONLY_PUBLISHED_DECISIONS_ARE_TRIMMED,
    Protection.GAPS_ARE_NOT_APPLIED,
    Protection.PARTITIONS_NEVER_START_AT_THE_END,
}
"""The classic mistakes: one schedule in three or more finds each of them."""
TRACE_LINES: Final = 100
SECONDS_PER_SCHEDULE: Final = 0.5

Record = Callable[[str, object], None]

pytestmark = pytest.mark.timeout(60 + SECONDS_PER_SCHEDULE * max(SAFETY_SCHEDULES, LIVENESS_SCHEDULES))


def expect_kept_promises(mode: Mode, piece: int, schedules: int, record: Record) -> None:
    share = -(-schedules // PIECES)
    started_s = time.process_time()
    for seed in range(FIRST + piece * share, FIRST + (piece + 1) * share):
        verdict = run_schedule(seed, mode)
        if verdict.broken:
            pytest.fail(in_words(seed, mode, verdict), pytrace=False)
    record(SCHEDULES, share)
    record(SCHEDULES_CPU_S, time.process_time() - started_s)


def in_words(seed: int, mode: Mode, verdict: Verdict) -> str:
    """The same schedule again, this time told line by line."""
    again = run_schedule(seed, mode, is_traced=True)
    if again.broken != verdict.broken:
        return f"schedule {seed} is not the same when it is traced: {verdict.broken}, then {again.broken}"
    return again.in_words(None if SEED else TRACE_LINES)


@pytest.mark.safety
@pytest.mark.parametrize("piece", range(PIECES))
def test_safety_whatever_fails_everything_is_decided_once_in_order_and_told_as_the_log_has_it(
    record_property: Record, piece: int
) -> None:
    expect_kept_promises(Mode.SAFETY, piece, SAFETY_SCHEDULES, record_property)


@pytest.mark.parametrize("piece", range(PIECES))
def test_liveness_once_a_majority_has_healed_everything_acknowledged_is_decided_and_published(
    record_property: Record, piece: int
) -> None:
    expect_kept_promises(Mode.LIVENESS, piece, LIVENESS_SCHEDULES, record_property)


@pytest.mark.control
@pytest.mark.parametrize("missing", Protection, ids=lambda protection: protection.name.lower())
def test_the_same_schedules_do_harm_where_a_protection_is_missing(missing: Protection) -> None:
    mode = Mode.LIVENESS if missing in FOR_LIVENESS else Mode.SAFETY
    tries = TRIES_AT_ONCE if missing in CAUGHT_AT_ONCE else TRIES_OF_A_CONTROL
    for seed in range(FIRST, FIRST + tries):
        if run_schedule(seed, mode, missing).broken:
            return
    pytest.fail(f"{tries} schedules from {FIRST} on did no harm although {missing}")
