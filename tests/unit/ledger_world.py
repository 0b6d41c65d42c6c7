"""A ledger in a file of SQLite, beside the small system of `audit_world`, whose log it follows."""

from pathlib import Path

import sqlalchemy as sa

from services.ledger.follower import Follower, FollowerSettings
from services.sql.database import Database, DatabaseSettings
from services.stream.fake import FakeReader
from services.stream.topics import COMMANDS, EVENTS
from tests.unit.audit_world import AuditWorld


def database_at(file: Path, timeout_s: float = 0.2) -> Database:
    """A database in a file."""
    return Database(DatabaseSettings(ledger=f"sqlite:///{file}", ledger_timeout_s=timeout_s))


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
