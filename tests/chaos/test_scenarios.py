"""Scenarios on the product are green; with a protection taken away their verdict is red."""

from pathlib import Path
from typing import Final

import pytest

from infra.launcher.endpoints import Endpoints, ProcessEndpoint
from loadtests.scenarios.catalogue import SCENARIOS
from loadtests.scenarios.outcome import Outcome
from loadtests.scenarios.playing import Playing, verdict
from tests.chaos.city import City, Plan, altered, tell

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

SEED: Final = 7
PEOPLE: Final = {"S1": 600, "S11": 400, "S12": 300}
WITHOUT: Final = {
    "S1": {"allocator": altered("quota_check")},
    "S11": {"front-door": altered("one_view_for_all")},
    "S12": {"front-door": altered("tickets_are_checked")},
}
"""What keeps a scenario green, taken away."""


@pytest.mark.safety
@pytest.mark.parametrize("name", list(PEOPLE))
async def test_a_scenario_is_green_on_the_product(name: str, tmp_path: Path) -> None:
    outcome = await played(name, Plan(), tmp_path)
    assert outcome.void_because == ""
    assert verdict(SCENARIOS[name], outcome) == []


@pytest.mark.control
@pytest.mark.parametrize("name", list(PEOPLE))
async def test_a_scenario_is_red_without_what_keeps_it_green(name: str, tmp_path: Path) -> None:
    outcome = await played(name, Plan(programs=WITHOUT[name]), tmp_path)
    assert outcome.void_because == ""
    assert verdict(SCENARIOS[name], outcome) != []


async def played(name: str, plan: Plan, folder: Path) -> Outcome:
    """One run on a city of its own."""
    city = City(plan, folder)
    notes = folder / "crowd"
    notes.mkdir()
    try:
        await city.start()
        playing = Playing(SCENARIOS[name], endpoints(city), city.data, notes, people=PEOPLE[name], seed=SEED, workers=1)
        return await playing.play(tell)
    finally:
        await city.stop()


def endpoints(city: City) -> Endpoints:
    """As `maskline up` writes them."""
    url = city.addresses.url
    stores = [ProcessEndpoint(service=name, index=0, pid=city.store_pid(name)) for name in ("broker", "valkey")]
    return Endpoints(
        tier="embedded", launcher=0, kafka=city.addresses.kafka, redis=city.addresses.redis,
        front_door=url("front-door"), counter=url("counter"), console=url("console"), processes=city.processes(),
        stores=stores,
    )  # fmt: skip
