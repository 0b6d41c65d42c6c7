"""F15: a version with other rules is rolled out while people book: old and new allocators fold the same log.

The new one brings its own function library, which stands in Redis beside the old one. What is new in it counts from the
record on that puts its rules in force. An admin has it written, by a new console, when every allocator knows them.
"""

import asyncio
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra.console_client import ConsoleClient
from services.domain import events
from services.stream.topics import EVENTS
from tests.chaos import next_version
from tests.chaos.city import EXTRAS, PLENTY, PRODUCT, City, Plan, Program, altered, tell
from tests.chaos.log_copy import records_of, written
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

BESIDE_S = 3.0
"""How long old and new work side by side."""
STARTS_WITHIN_S = 15.0
GREETINGS = 20
NEW = altered("next_version")
NEWCOMER, LATECOMER = EXTRAS[:2]
TOO_NEW = "by rules that this version does not know"


@dataclass
class Seen:
    """What came out of the rolling change."""

    said_by_the_old: str = ""
    published: list[events.Event] = field(default_factory=list)

    def counted(self, kind: str, command: str) -> int:
        """Events of this type about commands of this kind."""
        return sum((event.type, event.command) == (kind, command) for event in self.published)

    def units_confirmed(self) -> tuple[set[int], set[int]]:
        """How many units people got at once, before and after the new rules."""
        at = next(at for at, event in enumerate(self.published) if event.type == "rules_adopted")
        before, after = self.published[:at], self.published[at:]
        return units_of(before), units_of(after)


def units_of(found: list[events.Event]) -> set[int]:
    """Units of confirmed bookings."""
    return {event.units for event in found if (event.type, event.command) == ("confirmed", "reserve")}


def rolled_out(installed: Path, seen: Seen) -> Fault:
    async def fault(city: City) -> None:
        """F15: new allocators come beside old ones, replace them, and then their rules are put in force"""
        await new_beside_old(city, NEW)
        tell("the old allocators are replaced, one after the other")
        install(installed, "next_version")
        for name in ("allocator-0", "allocator-1"):
            before = starts(city, name)
            city.send(name, signal.SIGTERM)
            await until_it_folds(city, name, before)
        await city.end(NEWCOMER)
        await in_force(city)
        seen.said_by_the_old = await old_one_comes_back(city, (PRODUCT,))
        seen.published = await told(city)

    return fault


async def new_beside_old(city: City, program: Program) -> None:
    """Both fold; what only the new one can read stands in the log."""
    tell("a new allocator comes beside the old ones")
    await city.begin(NEWCOMER, program)
    await until_it_folds(city, NEWCOMER)
    for _ in range(GREETINGS):  # one after the other: of three who fold each of them, whoever is first decides it
        await put(city, [next_version.greeting()])
        await asyncio.sleep(BESIDE_S / GREETINGS)


async def in_force(city: City) -> None:
    """What an admin does when every allocator knows the new rules."""
    tell("version 2 of the rules is put in force")
    console = ConsoleClient.of(city.data, city.url("console"))
    wish = {"version": next_version.VERSION, "why": "all know it"}
    adopted = await asyncio.to_thread(console.post, "/v1/rules", wish)
    assert {each["version"] for each in adopted["partitions"]} == {next_version.VERSION}
    await put(city, [next_version.greeting()] * GREETINGS)
    await asyncio.sleep(BESIDE_S)


async def old_one_comes_back(city: City, program: Program) -> str:
    """What it says."""
    tell("an old allocator comes back")
    await city.begin(LATECOMER, program)
    await until_it_folds(city, LATECOMER)
    said = city.log_of(LATECOMER).read_text()
    await city.end(LATECOMER)
    return said


def starts(city: City, name: str) -> int:
    """How often a process has begun to fold a partition."""
    log = city.log_of(name)
    return log.read_text().count("partition_started") if log.exists() else 0


async def until_it_folds(city: City, name: str, before: int = 0) -> None:
    """… and a while longer."""
    async with asyncio.timeout(STARTS_WITHIN_S):
        while starts(city, name) < before + city.plan.partitions:
            await asyncio.sleep(0.1)
    await asyncio.sleep(BESIDE_S)


async def put(city: City, values: list[bytes]) -> None:
    """Into every partition, as commands concern all of them."""
    await written(city.settings, values, int(time.time() * 1000), range(city.plan.partitions))


async def told(city: City) -> list[events.Event]:
    """What was published of the partition where people book, in order, without repeats."""
    found = [events.decode(record.value or b"") for record in await records_of(city.settings, EVENTS, 0)]
    by_place = {events.place_of(event.id)[2:]: event for event in found}
    return [by_place[place] for place in sorted(by_place)]


def install(installed: Path, version: str) -> None:
    """What starts from now on is of this version."""
    installed.write_text(version)


def plan(installed: Path) -> Plan:
    """Two allocators, which are of the version that is installed when they start."""
    install(installed, "")
    program = altered(f"as_told_in={installed}")
    return Plan(programs={"allocator": program, "console": NEW, "verify": NEW}, allocators=2, units=PLENTY)


@pytest.mark.safety
async def test_nothing_that_only_a_new_version_knows_counts_before_its_rules_are_in_force(tmp_path: Path) -> None:
    installed, seen = tmp_path / "installed", Seen()
    verdict = await played(rolled_out(installed, seen), plan(installed), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300
    assert (seen.counted("refused", "malformed"), seen.counted("ticked", "greet")) == (GREETINGS, GREETINGS)
    before, after = seen.units_confirmed()
    assert max(before) > next_version.UNITS_MAX
    assert max(after) == next_version.UNITS_MAX
    assert TOO_NEW in seen.said_by_the_old


@pytest.mark.control
async def test_a_new_version_whose_rules_count_at_once_decides_otherwise_than_the_old_one(tmp_path: Path) -> None:
    async def fault(city: City) -> None:
        """F15: a new allocator whose rules count at once, beside old ones"""
        await new_beside_old(city, altered("next_version_at_once"))
        await city.end(NEWCOMER)

    verdict = await played(fault, Plan(allocators=2), tmp_path, gives_up_after_s=10.0)
    assert verdict.differing > 0


@pytest.mark.control
async def test_an_old_allocator_that_does_not_ask_for_the_version_decides_by_rules_of_before(tmp_path: Path) -> None:
    async def fault(city: City) -> None:
        """F15: an old allocator that does not ask for the version comes back when newer rules are in force"""
        await in_force(city)
        assert TOO_NEW not in await old_one_comes_back(city, altered("version_check"))

    plan = Plan(programs={"allocator": NEW, "console": NEW, "verify": NEW}, allocators=2, units=PLENTY)
    verdict = await played(fault, plan, tmp_path, gives_up_after_s=10.0)
    assert verdict.differing > 0
