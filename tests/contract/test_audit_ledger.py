"""Verify looks at the ledger as well: each row that is missing, doubled, changed or nobody's is told.

On SQLite and on PostgreSQL.
"""

import pytest

from services.audit.report import Kind, Report
from services.sql.database import Database
from services.sql.errors import SchemaMissingError, SchemaTooNewError
from tests.contract.ledger_world import executed, follow_to_end, follower_of
from tests.unit.audit_world import AuditWorld


@pytest.fixture
def world() -> AuditWorld:
    """Four people booked, one gave back."""
    made = AuditWorld()
    made.campaign(slots={"s1": 9})
    for who in ("anna", "bo", "chen", "dora"):
        made.reserve(who, "s1", 3)
    made.cancel("bo")
    return made


@pytest.fixture
async def ledger(world: AuditWorld, database: Database) -> Database:
    """All of it is in the ledger."""
    await follow_to_end(follower_of(world, database))
    return database


async def planted(world: AuditWorld, ledger: Database, *statements: str) -> Report:
    """What verify finds after somebody did this to the database."""
    await executed(ledger, *statements)
    return await world.verify(ledger)


def told(report: Report) -> list[str]:
    assert {each.kind for each in report.differences} <= {Kind.LEDGER}
    return [str(each) for each in report.differences]


@pytest.mark.control
async def test_a_whole_ledger_has_no_difference(world: AuditWorld, ledger: Database) -> None:
    report = await world.verify(ledger)
    assert (report.differences, report.ledger_behind) == ([], 0)
    assert report.ledger_rows == report.events == sum(len(facts) for facts in world.decisions)
    assert f"compared {report.ledger_rows} rows of the ledger" in "\n".join(report.lines())


async def test_a_ledger_that_is_behind_has_no_difference(world: AuditWorld, ledger: Database) -> None:
    world.reserve("late", "s1", 1)
    report = await world.verify(ledger)
    assert (report.differences, report.ledger_behind) == ([], 1)


@pytest.mark.safety
async def test_a_row_that_is_missing_is_found(world: AuditWorld, ledger: Database) -> None:
    (line,) = told(await planted(world, ledger, "DELETE FROM events WHERE log_offset = 7"))
    assert line.startswith("partition 0, offset 7: an event has no row in the ledger (confirmed), index 0")


@pytest.mark.safety
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("units = 99", "expected units 3\n    found    units 99"),
        ("slot = 's2'", "expected slot s1\n    found    slot s2"),
        ("body = '{}'", "says something else than the decision: body"),
    ],
)
async def test_a_row_that_says_something_else_is_found(
    world: AuditWorld, ledger: Database, change: str, words: str
) -> None:
    (line,) = told(await planted(world, ledger, f"UPDATE events SET {change} WHERE log_offset = 7"))  # noqa: S608
    assert words in line


COPY = (
    "INSERT INTO events SELECT partition, {offset}, {index}, at_ms, type, command, campaign, slot, share, units, "
    "pass_no, terminal, reason, left_units, old_slot, body FROM events WHERE log_offset = 7"
)


@pytest.mark.safety
@pytest.mark.parametrize(("offset", "index"), [(7, 5), (99, 0), (-3, 0)])
async def test_a_row_of_no_event_is_found(world: AuditWorld, ledger: Database, offset: int, index: int) -> None:
    (line,) = told(await planted(world, ledger, COPY.format(offset=offset, index=index)))
    assert f"offset {offset}: the ledger has a row of no event (index {index})" in line


@pytest.mark.safety
async def test_an_event_with_two_rows_is_found(world: AuditWorld, ledger: Database) -> None:
    # The primary key refuses it; somebody took the key away.
    without_key = ("ALTER TABLE events RENAME TO old", "CREATE TABLE events AS SELECT * FROM old")
    (line,) = told(await planted(world, ledger, *without_key, COPY.format(offset=7, index=0)))
    assert "an event has two rows in the ledger" in line


async def test_a_watermark_of_another_log_or_beyond_the_log_is_found(world: AuditWorld, ledger: Database) -> None:
    report = await planted(world, ledger, "UPDATE watermarks SET log_offset = 99")
    assert "the ledger has more than the log" in told(report)[0]
    report = await planted(world, ledger, "UPDATE watermarks SET log = 'of-somebody-else'")
    assert "the ledger has the rows of another log" in told(report)[0]


async def test_the_ledger_of_a_newer_version_is_not_looked_at(world: AuditWorld, ledger: Database) -> None:
    with pytest.raises(SchemaTooNewError):
        await planted(world, ledger, "UPDATE maskline_schema SET version_num = '9999'")


async def test_a_database_that_no_ledger_has_made_is_not_looked_at(world: AuditWorld, database: Database) -> None:
    with pytest.raises(SchemaMissingError):
        await world.verify(database)
