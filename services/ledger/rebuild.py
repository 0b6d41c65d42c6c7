"""`maskline ledger rebuild`: empties the ledger and makes it again from the topic `events`.

It may run beside a ledger: the two share the work, for each batch is written by whoever moves the watermark first.
Reports and `verify` see a ledger that is behind until it is done.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from services.ledger.follower import Follower
from services.sql.database import Database
from services.sql.errors import DatabaseUnavailableError
from services.sql.schema import migrate
from services.sql.watermarks import forget

OnProgress = Callable[[int, int, int], None]
"""Takes partition, records done, and how many there were when it began."""
TRIES_IN_VAIN: Final = 20
PAUSE_S: Final = 0.2


async def rebuild(follower: Follower, database: Database, partitions: int, on_progress: OnProgress) -> dict[int, str]:
    """What keeps a partition from being whole. Raises DatabaseUnavailableError, SchemaTooNewError, StreamError."""
    await database.call(migrate, writes=True)
    for partition in range(partitions):
        await database.call(partial(forget, partition=partition), writes=True)
    await follower.begin()
    ends = dict(follower.ends)
    left = TRIES_IN_VAIN
    while any(mark.next_record < ends[partition] for partition, mark in follower.watermarks.items()):
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
            on_progress(partition, min(mark.next_record, ends[partition]), ends[partition])
    return {partition: str(error) for partition, error in follower.stopped.items()}
