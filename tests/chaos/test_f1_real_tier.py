"""F1 on the real tier, as `make up` runs it: each process killed in turn under bookings, and its keeper at work.

`MASKLINE_TEST_RATE_PER_S=1000` plays the rate of the promise; a run of all stories has one that any machine holds.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from infra.local.parts import check_parts
from loadtests.surge import SurgeSettings
from services.platform.lifecycle import fast_loop
from tests.chaos.blows import Blow, Blows, Void, collected_seldom, named
from tests.chaos.city import Program, altered, tell
from tests.chaos.crowd import Crowd
from tests.chaos.hearing import hear
from tests.chaos.kept_tier import KeptTier, kept_tier
from tests.chaos.neighbourhoods import Neighbourhoods
from tests.chaos.story import Verdict, in_words, judge, settled
from tests.chaos.timed_tally import TimedTally
from tests.integration.cli_system import Ran, maskline

RATE_PER_S: Final = float(os.environ.get("MASKLINE_TEST_RATE_PER_S", "300"))
HELD: Final = 0.9
"""Of the rate, decided while nothing is broken; below that the machine was measured, not Maskline."""
PEOPLE_WITHIN_S: Final = 240
UNITS_A_PERSON: Final = 6
"""Two slots of 600 are full in the end, so that somebody could be sold what is not there."""
ZIPF_EXPONENT: Final = 0.5
WARM_UP_S: Final = 5.0
ADDRESSES: Final = 8
MAX_CONNECTIONS: Final = 9_000
"""Who waits for a decision keeps one; nginx has two for each, of 20,480."""
REQUEST_TIMEOUT_S: Final = 8.0
GIVES_UP_AFTER_S: Final = 120.0
SETTLE_TIMEOUT_S: Final = 30.0
SEED: Final = 1

BROKER_S: Final = 5.0
PRIMARY_S: Final = 5.0
ALLOCATOR_S: Final = 10.0
BESIDE_S: Final = 2.0
"""Where another one does the same, or no booking goes through it."""

BLOWS: Final = (
    Blow("the broker that leads", KeptTier.leader, BROKER_S),
    Blow("a front door", named("front-door-0"), BESIDE_S),
    Blow("the Redis replica", KeptTier.replica, BESIDE_S),
    Blow("the clock", named("clock-0"), BESIDE_S),
    Blow("the allocator that decides", KeptTier.allocator, ALLOCATOR_S),
    Blow("the ledger", named("ledger-0"), BESIDE_S),
    Blow("PostgreSQL", named("postgres-0"), BESIDE_S),
    Blow("the Redis primary", KeptTier.primary, PRIMARY_S),
    Blow("the counter", named("counter-0"), BESIDE_S),
    Blow("the console", named("console-0"), BESIDE_S),
    Blow("the other allocator", KeptTier.other_allocator, ALLOCATOR_S),
    Blow("nginx before residents", named("nginx-0"), BESIDE_S),
    Blow("nginx before staff", named("nginx-1"), BESIDE_S),
    Blow("Prometheus", named("prometheus-0"), BESIDE_S),
    Blow("the active controller", KeptTier.controller, BROKER_S),
    Blow("the allocators' coordinator", KeptTier.coordinator, BROKER_S),
)

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    # Servers die in mid-answer: a connection that is left to the collector is no finding of this story.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass
class Played:
    """A story's end."""

    verdict: Verdict
    blows: Blows
    doctor: Ran


async def played(tier: KeptTier, blows: Sequence[Blow], rate_per_s: float) -> Played:
    """People come, each blow in its turn, all hear; then everything is looked at."""
    people = int(rate_per_s * PEOPLE_WITHIN_S)
    settings = SurgeSettings(
        residents=people,
        wait_s=0,
        give_up_after_s=GIVES_UP_AFTER_S,
        seed=SEED,
        zipf_exponent=ZIPF_EXPONENT,
        tries_elsewhere=0,
    )
    client = Neighbourhoods(tier.front_door, ADDRESSES, max_connections=MAX_CONNECTIONS, timeout_s=REQUEST_TIMEOUT_S)
    tally = TimedTally()
    crowd = Crowd(client, await tier.open_campaign(people * UNITS_A_PERSON), rate_per_s, settings, tally)
    struck = Blows(tier, crowd, tally, rate_per_s)
    try:
        with collected_seldom():
            crowd.begin()
            await asyncio.sleep(WARM_UP_S)
            await struck.strike(blows)
            await crowd.end()
    finally:
        await crowd.close()
        client.close()
        for line in struck.table():
            tell(line)
    verdict = Verdict(tally, steps_back=crowd.steps_back, seconds=crowd.seconds)
    if not await settled(tier.settings, tier.partitions, SETTLE_TIMEOUT_S):
        verdict.faults.append(f"the log was not decided and published {SETTLE_TIMEOUT_S:g} s after the last one came")
    await tier.ledger_has_all()
    verdict.report = await tier.verify()
    verdict.hearing = await hear(tier.settings, tier.partitions, crowd.wishes(), tally)
    judge(verdict)
    tell(in_words(verdict))
    doctor = await asyncio.to_thread(maskline, "doctor", "--data", tier.folder)
    return Played(verdict, struck, doctor)


def told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, blows: Sequence[Blow], programs: Mapping[str, Program] | None = None
) -> Played:
    """A story on a tier of its own. Raises PartMissing."""
    check_parts()

    async def whole() -> Played:
        async with kept_tier(folder, monkeypatch, programs) as tier:
            return await played(tier, blows, RATE_PER_S)

    with asyncio.Runner(loop_factory=fast_loop()) as runner:  # as the keeper has it
        return runner.run(whole())


@pytest.mark.safety
@pytest.mark.alone
def test_any_process_may_die_under_bookings_and_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    story = told(tmp_path / "local", monkeypatch, BLOWS)
    decided_per_s = story.blows.calm.decided_per_s
    record_property("decided_per_s", round(decided_per_s))
    for felt in story.blows.felt:
        times_s = {"accepted": felt.accepted_s, "decided": felt.decided_s, "silent": felt.silent_s}
        record_property(felt.blow.what, times_s)
    assert story.verdict.faults == []
    assert story.doctor.code == 0, story.doctor.out
    if story.blows.void or decided_per_s < HELD * RATE_PER_S:
        reached = f"{decided_per_s:.0f} bookings a second were decided in calm, of {RATE_PER_S:g} offered"
        raise Void(f"nothing was lost or doubled, but times say nothing: {story.blows.void or reached}")
    assert [str(felt) for felt in story.blows.too_long()] == []


@pytest.mark.control
def test_without_the_position_check_allocators_that_die_decide_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blow = Blow("the allocator that decides", KeptTier.allocator, ALLOCATOR_S)
    story = told(tmp_path / "local", monkeypatch, [blow], {"allocator": altered("position_check")})
    assert story.verdict.report is not None
    assert story.verdict.report.duplicates > 0
