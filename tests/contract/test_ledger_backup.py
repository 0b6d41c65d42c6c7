"""A copy of the ledger, taken while people book, restored as services/ledger/README.md says: it goes on from there."""

import asyncio
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from infra.local.postgres import find_postgres
from services.ledger import follower as follower_module
from services.ledger.errors import EventsChanged, EventsCut
from services.ledger.rebuild import Rebuild
from services.sql.database import Database
from services.stream.topics import EVENTS
from tests.contract.ledger_world import (
    Connect,
    expected,
    follow_to_end,
    follower_of,
    places,
    ten_bookings,
)
from tests.unit.audit_world import FIRST, AuditWorld

PROGRAM_TIMEOUT_S = 60


@pytest.fixture
def world() -> AuditWorld:
    return ten_bookings()


class Copies:
    """Copies of a ledger's database, by the program that comes with it."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = sa.make_url(url)
        self._file = folder / "copy"

    def take(self) -> None:
        if self._url.get_backend_name() == "sqlite":
            with closing(self._sqlite()) as ours, closing(sqlite3.connect(self._file)) as copy:
                ours.backup(copy)
        else:
            self._run("pg_dump", "--format=custom", f"--file={self._file}")

    def restore(self) -> None:
        """Over whatever is there."""
        if self._url.get_backend_name() == "sqlite":
            with closing(self._sqlite()) as ours, closing(sqlite3.connect(self._file)) as copy:
                copy.backup(ours)
        else:
            self._run("pg_restore", "--clean", "--if-exists", "--single-transaction", str(self._file))

    def _sqlite(self) -> sqlite3.Connection:
        return sqlite3.connect(str(self._url.database))

    def _run(self, program: str, *arguments: str) -> None:
        url = self._url
        where = ["-h", str(url.host), "-p", str(url.port), "-U", str(url.username), "-d", str(url.database)]
        subprocess.run(
            [find_postgres() / program, *where, *arguments],
            env={**os.environ, "PGPASSWORD": str(url.password)},
            check=True,
            timeout=PROGRAM_TIMEOUT_S,
        )


@pytest.fixture
def copies(ledger_url: str, tmp_path: Path) -> Copies:
    return Copies(ledger_url, tmp_path)


@pytest.mark.safety
async def test_a_copy_taken_while_people_book_is_restored_and_the_ledger_goes_on_from_there(
    world: AuditWorld, connect: Connect, copies: Copies
) -> None:
    follower = follower_of(world, connect(), batch_records=1)
    await follower.begin()
    await follower.step()
    taking = asyncio.create_task(asyncio.to_thread(copies.take))
    while not taking.done():
        world.reserve(f"q{len(world.decisions)}", "s1", 1)
        await follower.step()
    await taking
    await follow_to_end(follower_of(world, connect()))
    copies.restore()
    restored = connect()
    assert 0 < len(await places(restored)) < len(expected(world))
    await follow_to_end(follower_of(world, restored))
    assert await places(restored) == expected(world)
    assert (await world.verify(restored)).differences == []


@pytest.mark.control
async def test_a_copy_of_rows_whose_watermark_is_of_a_later_moment_lacks_rows_for_good(
    world: AuditWorld, connect: Connect
) -> None:
    """As a copy of two tables is, one after the other, by hand."""
    database = connect()
    await follow_to_end(follower_of(world, database))
    text = sa.text("DELETE FROM events WHERE log_offset > 5")  # copied before these came; the watermark after them
    await database.call(lambda connection: connection.execute(text), writes=True)
    await follow_to_end(follower_of(world, database))
    assert len(await places(database)) < len(expected(world))
    assert (await world.verify(database)).differences != []


async def test_an_empty_database_needs_no_copy(world: AuditWorld, database: Database) -> None:
    await follow_to_end(follower_of(world, database))
    assert await places(database) == expected(world)


async def test_a_log_restored_to_an_earlier_moment_is_told_and_nothing_is_changed(
    world: AuditWorld, database: Database
) -> None:
    await follow_to_end(follower_of(world, database))
    before = await places(database)
    del world.log.records[EVENTS, FIRST][-3:]
    follower = follower_of(world, database)
    await follower.begin()
    assert isinstance(follower.stopped[FIRST], EventsCut)
    assert "maskline ledger rebuild" in (follower.wrong() or "")
    assert await places(database) == before


def grown_again() -> AuditWorld:
    """The same log as in `ten_bookings`, restored to a moment when five had booked; then others came, and more."""
    made = AuditWorld()
    made.campaign(slots={"s1": 20})
    for number in range(5):
        made.reserve(f"p{number}", "s1", 3)
    for number in range(20):
        made.reserve(f"other{number}", "s1", 1)
    return made


@pytest.mark.safety
async def test_a_log_restored_to_an_earlier_moment_that_has_grown_again_is_told(
    world: AuditWorld, database: Database
) -> None:
    await follow_to_end(follower_of(world, database))
    before = await places(database)
    again = grown_again()
    follower = follower_of(again, database)
    await follow_to_end(follower)
    assert isinstance(follower.stopped[FIRST], EventsChanged)
    assert "maskline ledger rebuild" in (follower.wrong() or "")
    assert await places(database) == before
    rebuild = Rebuild(follower_of(again, database), database)
    await rebuild.begin()
    assert await rebuild.run(lambda *_: None) == {}
    assert (await again.verify(database)).differences == []


@pytest.mark.control
async def test_without_a_look_back_the_rows_of_two_histories_stand_side_by_side(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await follow_to_end(follower_of(world, database))
    monkeypatch.setattr(follower_module, "has_row", lambda *_, **__: True)
    again = grown_again()
    follower = follower_of(again, database)
    await follow_to_end(follower)
    assert follower.wrong() is None
    assert await places(database) == expected(again)
    assert (await again.verify(database)).differences != []
