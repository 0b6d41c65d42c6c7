"""Rounds: the batches of many partitions are cut together, so that each is worth what it costs.

A batch costs every process on its way the same whatever stands in it: a third of a millisecond of CPU in all, as much
as two bookings (`make bench ONLY=cost_64_vs_1_partitions`). One busy partition writes large batches by itself: the next
fills while one is in flight. Where sixty-four are a little busy each, each has a batch in flight nearly always, and
hardly more than one command in it.
"""

import asyncio
from collections import deque
from typing import Final

MAX_BATCHES_PER_S: Final = 1_000.0


class Rounds:
    """Bounds how many batches a second a process cuts, and has those that wait begin together.

    With sixty-four busy partitions a round begins every 64 ms; one partition, a few, or an idle process hardly wait.
    """

    def __init__(self, batches_per_s: float = MAX_BATCHES_PER_S) -> None:
        self._batch_s: Final = 1 / batches_per_s
        self._began_s = 0.0
        self._cut = 0
        """Batches of the round that began last."""
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def turn(self) -> None:
        """Wait until the next batch may be cut."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            left_s = self._began_s + self._cut * self._batch_s - loop.time()
            if left_s <= 0:
                self._began_s, self._cut = loop.time(), 1
                return
            loop.call_later(left_s, self._begin, loop)
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, deque()
        here = [turn for turn in waiting if not turn.done()]  # who waited may have been cancelled
        self._began_s, self._cut = loop.time(), len(here)
        for turn in here:
            turn.set_result(None)
