"""Ten times as many as the log can take: what is accepted meanwhile, how soon, and whether anybody is let down.

The fault proxy holds the log at about 1,000 bookings a second. People come by open arrivals, each with one wish and one
try: whoever hears 503 goes, which is the hardest crowd to look good before.
"""

import asyncio
import gc
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from infra.applying import apply_campaign
from infra.console_client import ConsoleClient
from infra.fault_proxy.modes import Pass, Rate
from loadtests.arrivals import NO_ANSWER, Offered, offer
from loadtests.http_client import HttpClient, NoAnswer
from loadtests.proof import settled
from loadtests.shape import Shape
from services.domain.campaign import Campaign
from services.domain.commands import Reserve, decode
from services.platform.identities import Identities
from services.platform.secrets import SECRETS, Secrets
from services.stream.topics import COMMANDS
from tests.bench.figure import Figure, figure
from tests.bench.rush import rush
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.bench.wishes import Wish, wide_campaign, wishes
from tests.chaos.city import City, Plan
from tests.chaos.log_copy import records_of

HELD_PER_S: Final = 1_000
FIRST_TRY: Final = Rate(bytes_per_s=400_000)
TIMES: Final = 10
OVERLOAD_S: Final = 30.0
PEAK_CONNECTIONS: Final = 128
PEAK_BOOKINGS: Final = 8_000
CONNECTIONS: Final = 4_096
REQUEST_TIMEOUT_S: Final = 10.0
CALM_PER_S: Final = 500
"""Offered afterwards: half of what the log takes."""
CALM_S: Final = 6.0
NORMAL_SHARE: Final = 0.99
AT_DESKS_PER_S: Final = 20
BEFORE_S: Final = 10.0
COUNTER_CONNECTIONS: Final = 64
SEEN_WITHIN_S: Final = 10.0
LOOK_S: Final = 0.05


class VoidRun(AssertionError):
    """The generator could not do what it should have done."""


class Overload(NamedTuple):
    """What was measured in one run."""

    peak_per_s: float
    crowd: Offered
    ghosts: int
    lost: int
    normal_after_s: int | None
    """Of the calm; None: never."""
    counter_before: Offered
    counter_meanwhile: Offered


class OfferedWishes:
    """Wishes that are ready to be sent, each once; `accepted` are the ids that were told."""

    def __init__(self, client: HttpClient, ready_wishes: Sequence[Wish]) -> None:
        self._client = client
        self._wishes: Iterator[Wish] = iter(ready_wishes)
        self.accepted: list[str] = []

    async def visit(self, _number: int) -> int:
        wish = next(self._wishes)
        try:
            answer = await self._client.request("POST", "/v1/reservations", wish.body, wish.headers)
        except NoAnswer:
            return NO_ANSWER
        if answer.status == 202:
            self.accepted.append(msgspec.json.decode(answer.body)["id"])
        return answer.status


class _Desk:
    """A paired terminal that books for people who stand before it: like a pick-up, each waits for its decision."""

    def __init__(self, client: HttpClient, token: str, ready_wishes: Sequence[Wish]) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}
        self._wishes: Iterator[Wish] = iter(ready_wishes)

    async def visit(self, _number: int) -> int:
        wish = next(self._wishes)
        try:
            answer = await self._client.request("POST", "/v1/reservations", wish.body, self._headers | wish.headers)
        except NoAnswer:
            return NO_ANSWER
        return answer.status


def overload() -> list[Figure]:
    """The figures of API.md, on the embedded tier."""
    with tempfile.TemporaryDirectory(prefix="maskline-bench-") as folder:
        found = asyncio.run(_overload(Path(folder)))
    crowd = found.crowd
    if crowd.void_because:
        raise VoidRun(crowd.void_because)
    assert not found.lost, f"{found.lost} accepted bookings are not in the log"
    against = (
        f"{crowd.offered / OVERLOAD_S:,.0f}/s offered for {OVERLOAD_S:g} s to a log held at a peak of "
        f"{found.peak_per_s:,.0f}/s; heard: {in_words(crowd)}; normal after {found.normal_after_s} s; "
        f"generator late by {crowd.slip_ms(99):.1f} ms (p99)"
    )
    goodput = crowd.answers[202] / OVERLOAD_S / found.peak_per_s
    added_ms = found.counter_meanwhile.latency_ms(201, 99) - found.counter_before.latency_ms(201, 99)
    desk = (
        f"bookings at a desk until their decision, p99 {found.counter_before.latency_ms(201, 99):.1f} ms before; "
        f"heard: {in_words(found.counter_meanwhile)}"
    )
    return [
        figure("overload_goodput", [goodput], "1", against),
        figure("overload_p99_ms", [crowd.latency_ms(202, 99)], "ms", f"p50 {crowd.latency_ms(202, 50):.0f} ms"),
        figure("overload_ghosts", [found.ghosts], "1", "in the log, and the one who asked heard no 202"),
        figure("counter_p99_added_ms", [added_ms], "ms", desk),
    ]


def in_words(heard: Offered) -> str:
    """How many heard each status."""
    return ", ".join(f"{count:,} {status or 'nothing'}" for status, count in sorted(heard.answers.items()))


