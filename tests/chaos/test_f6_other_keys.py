"""F6: processes with another pepper and id key than the log was made with. To them everybody would be a new person."""

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from loadtests.http_client import HttpClient, NoAnswer
from loadtests.residents import Resident, residents
from services.domain.campaign import Campaign
from services.platform.secrets import Secrets
from tests.chaos.city import EXTRA_DOOR, EXTRAS, PRODUCT, City, Plan, Program, altered, tell
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

PEOPLE = 20
OTHER_SEED = 99
STARTS_WITHIN_S = 10.0
KNOWN_TO_ALL_S = 1.5
OTHERS = "others"
WHY = "made with another pepper or id key"
OK, CREATED = 200, 201
ALLOCATOR = EXTRAS[0]


@dataclass
class Seen:
    """What processes with other keys did."""

    said: dict[str, str] = field(default_factory=dict)
    got_two: int = 0


def other_keys(seen: Seen, program: Program = (PRODUCT,)) -> Fault:
    async def fault(city: City) -> None:
        """F6: an allocator and a front door with another pepper and id key"""
        people = list(residents(PEOPLE, OTHER_SEED))
        slot = await a_slot(city, await city.open_campaign(OTHERS))
        assert await booked(city, "front-door", people, slot) == PEOPLE
        data = strangers_folder(city)
        for name in (ALLOCATOR, EXTRA_DOOR):
            tell(f"{name} comes with other keys")
            await city.begin(name, program, data)
        await started_or_told(city)
        seen.got_two = await booked(city, EXTRA_DOOR, people, slot)
        for name in (ALLOCATOR, EXTRA_DOOR):
            seen.said[name] = city.log_of(name).read_text()
            await city.end(name)

    return fault


async def started_or_told(city: City) -> None:
    """Until both say what is wrong, or the front door takes people in."""
    async with asyncio.timeout(STARTS_WITHIN_S):
        while any(WHY not in city.log_of(name).read_text() for name in (ALLOCATOR, EXTRA_DOOR)):
            if not await city.wrong_with(EXTRA_DOOR):
                return
            await asyncio.sleep(0.2)


def strangers_folder(city: City) -> Path:
    """Secrets of another system, but for the keys of contacts, without which nobody can book."""
    data = city.data.parent / "other"
    data.mkdir(mode=0o700)
    others = Secrets.create(data / "secrets")
    shutil.rmtree(others.contact_folder, ignore_errors=True)
    shutil.copytree(Secrets.load(city.data / "secrets").contact_folder, others.contact_folder)
    return data


async def a_slot(city: City, campaign: Campaign) -> str:
    """The largest, once the front doors know of it."""
    client = HttpClient(city.url("front-door"), max_connections=1, timeout_s=5.0)
    async with asyncio.timeout(STARTS_WITHIN_S):
        while (await client.request("GET", f"/v1/campaigns/{campaign.campaign}")).status != OK:
            await asyncio.sleep(0.1)
    await asyncio.sleep(KNOWN_TO_ALL_S)
    client.close()
    return max(campaign.slots, key=lambda slot: slot.units).id


async def booked(city: City, name: str, people: list[Resident], slot: str) -> int:
    """How many of them got one unit through a front door."""
    client = HttpClient(city.url(name), max_connections=4, timeout_s=10.0)
    got = 0
    for number, person in enumerate(people):
        resident = {"document_type": person.document_type, "document_number": person.document_number}
        wish = {"campaign": OTHERS, "slot": slot, "units": 1, "resident": resident, "phone": person.phone}
        headers = {"Idempotency-Key": f"{name}-{number}", "Prefer": "wait=5"}
        try:
            answer = await client.request("POST", "/v1/reservations", msgspec.json.encode(wish), headers)
        except NoAnswer:
            continue
        got += answer.status == CREATED
    client.close()
    return got


@pytest.mark.safety
async def test_processes_with_other_keys_stop_and_say_why(tmp_path: Path) -> None:
    seen = Seen()
    verdict = await played(other_keys(seen), Plan(), tmp_path)
    assert WHY in seen.said[ALLOCATOR]
    assert WHY in seen.said[EXTRA_DOOR]
    assert seen.got_two == 0
    assert verdict.faults == []


@pytest.mark.control
async def test_without_the_check_of_keys_everybody_books_again(tmp_path: Path) -> None:
    seen = Seen()

    async def fault(city: City) -> None:
        """F6: the same with the check of keys taken away"""
        check = Secrets.load(city.data / "secrets").key_check()
        await other_keys(seen, altered(f"key_check={check}"))(city)

    await played(fault, Plan(), tmp_path)
    assert seen.got_two > 0
