"""`maskline demo`: Guangzhou's first evening on this machine.

The whole system starts on loopback, its campaign is applied through the console as an operator would, a few thousand
residents want masks at once, and then the log is replayed to prove that nothing was oversold, lost or given twice.
"""

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from rich.console import Console
from rich.live import Live

from infra.applying import apply_campaign
from infra.campaigns import SUIKANG_V1
from infra.campaigns.demo import scaled
from infra.console_client import ConsoleClient
from infra.launcher.ports import check_free
from infra.launcher.system import System, UpSettings, running_system
from loadtests.http_client import HttpClient, NoAnswer
from loadtests.live_view import LiveView
from loadtests.proof import Proof, prove, settled
from loadtests.surge import Surge, SurgeSettings
from loadtests.tally import Tally, percentile_ms
from services.audit.verify import VerifySettings
from services.console.users import Role, add_user, list_users, remove_user
from services.domain.campaign import Campaign
from services.platform.campaign_files import load
from services.platform.errors import MasklineError
from services.platform.lifecycle import Stop, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.settings import Settings
from services.platform.telemetry import configure_logging

FIRST_PORT: Final = 8080
USED_PORTS: Final = 9
CONNECTIONS: Final = 512
VISIBLE_TIMEOUT_S: Final = 10.0
LOOK_S: Final = 0.05
FRAMES_PER_S: Final = 8
DEMO_USER: Final = "demo"


class DemoSettings(Settings, frozen=True, kw_only=True):
    """How large a demonstration."""

    residents: Annotated[int, Meta(description="People who want masks.", ge=1, le=1_000_000)] = 5_000
    units: Annotated[int, Meta(description="Masks there are.", ge=1, le=10_000_000)] = 2_000
    arrive_within_s: Annotated[float, Meta(description="Seconds within which everybody comes.", ge=0)] = 3.0
    headless: Annotated[bool, Meta(description="No live view; end after the surge.")] = False
    json: Annotated[bool, Meta(description="The last line is one JSON object.")] = False
    data: Annotated[Path, Meta(description="Folder of secrets, logs and endpoints.json.")] = Path(".maskline")
    host: Annotated[str, Meta(description="Address the services listen on.")] = "127.0.0.1"
    ports_from: Annotated[
        int, Meta(description="Front door, counter, console here and on the next two; 0: 8080, or free ones.", ge=0)
    ] = 0
    front_doors: Annotated[int, Meta(description="Front door processes.", ge=1, le=64)] = 1
    allocators: Annotated[int, Meta(description="Allocator processes.", ge=1, le=64)] = 1
    seed: Annotated[int, Meta(description="The same people and wishes for the same seed; 0: others each time.")] = 0


class CampaignInvisible(MasklineError):
    """The front door does not show the demo campaign {seconds:g} s after it was applied."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What API.md promises on the last line, and a little more."""

    residents: int
    units: int
    accepted: int
    confirmed: int
    confirmed_units: int
    unused_units: int
    rejected: int
    shed: int
    unknown: int
    oversold: int
    lost: int
    duplicates: int
    p50_ms: float
    p99_ms: float
    decided_per_s: float
    seconds: float
    verify: str
    ready_s: float
    requests: int
    unexpected: int
    refused: dict[str, int]
    refused_before_log: dict[str, int]
    differences: list[str]

    @property
    def exit_code(self) -> int:
        """0 where everything that was promised is so."""
        whole = self.confirmed_units + self.unused_units == self.units
        return 0 if self.verify == "ok" and whole and not (self.oversold or self.lost or self.duplicates) else 1


def run(settings: DemoSettings) -> int:
    """The command `maskline demo`; its exit code."""
    configure_logging("demo", "warning")
    demo = Demo(settings)
    run_process(demo.main)
    return demo.exit_code


