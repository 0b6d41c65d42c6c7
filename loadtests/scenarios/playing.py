"""One run of a scenario on a system that runs: a rehearsal is applied, a crowd comes, and everything is compared."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from infra.applying import apply_campaign
from infra.campaigns import SUIKANG_V1
from infra.campaigns.demo import scaled
from infra.console_client import ConsoleClient
from infra.embedded.commands import LOOPBACK
from infra.launcher.endpoints import Endpoints
from infra.launcher.guard import guarded
from loadtests.crowd import locustfile_path
from loadtests.crowd.notes import read_all
from loadtests.proof import settled
from loadtests.scenarios.judges import always
from loadtests.scenarios.outcome import Outcome
from loadtests.scenarios.plan import Plan, write
from loadtests.scenarios.samples import Samples
from loadtests.scenarios.scenario import Scenario
from loadtests.scenarios.truth import truth
from services.audit.verify import VerifySettings
from services.domain.campaign import REHEARSAL_REGION, Campaign
from services.domain.campaign_tables import MAX_SLOT_UNITS
from services.platform.campaign_files import load
from services.platform.errors import MasklineError

START_S: Final = 6.0
"""For Locust's processes to be there before the first person comes."""
END_S: Final = 4.0
CROWD_ENDS_WITHIN_S: Final = 60.0
PAGE_STAYS_S: Final = "3"
LAST_LINES: Final = 15

Tell = Callable[[str], None]


class NotPlayable(MasklineError):
    """{name} cannot be run yet: it needs {needs}."""


class NeedsOwnBroker(MasklineError):
    """{name} takes the broker away for a while, which it does only to an embedded one: start it with `maskline up`, or
    say --embedded."""


class CrowdEnded(MasklineError):
    """Locust ended with {code} before its time: {tail}"""