async def _overload(folder: Path) -> Overload:
    city = City(Plan(front_doors=1, partitions=1, through_proxies=True), folder)
    async with _running(city) as (client, desk):
        peak_per_s = await _hold(city, client)
        counter_before = await offer(
            Shape.steady(AT_DESKS_PER_S, BEFORE_S), desk.visit, max_under_way=COUNTER_CONNECTIONS
        )
        campaign = await _opened(city, client, "overload")
        rush_of, calm_of = round(peak_per_s * TIMES * OVERLOAD_S), round(CALM_PER_S * CALM_S)
        crowd = OfferedWishes(client, await asyncio.to_thread(wishes, campaign, rush_of + calm_of, 3))
        gc.collect()
        gc.freeze()  # to look through 300,000 wishes again and again makes a generator late
        offered, meanwhile = await asyncio.gather(
            offer(Shape.steady(rush_of / OVERLOAD_S, OVERLOAD_S), crowd.visit, max_under_way=CONNECTIONS),
            offer(Shape.steady(AT_DESKS_PER_S, OVERLOAD_S), desk.visit, max_under_way=COUNTER_CONNECTIONS),
        )
        calm = await offer(Shape.steady(calm_of / CALM_S, CALM_S), crowd.visit, max_under_way=CONNECTIONS)
        await city.proxies["broker"].switch(Pass())
        await settled(city.settings, 0)
        identities = Identities(Secrets.load(city.data / SECRETS))
        told = set(map(identities.pass_no, crowd.accepted))
        in_log = await _in_log(city, campaign)
    return Overload(
        peak_per_s=peak_per_s,
        crowd=offered,
        ghosts=len(in_log - told),
        lost=len(told - in_log),
        normal_after_s=_normal_after_s(calm),
        counter_before=counter_before,
        counter_meanwhile=meanwhile,
    )


@asynccontextmanager
async def _running(city: City) -> AsyncIterator[tuple[HttpClient, _Desk]]:
    """The city with a paired terminal; all of it is gone afterwards."""
    url = city.addresses.url
    client = HttpClient(url("front-door"), max_connections=CONNECTIONS, timeout_s=REQUEST_TIMEOUT_S)
    counter = HttpClient(url("counter"), max_connections=COUNTER_CONNECTIONS, timeout_s=REQUEST_TIMEOUT_S)
    try:
        await city.start()
        campaign, at_desks = await _opened(city, client, "peak"), wide_campaign("peak", 1, PLENTY)
        await rush(client, wishes(campaign, 1_000, 1), PEAK_CONNECTIONS)  # the first thousand warm everything up
        people = wishes(at_desks, round(AT_DESKS_PER_S * (BEFORE_S + OVERLOAD_S)), 5)
        yield client, _Desk(counter, await _paired(city, counter, campaign), people)
    finally:
        client.close()
        counter.close()
        await city.stop()


async def _opened(city: City, client: HttpClient, name: str) -> Campaign:
    campaign = wide_campaign(name, WIDE_SLOTS, PLENTY)
    await asyncio.to_thread(apply_campaign, _console(city), campaign)
    async with asyncio.timeout(SEEN_WITHIN_S):
        while (await client.request("GET", f"/v1/campaigns/{name}/stock")).status != 200:
            await asyncio.sleep(LOOK_S)
    return campaign


async def _paired(city: City, counter: HttpClient, campaign: Campaign) -> str:
    """The token of a terminal of the first pharmacy."""
    asked = {"pharmacy": campaign.pharmacies[0].id, "why": "a figure"}
    invited: dict[str, Any] = await asyncio.to_thread(_console(city).post, "/v1/terminals", asked)
    body = msgspec.json.encode({"pairing_code": invited["pairing_code"]})
    headers = {"Idempotency-Key": "overload"}
    async with asyncio.timeout(SEEN_WITHIN_S):
        while (answer := await counter.request("POST", "/v1/terminals", body, headers)).status != 201:
            await asyncio.sleep(LOOK_S)
    return str(msgspec.json.decode(answer.body)["token"])


def _console(city: City) -> ConsoleClient:
    return ConsoleClient.of(city.data, city.addresses.url("console"))


async def _hold(city: City, client: HttpClient) -> float:
    """The log takes about HELD_PER_S from now on; how many it really takes, by a closed loop that it keeps waiting."""
    proxy = city.proxies["broker"]
    await proxy.switch(FIRST_TRY)
    campaign = wide_campaign("peak", WIDE_SLOTS, PLENTY)
    first = await _peak_per_s(city, client, wishes(campaign, PEAK_BOOKINGS, 11))
    await proxy.switch(Rate(bytes_per_s=FIRST_TRY.bytes_per_s * HELD_PER_S / first))
    return await _peak_per_s(city, client, wishes(campaign, PEAK_BOOKINGS, 12))


async def _peak_per_s(city: City, client: HttpClient, ready_wishes: Sequence[Wish]) -> float:
    heard = await rush(client, ready_wishes, PEAK_CONNECTIONS)
    await settled(city.settings, 0)
    return heard.statuses[202] / heard.seconds


async def _in_log(city: City, campaign: Campaign) -> set[str]:
    """Pass numbers of everything that stands in the log for this campaign."""
    commands = [decode(record.value or b"") for record in await records_of(city.settings, COMMANDS, 0)]
    return {each.pass_no for each in commands if isinstance(each, Reserve) and each.campaign == campaign.campaign}


def _normal_after_s(calm: Offered) -> int | None:
    """The beginning of the first second of the calm from which on everybody was accepted; None: never."""
    normal_from = None
    for number, second in enumerate(calm.seconds):
        is_normal = second.answers[202] >= NORMAL_SHARE * second.offered
        normal_from = (number if normal_from is None else normal_from) if is_normal else None
    return normal_from
