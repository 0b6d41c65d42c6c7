"""The ledger keeps each event once, in order, whatever comes between; a gap stops it with a message."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.ledger import follower as follower_module
from services.ledger.errors import EventsMissing, EventsOfAnotherLog
from services.ledger.rebuild import rebuild
from services.sql.database import Database
from services.sql.errors import DatabaseUnavailableError, SchemaTooNewError
from services.sql.schema import migrate
from services.sql.watermarks import store
from services.stream.topics import EVENTS
from tests.unit.audit_world import FIRST, AuditWorld
from tests.unit.ledger_world import database_at, follow_to_end, follower_of, places


@pytest.fixture
def world() -> AuditWorld:
    """Ten people booked."""
    made = AuditWorld()
    made.campaign(slots={"s1": 20})
    for number in range(10):
        made.reserve(f"p{number}", "s1", 3)
    return made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = database_at(tmp_path / "ledger.sqlite")
    yield made
    made.close()


def expected(world: AuditWorld) -> list[tuple[int, int]]:
    return [(offset, index) for offset, facts in enumerate(world.decisions) for index in range(len(facts))]


@pytest.mark.safety
async def test_every_event_has_one_row_also_where_events_are_published_twice(
    world: AuditWorld, database: Database
) -> None:
    for offset in (3, 4, 5):
        world.publish(offset)
    world.reserve("late", "s1", 1)
    await follow_to_end(follower_of(world, database))
    assert await places(database) == expected(world)


async def test_a_ledger_that_starts_again_goes_on_where_its_rows_end(world: AuditWorld, database: Database) -> None:
    first = follower_of(world, database)
    await first.begin()
    await first.step()
    assert 0 < len(await places(database)) < len(expected(world))
    await follow_to_end(follower_of(world, database))
    assert await places(database) == expected(world)


@pytest.mark.safety
async def test_at_a_gap_the_ledger_stops_before_it_and_says_so(world: AuditWorld, database: Database) -> None:
    world.publishes = False
    gap = world.reserve("gone", "s1", 1)
    world.publishes = True
    world.reserve("after", "s1", 1)
    follower = follower_of(world, database)
    await follow_to_end(follower)
    assert isinstance(follower.stopped[FIRST], EventsMissing)
    assert f"After offset {gap} comes offset {gap + 1}" in (follower.wrong() or "")
    assert (await places(database))[-1][0] == gap - 1


async def test_the_rows_of_another_log_are_left_alone(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await follow_to_end(follower_of(world, database))
    before = await places(database)
    monkeypatch.setattr("tests.unit.audit_world.LOG_ID", "log-of-that-test")
    other = AuditWorld()
    follower = follower_of(other, database)
    await follow_to_end(follower)
    assert isinstance(follower.stopped[FIRST], EventsOfAnotherLog)
    assert await places(database) == before


async def test_a_record_that_is_no_event_is_passed_over(world: AuditWorld, database: Database) -> None:
    world.log.write(EVENTS, FIRST, [b"rubbish", b"{}", b'{"id":"x","type":"","command":"","at_ms":1}'], 1)
    world.reserve("after", "s1", 1)
    follower = follower_of(world, database)
    await follow_to_end(follower)
    assert follower.stopped == {}
    assert await places(database) == expected(world)


async def test_a_locked_database_loses_nothing(world: AuditWorld, database: Database, tmp_path: Path) -> None:
    follower = follower_of(world, database)
    await follower.begin()
    other = sa.create_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailableError, match="locked"):
            await follower.step()
    other.dispose()
    await follow_to_end(follower)
    assert await places(database) == expected(world)


async def _died_between(world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch, broken: object) -> None:
    """A ledger whose connection breaks in its second batch, and its successor."""
    monkeypatch.setattr(follower_module, "store", broken)
    first = follower_of(world, database)
    await first.begin()
    await first.step()
    with pytest.raises(DatabaseUnavailableError):
        await first.step()
    monkeypatch.setattr(follower_module, "store", store)
    await follow_to_end(follower_of(world, database))


class _BreaksAtTheSecond:
    """`store`, whose second transaction breaks at its end."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, connection: sa.Connection, **what: object) -> bool:
        stored = store(connection, **what)  # type: ignore[arg-type]
        self.times += 1
        if self.times == 2:
            raise DatabaseUnavailableError(why="killed")
        return stored


class _WatermarkOfItsOwn(_BreaksAtTheSecond):
    """The same with the watermark committed before the rows."""

    def __call__(self, connection: sa.Connection, **what: object) -> bool:
        store(connection, **what | {"rows": []})  # type: ignore[arg-type]
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return super().__call__(connection, **what | {"before": what["after"]})


@pytest.mark.safety
async def test_a_ledger_that_dies_in_a_transaction_neither_loses_nor_doubles_a_row(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _died_between(world, database, monkeypatch, _BreaksAtTheSecond())
    assert await places(database) == expected(world)


@pytest.mark.control
async def test_with_the_watermark_in_a_transaction_of_its_own_rows_are_lost(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _died_between(world, database, monkeypatch, _WatermarkOfItsOwn())
    assert len(await places(database)) < len(expected(world))


async def test_two_ledgers_beside_each_other_write_each_row_once(
    world: AuditWorld, database: Database, tmp_path: Path
) -> None:
    second_database = database_at(tmp_path / "ledger.sqlite")
    first, second = follower_of(world, database), follower_of(world, second_database)
    await first.begin()
    await second.begin()
    await first.step()
    with pytest.raises(DatabaseUnavailableError, match="somebody else wrote"):
        await second.step()
    await follow_to_end(second)
    with pytest.raises(DatabaseUnavailableError, match="somebody else wrote"):
        await first.step()
    second_database.close()
    assert await places(database) == expected(world)


async def test_a_rebuild_makes_every_row_again(world: AuditWorld, database: Database) -> None:
    await follow_to_end(follower_of(world, database))
    spoil = sa.text("DELETE FROM events WHERE log_offset > 4")
    await database.call(lambda connection: connection.execute(spoil), writes=True)
    told: list[tuple[int, int, int]] = []
    stopped = await rebuild(follower_of(world, database), database, 1, lambda *at: told.append(at))
    assert stopped == {}
    assert await places(database) == expected(world)
    assert told[-1][1] == told[-1][2]


async def test_a_newer_schema_is_refused(database: Database) -> None:
    await database.call(migrate, writes=True)
    await database.call(migrate, writes=True)  # again changes nothing
    newer = sa.text("UPDATE maskline_schema SET version_num = '9999'")
    await database.call(lambda connection: connection.execute(newer), writes=True)
    with pytest.raises(SchemaTooNewError, match="9999"):
        await database.call(partial(migrate), writes=True)


async def test_contact_and_phone_have_no_place_in_sql(world: AuditWorld, database: Database) -> None:
    world.publishes = False
    world.publish(world.reserve("told", "s1", 1), contact="CONTACT-planted", phone_pseudonym="PHONE-planted")
    await follow_to_end(follower_of(world, database))
    rows = await database.call(lambda connection: connection.execute(sa.text("SELECT * FROM events")).all())
    assert len(rows) == len(expected(world))
    assert "planted" not in str(rows)
