"""The schema is brought up to date at start, in one transaction and under a lock: many may start at once."""

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from services.sql.errors import SchemaMissingError, SchemaTooNewError

LOCK: Final = 0x6D61736B  # any number, the same in every version: PostgreSQL's locks have numbers for names
FOLDER: Final = Path(__file__).with_name("migrations")
VERSION_TABLE: Final = "maskline_schema"


def migrate(connection: sa.Connection) -> None:
    """Inside a writing transaction: all of it or nothing. Raises SchemaTooNewError."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    scripts = ScriptDirectory(str(FOLDER))
    context = MigrationContext.configure(
        connection,
        opts={"version_table": VERSION_TABLE, "fn": lambda revision, _: scripts._upgrade_revs("head", revision)},
    )
    if _checked(scripts, context.get_current_revision()) == scripts.get_current_head():
        return
    with Operations.context(context):
        context.run_migrations()


def check(connection: sa.Connection) -> None:
    """For those who only read. Raises SchemaMissingError, SchemaTooNewError."""
    scripts = ScriptDirectory(str(FOLDER))
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    if _checked(scripts, context.get_current_revision()) != scripts.get_current_head():
        raise SchemaMissingError


def _checked(scripts: ScriptDirectory, found: str | None) -> str | None:
    known = {script.revision for script in scripts.walk_revisions()}
    if found is not None and found not in known:
        raise SchemaTooNewError(found=found, ours=scripts.get_current_head())
    return found
