"""The ledger on PostgreSQL: as on SQLite, and a database that dies takes no row and doubles none (F11)."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
import sqlalchemy as sa

from infra.launcher.ports import free_ports
from infra.local.postgres import PostgresServer
from services.audit.report import Kind
from services.ledger import follower as follower_module
from services.ledger.follower import Follower, FollowerSettings
from services.ledger.rebuild import rebuild
from services.sql.database import Database, DatabaseSettings
from services.sql.errors import SchemaTooNewError
from services.sql.schema import migrate
from services.sql.tables import METADATA
from services.sql.watermarks import store
from services.stream.fake import FakeReader
from services.stream.topics import COMMANDS, EVENTS
from tests.unit.audit_world import FIRST, AuditWorld
from tests.unit.ledger_world import follow_to_end, follower_of, places

WITHIN_S = 30.0


class Server:
    """PostgreSQL that can be killed and started again."""

    def __init__(self, server: PostgresServer) -> None:
        (self._spec,) = server.specs()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Until it lets us in."""
        self._launch()
        deadline_s = time.monotonic() + WITHIN_S
        while not await self._spec.is_ready():
            assert time.monotonic() < deadline_s, "PostgreSQL does not answer"
            await asyncio.sleep(0.05)

    def _launch(self) -> None:
        environment = {**os.environ, **(self._spec.env or {})}
        self._process = subprocess.Popen(self._spec.command, env=environment, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        """Its guard ends it at once, without a checkpoint."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PostgresServer:
    server = PostgresServer(tmp_path_factory.mktemp("postgres"), free_ports(1)[0])
    asyncio.run(server.prepare(lambda _: None))
    return server


@pytest.fixture(scope="module")
def server(made: PostgresServer) -> Iterator[Server]:
    running = Server(made)
    asyncio.run(running.start())
    yield running
    running.kill()


@pytest.fixture
async def database(made: PostgresServer, server: Server) -> AsyncIterator[Database]:
    """Empty."""
    database = Database(DatabaseSettings(ledger=made.url, ledger_timeout_s=2.0))

    def empty(connection: sa.Connection) -> None:
        METADATA.drop_all(connection)
        connection.execute(sa.text("DROP TABLE IF EXISTS maskline_schema"))

    await database.call(empty, writes=True)
    yield database
    database.close()


@pytest.fixture
def world() -> AuditWorld:
    """Ten people booked."""
    made = AuditWorld()
    made.campaign(slots={"s1": 20})
    for number in range(10):
        made.reserve(f"p{number}", "s1", 3)
    return made


def execute(connection: sa.Connection, text: str) -> None:
    connection.execute(sa.text(text))


def expected(world: AuditWorld) -> list[tuple[int, int]]:
    return [(offset, index) for offset, facts in enumerate(world.decisions) for index in range(len(facts))]


async def test_every_event_has_one_row_and_verify_finds_what_is_spoilt(world: AuditWorld, database: Database) -> None:
    world.publish(4)
    await follow_to_end(follower_of(world, database))
    assert await places(database) == expected(world)
    assert (await world.verify(database)).differences == []
    for spoil in ("DELETE FROM events WHERE log_offset = 7", "UPDATE events SET units = 99 WHERE log_offset = 8"):
        await database.call(partial(execute, text=spoil), writes=True)
    found = (await world.verify(database)).differences
    assert sorted((each.kind, each.offset) for each in found) == [(Kind.LEDGER, 7), (Kind.LEDGER, 8)]
    assert await rebuild(follower_of(world, database), database, 1, lambda *_: None) == {}
    assert (await world.verify(database)).differences == []


async def test_a_newer_schema_is_refused_and_many_may_start_at_once(made: PostgresServer, database: Database) -> None:
    others = [Database(DatabaseSettings(ledger=made.url)) for _ in range(4)]
    await asyncio.gather(*(other.call(migrate, writes=True) for other in others))
    for other in others:
        other.close()
    await database.call(partial(execute, text="UPDATE maskline_schema SET version_num = '9999'"), writes=True)
    with pytest.raises(SchemaTooNewError):
        await database.call(migrate, writes=True)


async def killed_in_mid_rush(world: AuditWorld, database: Database, server: Server) -> Follower:
    """A ledger whose database is killed while people book, away for a while, and back; until it has caught up."""
    settings = FollowerSettings(batch_records=3, ledger_pause_s=0.01, ledger_retry_s=0.1)
    commands, events = FakeReader(world.log, COMMANDS), FakeReader(world.log, EVENTS)
    follower = Follower(commands, events, database, 1, settings)
    running = asyncio.create_task(follower.run())
    try:
        for number in range(120):
            world.reserve(f"q{number}", "s1", 1)
            await asyncio.sleep(0.01)
            if number == 60:
                server.kill()
        deadline_s = time.monotonic() + WITHIN_S
        while follower.away is None and time.monotonic() < deadline_s:
            await asyncio.sleep(0.05)
        assert "does not answer as it should" in (follower.wrong() or "")
        await server.start()
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
    world: AuditWorld, database: Database, server: Server
) -> None:
    await killed_in_mid_rush(world, database, server)
    assert await places(database) == expected(world)
    assert (await world.verify(database)).differences == []


@pytest.mark.control
async def test_with_the_watermark_committed_before_its_rows_a_row_is_lost(
    world: AuditWorld, database: Database, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = 0

    def watermark_first(connection: sa.Connection, **what: object) -> bool:
        """The server dies between the two, once."""
        nonlocal times
        store(connection, **what | {"rows": []})  # type: ignore[arg-type]
        connection.exec_driver_sql("COMMIT")
        times += 1
        if times == 5:
            server.kill()
        return store(connection, **what | {"before": what["after"]})  # type: ignore[arg-type]

    monkeypatch.setattr(follower_module, "store", watermark_first)
    await killed_in_mid_rush(world, database, server)
    assert len(await places(database)) < len(expected(world))
    assert Kind.LEDGER in {each.kind for each in (await world.verify(database)).differences}
