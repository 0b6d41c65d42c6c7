"""A ledger beside the small system of `audit_world`, whose log it follows."""

from typing import Final, Protocol

import sqlalchemy as sa

from services.ledger.follower import Follower, FollowerSettings
from services.sql.database import Database, DatabaseSettings
from services.stream.fake import FakeLog, FakeReader
from services.stream.topics import COMMANDS, EVENTS
from tests.contract.decided_log import DecidedLog
from tests.unit.audit_world import FIRST, AuditWorld

TIMEOUT_S: Final = 5.0


class Connect(Protocol):
    """One more connection to the same database."""

    def __call__(self, timeout_s: float = TIMEOUT_S) -> Database: ...


def database_at(url: str, timeout_s: float = TIMEOUT_S) -> Database:
    """A database of SQLite or PostgreSQL."""
    return Database(DatabaseSettings(ledger=url, ledger_timeout_s=timeout_s))


def emptied(url: str) -> str:
    """The URL of a PostgreSQL, after everything in it is gone."""

    def empty(connection: sa.Connection) -> None:
        for statement in ("DROP SCHEMA public CASCADE", "CREATE SCHEMA public"):
            connection.exec_driver_sql(statement)

    database = database_at(url)
    database.call_here(empty, writes=True)
    database.close()
    return url


async def executed(database: Database, *statements: str) -> None:
    """What somebody at the database did by hand, in one transaction."""

    def execute(connection: sa.Connection) -> None:
        for statement in statements:
            connection.exec_driver_sql(statement)

    await database.call(execute, writes=True)


def commit(connection: sa.Connection) -> None:
    """In the middle of a transaction's work, which goes on in another one: what the ledger never does."""
    connection.exec_driver_sql("COMMIT")
    if connection.dialect.name == "sqlite":  # the other driver begins by itself
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def ten_bookings() -> AuditWorld:
    """Ten people booked."""
    made = AuditWorld()
    made.campaign(slots={"s1": 20})
    for number in range(10):
        made.reserve(f"p{number}", "s1", 3)
    return made


def expected(world: AuditWorld) -> list[tuple[int, int]]:
    """Offset and index of every event, in order."""
    return [(offset, index) for offset, facts in enumerate(world.decisions) for index in range(len(facts))]


def follower_of(world: AuditWorld, database: Database, batch_records: int = 7) -> Follower:
    """A ledger of the world's one partition."""
    commands, events = FakeReader(world.log, COMMANDS), FakeReader(world.log, EVENTS)
    return Follower(commands, events, database, 1, FollowerSettings(batch_records=batch_records))


async def follow_to_end(follower: Follower) -> None:
    """Until nothing comes any more."""
    await follower.begin()
    while await follower.step():
        pass


async def places(database: Database) -> list[tuple[int, int]]:
    """Offset and index of every row, in order."""
    text = sa.text("SELECT log_offset, event_index FROM events ORDER BY partition, log_offset, event_index")
    return [tuple(row) for row in await database.call(lambda connection: connection.execute(text).all())]


async def kept(log: DecidedLog, database: Database) -> None:
    """A ledger of all events of a log."""
    records = FakeLog(partitions=1)
    for record in log.records:
        records.write(COMMANDS, FIRST, [record.value], record.at_ms)
    for offset in range(len(log)):
        records.write(EVENTS, FIRST, log.events(offset), log.records[offset].at_ms)
    commands, events = FakeReader(records, COMMANDS), FakeReader(records, EVENTS)
    follower = Follower(commands, events, database, 1, FollowerSettings(batch_records=500))
    await follow_to_end(follower)
    assert follower.wrong() is None
