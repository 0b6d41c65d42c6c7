"""Looking something up so that "it is not there" is true: at a position that has passed all that was written before."""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.domain.reasons import DoorReason
from services.front_door.log_end import LogEnds
from services.platform.problems import Problem
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import Reading, StateReader
from services.stream.errors import StreamError

FOLDED_WITHIN_S: Final = 1.0
"""How long the fold is waited for, until it has passed the log's end as of the question."""
LOOK_AGAIN_S: Final = 0.02


class LookUp:
    """Reads rows of a partition, and waits for what is not folded yet."""

    def __init__(self, reader: StateReader, log_ends: LogEnds) -> None:
        self._reader = reader
        self._log_ends = log_ends

    async def now(self, partition: int, keys: Sequence[str]) -> Reading:
        """The rows as they are. Raises Problem 503."""
        try:
            return await self._reader.read(partition, keys)
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error

    async def surely(self, partition: int, keys: Sequence[str]) -> Reading:
        """The rows as soon as the first of them is there, or once the fold has passed the log's end as of this call.

        Raises Problem 503 where neither comes within FOLDED_WITHIN_S.
        """
        try:
            async with asyncio.timeout(FOLDED_WITHIN_S):
                end = await self._log_ends.end(partition)
                while True:
                    reading = await self.now(partition, keys)
                    if reading.rows[0] is not None or reading.head.position >= end:
                        return reading
                    await asyncio.sleep(LOOK_AGAIN_S)
        except (TimeoutError, StreamError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error
