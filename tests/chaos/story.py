"""A story in four phases: people come (warm-up), something breaks (fault), it is mended (heal), all hear (drain).

After it `verify` judges the log, Redis and events, and what people heard is held against the log.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadtests.http_client import HttpClient
from loadtests.surge import SurgeSettings
from loadtests.tally import Tally
from services.audit.report import Report
from services.audit.verify import VerifySettings
from services.domain.rows import Head
from services.state.readers import read_head
from services.state.recovery import GROUP
from services.state.redis_access import redis_address
from services.state.store import open_store
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.chaos.city import City, CouldNotVerify, Plan
from tests.chaos.crowd import Back, Crowd, Second
from tests.chaos.hearing import Hearing, hear

RATE_PER_S: Final = 120.0
"""People a second; each sends two requests or more."""
WARM_UP_S: Final = 3.0
HEAL_S: Final = 3.0
SETTLE_TIMEOUT_S: Final = 30.0
GIVES_UP_AFTER_S: Final = 60.0
MAX_PEOPLE: Final = 20_000
MAX_CONNECTIONS: Final = 2_000
REQUEST_TIMEOUT_S: Final = 8.0
SEED: Final = 1
STORE_TIMEOUT_S: Final = 5.0
LOOK_S: Final = 0.1
TOLD_DIFFERENCES: Final = 5

Fault = Callable[[City], Awaitable[None]]
"""Breaks something, and returns when it is mended or needs nobody to mend it."""


@dataclass
class Verdict:
    """What came out. `faults` is empty where every promise was kept."""

    tally: Tally
    faults: list[str] = field(default_factory=list)
    report: Report | None = None
    hearing: Hearing | None = None
    steps_back: Counter[str] = field(default_factory=Counter)
    seconds: list[Second] = field(default_factory=list)
    longest_unaccepted_s: float = 0.0
    longest_undecided_s: float = 0.0
    back: list[Back] = field(default_factory=list)
    """After each fault."""

    @property
    def accepted_again_s(self) -> float | None:
        """After the last fault."""
        return self.back[-1].accepted_s if self.back else None

    @property
    def decided_again_s(self) -> float | None:
        """The same."""
        return self.back[-1].decided_s if self.back else None

    @property
    def differing(self) -> int:
        """What verify found."""
        return self.report.differing if self.report else 0


async def played(
    fault: Fault,
    plan: Plan,
    folder: Path,
    *,
    rate_per_s: float = RATE_PER_S,
    gives_up_after_s: float = GIVES_UP_AFTER_S,
    settle_timeout_s: float = SETTLE_TIMEOUT_S,
    heal_s: float = HEAL_S,
) -> Verdict:
    """A whole story; prints its lines."""

    async def phases(city: City, crowd: Crowd) -> None:
        await _broken(city, crowd, fault)
        await asyncio.sleep(heal_s)

    return await _played(phases, City(plan, folder), rate_per_s, gives_up_after_s, settle_timeout_s)


async def played_in_turn(faults: Sequence[Fault], plan: Plan, folder: Path, *, back_within_s: float) -> Verdict:
    """A story with several faults, each once people are served again after the one before, or that time has passed."""

    async def phases(city: City, crowd: Crowd) -> None:
        for fault in faults:
            await _broken(city, crowd, fault)
            await crowd.served_again(back_within_s)

    return await _played(phases, City(plan, folder), RATE_PER_S, GIVES_UP_AFTER_S, SETTLE_TIMEOUT_S)


async def _broken(city: City, crowd: Crowd, fault: Fault) -> None:
    print(f"\n--- {getattr(fault, '__doc__', '') or fault}", flush=True)
    crowd.phase = "fault"
    await fault(city)
    crowd.healed()


async def _played(
    phases: Callable[[City, Crowd], Awaitable[None]],
    city: City,
    rate_per_s: float,
    gives_up_after_s: float,
    settle_timeout_s: float,
) -> Verdict:
    try:
        await city.start()
        client = HttpClient(city.url("front-door"), max_connections=MAX_CONNECTIONS, timeout_s=REQUEST_TIMEOUT_S)
        settings = SurgeSettings(residents=MAX_PEOPLE, wait_s=0, give_up_after_s=gives_up_after_s, seed=SEED)
        crowd = Crowd(client, await city.open_campaign(), rate_per_s, settings)
        try:
            crowd.begin()
            await asyncio.sleep(WARM_UP_S)
            await phases(city, crowd)
            await crowd.end()
            return await _judged(city, crowd, settle_timeout_s)
        finally:
            await crowd.close()
            client.close()
    finally:
        await city.stop()


async def _judged(city: City, crowd: Crowd, settle_timeout_s: float) -> Verdict:
    verdict = Verdict(crowd.tally, steps_back=crowd.steps_back, seconds=crowd.seconds)
    verdict.longest_unaccepted_s = crowd.longest_unaccepted_s
    verdict.longest_undecided_s = crowd.longest_undecided_s
    if not await settled(city.settings, city.plan.partitions, settle_timeout_s):
        verdict.faults.append(f"the log was not decided and published {settle_timeout_s:g} s after the last one came")
    try:
        verdict.report = await city.verify()
    except CouldNotVerify as error:
        verdict.faults.append(f"verify: {error}")
        return verdict
    # Only now: the second in which the last one heard had to end.
    verdict.back = crowd.back
    verdict.hearing = await hear(city.settings, city.plan.partitions, crowd.wishes(), crowd.tally)
    judge(verdict)
    print(f"    = {in_words(verdict)}; {_times(verdict)}", flush=True)
    return verdict


def judge(verdict: Verdict) -> None:
    """What people heard and what `verify` found become faults, in words."""
    report, hearing, tally = verdict.report, verdict.hearing, verdict.tally
    if report is None or hearing is None:
        return
    told = [str(each) for each in report.differences[:TOLD_DIFFERENCES]]
    verdict.faults += told + ([f"{report.differing} differences"] if report.differing else [])
    for name in ("oversold", "lost", "duplicates", "unasked", "out_of_turn", "picked_up_twice"):
        if count := getattr(report, name):
            verdict.faults.append(f"verify counts {name}: {count}")
    verdict.faults += hearing.faults()
    verdict.faults += [f"{count} heard: {what}" for what, count in verdict.steps_back.items()]
    if tally.unknown:
        verdict.faults.append(f"{tally.unknown} never heard")
    verdict.faults += [f"{count} heard {answer}" for answer, count in tally.unexpected.items()]


def in_words(verdict: Verdict) -> str:
    """How many of everything, and which promises were broken."""
    report, tally = verdict.report, verdict.tally
    looked = f"{report.records} records, {report.repeated_events} events repeated, " if report else ""
    return (
        f"{looked}{tally.accepted} accepted, {tally.confirmed} confirmed, {tally.rejected} refused, "
        f"{sum(tally.refused_before_log.values())} refused without a record, "
        f"{tally.shed} times 503, {tally.unanswered} times no answer; "
        + ("; ".join(verdict.faults) or "no promise broken")
    )


def _times(verdict: Verdict) -> str:
    """How long after each mending people were served again, to the second, and how long nobody was."""
    again = [f"accepting {_after(back.accepted_s)}, deciding {_after(back.decided_s)}" for back in verdict.back]
    return (
        f"{'; '.join(again)}; at most {verdict.longest_unaccepted_s:.1f} s without a 202, "
        f"{verdict.longest_undecided_s:.1f} s without a decision"
    )


def _after(seconds: float | None) -> str:
    return "never again" if seconds is None else f"{seconds:.1f} s after the mending"


async def settled(settings: VerifySettings, partitions: int, timeout_s: float) -> bool:
    """Whether everything in the log is decided and published within the time; the clock keeps ticking meanwhile."""
    log = PartitionReader(settings, COMMANDS)
    store = open_store(redis_address(settings), timeout_s=STORE_TIMEOUT_S)
    deadline_s = time.monotonic() + timeout_s
    try:
        ends = [await log.log_end(PartitionId(p)) for p in range(partitions)]
        while time.monotonic() < deadline_s:
            heads = [await read_head(store, p) or Head() for p in range(partitions)]
            committed = [await log.committed(GROUP, PartitionId(p)) for p in range(partitions)]
            if all(
                head.position >= end and max(head.published, done) >= end
                for head, done, end in zip(heads, committed, ends, strict=True)
            ):
                return True
            await asyncio.sleep(LOOK_S)
        return False
    finally:
        await log.stop()
        await store.aclose()
