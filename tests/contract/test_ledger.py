"""The ledger keeps each event once, in order, whatever comes between; a gap stops it with a message.

On SQLite and on PostgreSQL.
"""

import asyncio
import threading

import pytest
import sqlalchemy as sa

from services.ledger import follower as follower_module
from services.ledger import rebuild as rebuild_module
from services.ledger.errors import EventsMissing, EventsOfAnotherLog
from services.ledger.rebuild import Begun, Rebuild
from services.sql.database import Database
from services.sql.errors import DatabaseUnavailableError, SchemaTooNewError
from services.sql.schema import migrate
from services.sql.watermarks import begin_anew, store
from services.stream.topics import EVENTS
from tests.contract.ledger_world import (
    Connect,
    commit,
    executed,
    expected,
    follow_to_end,
    follower_of,
    places,
    ten_bookings,
)
from tests.unit.audit_world import FIRST, AuditWorld

HELD_AT_MOST_S = 10.0


@pytest.fixture
def world() -> AuditWorld:
    return ten_bookings()


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


async def test_a_locked_database_loses_nothing(world: AuditWorld, connect: Connect) -> None:
    database = connect(timeout_s=0.3)
    follower = follower_of(world, database)
    await follower.begin()
    loop, held, enough = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def hold(connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":  # where SQLite's writer has the whole file
            connection.exec_driver_sql("LOCK TABLE watermarks")
        loop.call_soon_threadsafe(held.set)
        enough.wait(HELD_AT_MOST_S)

    holding = asyncio.create_task(connect().call(hold, writes=True))
    await held.wait()
    try:
        with pytest.raises(DatabaseUnavailableError, match="locked|timeout"):
            await follower.step()
    finally:
        enough.set()
        await holding
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
        commit(connection)
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
    world: AuditWorld, database: Database, connect: Connect
) -> None:
    first, second = follower_of(world, database), follower_of(world, connect())
    await first.begin()
    await second.begin()
    await first.step()
    with pytest.raises(DatabaseUnavailableError, match="somebody else wrote"):
        await second.step()
    await follow_to_end(second)
    with pytest.raises(DatabaseUnavailableError, match="somebody else wrote"):
        await first.step()
    assert await places(database) == expected(world)


async def rebuilt(world: AuditWorld, database: Database, *, anew: bool = False) -> Begun:
    """How it began; it is whole afterwards."""
    told: list[tuple[int, int, int]] = []
    rebuild = Rebuild(follower_of(world, database), database)
    begun = await rebuild.begin(anew=anew)
    assert await rebuild.run(lambda *at: told.append(at)) == {}
    assert await places(database) == expected(world)
    assert told[-1][1] == told[-1][2]
    return begun


async def test_a_rebuild_makes_every_row_again(world: AuditWorld, database: Database) -> None:
    await follow_to_end(follower_of(world, database))
    await executed(database, "DELETE FROM events WHERE log_offset > 4")
    end = len(expected(world))
    assert await rebuilt(world, database) == Begun(is_resumed=False, done=0, end=end)
    await executed(database, "UPDATE events SET units = 99")
    assert not (await rebuilt(world, database)).is_resumed  # the one before was finished
    assert (await world.verify(database)).differences == []


async def interrupted(world: AuditWorld, database: Database) -> None:
    """A rebuild that ended after two batches of seven."""
    follower = follower_of(world, database)
    await Rebuild(follower, database).begin()
    await follower.begin()
    await follower.step()
    await follower.step()


async def test_a_rebuild_that_was_interrupted_goes_on_and_says_so(world: AuditWorld, database: Database) -> None:
    await follow_to_end(follower_of(world, database))
    await interrupted(world, database)
    assert await rebuilt(world, database) == Begun(is_resumed=True, done=14, end=len(expected(world)))
    assert (await world.verify(database)).differences == []


async def test_a_rebuild_that_was_interrupted_starts_over_if_somebody_says_so(
    world: AuditWorld, database: Database
) -> None:
    await interrupted(world, database)
    assert not (await rebuilt(world, database, anew=True)).is_resumed


async def test_a_rebuild_that_was_interrupted_starts_over_where_the_log_is_another_one(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await interrupted(world, database)
    monkeypatch.setattr("tests.unit.audit_world.LOG_ID", "log-of-that-test")
    assert not (await rebuilt(ten_bookings(), database)).is_resumed


async def test_a_ledger_ends_what_a_rebuild_has_begun(world: AuditWorld, database: Database) -> None:
    await interrupted(world, database)
    await follow_to_end(follower_of(world, database))
    assert await places(database) == expected(world)
    assert not (await rebuilt(world, database)).is_resumed


async def test_no_transaction_of_a_rebuild_has_more_than_a_batch(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def counted(connection: sa.Connection, **what: list[object]) -> bool:
        sizes.append(len(what["rows"]))
        return store(connection, **what)  # type: ignore[arg-type]

    monkeypatch.setattr(follower_module, "store", counted)
    await rebuilt(world, database)
    assert sum(sizes) == len(expected(world))
    assert max(sizes) == 7


async def _killed_while_emptied(world: AuditWorld, database: Database) -> None:
    """A rebuild whose database dies as it is emptied; then the ledger goes on."""
    await follow_to_end(follower_of(world, database))
    with pytest.raises(DatabaseUnavailableError, match="killed"):
        await Rebuild(follower_of(world, database), database).begin()
    await follow_to_end(follower_of(world, database))


@pytest.mark.safety
async def test_a_rebuild_that_dies_while_it_empties_has_emptied_nothing(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(connection: sa.Connection, **what: object) -> None:
        begin_anew(connection, **what)  # type: ignore[arg-type]
        raise DatabaseUnavailableError(why="killed")

    monkeypatch.setattr(rebuild_module, "begin_anew", dies)
    await _killed_while_emptied(world, database)
    assert await places(database) == expected(world)


@pytest.mark.control
async def test_with_rows_emptied_before_the_watermark_all_of_them_are_lost(
    world: AuditWorld, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(connection: sa.Connection, **what: object) -> None:
        connection.exec_driver_sql("DELETE FROM events")
        commit(connection)
        raise DatabaseUnavailableError(why="killed")

    monkeypatch.setattr(rebuild_module, "begin_anew", dies)
    await _killed_while_emptied(world, database)
    assert await places(database) == []


async def test_a_newer_schema_is_refused_and_many_may_start_at_once(database: Database, connect: Connect) -> None:
    await asyncio.gather(*(connect().call(migrate, writes=True) for _ in range(4)))
    await database.call(migrate, writes=True)  # again changes nothing
    await executed(database, "UPDATE maskline_schema SET version_num = '9999'")
    with pytest.raises(SchemaTooNewError, match="9999"):
        await database.call(migrate, writes=True)


async def test_contact_and_phone_have_no_place_in_sql(world: AuditWorld, database: Database) -> None:
    world.publishes = False
    world.publish(world.reserve("told", "s1", 1), contact="CONTACT-planted", phone_pseudonym="PHONE-planted")
    await follow_to_end(follower_of(world, database))
    rows = await database.call(lambda connection: connection.execute(sa.text("SELECT * FROM events")).all())
    assert len(rows) == len(expected(world))
    assert "planted" not in str(rows)
