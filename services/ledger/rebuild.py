"""`maskline ledger rebuild`: empties the ledger and makes it again from the topic `events`.

Emptied it is in one small transaction, and filled in one for each batch, so neither memory nor a transaction grows with
the log. One that was interrupted goes on where it was: the watermarks say how far it came and how far it had to come.
It may run beside a ledger: the two share the work, for each batch is written by whoever moves the watermark first.
Reports and `verify` see a ledger that is behind until it is done.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from services.ledger.follower import Follower
from services.sql.database import Database
from services.sql.errors import DatabaseUnavailableError
from services.sql.schema import migrate
from services.sql.tables import Watermark
from services.sql.watermarks import begin_anew, read_watermarks

OnProgress = Callable[[int, int, int], None]
"""Takes partition, records done, and how many there were when it began."""
TRIES_IN_VAIN: Final = 20
PAUSE_S: Final = 0.2


@dataclass(frozen=True)
class Begun:
    """How a rebuild begins: `done` is 0 unless it goes on with one that was interrupted. Records of all partitions."""

    is_resumed: bool
    done: int
    end: int


class Rebuild:
    """First `begin`, then `run`."""

    def __init__(self, follower: Follower, database: Database) -> None:
        self._follower = follower
        self._database = database

    async def begin(self, *, anew: bool = False) -> Begun:
        """Empty the ledger, unless a rebuild of this log was interrupted; `anew` empties it in any case.

        Nothing is emptied before the log has answered. Raises DatabaseUnavailableError, SchemaTooNewError, StreamError.
        """
        await self._database.call(migrate, writes=True)
        fresh = await self._follower.beginnings()
        known = await self._database.call(read_watermarks)
        is_resumed = not anew and _was_interrupted(known, fresh)
        if not is_resumed:
            await self._database.call(partial(begin_anew, marks=fresh.values()), writes=True)
            known = fresh
        end = sum(mark.rebuild_end for mark in known.values())
        return Begun(is_resumed, sum(min(mark.next_record, mark.rebuild_end) for mark in known.values()), end)

    async def run(self, on_progress: OnProgress) -> dict[int, str]:
        """What keeps a partition from being whole. Raises as `begin`."""
        follower = self._follower
        await follower.begin()
        left = TRIES_IN_VAIN
        while any(mark.next_record < mark.rebuild_end for mark in follower.watermarks.values()):
            try:
                left = TRIES_IN_VAIN if await follower.step() else left - 1
            except DatabaseUnavailableError:  # a ledger that runs beside us was faster: go on where it stands
                left -= 1
                if not left:
                    raise
                await asyncio.sleep(PAUSE_S)
                await follower.begin()
            if not left:
                raise DatabaseUnavailableError(why="the topic of events does not give all that it has")
            for partition, mark in follower.watermarks.items():
                on_progress(partition, min(mark.next_record, mark.rebuild_end), mark.rebuild_end)
        return {partition: str(error) for partition, error in follower.stopped.items()}


def _was_interrupted(known: Mapping[int, Watermark], fresh: Mapping[int, Watermark]) -> bool:
    """Whether a rebuild of the same log has more to do, and nothing of the topic was cut since."""
    is_same = known.keys() == fresh.keys() and all(
        mark.log == now.log and max(mark.next_record, mark.rebuild_end) <= now.rebuild_end
        for mark, now in ((mark, fresh[partition]) for partition, mark in known.items())
    )
    return is_same and any(mark.next_record < mark.rebuild_end for mark in known.values())
