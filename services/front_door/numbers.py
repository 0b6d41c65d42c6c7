"""Numbers for those who come to a waiting room after the opening, in the order of their arrival.

All who come while a lease is on its way into the log share the next one, of exactly as many numbers: no process keeps
numbers that somebody who comes later could get, and none are left over.
"""

import asyncio
from collections import deque
from typing import Final

from services.domain.commands import LeaseNumbers
from services.domain.reasons import DoorReason
from services.domain.rules.answers import Fact
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.decisions import DecisionGoneError
from services.state.door import Door
from services.state.errors import CatchingUpError, StateUnavailableError

MAX_LEASED: Final = 10_000
"""Numbers in one lease: what the command takes."""
MAX_WAITING: Final = 20_000
"""People of a round who wait for a number; more hear 503."""
DECIDED_WITHIN_S: Final = 2.0

Round = tuple[str, int]
"""Name of the campaign, round of its waiting room."""


class Numbers:
    """Leases them. What a lease that nobody heard of has taken is nobody's: places behind it do not change."""

    def __init__(self, door: Door) -> None:
        self._door: Final = door
        self._waiting: dict[Round, deque[asyncio.Future[int]]] = {}
        self._leasing: dict[Round, asyncio.Task[None]] = {}

    async def next(self, view: CampaignView, round_: int) -> int:
        """A number of one's own. Raises Problem 503, 504: then there is none, and one may ask again."""
        of = (view.name, round_)
        waiting = self._waiting.setdefault(of, deque())
        if len(waiting) >= MAX_WAITING:
            raise Problem(DoorReason.OVERLOADED)
        number: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiting.append(number)
        if of not in self._leasing:
            name = f"lease-numbers-{view.name}"
            self._leasing[of] = asyncio.create_task(self._lease_all(of, view.partition, waiting), name=name)
        return await number

    async def _lease_all(self, of: Round, partition: int, waiting: deque[asyncio.Future[int]]) -> None:
        try:
            while waiting:
                served = [waiting.popleft() for _ in range(min(len(waiting), MAX_LEASED))]
                try:
                    first = await self._lease(of, partition, len(served))
                except Problem as problem:
                    _refuse([*served, *waiting], problem)
                    waiting.clear()
                else:
                    for number, future in enumerate(served, first):
                        if not future.done():
                            future.set_result(number)
        finally:
            del self._leasing[of], self._waiting[of]

    async def _lease(self, of: Round, partition: int, size: int) -> int:
        """The first of so many."""
        campaign, round_ = of
        place = await self._door.write(partition, LeaseNumbers(campaign=campaign, round=round_, size=size))
        try:
            facts = await self._door.decided(place, DECIDED_WITHIN_S)
        except (DecisionGoneError, CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error
        if facts is None or facts[0][0] != Fact.NUMBERS_LEASED:  # late, or the round was another one by then
            raise Problem(DoorReason.CATCHING_UP)
        return int(facts[0][1])


def _refuse(futures: list[asyncio.Future[int]], problem: Problem) -> None:
    for future in futures:
        if not future.done():
            refusal = Problem(problem.reason)
            refusal.__cause__ = problem
            future.set_exception(refusal)
