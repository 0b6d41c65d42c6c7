"""Every process killed, Redis old and empty: nobody's place in the waiting room ever gets worse (I8)."""

import asyncio
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from infra.applying import apply_campaign
from infra.campaigns.demo import scaled
from infra.console_client import ConsoleClient
from loadtests.http_client import HttpClient, NoAnswer
from services.domain.campaign import Campaign, WaitingRoom, Window
from services.platform.campaign_files import load
from tests.chaos.city import City, Plan, altered, tell
from tests.integration.cli_system import CAMPAIGN_FILE
from tests.morning import WHERE

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(300)]

CAMPAIGN: Final = "waiting"
PEOPLE: Final = 1_000
EARLY: Final = 700
"""Of them those who are there before the opening."""
OPENS_IN_S: Final = 25.0
"""Front doors and clock are killed before the opening too."""
OUTFLOW_PER_S: Final = 8
CONNECTIONS: Final = 64
BETWEEN_S: Final = 1.5
BLIND_S: Final = 3.0
TURNS_WITHIN_S: Final = 30.0


@dataclass
class Watched:
    """A ticket, and the best that its owner has heard."""

    text: str
    ahead: int | None = None
    is_admitted: bool = False


@dataclass
class Room:
    """A thousand people who wait, and what was worse than they had heard before."""

    client: HttpClient
    campaign: Campaign
    watched: list[Watched] = field(default_factory=list)
    worse: list[str] = field(default_factory=list)
    polls: int = 0
    unanswered: int = 0

    async def join(self, numbers: Sequence[int]) -> None:
        """People with a passport each; who hears nothing asks again."""
        places = asyncio.Semaphore(CONNECTIONS)

        async def one(number: int) -> None:
            async with places:
                self.watched.append(Watched(await self._ticket(number)))

        await asyncio.gather(*map(one, numbers))

    async def _ticket(self, number: int) -> str:
        body = msgspec.json.encode(
            {"resident": {"document_type": "passport", "document_number": f"E{number:08d}"}},
        )
        while True:
            try:
                answer = await self.client.request("POST", f"/v1/campaigns/{CAMPAIGN}/tickets", body)
            except NoAnswer:
                self.unanswered += 1
            else:
                if answer.status == 201:
                    return str(msgspec.json.decode(answer.body)["ticket"])
            await asyncio.sleep(0.1)

    async def poll_for_ever(self) -> None:
        """All of them, again and again."""
        places = asyncio.Semaphore(CONNECTIONS)

        async def one(watched: Watched) -> None:
            async with places:
                await self._poll(watched)

        while True:
            await asyncio.gather(*map(one, list(self.watched)), asyncio.sleep(0.25))

    async def _poll(self, watched: Watched) -> None:
        try:
            answer = await self.client.request("GET", f"/v1/tickets/{watched.text}")
        except NoAnswer:
            self.unanswered += 1
            return
        if answer.status == 200:
            self.polls += 1
            self._hear(watched, msgspec.json.decode(answer.body))

    def _hear(self, watched: Watched, told: dict[str, Any]) -> None:
        state, ahead = told["state"], told["ahead"]
        if watched.is_admitted and state != "admitted":
            self.worse.append(f"{state} after it was admitted")
        elif state == "admitted":
            watched.is_admitted = True
        elif state != "waiting":
            self.worse.append(f"{state}, with {watched.ahead} ahead")
        elif watched.ahead is not None and (ahead is None or ahead > watched.ahead):
            self.worse.append(f"{ahead} people ahead after {watched.ahead}")
        else:
            watched.ahead = ahead


@pytest.mark.safety
async def test_a_thousand_places_survive_the_death_of_every_process_and_an_old_and_an_emptied_redis(
    tmp_path: Path,
) -> None:
    room = await _story(City(Plan(units=4_000), tmp_path))
    assert room.worse == []
    assert all(watched.ahead is not None or watched.is_admitted for watched in room.watched)
    assert 0 < sum(watched.is_admitted for watched in room.watched) < PEOPLE
    assert room.polls > 10 * PEOPLE


