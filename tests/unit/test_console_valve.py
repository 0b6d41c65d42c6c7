"""The valve of a waiting room: turned by operators, told in the campaign's numbers, kept in the audit trail."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.console.users import Role
from services.domain import commands as c
from tests.unit.campaign_documents import RIGHT, checked
from tests.unit.console_world import ConsoleWorld, console, installation

NAME = "gz-2020-02"
PATH = f"/v1/campaigns/{NAME}/valve"
ON = {"mode": "on", "outflow_per_s": 20, "admission_factor": 2.5, "why": "the rush begins"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
async def world(data: Path, tmp_path: Path) -> AsyncIterator[ConsoleWorld]:
    async with console(data, tmp_path) as world:
        yield world


async def waiting_room(world: ConsoleWorld) -> Any:
    return (await world.get(f"/v1/campaigns/{NAME}")).json["numbers"]["waiting_room"]


async def test_a_campaign_has_no_waiting_room_until_the_valve_is_turned(world: ConsoleWorld) -> None:
    await world.give(checked(RIGHT))
    assert await waiting_room(world) is None
    turned = await world.post(PATH, ON)
    assert (turned.status, turned.json) == (200, {
        "mode": "on", "outflow_per_s": 20, "admission_factor": 2.5, "round": 0, "is_active": False, "people": 0,
        "let_in": 0,
    })  # fmt: skip
    assert await waiting_room(world) == turned.json


async def test_on_in_an_open_campaign_begins_at_once(world: ConsoleWorld) -> None:
    await world.give(checked(RIGHT))
    await world.post(f"/v1/campaigns/{NAME}/open", {"why": "it is time"})
    assert (await world.post(PATH, ON)).json["is_active"] is True


async def test_the_valve_stands_in_the_audit_trail_with_who_and_why(world: ConsoleWorld) -> None:
    await world.give(checked(RIGHT))
    await world.post(PATH, ON)
    entry = (await world.get("/v1/audit?partition=0")).json["entries"][0]
    assert (entry["command"], entry["outcome"]) == ("set_valve", "valve_set")
    assert entry["why"] == "the rush begins"


async def test_who_may_only_look_turns_nothing(world: ConsoleWorld) -> None:
    await world.give(checked(RIGHT))
    assert (await world.post(PATH, ON, token=await world.sign_in(Role.VIEWER))).reason == "forbidden"


@pytest.mark.parametrize(
    "change",
    [{"mode": "ajar"}, {"outflow_per_s": -1}, {"admission_factor": 0.9}, {"admission_factor": 11}, {"why": ""}],
)
async def test_what_a_valve_cannot_be_set_to_is_refused(world: ConsoleWorld, change: dict[str, Any]) -> None:
    await world.give(checked(RIGHT))
    assert (await world.post(PATH, ON | change)).reason == "malformed"


async def test_a_campaign_that_is_not_there_has_no_valve(world: ConsoleWorld) -> None:
    assert (await world.post(PATH, ON)).reason == "unknown_campaign"


async def test_a_file_with_a_waiting_room_sets_the_valve_before_the_campaign_opens(world: ConsoleWorld) -> None:
    room = {"mode": "automatic", "opens_before_min": 10, "admission_factor": 2}
    applied = await world.post("/v1/campaigns/apply", {**RIGHT, "waiting_room": room})
    assert applied.status == 200
    assert [valve.valve for valve in world.system.every(c.SetValve)] == ["automatic"]
    told = await waiting_room(world)
    assert (told["mode"], told["admission_factor"]) == ("automatic", 2.0)


async def test_a_file_that_is_applied_again_turns_nothing_back(world: ConsoleWorld) -> None:
    document = {**RIGHT, "waiting_room": {"mode": "automatic"}}
    await world.post("/v1/campaigns/apply", document)
    await world.post(PATH, ON)
    await world.post("/v1/campaigns/apply", document)
    assert (await waiting_room(world))["mode"] == "on"
