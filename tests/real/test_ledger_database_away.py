"""PostgreSQL dies or falls silent as people book: the ledger waits, says so, catches up, loses and doubles no row."""

import asyncio
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from infra.fault_proxy.modes import HalfOpen, Pass
from infra.fault_proxy.proxy import FaultProxy
from infra.launcher.ports import free_ports
from infra.local.running import RunningPostgres
from services.audit.report import Kind
from services.ledger import follower as follower_module
from services.ledger.follower import Follower, FollowerSettings
from services.sql.bounded_connection import BoundedConnection
from services.sql.database import Database
from services.sql.errors import DatabaseUnavailableError
from services.sql.watermarks import store
from services.stream.fake import FakeReader
from services.stream.topics import COMMANDS, EVENTS
from tests.contract.ledger_world import commit, database_at, emptied, expected, places, ten_bookings
from tests.unit.audit_world import FIRST, AuditWorld

WITHIN_S = 30.0
TIMEOUT_S = 1.0
PATIENCE_S = 6.0
"""Two time-outs until the connection is given up, two seconds for the new one that is not answered either."""


@pytest.fixture
def database(postgres: RunningPostgres) -> Iterator[Database]:
    made = database_at(emptied(postgres.url), timeout_s=TIMEOUT_S)
    yield made
    made.close()
    if not postgres.runs(*postgres.names):  # a test that failed while it was down
        postgres.start()


@pytest.fixture
def world() -> AuditWorld:
    return ten_bookings()


async def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"not within {WITHIN_S:g} s"
        await asyncio.sleep(0.02)


def quick_follower(world: AuditWorld, database: Database) -> Follower:
    settings = FollowerSettings(batch_records=3, ledger_pause_s=0.01, ledger_retry_s=0.1)
    return Follower(FakeReader(world.log, COMMANDS), FakeReader(world.log, EVENTS), database, 1, settings)


def has_all(follower: Follower, world: AuditWorld) -> bool:
    mark = follower.watermarks.get(FIRST)
    return follower.away is None and mark is not None and mark.next_record >= world.log.end(EVENTS, FIRST)


def records_behind() -> float:
    """The metric."""
    return REGISTRY.get_sample_value("maskline_ledger_behind_records", {"partition": "0"}) or 0.0


async def killed_in_mid_rush(world: AuditWorld, database: Database, postgres: RunningPostgres) -> None:
    """A ledger whose database is killed while people book, away for a while, and back; until it has caught up."""
    follower = quick_follower(world, database)
    running = asyncio.create_task(follower.run())
    try:
        for number in range(120):
            world.reserve(f"q{number}", "s1", 1)
            await asyncio.sleep(0.01)
            if number == 60 and postgres.runs(*postgres.names):
                postgres.kill(*postgres.names)
        await until(lambda: follower.away is not None)
        assert "does not answer as it should" in (follower.wrong() or "")
        await until(lambda: records_behind() >= 50)
        await postgres.start_beside(*postgres.names)
        await until(lambda: has_all(follower, world))
        await until(lambda: records_behind() == 0)
        assert follower.wrong() is None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


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
    monkeypatch.setattr(follower_module, "has_row", lambda *_, **__: True)  # it would look back and stop
    await killed_in_mid_rush(world, database, postgres)
    assert len(await places(database)) < len(expected(world))
    assert Kind.LEDGER in {each.kind for each in (await world.verify(database)).differences}


async def followed_into_silence(world: AuditWorld, postgres: RunningPostgres) -> str | None:
    """What the ledger says of a database that gives no answer; then it does, and the ledger catches up."""
    (port,) = free_ports(1)
    url = sa.make_url(emptied(postgres.url))
    database = database_at(url.set(port=port).render_as_string(hide_password=False), timeout_s=TIMEOUT_S)
    async with FaultProxy(listens_at=port, target=url.port or 0) as proxy:
        follower = quick_follower(world, database)
        running = asyncio.create_task(follower.run())
        try:
            await until(lambda: has_all(follower, world))
            await proxy.switch(HalfOpen())
            world.reserve("late", "s1", 1)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await until(lambda: follower.wrong() is not None)
            except TimeoutError:
                pass
            told = follower.wrong()
            await proxy.switch(Pass())
            await until(lambda: has_all(follower, world))
            assert follower.wrong() is None
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await asyncio.to_thread(database.close)
    return told



@pytest.mark.safety
async def test_a_database_that_says_nothing_is_told_and_given_up(world: AuditWorld, postgres: RunningPostgres) -> None:
    told = await followed_into_silence(world, postgres)
    assert "does not answer as it should" in (told or "")


@pytest.mark.control
async def test_without_a_bound_a_silent_database_is_waited_on_and_nobody_hears_of_it(
    world: AuditWorld, postgres: RunningPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedConnection, "wait", psycopg.Connection.wait)
    assert await followed_into_silence(world, postgres) is None


async def test_who_only_reads_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError, match="read-only transaction"):
        await database.call(lambda connection: connection.exec_driver_sql("CREATE TABLE mine (a int)"))
    await database.call(lambda connection: connection.exec_driver_sql("CREATE TABLE mine (a int)"), writes=True)