@pytest.mark.control
async def test_with_readers_that_believe_an_old_redis_places_get_worse(tmp_path: Path) -> None:
    plan = Plan(units=4_000, programs={"front-door": altered("behind_check")})
    assert (await _story(City(plan, tmp_path))).worse != []


async def _story(city: City) -> Room:
    await city.start()
    client = HttpClient(city.url("front-door"), max_connections=CONNECTIONS, timeout_s=5.0)
    room = Room(client, await asyncio.to_thread(_applied, city))
    polling = asyncio.create_task(room.poll_for_ever())
    try:
        await _play(city, room)
        await asyncio.sleep(BETWEEN_S)
        tell(f"{room.polls} polls, {room.unanswered} unanswered, {len(room.worse)} worse: {room.worse[:3]}")
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        client.close()
        await city.stop()
    return room


def _applied(city: City) -> Campaign:
    """A campaign that opens in a while, with a waiting room that is open now."""
    now_ms = int(time.time() * 1000)
    elsewhere = msgspec.structs.replace(load(CAMPAIGN_FILE), campaign=CAMPAIGN, timezone=WHERE.key)
    masks = scaled(elsewhere, city.plan.units, now_ms)
    (window,) = masks.windows
    masks = msgspec.structs.replace(
        masks,
        windows=(Window(opens_ms=now_ms + int(OPENS_IN_S * 1000), closes_ms=window.closes_ms),),
        waiting_room=WaitingRoom(mode="on"),
    )
    console = ConsoleClient.of(city.data, city.addresses.url("console"))
    apply_campaign(console, masks)
    valve = {"mode": "on", "outflow_per_s": OUTFLOW_PER_S, "admission_factor": 10, "why": "slowly, to be watched"}
    console.post(f"/v1/campaigns/{CAMPAIGN}/valve", valve)
    return masks


async def _play(city: City, room: Room) -> None:
    opens_s = time.monotonic() + OPENS_IN_S
    await room.join(range(EARLY))
    for name in ("front-door-0", "clock", "allocator", "front-door-1"):
        await _killed(city, name)
    await asyncio.sleep(max(0.0, opens_s + TURNS_WITHIN_S / 2 - time.monotonic()))
    tell(f"open: {sum(watched.is_admitted for watched in room.watched)} people were let in")
    await room.join(range(EARLY, PEOPLE))
    for name in ("allocator", "front-door-0", "clock", "counter", "console", "front-door-1"):
        await _killed(city, name)
    await _given_an_old_copy(city)
    await _emptied(city)
    await asyncio.sleep(2 * BETWEEN_S)


async def _killed(city: City, name: str) -> None:
    tell(f"kill -9 {name}")
    city.send(name, signal.SIGKILL)
    await asyncio.sleep(BETWEEN_S)


async def _given_an_old_copy(city: City) -> None:
    """Redis comes back as it was some seconds ago, and nobody brings it up to date for a while."""
    copy = city.embedded / "copy"
    await asyncio.to_thread(shutil.copytree, city.valkey_folder, copy)
    await asyncio.sleep(2 * BETWEEN_S)
    tell("Valkey is killed, and has its old files; the allocator sleeps")
    city.send("allocator", signal.SIGSTOP)
    await city.kill_store("valkey")
    await asyncio.to_thread(shutil.rmtree, city.valkey_folder)
    await asyncio.to_thread(shutil.copytree, copy, city.valkey_folder)
    await city.start_store("valkey")
    await asyncio.sleep(BLIND_S)
    city.send("allocator", signal.SIGCONT)
    await asyncio.sleep(2 * BETWEEN_S)


async def _emptied(city: City) -> None:
    tell("FLUSHALL")
    async with city.redis() as redis:
        await redis.flushall()
    await asyncio.sleep(2 * BETWEEN_S)
