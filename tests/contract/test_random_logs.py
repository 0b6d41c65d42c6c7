"""Random logs by the thousand: whatever stands in a log and whatever happens to those who fold it, library = model.

    LOG_SEED=1234 make test ARGS=tests/contract/test_random_logs.py     the log of a failure again
    RANDOM_LOGS=20000 make test ARGS=tests/contract/test_random_logs.py so many, instead of 2,000

What fails is brought down to its fewest records. `test_fold_property.py` has hypothesis look for small causes instead.
"""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import SystemRandom
from typing import Final

import pytest

from services.domain.commands import Malformed
from services.domain.fold import RULES
from services.domain.reasons import Reason
from services.domain.rules.answers import Fact
from tests.contract import patched_library as patched
from tests.contract.checked_log import Checker, checking, log_of, told
from tests.contract.decided_log import DecidedLog
from tests.work_counted import LOGS, LOGS_CPU_S, RECORDS

SEED: Final = os.environ.get("LOG_SEED")
CHOSEN: Final = int(os.environ.get("RANDOM_LOGS", "2000"))
# The integration server judges a change, so it reads the same logs each time; everybody else reads new ones.
FIRST: Final = int(SEED) if SEED else 0 if os.environ.get("CI") else SystemRandom().randrange(10**9)
PIECES: Final = 1 if SEED else 20
LOGS_PER_PIECE: Final = 1 if SEED else -(-CHOSEN // PIECES)
SECONDS_PER_LOG: Final = 0.5
LOGS_OF_A_CONTROL: Final = 400
"""The rarest harm is found in one log in twenty-five."""
ROOT: Final = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(120 + SECONDS_PER_LOG * LOGS_PER_PIECE)


@pytest.fixture
async def checker(valkey: str) -> AsyncIterator[Checker]:
    async with checking(valkey) as checker:
        yield checker


@pytest.mark.safety
@pytest.mark.embedded
@pytest.mark.parametrize("piece", range(PIECES))
async def test_the_library_decides_as_the_model_does_whatever_the_log_and_whatever_happens_to_it(
    checker: Checker, record_property: Callable[[str, object], None], piece: int
) -> None:
    count = 0
    started_s, stores_s = time.process_time(), await checker.stores_cpu_s()
    for seed in range(FIRST + piece * LOGS_PER_PIECE, FIRST + (piece + 1) * LOGS_PER_PIECE):
        records = log_of(seed)
        if await checker.why_it_fails(records, seed):
            pytest.fail(await told(checker, seed), pytrace=False)
        count += len(records)
    record_property(LOGS, LOGS_PER_PIECE)
    record_property(RECORDS, count)
    record_property(LOGS_CPU_S, time.process_time() - started_s + await checker.stores_cpu_s() - stores_s)


@pytest.mark.control
@pytest.mark.embedded
@pytest.mark.parametrize(
    "missing",
    ["POSITION_CHECK", "GAP_CHECK", "PUBLISHED_BEFORE_TRIMMING", "FIRST_ANSWER", "QUOTA_CHECK", "ONE_PER_RESIDENT"],
)
async def test_the_same_logs_find_the_harm_where_the_library_lacks_a_check(valkey: str, missing: str) -> None:
    async with checking(valkey, getattr(patched, missing)) as checker:
        for seed in range(FIRST, FIRST + LOGS_OF_A_CONTROL):
            if await checker.why_it_fails(log_of(seed), seed):
                return
    pytest.fail(f"{LOGS_OF_A_CONTROL} logs from {FIRST} on found nothing although {missing} is missing")


def test_random_logs_reach_every_command_every_fact_and_every_reason() -> None:
    """A rule that no random log meets is not tested here: it needs a step in random_logs.py."""
    missing: set[object] = {*RULES, Malformed, *Fact, *Reason}
    for seed in range(FIRST, FIRST + max(CHOSEN, 2_000)):
        log = DecidedLog(log_of(seed))
        missing.difference_update(map(type, log.commands))
        for facts in log.facts:
            for code, *values in facts:
                missing.discard(Fact(code))
                if code in (Fact.REFUSED, Fact.REJECTED):
                    missing.discard(Reason(values[0]))
        if not missing:
            return
    pytest.fail(f"none of the logs from {FIRST} on has {missing}")


def test_a_seed_is_the_same_log_in_another_process_with_other_hashes() -> None:
    program = "from tests.contract.checked_log import log_of; print([log_of(seed) for seed in range(12)])"
    command, other_hashes = [sys.executable, "-c", program], {**os.environ, "PYTHONHASHSEED": "5"}
    there = subprocess.run(command, cwd=ROOT, env=other_hashes, capture_output=True, check=True)
    assert there.stdout.decode().strip() == str([log_of(seed) for seed in range(12)])


@pytest.mark.embedded
async def test_a_failure_is_told_with_its_seed_and_with_few_records(valkey: str) -> None:
    async with checking(valkey, patched.QUOTA_CHECK) as checker:
        seed = 0
        while not await checker.why_it_fails(log_of(seed), seed):
            seed += 1
        words = await told(checker, seed)
    assert f"LOG_SEED={seed} make test" in words
    shown = [line for line in words.splitlines() if line.strip().startswith("Record(")]
    assert 5 < len(shown) < 20 < len(log_of(seed))


@pytest.mark.embedded
async def test_an_error_of_the_library_is_a_failure_with_a_seed_like_any_other(valkey: str) -> None:
    async with checking(valkey, patched.OUT_OF_MEMORY) as checker:
        assert "out of memory" in await checker.why_it_fails(log_of(1), 1)
        assert "out of memory" in await checker.why_it_fails(log_of(2), 2), "and the next one is heard as well"