class Demo:
    """One demonstration. People are spoken to on stderr where stdout is for the JSON line."""

    def __init__(self, settings: DemoSettings) -> None:
        self.exit_code = 1
        self._settings = settings
        self._console = Console(stderr=settings.json, highlight=False)
        self._began_s = time.monotonic()

    async def main(self, stop: Stop) -> None:
        """From nothing to the end."""
        settings = self._settings
        up = UpSettings(
            data=settings.data,
            host=settings.host,
            ports_from=_ports_from(settings),
            front_doors=settings.front_doors,
            allocators=settings.allocators,
        )
        async with running_system(up, self._say, stop.fail) as system:
            campaign = scaled(load(SUIKANG_V1), settings.units, int(time.time() * 1000))
            playing = asyncio.create_task(self._play(system, campaign))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not playing.done():
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
                return
            outcome = playing.result()
            self.exit_code = outcome.exit_code
            self._tell(outcome)
            if not settings.headless and not stop.requested:
                with _way_in(system, campaign.pharmacies[0].id) as lines:
                    for line in lines:
                        self._say(line)
                    await stop.wait()
            stopping.cancel()
        if settings.json:
            sys.stdout.write(msgspec.json.encode(outcome).decode() + "\n")

    async def _play(self, system: System, campaign: Campaign) -> Outcome:
        """Apply, rush, prove."""
        settings = self._settings
        endpoints = system.endpoints
        console = ConsoleClient.of(system.data, endpoints.console)
        applied = await asyncio.to_thread(apply_campaign, console, campaign, why="maskline demo")
        client = HttpClient(endpoints.front_door, max_connections=CONNECTIONS, timeout_s=10.0)
        try:
            await _visible(client, campaign)
            ready_s = time.monotonic() - self._began_s
            self._say(f"{campaign.campaign} is open: {len(campaign.slots)} slots, {campaign.units} masks.")
            audit = VerifySettings(kafka=endpoints.kafka, redis=endpoints.redis, data=system.data)
            surge = Surge(client, campaign.campaign, [slot.id for slot in campaign.slots], self._surge_settings())
            settle_memory()
            began_s = time.monotonic()
            await self._watched(surge, campaign)
            await settled(audit, applied["partition"])
            seconds = time.monotonic() - began_s
        finally:
            client.close()
        self._say("Everybody has heard. Replaying the log to see whether it was all true.")
        proof = await prove(audit, campaign.campaign, surge.tally)
        return _outcome(settings, campaign, surge.tally, proof, seconds, ready_s)

    def _surge_settings(self) -> SurgeSettings:
        settings = self._settings
        return SurgeSettings(
            residents=settings.residents,
            arrive_within_s=settings.arrive_within_s,
            seed=settings.seed or secrets.randbits(31),
        )

    async def _watched(self, surge: Surge, campaign: Campaign) -> None:
        if self._settings.headless:
            await surge.run()
            return
        view = LiveView(surge, self._settings.residents, campaign.units)
        with Live(view, console=self._console, refresh_per_second=FRAMES_PER_S, transient=False):
            await surge.run()
            view.phase = "Everybody has heard"

    def _tell(self, outcome: Outcome) -> None:
        refusals, early = _in_words(outcome.refused), _in_words(outcome.refused_before_log)
        say = self._say
        say(
            f"{outcome.residents} residents wanted {outcome.units} masks: {outcome.accepted} reservations in "
            f"{outcome.seconds:.1f} s, {outcome.confirmed} confirmed for {outcome.confirmed_units} masks "
            f"({outcome.unused_units} are left); refused: {refusals}; refused without a record: {early}."
        )
        say(
            f"From wish to decision: half within {outcome.p50_ms:.0f} ms, 99 of 100 within {outcome.p99_ms:.0f} ms. "
            f"Told to come back {outcome.shed} times; fate unknown: {outcome.unknown}."
        )
        say(
            f"Verified against the log: {outcome.verify}. Oversold {outcome.oversold}, lost {outcome.lost}, "
            f"duplicates {outcome.duplicates}."
        )
        for difference in outcome.differences:
            say(difference)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


def _ports_from(settings: DemoSettings) -> int:
    """8080 for somebody who looks at it, if it is free; any for a program, which may run several at once."""
    if settings.ports_from or settings.headless:
        return settings.ports_from
    try:
        for port in range(FIRST_PORT, FIRST_PORT + USED_PORTS + settings.front_doors + settings.allocators):
            check_free(settings.host, port, "demo")
    except MasklineError:
        return 0
    return FIRST_PORT


async def _visible(client: HttpClient, campaign: Campaign) -> None:
    """Until the front door shows the campaign as open. Raises CampaignInvisible."""
    deadline_s = time.monotonic() + VISIBLE_TIMEOUT_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(NoAnswer):
            answer = await client.request("GET", "/v1/campaigns")
            listed: list[dict[str, Any]] = msgspec.json.decode(answer.body).get("campaigns", [])
            if any(each["campaign"] == campaign.campaign and each["phase"] == "open" for each in listed):
                return
        await asyncio.sleep(LOOK_S)
    raise CampaignInvisible(seconds=VISIBLE_TIMEOUT_S)


def _in_words(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "none"


def _outcome(
    settings: DemoSettings, campaign: Campaign, tally: Tally, proof: Proof, seconds: float, ready_s: float
) -> Outcome:
    return Outcome(
        residents=settings.residents,
        units=campaign.units,
        accepted=tally.accepted,
        confirmed=proof.confirmed,
        confirmed_units=proof.confirmed_units,
        unused_units=proof.unused_units,
        rejected=proof.rejected,
        shed=tally.shed,
        unknown=tally.unknown,
        oversold=proof.oversold,
        lost=proof.lost,
        duplicates=proof.duplicates,
        p50_ms=percentile_ms(tally.latencies_s, 0.5),
        p99_ms=percentile_ms(tally.latencies_s, 0.99),
        decided_per_s=round((proof.confirmed + proof.rejected) / seconds, 1),
        seconds=round(seconds, 3),
        verify=proof.report.verify,
        ready_s=round(ready_s, 3),
        requests=tally.sent,
        unexpected=sum(tally.unexpected.values()),
        refused=dict(tally.refused),
        refused_before_log=dict(tally.refused_before_log),
        differences=[str(each) for each in proof.report.differences],
    )


@contextlib.contextmanager
def _way_in(system: System, pharmacy: str) -> Iterator[list[str]]:
    """A console user and a pairing code for as long as the demonstration stays up, and the lines that tell them."""
    endpoints = system.endpoints
    password = secrets.token_urlsafe(12)
    if DEMO_USER in list_users(system.data):
        remove_user(system.data, DEMO_USER)
    add_user(system.data, DEMO_USER, Role.ADMIN, password)
    console = ConsoleClient.of(system.data, endpoints.console)
    invited = console.post("/v1/terminals", {"pharmacy": pharmacy, "why": "maskline demo"})
    try:
        yield [
            "",
            f"  residents   {endpoints.front_door}",
            f"  pharmacies  {endpoints.counter}    pairing code of {invited['pharmacy']}: {invited['pairing_code']}",
            f"  ops team    {endpoints.console}    user {DEMO_USER}, password {password}",
            "",
            f"maskline verify --data {system.data} looks again. Ctrl-C ends it.",
        ]
    finally:
        with contextlib.suppress(MasklineError):
            remove_user(system.data, DEMO_USER)
