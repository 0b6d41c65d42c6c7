"""What is on offer, for everybody alike: made once, told with an ETag, in bands and never in counts."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.domain import commands as c
from services.front_door.messages import CampaignList, CampaignOut, Stock
from tests.morning import OFFSET
from tests.unit.front_door_world import CAMPAIGN, World, campaign, front_door

STOCK = f"/v1/campaigns/{CAMPAIGN}/stock"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


@pytest.fixture
def stock_ages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading of the stock is too old at once."""
    monkeypatch.setattr("services.front_door.stock.LEAST_AGE_S", 0.0)
    monkeypatch.setattr("services.front_door.stock.SLOTS_PER_S", 10**9)


async def test_the_list_names_every_campaign_those_that_are_open_first(world: World) -> None:
    await world.apply(campaign("later"), partition=1, opened=False)
    heard = await world.ask("GET", "/v1/campaigns")
    listed = msgspec.json.decode(heard.body, type=CampaignList).campaigns
    assert [(line.campaign, line.phase) for line in listed] == [(CAMPAIGN, "open"), ("later", "scheduled")]


async def test_a_rehearsal_is_listed_nowhere_and_says_what_it_is_to_whoever_comes_upon_it(world: World) -> None:
    await world.apply(campaign("drill", rehearsal=True, region="rehearsal-guangzhou"), partition=1)
    listed = msgspec.json.decode((await world.ask("GET", "/v1/campaigns")).body, type=CampaignList).campaigns
    assert [line.campaign for line in listed] == [CAMPAIGN]
    assert "/campaigns/drill" not in (await world.ask("GET", "/")).text
    told = msgspec.json.decode((await world.ask("GET", "/v1/campaigns/drill")).body, type=CampaignOut)
    assert told.rehearsal
    assert "A rehearsal, without masks: Guangzhou masks" in (await world.ask("GET", "/campaigns/drill?lang=en")).text
    told = msgspec.json.decode((await world.ask("GET", f"/v1/campaigns/{CAMPAIGN}")).body, type=CampaignOut)
    assert not told.rehearsal


async def test_a_campaign_tells_its_pharmacies_slots_rules_and_times(world: World) -> None:
    told = msgspec.json.decode((await world.ask("GET", f"/v1/campaigns/{CAMPAIGN}")).body, type=CampaignOut)
    assert told.phase == "open"
    assert told.rules.units_max == 5
    assert told.controller["contact"] == "privacy@masks.example"
    assert told.appeal_contact == {"phone": "12345"}
    assert [(slot.id, slot.pharmacy) for slot in told.slots] == [("s-1", "p-1"), ("s-2", "p-2")]
    assert told.slots[1].starts_at.endswith(f"T09:00:00{OFFSET}")
    assert (told.pharmacies[0].lon, told.pharmacies[1].lon) == (113.2644, None)


async def test_a_draft_is_shown_to_nobody(world: World) -> None:
    draft = c.DefineCampaign(
        id="define-draft-001",
        campaign="draft",
        region="guangzhou",
        revision="0" * 16,
        units_max=5,
        pharmacies=1,
        slots=1,
        definition="{}",
    )
    world.write(0, draft)
    world.model.fold()
    assert (await world.ask("GET", "/v1/campaigns/draft")).reason == "unknown_campaign"


async def test_who_has_a_document_already_is_not_sent_it_again(world: World) -> None:
    for path in ("/v1/campaigns", f"/v1/campaigns/{CAMPAIGN}"):
        etag = (await world.ask("GET", path)).headers["ETag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await world.ask("GET", path, headers={"If-None-Match": known})
            assert (again.status, again.body) == (304, b"")
        assert (await world.ask("GET", path, headers={"If-None-Match": '"other"'})).status == 200


async def test_another_phase_is_another_document(world: World) -> None:
    path = f"/v1/campaigns/{CAMPAIGN}"
    before = await world.ask("GET", path)
    world.transition(c.Pause)
    world.model.fold()
    await world.door.refresh_once()
    after = await world.ask("GET", path, headers={"If-None-Match": before.headers["ETag"]})
    assert (after.status, after.json["phase"]) == (200, "paused")


async def test_a_long_document_is_sent_small_to_those_who_can_read_that(world: World) -> None:
    names = {"name": "药店" * 40, "address": "很长的地址" * 60}
    await world.apply(
        campaign("long", pharmacies=[{"id": "p-1", **names}, {"id": "p-2", **names}]), partition=1, opened=False
    )
    for path, small in ((f"/v1/campaigns/{CAMPAIGN}", False), ("/v1/campaigns/long", True)):
        heard = await world.ask("GET", path, headers={"Accept-Encoding": "gzip"})
        assert (heard.headers.get("Content-Encoding") == "gzip") is small
        plain = await world.ask("GET", path, headers={"Accept-Encoding": "gzip;q=0"})
        assert "Content-Encoding" not in plain.headers
        assert plain.body == heard.body


async def test_stock_is_told_in_bands(world: World, stock_ages: None) -> None:
    assert await bands(world) == {"s-1": "plenty", "s-2": "plenty"}
    world.write(0, c.ChangeQuota(id="quota-change-001", campaign=CAMPAIGN, slot="s-1", change=-100))
    world.write(0, c.ChangeQuota(id="quota-change-002", campaign=CAMPAIGN, slot="s-2", change=-95))
    world.model.fold()
    assert await bands(world) == {"s-1": "none", "s-2": "some"}


async def test_stock_as_a_table_says_the_same(world: World) -> None:
    told = (await world.ask("GET", STOCK)).json
    heard = await world.ask("GET", f"{STOCK}.csv")
    assert heard.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(heard.text)))
    assert rows == [slot | {"as_of": told["as_of"], "waiting_list": ""} for slot in told["slots"]]


async def test_stock_is_read_once_for_all_who_ask_within_a_second(world: World) -> None:
    await world.ask("GET", STOCK)
    reads = world.model.reads
    await asyncio.gather(*(world.ask("GET", STOCK) for _ in range(20)))
    assert world.model.reads == reads


async def test_the_last_stock_is_told_with_its_age_while_redis_is_away(world: World, stock_ages: None) -> None:
    before = await world.ask("GET", STOCK)
    world.model.is_down = True
    again = await world.ask("GET", STOCK)
    assert again.json["as_of"] == before.json["as_of"]
    assert (await world.ask("GET", "/v1/campaigns/gz-2020-99/stock")).reason == "catching_up"


async def test_names_that_nobody_gave_cost_one_look_for_all(world: World) -> None:
    reads = world.model.reads
    answers = await asyncio.gather(*(world.ask("GET", f"/v1/campaigns/n-{n}") for n in range(30)))
    assert {answer.reason for answer in answers} == {"unknown_campaign"}
    assert world.model.reads - reads <= 3 * 4  # looks, and reads of a look


async def bands(world: World) -> dict[str, str]:
    stock = msgspec.json.decode((await world.ask("GET", STOCK)).body, type=Stock)
    return {slot.slot: slot.band for slot in stock.slots}
