"""One kill after the other under an even stream of bookings: how long until those who come after it are served."""

import asyncio
import gc
from bisect import bisect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from tests.chaos.city import tell
from tests.chaos.crowd import Crowd
from tests.chaos.kept_tier import KeptTier
from tests.chaos.timed_tally import Moment, TimedTally, now_s

LOOK_S: Final = 0.02
SERVED_TIMEOUT_S: Final = 30.0
CALM_TIMEOUT_S: Final = 20.0
CALM_S: Final = 1.0
"""Of undisturbed bookings before each kill: what is measured then is the rate."""
LATE_S: Final = 1.0
"""A program that is so late with sending people cannot say when they are served."""
BACKLOG_S: Final = 0.5
"""Calm is where no more people wait than come in that time."""


Find = Callable[[KeptTier], Awaitable[str]]
"""Which process it is just now."""


class Blow(NamedTuple):
    """What is killed, and within how many seconds bookings flow again: no silence may be longer until the next kill."""

    what: str
    find: Find
    within_s: float


@dataclass
class Felt:
    """What people noticed of one kill; seconds count from it."""

    blow: Blow
    name: str
    killed_s: float
    """By the loop's clock."""
    accepted_s: float
    """Until somebody who came after it had a 202."""
    decided_s: float
    """Until somebody who came after it had a decision."""
    whole_s: float = 0.0
    """Until everything ran again, with all its copies."""
    silent_s: float = 0.0
    """The longest time until the next kill in which nobody heard a decision."""
    shed: int = 0
    unanswered: int = 0

    @property
    def stood_s(self) -> float:
        """How long bookings did not flow."""
        return max(self.decided_s, self.silent_s)

    def __str__(self) -> str:
        who = f"{self.blow.what:28s} {self.name:14s}"
        when = f"{self.accepted_s:6.2f} {self.decided_s:7.2f} {self.blow.within_s:6.1f}"
        return f"{who} {when} {self.silent_s:7.2f} {self.whole_s:6.1f} {self.shed:6d} {self.unanswered:6d}"


HEADINGS: Final = (
    f"{'kill -9 of':28s} {'':14s} {'202':>6s} {'decided':>7s} {'bound':>6s} {'silence':>7s} {'whole':>6s}"
    f" {'503':>6s} {'504':>6s}"
)


@dataclass
class Calm:
    """Bookings while nothing was broken."""

    seconds: float = 0.0
    came: int = 0
    decided: int = 0

    @property
    def came_per_s(self) -> float:
        return self.came / self.seconds if self.seconds else 0.0

    @property
    def decided_per_s(self) -> float:
        return self.decided / self.seconds if self.seconds else 0.0


class NeverAgain(AssertionError):
    """Nobody was served any more."""


class Void(AssertionError):
    """The machine did not do what it should have been measured at."""


class Blows:
    """Kills, one after the other, each in calm. One whose time is too long is tried again at the end, once."""

    def __init__(self, tier: KeptTier, crowd: Crowd, tally: TimedTally, rate_per_s: float) -> None:
        self.felt: list[Felt] = []
        self.calm = Calm()
        self.void = ""
        """Why the times say nothing; what was lost or doubled says as much as ever."""
        self._tier = tier
        self._crowd = crowd
        self._tally = tally
        self._backlog = rate_per_s * BACKLOG_S

    async def strike(self, blows: Sequence[Blow]) -> None:
        """All of them. Raises Void, NeverAgain, TimeoutError where something stays away."""
        for blow in blows:
            await self._strike(blow)
        await self._be_calm()
        for felt in [] if self.void else self.too_long():  # somebody else may have kept the machine busy
            await self._strike(felt.blow)
            await self._be_calm()

    def too_long(self) -> list[Felt]:
        """What was over its bound each time."""
        best: dict[Blow, Felt] = {}
        for felt in self.felt:
            if felt.blow not in best or felt.stood_s < best[felt.blow].stood_s:
                best[felt.blow] = felt
        return [felt for felt in best.values() if felt.stood_s > felt.blow.within_s]

    def table(self) -> list[str]:
        """What was felt of each kill, and what was reached between them."""
        calm = self.calm
        reached = f"in calm {calm.came_per_s:.0f} a second came, and {calm.decided_per_s:.0f} were decided"
        return [HEADINGS, *map(str, self.felt), reached, *([f"VOID: {self.void}"] if self.void else [])]

    async def _strike(self, blow: Blow) -> None:
        """One kill, until everything is as it was."""
        tier, tally = self._tier, self._tally
        names = set(tier.processes())
        await self._be_calm()
        name = await blow.find(tier)
        shed, unanswered = tally.shed, tally.unanswered
        tell(f"kill -9 of {name}: {blow.what}")
        self._crowd.phase = blow.what[:8]
        killed_s = now_s()
        tier.kill(name)
        accepted_s = await self._first(tally.accepted_at, killed_s)
        decided_s = await self._first(tally.decided_at, killed_s)
        felt = Felt(blow, name, killed_s, accepted_s, decided_s)
        self.felt.append(felt)
        await tier.whole(names, name)
        felt.whole_s = now_s() - killed_s
        self._crowd.phase = "calm"
        felt.shed, felt.unanswered = tally.shed - shed, tally.unanswered - unanswered

    async def _be_calm(self) -> None:
        """Until nobody waits who should not, and then for a while; a machine that does not come to rest is noted."""
        tally, gives_up_s = self._tally, now_s() + CALM_TIMEOUT_S
        while tally.arrived - tally.gone > self._backlog or self._crowd.late_s > LATE_S:
            if now_s() > gives_up_s:
                self.void = f"the machine did not come to rest within {CALM_TIMEOUT_S:g} s: {self._state()}"
                break
            await asyncio.sleep(LOOK_S)
        began_s, came, decided = now_s(), tally.arrived, len(tally.decided_at)
        await asyncio.sleep(CALM_S)
        self.calm.seconds += now_s() - began_s
        self.calm.came += tally.arrived - came
        self.calm.decided += len(tally.decided_at) - decided
        if self.felt:
            self.felt[-1].silent_s = _longest_silence(tally.decided_at, self.felt[-1].killed_s)

    async def _first(self, moments: list[Moment], since_s: float) -> float:
        """Seconds until one who came since then heard. Raises NeverAgain, Void."""
        looked = bisect(moments, since_s, key=lambda each: each.heard_s)
        while now_s() < since_s + SERVED_TIMEOUT_S:
            while looked < len(moments):
                if moments[looked].came_s >= since_s:
                    return moments[looked].heard_s - since_s
                looked += 1
            await asyncio.sleep(LOOK_S)
        kind = Void if self._crowd.late_s > LATE_S else NeverAgain
        raise kind(f"nobody who came after the kill was served for {SERVED_TIMEOUT_S:g} s: {self._state()}")

    def _state(self) -> str:
        waiting = self._tally.arrived - self._tally.gone
        return f"{waiting} people wait, and the next ones come {self._crowd.late_s:.1f} s late"


@contextmanager
def collected_seldom() -> Iterator[None]:
    """No full collection: over the people of a story it took half a second, in which nobody came and nobody heard."""
    often = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(often[0], often[1], 1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(*often)
        gc.unfreeze()


def _longest_silence(moments: list[Moment], since_s: float) -> float:
    first = bisect(moments, since_s, key=lambda each: each.heard_s)
    heard = [since_s, *(each.heard_s for each in moments[first:]), now_s()]
    return max(after - before for before, after in pairwise(heard))


def named(name: str) -> Find:
    """Always this one."""

    async def find(_: KeptTier) -> str:
        return name

    return find
