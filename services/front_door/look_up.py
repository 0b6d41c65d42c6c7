"""Looking something up so that "it is not there" is true: at a position that has passed all that was written before.

All who ask in one tick share one look at the log's end and one read: what a look-up costs does not grow with the rush.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from services.domain.reasons import DoorReason
from services.front_door.log_end import LogEnds
from services.platform.problems import Problem
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import MAX_KEYS_PER_READ, Reading, StateReader
from services.stream.errors import StreamError

TICK_S: Final = 0.005
"""How long a question waits for others to go with it."""
FOLDED_WITHIN_S: Final = 1.0
"""How long the fold is waited for, until it has passed the log's end as of the question."""
LOOK_AGAIN_S: Final = 0.02


class _Question(NamedTuple):
    keys: Sequence[str]
    answer: asyncio.Future[Reading]


class LookUp:
    """Reads rows of a partition, and waits for what is not folded yet."""

    def __init__(self, reader: StateReader, log_ends: LogEnds) -> None:
        self._reader = reader
        self._log_ends = log_ends
        self._asked: dict[int, list[_Question]] = {}
        self._looks: set[asyncio.Task[None]] = set()

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
        answer: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        asked = self._asked.get(partition)
        if asked is None:
            asked = self._asked[partition] = []
            look = asyncio.create_task(self._look(partition, asked), name=f"look-up-{partition}")
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)
        asked.append(_Question(keys, answer))
        return await answer

    async def _look(self, partition: int, asked: list[_Question]) -> None:
        """Answer all who ask within a tick. Each tick has a look of its own: none waits for a fold that is late."""
        await asyncio.sleep(TICK_S)
        del self._asked[partition]
        try:
            async with asyncio.timeout(FOLDED_WITHIN_S):
                end = await self._log_ends.end(partition)
                while asked := await self._unanswered(partition, asked, end):
                    await asyncio.sleep(LOOK_AGAIN_S)
        except (TimeoutError, StreamError, CatchingUpError, StateUnavailableError) as error:
            for question in asked:
                if not question.answer.done():
                    problem = Problem(DoorReason.CATCHING_UP)
                    problem.__cause__ = error
                    question.answer.set_exception(problem)

    async def _unanswered(self, partition: int, asked: Iterable[_Question], end: int) -> list[_Question]:
        """Those whose first row is not there, at a position before `end`; all others are answered."""
        left = []
        for part in _parts(asked):
            names = list(dict.fromkeys(key for question in part for key in question.keys))
            reading = await self._reader.read(partition, names)
            rows = dict(zip(names, reading.rows, strict=True))
            for question in part:
                if rows[question.keys[0]] is None and reading.head.position < end:
                    left.append(question)
                elif not question.answer.done():
                    question.answer.set_result(Reading(reading.head, [rows[key] for key in question.keys]))
        return left


def _parts(asked: Iterable[_Question]) -> Iterator[list[_Question]]:
    """Those whose rows go into one read together."""
    part: list[_Question] = []
    count = 0
    for question in asked:
        count += len(question.keys)
        if part and count > MAX_KEYS_PER_READ:
            yield part
            part, count = [], len(question.keys)
        part.append(question)
    if part:
        yield part
