"""One kill after the other under an even stream of bookings: how long until those who come after it are served."""

import asyncio
import gc
import time
from bisect import bisect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from loadtests.http_client import HttpClient, Response
from loadtests.tally import Heard, Tally
from tests.chaos.city import tell
from tests.chaos.crowd import Crowd
from tests.chaos.kept_tier import KeptTier

LOOK_S: Final = 0.02
SERVED_TIMEOUT_S: Final = 30.0
CALM_TIMEOUT_S: Final = 30.0
CALM_S: Final = 1.5
"""Of undisturbed bookings before each kill: what is measured then is the rate."""
LATE_S: Final = 1.0
"""A program that is so late with sending people cannot say when they are served."""
BACKLOG_S: Final = 0.5
"""Calm is where no more people wait than come in that time."""

NO_HEADERS: Final[Mapping[str, str]] = {}


class Moment(NamedTuple):
    """Somebody came, and heard."""

    came_s: float
    heard_s: float


@dataclass
class TimedTally(Tally):
    """Also when: of everybody who heard 202, and of everybody who heard a decision."""

    accepted_at: list[Moment] = field(default_factory=list)
    decided_at: list[Moment] = field(default_factory=list)

    def promised(self, reservation_id: str, heard: Heard, _latency_s: float) -> None:
        """Somebody has a 202 for a reservation."""
        super().promised(reservation_id, heard, _latency_s)
        self.accepted_at.append(_moment(_latency_s))

    def decided(self, reservation_id: str, heard: Heard, reason: str, latency_s: float) -> None:
        """Somebody heard the decision on a reservation."""
        super().decided(reservation_id, heard, reason, latency_s)
        self.decided_at.append(_moment(latency_s))


class Neighbourhoods:
    """People behind several addresses of loopback, in turn: nginx counts requests by address."""

    def __init__(self, url: str, addresses: int, *, max_connections: int, timeout_s: float) -> None:
        share = max_connections // addresses
        self._clients = [
            HttpClient(url, max_connections=share, timeout_s=timeout_s, comes_from=f"127.0.1.{number + 1}")
            for number in range(addresses)
        ]
        self._turn = 0

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS, timeout_s: float = 0.0
    ) -> Response:
        """The answer. Raises NoAnswer."""
        self._turn = (self._turn + 1) % len(self._clients)
        return await self._clients[self._turn].request(method, path, body, headers, timeout_s)

    def close(self) -> None:
        """Drop all connections."""
        for client in self._clients:
            client.close()


Find = Callable[[KeptTier], Awaitable[str]]
"""Which process it is just now."""


class Blow(NamedTuple):
    """What is killed, and within how many seconds a booking made afterwards has to be decided."""

    what: str
    find: Find
    within_s: float


@dataclass
class Felt:
    """What people noticed of one kill; seconds count from it."""

    blow: Blow
    name: str
    accepted_s: float
    """Until somebody who came after it had a 202."""
    decided_s: float
    """Until somebody who came after it had a decision."""
    whole_s: float = 0.0
    """Until everything ran again, with all its copies."""
    silent_s: float = 0.0
    """The longest time in which nobody heard a decision."""
    shed: int = 0
    unanswered: int = 0

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
        self._tier = tier
        self._crowd = crowd
        self._tally = tally
        self._backlog = rate_per_s * BACKLOG_S

    async def strike(self, blows: Sequence[Blow]) -> None:
        """All of them. Raises Void, NeverAgain, TimeoutError where something stays away."""
        for blow in blows:
            await self._strike(blow)
        for felt in self.too_long():  # somebody else may have kept the machine busy
            await self._strike(felt.blow)

    def too_long(self) -> list[Felt]:
        """What was over its bound each time."""
        best: dict[Blow, Felt] = {}
        for felt in self.felt:
            if felt.blow not in best or felt.decided_s < best[felt.blow].decided_s:
                best[felt.blow] = felt
        return [felt for felt in best.values() if felt.decided_s > felt.blow.within_s]

    async def _strike(self, blow: Blow) -> None:
        """One kill, until everything is as it was."""
        tier, tally = self._tier, self._tally
        names = set(tier.processes())
        await self._be_calm()
        name = await blow.find(tier)
        shed, unanswered = tally.shed, tally.unanswered
        tell(f"kill -9 of {name}: {blow.what}")
        self._crowd.phase = blow.what[:8]
        killed_s = time.monotonic()
        tier.kill(name)
        accepted_s = await self._first(tally.accepted_at, killed_s)
        decided_s = await self._first(tally.decided_at, killed_s)
        felt = Felt(blow, name, accepted_s, decided_s)
        self.felt.append(felt)
        await tier.whole(names, name)
        felt.whole_s = time.monotonic() - killed_s
        self._crowd.phase = "calm"
        felt.silent_s = _longest_silence(tally.decided_at, killed_s)
        felt.shed, felt.unanswered = tally.shed - shed, tally.unanswered - unanswered

    async def _be_calm(self) -> None:
        """Until nobody waits who should not, and then for a while. Raises Void."""
        tally, gives_up_s = self._tally, time.monotonic() + CALM_TIMEOUT_S
        while tally.arrived - tally.gone > self._backlog or self._crowd.late_s > LATE_S:
            if time.monotonic() > gives_up_s:
                raise Void(f"the machine did not come to rest within {CALM_TIMEOUT_S:g} s: {self._state()}")
            await asyncio.sleep(LOOK_S)
        began_s, came, decided = time.monotonic(), tally.arrived, len(tally.decided_at)
        await asyncio.sleep(CALM_S)
        self.calm.seconds += time.monotonic() - began_s
        self.calm.came += tally.arrived - came
        self.calm.decided += len(tally.decided_at) - decided


    async def _first(self, moments: list[Moment], since_s: float) -> float:
        """Seconds until one who came since then heard. Raises NeverAgain, Void."""
        looked = bisect(moments, since_s, key=lambda each: each.heard_s)
        while time.monotonic() < since_s + SERVED_TIMEOUT_S:
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
    heard = [since_s, *(each.heard_s for each in moments if each.heard_s >= since_s), time.monotonic()]
    return max(after - before for before, after in pairwise(heard))


def _moment(latency_s: float) -> Moment:
    now_s = time.monotonic()
    return Moment(now_s - latency_s, now_s)


def named(name: str) -> Find:
    """Always this one."""

    async def find(_: KeptTier) -> str:
        return name

    return find
