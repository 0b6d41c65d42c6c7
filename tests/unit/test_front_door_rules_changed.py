"""Rules are changed while a front door serves: it tells and keeps the new ones, and nobody is refused in between."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.domain import commands as c
from services.domain.campaign import WEEKDAYS, Campaign, revision
from services.domain.days import day_of, weekday
from services.front_door.messages import CampaignOut
from tests.morning import WHERE
from tests.unit.campaign_documents import changed_to
from tests.unit.front_door_world import Heard, World, campaign, front_door, now_ms

NAME = "ruled"
PASSPORT = {"document_type": "passport", "document": "E12345678"}
EVERYBODY = {day: list(range(10)) for day in WEEKDAYS}


def ruled(**rules: Any) -> Campaign:
    return campaign(NAME, rules={"units_max": 5, "document_types": ["cn_resident_id", "passport"], **rules})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A front door that has told of a campaign without rules."""
    async with front_door(tmp_path) as world:
        await world.apply(ruled())
        await world.ask("GET", "/v1/campaigns")
        await world.ask("GET", f"/v1/campaigns/{NAME}")
        yield world


async def change(world: World, asked: Campaign, *, is_heard_of: bool = True) -> None:
    """Other rules are in force; the door has refreshed what it knows, or not yet."""
    world.write(0, changed_to(asked, revision(ruled())))
    world.model.fold()
    row = world.model.states[0].get(f"c:{NAME}")
    assert row.revision == revision(asked)
    if is_heard_of:
        await world.door.refresh_once()


async def book(world: World, **wish: Any) -> Heard:
    async with world.folding():
        return await world.book(prefer="wait=5", campaign=NAME, slot="s-2", **{"units": 1, **PASSPORT, **wish})


async def whole(world: World, **headers: str) -> Heard:
    return await world.ask("GET", f"/v1/campaigns/{NAME}", headers=headers)


def digit(world: World) -> int:
    command = world.command()
    assert isinstance(command, c.Reserve)
    return command.digit


async def test_the_new_rules_are_told_under_another_etag(world: World) -> None:
    before = await whole(world)
    assert (await whole(world, **{"If-None-Match": before.headers["ETag"]})).status == 304
    await change(world, ruled(household_max=2))
    after = await whole(world, **{"If-None-Match": before.headers["ETag"]})
    assert after.status == 200
    assert msgspec.json.decode(after.body, type=CampaignOut).rules.household_max == 2


async def test_a_new_title_stands_in_the_list_and_on_the_pages(world: World) -> None:
    await change(world, msgspec.structs.replace(ruled(), title={"en": "Masks for all"}))
    for path in ("/v1/campaigns", f"/campaigns/{NAME}?lang=en"):
        assert "Masks for all" in (await world.ask("GET", path)).text


async def test_kinds_of_documents_are_those_of_now(world: World) -> None:
    await change(world, ruled(document_types=["cn_resident_id"]))
    assert (await book(world)).reason == "document_type_not_accepted"
    assert (await book(world, document_type="cn_resident_id", document="11010519491231002X")).status == 201


async def test_a_lower_limit_is_told_with_its_number(world: World) -> None:
    await change(world, ruled(units_max=2))
    heard = await book(world, units=3)
    assert (heard.reason, heard.json["units_max"]) == ("units_over_limit", 2)


async def test_what_was_booked_before_stays_and_its_phone_can_still_be_read(world: World) -> None:
    before = await book(world)
    await change(world, ruled(household_max=1))
    told = (await world.ask("GET", f"/v1/reservations/{before.json['id']}")).json
    assert (told["state"], told["pass"]) == ("confirmed", before.json["pass"])
    again = await book(world, document="E00000002")
    assert again.status == 201, "who came before the rule is not counted"
    third = await book(world, document="E00000003")
    assert (third.reason, third.json["household_max"]) == ("household_limit", 1)


async def test_a_digit_goes_into_the_log_as_soon_as_the_campaign_asks_for_one(world: World) -> None:
    await book(world)
    assert digit(world) == -1
    await change(world, ruled(stagger={"by": "document_digit", "days": EVERYBODY}))
    await book(world, document="E00000002")
    assert digit(world) == 2


@pytest.mark.safety
async def test_nobody_is_refused_because_a_door_has_not_heard_of_a_stagger_yet(world: World) -> None:
    heard = await booked_at_a_door_that_has_not_heard(world)
    assert digit(world) == -1
    assert heard.status == 201


@pytest.mark.control
async def test_a_stagger_that_held_at_once_would_refuse_whose_day_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.domain.rules.definition.RULES_KNOWN_MS", 0)
    heard = await booked_at_a_door_that_has_not_heard(world)
    assert (heard.status, heard.reason) == (409, "wrong_day")


async def booked_at_a_door_that_has_not_heard(world: World) -> Heard:
    """Somebody whose digit has its turn today books a moment after the stagger was switched on."""
    today = WEEKDAYS[weekday(day_of(now_ms(), WHERE).number)]
    asked = ruled(stagger={"by": "document_digit", "days": {today: [8]}})
    await change(world, asked, is_heard_of=False)
    return await book(world)
