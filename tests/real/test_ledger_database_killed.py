"""PostgreSQL dies while people book: the ledger waits, catches up, loses no row and doubles none (F11)."""

import asyncio
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from infra.local.running import RunningPostgres
from services.audit.report import Kind
from services.ledger import follower as follower_module
from services.ledger.follower import Follower, FollowerSettings
from services.sql.database import Database
from services.sql.watermarks import store
from services.stream.fake import FakeReader
from services.stream.topics import COMMANDS, EVENTS
from tests.contract.ledger_world import commit, database_at, emptied, expected, places, ten_bookings
from tests.unit.audit_world import FIRST, AuditWorld

WITHIN_S = 30.0


@pytest.fixture
def database(postgres: RunningPostgres) -> Iterator[Database]:
    made = database_at(emptied(postgres.url), timeout_s=2.0)
    yield made
    made.close()
    if not postgres.runs(*postgres.names):  # a test that failed while it was down
        postgres.start()


@pytest.fixture
def world() -> AuditWorld:
    return ten_bookings()


async def killed_in_mid_rush(world: AuditWorld, database: Database, postgres: RunningPostgres) -> Follower:
    """A ledger whose database is killed while people book, away for a while, and back; until it has caught up."""
    settings = FollowerSettings(batch_records=3, ledger_pause_s=0.01, ledger_retry_s=0.1)
    commands, events = FakeReader(world.log, COMMANDS), FakeReader(world.log, EVENTS)
    follower = Follower(commands, events, database, 1, settings)
    running = asyncio.create_task(follower.run())
    try:
        for number in range(120):
            world.reserve(f"q{number}", "s1", 1)
            await asyncio.sleep(0.01)
            if number == 60 and postgres.runs(*postgres.names):
                postgres.kill(*postgres.names)
        deadline_s = time.monotonic() + WITHIN_S
        while follower.away is None and time.monotonic() < deadline_s:
            await asyncio.sleep(0.05)
        assert "does not answer as it should" in (follower.wrong() or "")
        await postgres.start_beside(*postgres.names)
        end = world.log.end(EVENTS, FIRST)
        while time.monotonic() < deadline_s:
            mark = follower.watermarks.get(FIRST)
            if follower.away is None and mark is not None and mark.next_record >= end:
                break
            await asyncio.sleep(0.05)
        assert follower.wrong() is None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return follower


@pytest.mark.safety
async def test_a_database_killed_in_mid_rush_loses_and_doubles_no_row(
    world: AuditWorld, database: Database, postgres: RunningPostgres
) -> None:
    await killed_in_mid_rush(world, database, postgres)
    assert await places(database) == expected(world)
    assert (await world.verify(database)).differences == []


@pytest.mark.control
async def test_with_the_watermark_committed_before_its_rows_a_row_is_lost(
    world: AuditWorld, database: Database, postgres: RunningPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = 0

    def watermark_first(connection: sa.Connection, **what: object) -> bool:
        """The server dies between the two, once."""
        nonlocal times
        store(connection, **what | {"rows": []})  # type: ignore[arg-type]
        commit(connection)
        times += 1
        if times == 5:
            postgres.kill(*postgres.names)
        return store(connection, **what | {"before": what["after"]})  # type: ignore[arg-type]

    monkeypatch.setattr(follower_module, "store", watermark_first)
    await killed_in_mid_rush(world, database, postgres)
    assert len(await places(database)) < len(expected(world))
    assert Kind.LEDGER in {each.kind for each in (await world.verify(database)).differences}
