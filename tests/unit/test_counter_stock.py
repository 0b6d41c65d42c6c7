"""A pharmacy's day in numbers, and its quota."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.counter import stock
from services.domain import commands as c
from services.state.errors import StateUnavailableError
from tests.unit.counter_world import DAY_MS, NOON_MS, CounterWorld, counter, slot


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path) as world:
        yield world


def by_name(answer: Any) -> dict[str, tuple[int, ...]]:
    """Slot → quota, confirmed, picked up, left."""
    names = ("quota", "confirmed", "picked_up", "left")
    return {each["slot"]: tuple(each[name] for name in names) for each in answer["slots"]}


async def test_a_day_is_told_in_units(world: CounterWorld) -> None:
    till = await world.paired()
    anna, bo, cy = (world.books(f"A000000{n}", units=n) for n in (1, 2, 3))
    world.books("A0000005", "s-noon", units=5)
    world.books("A0000006", "s-other")
    world.cancels(cy)
    await till.picks_up(anna)
    heard = await till.get("/v1/slots?date=2020-02-01")
    assert heard.status == 200
    assert heard.json["date"] == "2020-02-01"
    assert by_name(heard.json) == {"s-morning": (100, 2, 1, 97), "s-noon": (100, 5, 0, 95)}
    first = heard.json["slots"][0]
    assert first["expired"] == 0
    assert first["quota"] == first["confirmed"] + first["picked_up"] + first["expired"] + first["left"]
    assert (first["starts_at"], first["campaign"]) == ("2020-02-01T09:00:00+08:00", "gz-2020-02")
    assert world.row(bo).state == 1


async def test_without_a_date_it_is_today_where_the_pharmacy_is(world: CounterWorld) -> None:
    till = await world.paired()
    assert by_name((await till.get("/v1/slots")).json).keys() == {"s-morning", "s-noon"}
    world.time_is(NOON_MS + DAY_MS // 2)  # midnight in Guangzhou, afternoon in Greenwich
    assert by_name((await till.get("/v1/slots")).json).keys() == {"s-tomorrow"}


async def test_a_day_without_slots_is_empty_and_a_date_that_is_none_is_refused(world: CounterWorld) -> None:
    till = await world.paired()
    assert (await till.get("/v1/slots?date=2021-01-01")).json["slots"] == []
    for date in ("2020-02-30", "20200201", "today", "", "2020-2-1"):
        heard = await till.get(f"/v1/slots?date={date}")
        assert (heard.status, heard.reason, heard.json["field"]) == (400, "malformed", "date")


async def test_today_lists_everybody_and_tells_who_cancelled(world: CounterWorld) -> None:
    till = await world.paired()
    anna, bo = world.books("A0000001"), world.books("A0000002")
    world.books("A0000003", "s-tomorrow")
    world.books("A0000004", "s-other")
    world.cancels(bo)
    heard = await till.get("/v1/today")
    states = {each["pass_no"]: each["state"] for each in heard.json["reservations"]}
    assert states == {anna.pass_no: "confirmed", bo.pass_no: "cancelled"}
    assert heard.json["reservations"][0].keys() == {"pass_no", "state", "slot", "units"}


async def test_a_large_day_is_walked_in_pieces_and_once_for_all_who_ask(world: CounterWorld) -> None:
    till = await world.paired()
    await world.applies(slot("s-large", hour=15, units=100_000), campaign="gz-large")
    for n in range(1_300):
        world.books(f"B{n:07d}", "s-large", 1, campaign="gz-large")
    world.folded.row(1, "head")
    before = world.folded.reader.reads
    answers = await asyncio.gather(*(till.get("/v1/today") for _ in range(20)))
    assert {len(heard.json["reservations"]) for heard in answers} == {1_300}
    assert by_name((await till.get("/v1/slots")).json)["s-large"] == (100_000, 1_300, 0, 98_700)
    assert world.folded.reader.reads - before < 30


async def test_a_walk_that_failed_is_walked_again(world: CounterWorld) -> None:
    till = await world.paired()
    await till.get("/v1/keys")
    world.folded.reader.error = StateUnavailableError(what="TimeoutError")
    for path in ("/v1/slots", "/v1/today"):
        heard = await till.get(path)
        assert (heard.status, heard.reason) == (503, "catching_up")
    world.folded.reader.error = None
    assert (await till.get("/v1/slots")).status == (await till.get("/v1/today")).status == 200


async def test_a_day_that_is_beyond_the_bound_is_refused(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = await world.paired()
    world.books("A0000001")
    world.books("A0000002")
    monkeypatch.setattr(stock, "MAX_RESERVATIONS_WALKED", 1)
    assert (await till.get("/v1/today")).reason == "overloaded"
    assert (await till.get("/v1/slots")).status == 200


async def test_no_shows_shares_and_those_who_wait_are_told(world: CounterWorld) -> None:
    rules = c.CampaignRules(assisted_per_mille=200, reserve_per_mille=100, waiting_per_mille=1_000)
    tonight = msgspec.structs.replace(slot("s-tonight", hour=18, units=10), promote_until_ms=NOON_MS + DAY_MS)
    await world.applies(tonight, campaign="gz-shares", rules=rules)
    till = await world.paired()
    for n in range(3):
        world.books(f"A000000{n}", "s-tonight", 4, campaign="gz-shares")
    (told,) = [each for each in (await till.get("/v1/slots")).json["slots"] if each["slot"] == "s-tonight"]
    assert (told["quota"], told["confirmed"], told["left"]) == (10, 4, 6)
    assert (told["left_for_desks"], told["left_for_appeals"], told["waiting"]) == (2, 1, 4)
    for _ in range(2):  # the fold's own time follows a tick with the next record
        world.time_is(NOON_MS + DAY_MS)
    world.write(c.Expire(id=world.id(), region="guangzhou", pharmacy="p-1", day=20200201, sheet=0))
    (told,) = [
        each for each in (await till.get("/v1/slots?date=2020-02-01")).json["slots"] if each["slot"] == "s-tonight"
    ]
    assert (told["quota"], told["confirmed"], told["expired"], told["left"]) == (10, 0, 4, 6)


async def test_who_changed_to_another_day_is_not_expected_today(world: CounterWorld) -> None:
    await world.applies(slot("s-tonight", hour=18), slot("s-later", day=1), campaign="gz-change")
    till, anna = await world.paired(), world.books("A0000001", "s-tonight", campaign="gz-change")
    code = world.short_code(anna)
    world.write(c.ChangeSlot(id=world.id(), pass_no=anna.pass_no, slot="s-later"))
    (told,) = (await till.get("/v1/today")).json["reservations"]
    assert (told["state"], told["slot"]) == ("moved", "s-later")
    shown = {"short_code": code, "document_last4": anna.last4}
    assert (await till.post("/v1/pickups", shown)).reason == "unknown_pass"
    code = world.short_code(anna, day="2020-02-02")
    shown = {"short_code": code, "document_last4": anna.last4}
    assert (await till.post("/v1/pickups", shown)).reason == "wrong_time"


# -- two cities --------------------------------------------------------------------------------------------------------


async def test_a_pharmacy_of_the_same_id_in_another_city_sees_nothing_of_this_one(world: CounterWorld) -> None:
    await world.applies(slot("s-foshan", units=7), campaign="fs-2020-02", region="foshan")
    here, there = await world.paired(), await world.paired("till-foshan", "p-1", region="foshan")
    anna = world.books("A0000001")
    assert by_name((await here.get("/v1/slots")).json).keys() == {"s-morning", "s-noon"}
    assert by_name((await there.get("/v1/slots")).json).keys() == {"s-foshan"}
    assert len((await here.get("/v1/today")).json["reservations"]) == 1
    assert (await there.get("/v1/today")).json["reservations"] == []
    assert (await there.post("/v1/lookups", anna.shown)).json["reservations"] == []
    shown = {"short_code": world.short_code(anna), "document_last4": anna.last4}
    assert (await there.post("/v1/pickups", shown)).reason == "unknown_pass"
    assert (await there.picks_up(anna)).reason == "other_pharmacy"
    heard = await there.post(f"/v1/reservations/{anna.pass_no}/cancel", {"why": "not mine"})
    assert (heard.status, heard.reason) == (404, "unknown_reservation")
    assert (await there.post("/v1/slots/s-morning/quota", {"change": 5, "why": "x"})).reason == "unknown_slot"
    assert world.row(anna).state == 1


# -- quota -------------------------------------------------------------------------------------------------------------


async def test_more_stock_can_be_given_out_at_once_and_a_retry_adds_it_once(world: CounterWorld) -> None:
    till = await world.paired()
    wish = {"change": 50, "share": "public", "why": "delivery"}
    for _ in range(2):
        heard = await till.post("/v1/slots/s-morning/quota", wish, key="delivery-7")
        assert heard.status == 200
        assert heard.json == {"campaign": "gz-2020-02", "slot": "s-morning", "quota": 150, "left": 150}
    command = world.folded.commands(1, c.ChangeQuota)[-1]
    assert isinstance(command, c.ChangeQuota)
    assert (command.terminal, command.why) == ("till-1", "delivery")


async def test_a_whole_number_may_be_written_as_json_allows(world: CounterWorld) -> None:
    till = await world.paired()
    heard = await till.post("/v1/slots/s-morning/quota", {"change": 50.0, "why": "delivery"})
    assert heard.json["quota"] == 150


async def test_the_same_key_with_another_change_is_another_wish(world: CounterWorld) -> None:
    till = await world.paired()
    first = await till.post("/v1/slots/s-morning/quota", {"change": 50, "why": "delivery"}, key="k")
    second = await till.post("/v1/slots/s-morning/quota", {"change": 20, "why": "delivery"}, key="k")
    assert (first.json["quota"], second.json["quota"]) == (150, 170)


async def test_what_is_confirmed_is_not_taken_away(world: CounterWorld) -> None:
    till = await world.paired()
    world.books("A0000001", units=5)
    heard = await till.post("/v1/slots/s-morning/quota", {"change": -96, "why": "broken"})
    assert (heard.status, heard.reason, heard.json["confirmed"]) == (409, "below_confirmed", 5)
    assert (await till.post("/v1/slots/s-morning/quota", {"change": -95, "why": "broken"})).json["left"] == 0


async def test_nobody_changes_another_pharmacys_stock(world: CounterWorld) -> None:
    till = await world.paired()
    heard = await till.post("/v1/slots/s-other/quota", {"change": 5, "why": "x"})
    assert (heard.status, heard.reason, heard.json["pharmacy"]) == (409, "other_pharmacy", "p-2")
    heard = await till.post("/v1/slots/s-nowhere/quota", {"change": 5, "why": "x"})
    assert (heard.status, heard.reason) == (404, "unknown_slot")


async def test_stock_of_a_campaign_that_the_counter_has_not_looked_at_yet_is_changed(world: CounterWorld) -> None:
    till = await world.paired()
    await world.applies(slot("s-new", units=10), campaign="gz-new", looked_at=False)
    heard = await till.post("/v1/slots/s-new/quota", {"change": 5, "why": "delivery"})
    assert (heard.status, heard.json["quota"]) == (200, 15)


async def test_where_two_campaigns_call_a_slot_the_same_the_campaign_is_asked_for(world: CounterWorld) -> None:
    await world.applies(slot("s-morning"), campaign="gz-second")
    till = await world.paired()
    heard = await till.post("/v1/slots/s-morning/quota", {"change": 5, "why": "x"})
    assert (heard.status, heard.json["field"]) == (400, "campaign")
    heard = await till.post("/v1/slots/s-morning/quota", {"change": 5, "why": "x", "campaign": "gz-second"})
    assert (heard.status, heard.json["campaign"]) == (200, "gz-second")


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"change": "5", "why": "x"}, "change"),
        ({"change": 5.5, "why": "x"}, "change"),
        ({"change": True, "why": "x"}, "change"),
        ({"change": 5, "why": ""}, "why"),
        ({"change": 5}, "why"),
        ({"change": 5, "why": "x", "share": "reserve"}, "share"),
        ({"change": 5, "why": "x", "campaign": None}, "campaign"),
        ({"change": 10**7, "why": "x"}, "change"),
        ({"change": 5, "why": "x", "quota": 3}, "quota"),
    ],
)
async def test_a_wish_that_cannot_be_read_names_its_field(world: CounterWorld, wish: Any, field: str) -> None:
    heard = await (await world.paired()).post("/v1/slots/s-morning/quota", wish)
    assert (heard.status, heard.reason, heard.json["field"]) == (400, "malformed", field)
