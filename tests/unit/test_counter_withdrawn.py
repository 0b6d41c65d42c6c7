"""A slot withdrawn, seen from the counter: what a lost pass says, what the pharmacy's numbers are, who comes first."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.domain import commands as c
from tests.unit.counter_world import CAMPAIGN, NOON_MS, CounterWorld, counter

DOCUMENT = {"document_type": "passport", "document_number": "A0000001"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path) as world:
        yield world


def withdraw(world: CounterWorld, keep: int = 0) -> None:
    world.write(c.WithdrawSlot(id="withdraw-0000001", campaign=CAMPAIGN, slot="s-morning", keep=keep))


async def morning(till: Any) -> dict[str, Any]:
    slots = (await till.get("/v1/slots")).json["slots"]
    return next(slot for slot in slots if slot["slot"] == "s-morning")


async def test_a_lost_pass_says_that_the_slot_was_withdrawn_and_when(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    shown = world.pass_of(anna)
    world.time_is(NOON_MS + 60_000)
    withdraw(world)
    heard = await till.post("/v1/pickups", {"pass": shown})
    assert (heard.status, heard.reason) == (409, "slot_withdrawn")
    assert heard.json["when"].startswith("2020-02-01T12:0")
    cancel = await till.post(f"/v1/reservations/{anna.pass_no}/cancel", {"why": "asks for it"})
    assert (cancel.status, cancel.reason) == (409, "slot_withdrawn")


async def test_a_lookup_tells_where_somebody_may_book_before_others(world: CounterWorld) -> None:
    till = await world.paired()
    world.books("A0000001")
    before = (await till.post("/v1/lookups", DOCUMENT)).json
    assert ([one["state"] for one in before["reservations"]], "precedence" in before) == (["confirmed"], False)
    withdraw(world)
    after = (await till.post("/v1/lookups", DOCUMENT)).json
    assert (after["reservations"], after["precedence"]) == ([], [CAMPAIGN])


async def test_the_pharmacy_sees_that_its_slot_is_withdrawn(world: CounterWorld) -> None:
    till = await world.paired()
    world.books("A0000001", units=5)
    withdraw(world)
    told = await morning(till)
    assert (told["withdrawn"], told["quota"], told["confirmed"], told["left"]) == (True, 0, 0, 0)


async def test_units_kept_for_people_on_their_way_are_not_told_as_confirmed(world: CounterWorld) -> None:
    till = await world.paired()
    people = [world.books(f"A{n:07}", "s-morning", units=1) for n in range(1, 40)]
    assert len(people) == 39
    world.write(c.MoveSlot(id="move-00000000001", campaign=CAMPAIGN, slot="s-morning", to="s-noon"))
    slots = {slot["slot"]: slot for slot in (await till.get("/v1/slots")).json["slots"]}
    noon = slots["s-noon"]
    assert noon["moving_in"] > 0
    assert noon["confirmed"] + noon["moving_in"] == 39
    told = [noon.get(name, 0) for name in ("confirmed", "picked_up", "expired", "moving_in", "left")]
    assert sum(told) == noon["quota"]
    assert slots["s-morning"]["to_withdraw"] == noon["moving_in"]


async def test_stock_that_comes_while_people_lose_places_is_told_with_what_it_became(world: CounterWorld) -> None:
    till = await world.paired()
    for n in range(1, 40):
        world.books(f"A{n:07}", "s-morning", units=1)
    withdraw(world)
    heard = await till.post("/v1/slots/s-morning/quota", {"change": 3, "why": "some came"})
    assert (heard.status, heard.json["left"]) == (200, 0)
    told = await morning(till)
    assert ("withdrawn" in told, told["quota"]) == (False, told["confirmed"])
