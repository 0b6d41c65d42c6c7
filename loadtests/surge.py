"""The opening: residents who all want masks at once, and behave as people do.

Everybody comes within a few seconds and books; the popular pharmacies are wanted most (Zipf). Who hears 503 comes back
after the time that was told, who hears nothing sends the same again with the same key, and whose slot was full looks at
the stock and tries elsewhere. Latency counts from the moment somebody wanted to book, all repeats included.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Protocol

import msgspec
from msgspec import Meta

from loadtests.http_client import NoAnswer, Response
from loadtests.residents import Resident, residents
from loadtests.tally import Heard, Tally
from services.platform.settings import Settings

UNITS_ASKED: Final = ((1, 10), (2, 15), (3, 15), (4, 10), (5, 50))
"""Units and how many of a hundred people ask for them: most take what they may."""
STOCK_LOOK_S: Final = 1.0
MAX_RETRY_AFTER_S: Final = 10.0
UNANSWERED_PAUSE_S: Final = 0.5
STATUS_WAIT_S: Final = 10
ANSWER_WITHIN_S: Final = 6.0
"""Beyond the time that a request asked to wait: a front door hears the log's silence after 4 s."""
FINAL: Final = frozenset({"confirmed", "rejected", "cancelled", "picked_up"})
DECIDED: Final = FINAL | {"waitlisted"}
"""Who stands on a waiting list has been answered, and goes home."""
BEFORE_THE_LOG: Final = frozenset({"sold_out", "not_open", "paused", "campaign_closed"})
"""Reasons that need no record, and so name no reservation."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Requests(Protocol):
    """`HttpClient`, or a stand-in of tests."""

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = ..., timeout_s: float = ...
    ) -> Response:
        """The answer. Raises NoAnswer."""


class SurgeSettings(Settings, frozen=True, kw_only=True):
    """How many come, and how."""

    residents: Annotated[int, Meta(description="People who want masks.", ge=1)] = 3_000
    arrive_within_s: Annotated[float, Meta(description="Seconds within which all of them come.", ge=0)] = 3.0
    zipf_exponent: Annotated[
        float, Meta(description="How much more the popular slots are wanted; 0: all alike.", ge=0)
    ] = 1.0
    tries_elsewhere: Annotated[int, Meta(description="Other slots somebody tries when one is full.", ge=0)] = 2
    wait_s: Annotated[int, Meta(description="Seconds a request waits for its decision.", ge=0, le=30)] = 10
    give_up_after_s: Annotated[float, Meta(description="Seconds after which somebody stops trying.", gt=0)] = 60.0
    seed: Annotated[int, Meta(description="The same people and wishes for the same seed.")] = 1


class Surge:
    """One opening, on one campaign with these slots. `tally` may be watched while it runs."""

    def __init__(
        self,
        client: Requests,
        campaign: str,
        slots: Sequence[str],
        settings: SurgeSettings,
        tally: Tally | None = None,
    ) -> None:
        self.tally = tally or Tally()
        self.bands: Counter[str] = Counter()
        """How many slots have plenty, some, few, none: the public stock as of the last look."""
        self._client = client
        self._campaign = campaign
        self._settings = settings
        self._chance = random.Random(settings.seed)
        self._slots = self._chance.sample(list(slots), len(slots))  # which of them are popular
        self._popularity = list(
            itertools.accumulate((rank + 1) ** -settings.zipf_exponent for rank in range(len(slots)))
        )
        self._free = self._slots
        self._timeout_s = max(settings.wait_s, STATUS_WAIT_S) + ANSWER_WITHIN_S
        self._headers = {"Prefer": f"wait={settings.wait_s}"} if settings.wait_s else {}

    async def run(self) -> Tally:
        """Until everybody has heard, or has given up."""
        people = list(residents(self._settings.residents, self._settings.seed))
        loop = asyncio.get_running_loop()
        begins_s = loop.time()
        looking = asyncio.create_task(self.look_at_stock(), name="look-at-stock")
        try:
            async with asyncio.TaskGroup() as crowd:
                for number, person in enumerate(people):
                    arrives_s = begins_s + self._chance.random() * self._settings.arrive_within_s
                    crowd.create_task(self.visit(number, person, arrives_s))
        finally:
            looking.cancel()
        return self.tally

    async def visit(self, number: int, person: Resident, arrives_s: float) -> None:
        """One person, from arriving to leaving."""
        chance = random.Random(self._settings.seed * 1_000_003 + number)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(arrives_s - loop.time())
        self.tally.arrived += 1
        gives_up_s = arrives_s + self._settings.give_up_after_s
        (slot,) = chance.choices(self._slots, cum_weights=self._popularity)
        (units,) = chance.choices([units for units, _ in UNITS_ASKED], [share for _, share in UNITS_ASKED])
        wants_s = arrives_s
        for attempt in range(1 + self._settings.tries_elsewhere):
            wish = self._wish(person, slot, units)
            left = await self._book(
                wish, f"surge-{number}-{attempt}", Heard("pending", slot, units), wants_s, gives_up_s
            )
            others = [free for free in self._free if free != slot]
            if left is None or not others:
                break
            wants_s = loop.time()
            if 0 < left < units:
                units = left  # some are better than none
            else:
                slot = chance.choice(others)
        self.tally.gone += 1

    def _wish(self, person: Resident, slot: str, units: int) -> bytes:
        resident = {"document_type": person.document_type, "document_number": person.document_number}
        return _encode(
            {"campaign": self._campaign, "slot": slot, "units": units, "resident": resident, "phone": person.phone}
        )

    async def _book(self, wish: bytes, key: str, heard: Heard, wants_s: float, gives_up_s: float) -> int | None:
        """Until a decision is heard. The units left where the slot was full; None where there is nothing to try."""
        headers = {"Idempotency-Key": key, **self._headers}
        is_unknown = False
        loop = asyncio.get_running_loop()
        while loop.time() < gives_up_s:
            self.tally.sent += 1
            try:
                answer = await self._client.request("POST", "/v1/reservations", wish, headers, self._timeout_s)
            except NoAnswer:
                answer = None
            if answer is None or answer.status == 504:
                self.tally.unanswered += 1
                is_unknown = True
                await asyncio.sleep(UNANSWERED_PAUSE_S)
            elif answer.status == 503:
                self.tally.shed += 1
                await asyncio.sleep(_retry_after_s(answer))
            else:
                return await self._answered(answer, heard, wants_s, gives_up_s)
        self.tally.unknown += is_unknown
        return None

    async def _answered(self, answer: Response, heard: Heard, wants_s: float, gives_up_s: float) -> int | None:
        body: dict[str, Any] = _decode(answer.body)
        reservation_id = body.get("id")
        if reservation_id is None:
            reason = str(body.get("reason") or "")
            if answer.status == 409 and reason in BEFORE_THE_LOG:
                self.tally.refused_before_log[reason] += 1
            else:
                self.tally.unexpected[f"{answer.status} {reason}".strip()] += 1
            return None
        if answer.status == 202:
            self.tally.promised(reservation_id, heard, asyncio.get_running_loop().time() - wants_s)
            body = await self._wait_for_decision(body, gives_up_s)
        state = str(body.get("state", "rejected"))
        if state not in DECIDED:
            self.tally.unknown += 1
            return None
        heard.state = state
        reason = str(body.get("reason") or "")
        self.tally.decided(reservation_id, heard, reason, asyncio.get_running_loop().time() - wants_s)
        return int(body.get("left") or 0) if reason == "slot_full" else None

    async def _wait_for_decision(self, pending: dict[str, Any], gives_up_s: float) -> dict[str, Any]:
        """Ask at the reservation's place until it is decided, or the time is over."""
        body = pending
        path = f"{pending['status_url']}&wait={STATUS_WAIT_S}"
        loop = asyncio.get_running_loop()
        while body.get("state") not in DECIDED and loop.time() < gives_up_s:
            try:
                answer = await self._client.request("GET", path, timeout_s=self._timeout_s)
            except NoAnswer:
                await asyncio.sleep(UNANSWERED_PAUSE_S)
                continue
            if answer.status == 200:
                body = _decode(answer.body)
            else:
                await asyncio.sleep(_retry_after_s(answer))
        return body

    async def look_at_stock(self) -> None:
        """What everybody who tries elsewhere sees: the public stock, a second old."""
        path = f"/v1/campaigns/{self._campaign}/stock"
        while True:
            await asyncio.sleep(STOCK_LOOK_S)
            try:
                answer = await self._client.request("GET", path)
            except NoAnswer:
                continue
            if answer.status == 200:
                stock = _decode(answer.body)["slots"]
                self._free = [slot["slot"] for slot in stock if slot["band"] != "none"]
                self.bands = Counter(slot["band"] for slot in stock)


def _retry_after_s(answer: Response) -> float:
    """What the service asks for, and up to a half more: those refused together should not come back together."""
    told = answer.header("retry-after")
    seconds = min(float(told), MAX_RETRY_AFTER_S) if told and told.isdigit() else 1.0
    return seconds * (1 + random.random() / 2)
