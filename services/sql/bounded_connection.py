"""A connection to PostgreSQL on which nobody waits for ever.

libpq has time-outs for connecting and for what was sent and not acknowledged. A server that has taken a question and
then says nothing more (it is frozen, or the network is half-open) would be waited on for good, and the thread lost.
"""

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """Gives itself up where an answer takes too long: what it was asked may have been done or not."""

    silent_s: float = 0.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Raises psycopg.OperationalError, with the connection closed, after `silent_s` without the whole answer."""
        try:
            return super().wait(gen, interval, self.silent_s if timeout is None else timeout)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {self.silent_s:g} s") from error


def connect_bounded(silent_s: float, arguments: list[Any], named: dict[str, Any]) -> BoundedConnection:
    """As SQLAlchemy asks for one. Raises psycopg.OperationalError."""
    connection = BoundedConnection.connect(*arguments, **named)
    connection.silent_s = silent_s
    return connection
