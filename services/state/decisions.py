"""Waiting for decisions: the answer to a request is the decision at its own place in the log.

While somebody waits, one task per partition reads the position and the recorded decisions that may be there, and hands
every one to whoever waits for its offset. Nobody waiting costs nothing.
"""

import asyncio
from collections import deque
from typing import Final

from services.domain.limits import DECISIONS_PER_CHUNK
from services.domain.rows import Facts
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.keys import decisions_chunk, facts_in
from services.state.readers import StateReader

POLL_INTERVAL_S = 0.002
CHUNKS_PER_READ = 32
MAX_WAITING = 20_000


class DecisionGoneError(Exception):
    """The place is decided, and its recorded decision was readable for its time and is gone: ask the reservation."""


class DecisionWaiter:
    """Hands out decisions as they are made."""

    def __init__(self, reader: StateReader, *, poll_interval_s: float = POLL_INTERVAL_S) -> None:
        self._reader: Final = reader
        self._poll_interval_s: Final = poll_interval_s
        self._waiting: dict[int, dict[int, list[asyncio.Future[Facts]]]] = {}
        self._watchers: dict[int, asyncio.Task[None]] = {}
        self._count = 0

    async def decision(self, partition: int, offset: int, timeout_s: float) -> Facts | None:
        """The facts at a place; None when they were not there within `timeout_s`.

        Raises DecisionGoneError, CatchingUpError or StateUnavailableError.
        """
        if self._count >= MAX_WAITING:
            raise StateUnavailableError(what=f"{MAX_WAITING} are waiting for decisions already")
        answer: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        offsets = self._waiting.setdefault(partition, {})
        offsets.setdefault(offset, []).append(answer)
        self._count += 1
        if partition not in self._watchers:
            self._watchers[partition] = asyncio.create_task(self._watch(partition), name=f"decisions-{partition}")
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            return None
        finally:
            self._count -= 1
            waiting = offsets.get(offset)
            if waiting is not None and answer in waiting:
                waiting.remove(answer)
                if not waiting:
                    del offsets[offset]

    async def _watch(self, partition: int) -> None:
        offsets = self._waiting[partition]
        try:
            while offsets:
                if not await self._look(partition, offsets):
                    await asyncio.sleep(self._poll_interval_s)
        finally:
            del self._watchers[partition]

    async def _look(self, partition: int, offsets: dict[int, list[asyncio.Future[Facts]]]) -> bool:
        """One read; whether anybody got an answer."""
        due = deque(sorted(offsets))
        chunks: dict[str, list[int]] = {}
        while due and len(chunks) < CHUNKS_PER_READ:
            offset = due.popleft()
            chunks.setdefault(decisions_chunk(offset), []).append(offset)
        try:
            head, rows = await self._reader.read(partition, list(chunks))
        except (CatchingUpError, StateUnavailableError) as error:
            self._tell_all(offsets, error)
            return True
        answered = False
        for chunk, wanted in zip(rows, chunks.values(), strict=True):
            for offset in wanted:
                if offset < head.position:
                    answered = True
                    self._tell(offsets.pop(offset, []), chunk, offset)
        return answered

    @staticmethod
    def _tell(answers: list[asyncio.Future[Facts]], chunk: list[Facts] | None, offset: int) -> None:
        facts = facts_in(chunk, offset)
        for answer in answers:
            if answer.done():
                continue
            if facts is None:
                answer.set_exception(DecisionGoneError(offset))
            else:
                answer.set_result(facts)

    @staticmethod
    def _tell_all(offsets: dict[int, list[asyncio.Future[Facts]]], error: Exception) -> None:
        for offset in list(offsets):
            for answer in offsets.pop(offset):
                if not answer.done():
                    answer.set_exception(error)


assert CHUNKS_PER_READ * DECISIONS_PER_CHUNK >= 1_000  # noqa: S101 -- one read can answer a full batch