class Playing:
    """A scenario on a system, with so many people. `folder` gets what the crowd noted, and what Locust said."""

    def __init__(
        self,
        scenario: Scenario,
        endpoints: Endpoints,
        data: Path,
        folder: Path,
        *,
        people: int,
        seed: int,
        workers: int,
        ui_port: int = 0,
    ) -> None:
        """Raises NotPlayable, NeedsOwnBroker."""
        if scenario.needs:
            raise NotPlayable(name=scenario.name, needs=scenario.needs)
        if scenario.outage is not None and not endpoints.stores:
            raise NeedsOwnBroker(name=scenario.name)
        self._scenario = scenario
        self._endpoints = endpoints
        self._data = data
        self._folder = folder
        self._people = people
        self._seed = seed
        self._workers = workers
        self._ui_port = ui_port

    async def play(self, tell: Tell) -> Outcome:
        """Raises CrowdEnded, and what applying and verifying raise."""
        console = ConsoleClient.of(self._data, self._endpoints.console)
        campaign = self._campaign()
        applied = await asyncio.to_thread(apply_campaign, console, campaign, why=f"load test {self._scenario.name}")
        if self._scenario.room is not None:
            valve = {"mode": "on", "outflow_per_s": self._scenario.room.outflow_per_s, "why": "load test"}
            await asyncio.to_thread(console.post, f"/v1/campaigns/{campaign.campaign}/valve", valve)
        audit = VerifySettings(kafka=self._endpoints.kafka, redis=self._endpoints.redis, data=self._data)
        token = await asyncio.to_thread(self._paired, console, campaign) if self._has_desks else ""
        plan = self._plan(campaign, token)
        tell(f"{self._scenario.name}, {self._scenario.title}: {plan.people} people, {campaign.units} units")
        began_s = time.time() + START_S
        async with Samples(self._endpoints, audit, applied["partition"], began_s) as samples:
            outage = asyncio.create_task(self._outage(began_s, tell))
            try:
                await self._crowd(plan, began_s, samples, tell)
            finally:
                outage.cancel()
                await asyncio.gather(outage, return_exceptions=True)
        await settled(audit, applied["partition"])
        tell("Everybody has heard, or has gone. Comparing it with the log.")
        notes = read_all(self._folder)
        return Outcome(
            scenario=self._scenario.name,
            people=plan.people,
            seconds=plan.ends_s,
            notes=notes,
            processes=samples.processes,
            log=samples.log,
            truth=await truth(audit, campaign, applied["partition"], notes),
            outage=self._scenario.outage,
        )

    def _campaign(self) -> Campaign:
        scenario = self._scenario
        units = max(1, round(self._people * scenario.units_a_person))
        city = load(SUIKANG_V1)
        name = f"{scenario.name.lower()}-{self._seed}"
        city = msgspec.structs.replace(
            city, campaign=name, region=f"{REHEARSAL_REGION}{scenario.name.lower()}", rehearsal=True
        )
        return scaled(city, min(units, len(city.slots) * MAX_SLOT_UNITS), int(time.time() * 1000))

    @property
    def _has_desks(self) -> bool:
        return any(group.life == "desk" for group in self._scenario.groups)

    def _paired(self, console: ConsoleClient, campaign: Campaign) -> str:
        """The token of a terminal of a pharmacy. Raises what the two services say."""
        asked = {"pharmacy": campaign.slots[0].pharmacy, "region": campaign.region, "why": "load test"}
        code = console.post("/v1/terminals", asked)["pairing_code"]
        counter = ConsoleClient(self._endpoints.counter, "")
        token: str = counter.post("/v1/terminals", {"pairing_code": code}, key=f"load-test-{self._seed}")["token"]
        return token

    def _plan(self, campaign: Campaign, token: str) -> Plan:
        scenario = self._scenario
        shape = scenario.arrive(self._people)
        slots = [slot.id for slot in campaign.slots]
        random.Random(self._seed).shuffle(slots)
        if token:  # a desk books for its own pharmacy
            slots.remove(campaign.slots[0].id)
            slots.insert(0, campaign.slots[0].id)
        return Plan(
            front_door=self._endpoints.front_door,
            campaign=campaign.campaign,
            slots=slots,
            zipf=scenario.zipf,
            people=self._people,
            groups=scenario.groups,
            stretches=shape.stretches,
            ends_s=shape.seconds + scenario.patience_s / 2 + END_S,
            patience_s=scenario.patience_s,
            looks=scenario.looks,
            seed=self._seed,
            counter=self._endpoints.counter,
            token=token,
            notes=self._folder,
        )

    async def _crowd(self, plan: Plan, began_s: float, samples: Samples, tell: Tell) -> None:
        """Locust, from its start to its end. Raises CrowdEnded."""
        path, said = self._folder / "plan.json", self._folder / "locust.log"
        write(plan, path)
        workers = ("--processes", str(self._workers)) if self._workers > 1 else ()
        page = ("--web-host", LOOPBACK, "--web-port", str(self._ui_port), "--autostart", "--autoquit", PAGE_STAYS_S)
        seen = page if self._ui_port else ("--headless", "--only-summary")
        words = ("-m", "locust", "-f", str(locustfile_path()), *seen, *workers)
        environment = {
            **os.environ,
            "MASKLINE_LOADTEST_PLAN": str(path),
            "MASKLINE_LOADTEST_BEGAN": str(began_s),
            "MASKLINE_LOADTEST_WORKERS": str(self._workers),
        }
        with said.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *guarded([sys.executable, *words]), env=environment, stdout=output, stderr=output
            )
        try:
            async with asyncio.timeout(START_S + plan.ends_s + CROWD_ENDS_WITHIN_S):
                while process.returncode is None:
                    await asyncio.wait({asyncio.create_task(process.wait())}, timeout=5.0)
                    if process.returncode is None:
                        tell(samples.line())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if not read_all(self._folder):
            lines = said.read_text("utf-8", "replace").splitlines()[-LAST_LINES:]
            raise CrowdEnded(code=process.returncode, tail=" / ".join(lines))

    async def _outage(self, began_s: float, tell: Tell) -> None:
        """The broker says nothing for a while, as when its disk or its network stands still."""
        if self._scenario.outage is None:
            return
        since_s, until_s = self._scenario.outage
        (broker,) = (store.pid for store in self._endpoints.stores if store.service == "broker")
        await asyncio.sleep(max(0.0, began_s + since_s - time.time()))
        tell(f"the log answers nobody for {until_s - since_s:g} s")
        os.kill(broker, signal.SIGSTOP)
        try:
            await asyncio.sleep(max(0.0, began_s + until_s - time.time()))
        finally:
            os.kill(broker, signal.SIGCONT)
        tell("the log answers again")


def verdict(scenario: Scenario, outcome: Outcome) -> list[str]:
    """What did not hold, in words; nothing where all did."""
    return [fault for judge in (always, *scenario.judges) for fault in judge(outcome)]
