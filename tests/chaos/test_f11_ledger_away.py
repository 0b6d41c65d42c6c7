"""F11: the ledger's database is away, two minutes in the long run, or cannot write for its disk is full: no booking is
touched, and the ledger catches up.

`MASKLINE_TEST_AWAY_S=120` plays the two minutes; a run of all stories has fewer.
"""

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from infra.local.running import RunningPostgres
from services.audit.report import Kind
from services.sql.watermarks import read_watermarks
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.chaos.city import PLENTY, City, Plan, altered, tell
from tests.chaos.disk import fill, free
from tests.chaos.story import played
from tests.contract.ledger_world import database_at, emptied

AWAY_S: Final = float(os.environ.get("MASKLINE_TEST_AWAY_S", "8"))
CAUGHT_UP_WITHIN_S: Final = 30.0
UNDECIDED_S: Final = 5.0
"""Longest without a decision while the database is away; without any fault it is one second."""
GROWTH_KIB: Final = 16 * 1024
LOOK_S: Final = 0.5
LEDGER: Final = "ledger"

pytestmark = [pytest.mark.chaos, pytest.mark.real, pytest.mark.timeout(180 + 2 * AWAY_S)]


@dataclass
class Away:
    """F11: the ledger's database is killed, or its disk is full (F10); and what was seen of the ledger meanwhile."""

    postgres: RunningPostgres
    is_full: bool = False
    told: set[str] = field(default_factory=set)
    memory_kib: list[int] = field(default_factory=list)
    caught_up_after_s: float | None = None

    async def __call__(self, city: City) -> None:
        assert await city.wrong_with(LEDGER) == ""
        self.memory_kib.append(city.memory_kib(LEDGER))
        (name,) = self.postgres.names
        if self.is_full:
            tell(f"the disk of PostgreSQL is full for {AWAY_S:g} s")
            for pid in (self.postgres.pid(name), *children_of(self.postgres.pid(name))):
                fill(pid)
        else:
            tell(f"kill -9 of PostgreSQL, away for {AWAY_S:g} s")
            self.postgres.kill(name)
        back_s = time.monotonic() + AWAY_S
        while time.monotonic() < back_s:
            await asyncio.sleep(LOOK_S)
            self.told.add(await city.wrong_with(LEDGER))
            self.memory_kib.append(city.memory_kib(LEDGER))
        if self.postgres.runs(name):
            free(self.postgres.pid(name))
        else:
            await self.postgres.start_beside(name)
        await self._catches_up(city)

    async def _catches_up(self, city: City) -> None:
        """With all that was in the log when the database came back; people book on."""
        log = PartitionReader(city.settings, COMMANDS)
        ends = {number: await log.log_end(PartitionId(number)) for number in range(city.plan.partitions)}
        await log.stop()
        began_s = time.monotonic()
        database = database_at(city.plan.ledger, timeout_s=5.0)
        try:
            while time.monotonic() < began_s + CAUGHT_UP_WITHIN_S and self.caught_up_after_s is None:
                marks = await database.call(read_watermarks)
                self.memory_kib.append(city.memory_kib(LEDGER))
                if all(marks[number].log_offset >= end - 1 for number, end in ends.items()):
                    self.caught_up_after_s = time.monotonic() - began_s
                await asyncio.sleep(LOOK_S / 10)
        finally:
            database.close()
        grown_kib = max(self.memory_kib) - self.memory_kib[0]
        tell(f"caught up with {sum(ends.values())} records after {self.caught_up_after_s} s, {grown_kib} KiB more")


def children_of(pid: int) -> list[int]:
    """Processes that it has started (Linux)."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def away(postgres: RunningPostgres) -> Away:
    emptied(postgres.url)
    return Away(postgres)


@pytest.mark.safety
@pytest.mark.parametrize("is_full", [False, True])
async def test_the_ledgers_database_is_away_and_nobody_who_books_notices(
    is_full: bool, away: Away, tmp_path: Path
) -> None:
    away.is_full = is_full
    verdict = await played(away, Plan(ledger=away.postgres.url, units=PLENTY), tmp_path)
    assert verdict.faults == []
    assert (verdict.tally.shed, verdict.tally.unanswered) == (0, 0)
    assert verdict.longest_undecided_s <= UNDECIDED_S
    assert any("does not answer as it should" in each for each in away.told), away.told
    assert away.caught_up_after_s is not None
    assert max(away.memory_kib) - away.memory_kib[0] <= GROWTH_KIB
    assert verdict.report is not None
    assert verdict.report.ledger_rows > verdict.tally.accepted


@pytest.mark.control
async def test_with_the_watermark_in_a_transaction_of_its_own_rows_are_lost(away: Away, tmp_path: Path) -> None:
    plan = Plan(ledger=away.postgres.url, programs={LEDGER: altered("one_transaction")})
    verdict = await played(away, plan, tmp_path)
    assert verdict.report is not None
    assert Kind.LEDGER in {each.kind for each in verdict.report.differences}
