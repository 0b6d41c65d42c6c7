"""People who come evenly, for as long as a story lasts, and a line a second about what they get.

Each is a resident of `loadtests.surge`: who hears 503 comes back, who hears nothing sends the same again with the same
key, who has a 202 asks until it is decided.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec

from loadtests.http_client import NoAnswer
from loadtests.residents import Resident, residents
from loadtests.surge import FINAL, Requests, Surge, SurgeSettings
from loadtests.tally import Tally, percentile_ms
from services.domain.campaign import Campaign

MOST_AT_ONCE: Final = 50
LOOK_AGAIN_S: Final = 0.1
SILENCE_LOOK_S: Final = 0.1
AS_EVER: Final = 90
"""Per cent of requests accepted in a second: from then on a front door counts as back."""


class Wish(NamedTuple):
    """Who asked, and under which keys they may have."""

    person: Resident
    keys: tuple[str, ...]


class Second(NamedTuple):
    """What people got in one second."""

    phase: str
    accepted: int
    shed: int
    unanswered: int


class Back(NamedTuple):
    """How long it took, from a mending to the end of the first second in which people were served; None: never."""

    accepted_s: float | None = None
    """Requests were accepted as ever."""
    decided_s: float | None = None
    """Somebody heard a decision."""


class Crowd:
    """`rate_per_s` new people a second from `begin` to `end`; no more than the settings have residents."""

    def __init__(
        self,
        client: Requests,
        campaign: Campaign,
        rate_per_s: float,
        settings: SurgeSettings,
        tally: Tally | None = None,
    ) -> None:
        self.phase = "warm-up"
        self.steps_back: Counter[str] = Counter()
        """What somebody heard, and heard otherwise later."""
        self.seconds: list[Second] = []
        self.longest_unaccepted_s = 0.0
        """The longest time without a 202 from the fault until nobody comes any more."""
        self.longest_undecided_s = 0.0
        """The same without a decision."""
        self.back: list[Back] = []
        """After each mending."""
        self._chance = random.Random(settings.seed)
        self._rate_per_s = rate_per_s
        self._client = client
        self._tries = 1 + settings.tries_elsewhere
        self._surge = Surge(client, campaign.campaign, [slot.id for slot in campaign.slots], settings, tally)
        self._people: Iterator[Resident] = residents(settings.residents, settings.seed)
        self._visits: list[asyncio.Task[None]] = []
        self._came: list[Resident] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._began_s = 0.0
        self._healed_s: float | None = None

    @property
    def tally(self) -> Tally:
        """What they heard."""
        return self._surge.tally

    @property
    def late_s(self) -> float:
        """How far this program is behind: the next one should have come so long ago."""
        return asyncio.get_running_loop().time() - self._began_s - len(self._came) / self._rate_per_s

    def wishes(self) -> list[Wish]:
        """Everything that may have been asked."""
        return [
            Wish(person, tuple(f"surge-{number}-{attempt}" for attempt in range(self._tries)))
            for number, person in enumerate(self._came)
        ]

    def begin(self) -> None:
        """They begin to come."""
        self._began_s = asyncio.get_running_loop().time()
        works = (self._come(), self._surge.look_at_stock(), self._tell(), self._look_again(), self._time_silence())
        self._tasks = [asyncio.create_task(work) for work in works]

    def healed(self) -> None:
        """What was broken is mended."""
        self.phase = "heal"
        self._healed_s = asyncio.get_running_loop().time()
        self.back.append(Back())

    async def served_again(self, within_s: float) -> None:
        """Until people are served as before what was mended last, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while None in self.back[-1]:
                    await asyncio.sleep(SILENCE_LOOK_S)

    async def end(self) -> None:
        """Nobody comes any more; those who are there stay until they have heard, or give up."""
        self._tasks[0].cancel()
        self.phase = "drain"
        await asyncio.gather(*self._visits)

    async def close(self) -> None:
        """No more lines."""
        for task in [*self._tasks, *self._visits]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._visits, return_exceptions=True)

    async def _come(self) -> None:
        loop = asyncio.get_running_loop()
        for number, person in enumerate(self._people):
            comes_s = self._began_s + number / self._rate_per_s
            if (early_s := comes_s - loop.time()) > 0 or number % MOST_AT_ONCE == 0:
                await asyncio.sleep(early_s)  # who is late does not wait for one round of a busy loop each
            self._came.append(person)
            self._visits.append(asyncio.create_task(self._surge.visit(number, person, comes_s)))

    async def _look_again(self) -> None:
        """Some who have heard look again: what they were told once must not be told otherwise, nor be gone."""
        known: list[str] = []
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            known += itertools.islice(self.tally.reservations, len(known), None)
            if not known:
                continue
            id_ = self._chance.choice(known)
            heard = self.tally.reservations[id_]
            if heard.state not in FINAL:
                continue
            try:
                answer = await self._client.request("GET", f"/v1/reservations/{id_}")
            except NoAnswer:
                continue
            if answer.status == 200:
                told = str(msgspec.json.decode(answer.body)["state"])
            else:
                told = "" if answer.status in (502, 503) else f"status {answer.status}"
            if told not in ("", heard.state):
                self.steps_back[f"{heard.state}, then {told}"] += 1

    async def _time_silence(self) -> None:
        """How long nothing came, to a tenth of a second; a mending that needs nobody has no moment to count from."""
        loop = asyncio.get_running_loop()
        accepted = decided = 0
        accepted_at_s = decided_at_s = loop.time()
        while True:
            await asyncio.sleep(SILENCE_LOOK_S)
            now_s = loop.time()
            if self.tally.accepted > accepted:
                accepted, accepted_at_s = self.tally.accepted, now_s
            if len(self.tally.latencies_s) > decided:
                decided, decided_at_s = len(self.tally.latencies_s), now_s
            if self.phase in ("fault", "heal"):
                self.longest_unaccepted_s = max(self.longest_unaccepted_s, now_s - accepted_at_s)
                self.longest_undecided_s = max(self.longest_undecided_s, now_s - decided_at_s)

    async def _tell(self) -> None:
        """Availability: of the requests of this second, the part that got what it asked for, soon."""
        tally = self.tally
        loop = asyncio.get_running_loop()
        before = (0, 0, 0, 0, 0)
        second = 0
        while True:
            second += 1
            await asyncio.sleep(self._began_s + second - loop.time())
            decided = len(tally.latencies_s)
            now = (tally.arrived, tally.accepted, decided, tally.shed, tally.unanswered)
            came, accepted, heard, shed, unanswered = (a - b for a, b in zip(now, before, strict=True))
            p99_ms = percentile_ms(tally.latencies_s[before[2] :], 0.99)
            waiting = tally.arrived - tally.gone
            refused = shed + unanswered
            available = 100 * accepted // (accepted + refused) if accepted + refused else 100
            before = now
            self.seconds.append(Second(self.phase, accepted, shed, unanswered))
            if self._healed_s is not None and self.phase != "fault":
                after_s, back = loop.time() - self._healed_s, self.back[-1]
                if back.accepted_s is None and accepted and available >= AS_EVER:
                    back = back._replace(accepted_s=after_s)
                if back.decided_s is None and heard:
                    back = back._replace(decided_s=after_s)
                self.back[-1] = back
            print(
                f"{second:4d} s {self.phase:8s} came {came:4d}  202 {accepted:4d}  decided {heard:4d}  503 {shed:4d}  "
                f"no answer {unanswered:4d}  waiting {waiting:5d}  p99 {p99_ms:7.0f} ms  accepting {available:3d} %",
                flush=True,
            )
