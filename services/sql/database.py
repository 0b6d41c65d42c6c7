"""The connection to the ledger's database: synchronous, in one worker thread, so that no loop ever waits for it.

One thread and one connection are enough for one writer, and a time-out ends every wait: the thread is never lost.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import sqlalchemy as sa
from msgspec import Meta

from services.platform.settings import Settings
from services.sql.bounded_connection import connect_bounded
from services.sql.errors import DatabaseUnavailableError, DatabaseUrlInvalid

T = TypeVar("T")
APPLICATION: Final = "maskline"
LOCK_PAUSE_S: Final = 0.01
SILENT_AFTER_TIMEOUTS: Final = 2
"""A batch of rows goes to PostgreSQL as one wait: each of its statements may take the time-out at most."""


class DatabaseSettings(Settings, frozen=True, kw_only=True):
    """Where the ledger's database is."""

    ledger: Annotated[
        str, Meta(description="The ledger's database: postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:///FILE.")
    ] = ""
    ledger_timeout_s: Annotated[
        float, Meta(description="Seconds before the ledger's database counts as unanswering.", ge=0.1)
    ] = 5.0


class Database:
    """A database and the one thread that speaks to it."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._engine = _engine(settings.ledger, settings.ledger_timeout_s)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def call(self, work: Callable[[sa.Connection], T], *, writes: bool = False) -> T:
        """What `work` returns, in one transaction, which is undone where it raises. Raises DatabaseUnavailableError."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.call_here, work, writes)

    def call_here(self, work: Callable[[sa.Connection], T], writes: bool = False) -> T:
        """The same, in this thread. A reader sees one moment of the database for as long as it works."""
        with _in_words(), self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.info["begin"] = "BEGIN IMMEDIATE" if writes else "BEGIN"
            elif not writes:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                return work(connection)

    def close(self) -> None:
        """Let go of it."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()


def _engine(url: str, timeout_s: float) -> sa.Engine:
    """Raises DatabaseUrlInvalid."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise DatabaseUrlInvalid(url="***", why="it cannot be read as an address") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database:
        engine = sa.create_engine(parsed.set(drivername="sqlite"), connect_args={"timeout": timeout_s}, pool_size=1)
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, timeout_s))
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    if kind == "postgresql":
        milliseconds = int(timeout_s * 1000)
        arguments: dict[str, Any] = {
            "connect_timeout": max(2, round(timeout_s)),  # libpq takes whole seconds, two at least
            "tcp_user_timeout": milliseconds,  # a peer that is gone without a word
            "application_name": APPLICATION,
            "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
        }
        engine = sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args=arguments,
            pool_size=1,
            max_overflow=0,
            pool_timeout=timeout_s,
            pool_pre_ping=True,
        )
        # The server's own time-outs end what it works on too long; a server that is silent does not end anything.
        silent_s = SILENT_AFTER_TIMEOUTS * timeout_s
        sa.event.listen(engine, "do_connect", lambda *call: connect_bounded(silent_s, *call[2:]))
        return engine
    shown = parsed.render_as_string(hide_password=True)
    raise DatabaseUrlInvalid(url=shown, why="neither PostgreSQL nor a file of SQLite")


def _prepare_sqlite(timeout_s: float, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver would not begin before the first write
    cursor = connection.cursor()
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")  # readers do not hold up the writer
            break
        except sqlite3.OperationalError:  # many start at once on a new file: for this lock the driver does not wait
            if time.monotonic() > deadline_s:
                raise
            time.sleep(LOCK_PAUSE_S)
    cursor.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes is read from the log again
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql(connection.info.get("begin", "BEGIN"))


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # Only the driver's own words: SQLAlchemy's name the statement and its values.
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise DatabaseUnavailableError(why=" ".join(str(cause).split()) or type(cause).__name__) from error
