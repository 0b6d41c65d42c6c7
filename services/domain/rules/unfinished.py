"""Unfinished work: what a record leaves to the next ones, each of which does a bounded piece of it, whoever's it is.

It is counted per record and never per batch, so batch cuts change nothing and no dead process can leave it undone. Each
kind of work has a queue of its own, and each record does a piece of each: however long a withdrawal takes, nobody waits
longer for a promotion, and the other way round.
"""

from typing import Any

from services.domain.rows import State, WorkRow

WAITING = "work"  # slots whose waiting lists are to be looked at
WITHDRAWALS = "withdrawals"  # slots that take places back


def add(state: State, queue: str, entry: Any) -> None:
    """Somebody has to see to this."""
    work = state.get(queue) or WorkRow()
    state.put(f"{queue}:{work.next}", entry)
    work.next += 1
    state.put(queue, work)


def first(state: State, queue: str) -> Any:
    """The entry whose turn it is, or None."""
    work = state.get(queue)
    return None if work is None else state.get(f"{queue}:{work.first}")


def put_first(state: State, queue: str, entry: Any) -> None:
    """It has come farther, and is not done."""
    state.put(f"{queue}:{state.get(queue).first}", entry)


def drop_first(state: State, queue: str) -> None:
    """It is done."""
    work = state.get(queue)
    state.remove(f"{queue}:{work.first}")
    work.first += 1
    state.put(queue, work)
