"""The waiting room at the front door: tickets, places, turns, and that nobody's place ever gets worse."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.domain import commands as c
from services.domain.places import commitment_of, early_place
from services.front_door import waiting_room
from services.front_door.rushes import LOOKS, REFUSED_A_LOOK
from services.front_door.tickets import Ticket, Tickets
from services.state.catalogue import CampaignView
from tests import room_builders as rooms
from tests.unit.front_door_world import CAMPAIGN, Heard, World, campaign, documents, front_door

SEED = rooms.hex256("seed")
PASSPORTS = documents()
ME = {"document_type": "passport", "document_number": "E11111111"}
ANOTHER = {"document_type": "passport", "document_number": "E22222222"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world, world.folding():
        await told(world)
        yield world


async def told(world: World, *commands: c.Command) -> None:
    """Commands of the ops team and the clock, and every door has heard of them."""
    world.write(0, *commands)
    await asyncio.sleep(0.01)
    assert await world.door.refresh_once()


async def prepared(world: World, name: str = "masks") -> None:
    """A campaign that will open, with a room that people may join."""
    await world.apply(campaign(name), opened=False)
    await told(world, rooms.set_valve("on", campaign=name), rooms.prepare_room(campaign=name))


async def opened(world: World, people: int, name: str = "masks") -> None:
    world.transition(c.Open, name)
    await told(world, rooms.freeze_room(people, campaign=name))


async def join(world: World, resident: dict[str, Any] = ME, name: str = CAMPAIGN) -> Heard:
    return await world.ask("POST", f"/v1/campaigns/{name}/tickets", json={"resident": resident})


async def poll(world: World, ticket: str) -> Any:
    heard = await world.ask("GET", f"/v1/tickets/{ticket}")
    assert heard.status == 200, heard.text
    return heard.json


async def book(world: World, ticket: str | None, who: dict[str, str] = ME, key: str = "1", **changes: Any) -> Heard:
    body = {"campaign": CAMPAIGN, "slot": "s-1", "units": 1, "resident": who, "phone": "+8613800000000"} | changes
    headers = {"Idempotency-Key": key} | ({"Maskline-Ticket": ticket} if ticket is not None else {})
    return await world.ask("POST", "/v1/reservations", json=body, headers=headers)


def people() -> dict[str, str]:
    return {"document_type": "passport", "document_number": next(PASSPORTS)}


# -- a rush that nobody expected: a round in an open campaign ----------------------------------------------------------


async def test_without_a_waiting_room_everybody_may_come_in_and_a_ticket_does_no_harm(world: World) -> None:
    joined = await join(world)
    assert (joined.status, joined.json["state"]) == (201, "admitted")
    assert (await book(world, joined.json["ticket"])).status == 202


async def test_who_comes_without_a_ticket_is_asked_for_one(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    assert (await book(world, None)).reason == "ticket_required"


async def test_who_comes_after_the_opening_is_numbered_in_the_order_of_arrival(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    tickets = [(await join(world, people())).json for _ in range(5)]
    assert [ticket["ahead"] for ticket in tickets] == [0, 1, 2, 3, 4]
    assert {ticket["state"] for ticket in tickets} == {"waiting"}
    assert len({ticket["ticket"] for ticket in tickets}) == 5


async def test_a_crowd_that_comes_at_once_shares_leases_and_no_two_have_the_same_number(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    before = world.end()
    heard = await asyncio.gather(*(join(world, people()) for _ in range(100)))
    await told(world)
    tickets = [Tickets(world.secrets.ticket_key).read(each.json["ticket"]) for each in heard]
    assert sorted(ticket.number for ticket in tickets if ticket is not None) == list(range(100))
    assert world.end() - before < 30


async def test_a_turn_comes_and_lets_its_owner_book(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    mine, other = (await join(world)).json["ticket"], (await join(world, ANOTHER)).json["ticket"]
    assert (await book(world, mine)).reason == "ticket_not_admitted"
    await told(world, rooms.admit(1))
    assert (await poll(world, mine))["state"] == "admitted"
    assert (await poll(world, other)) | {"poll_after_s": 0} == {
        "state": "waiting", "ahead": 0, "estimate_s": None, "poll_after_s": 0, "probably_gone": False, "draw": None,
    }  # fmt: skip
    assert (await book(world, other, ANOTHER)).reason == "ticket_not_admitted"
    assert (await book(world, mine)).status == 202


async def test_a_ticket_that_is_not_admitted_is_refused_before_the_body_is_read(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    mine = (await join(world)).json["ticket"]
    headers = {"Idempotency-Key": "1", "Maskline-Ticket": mine}
    heard = await world.ask("POST", "/v1/reservations", data=b"{", headers=headers)
    assert heard.reason == "ticket_not_admitted"


async def test_when_the_valve_is_turned_off_everybody_may_come_in_at_once(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    mine = (await join(world)).json["ticket"]
    await told(world, rooms.set_valve("off"))
    assert (await poll(world, mine))["state"] == "admitted"
    assert (await book(world, mine)).status == 202
    assert (await book(world, None, ANOTHER)).status == 202


async def test_what_is_probably_gone_is_told_to_those_who_wait(world: World) -> None:
    await told(world, rooms.set_valve("on", factor_per_mille=1_000), rooms.lease_numbers(200))
    inside, outside = (await join(world)).json, (await join(world)).json
    # There are 200 units in the campaign's two slots.
    assert [one["probably_gone"] for one in (inside, outside)] == [False, True]
    await told(world, rooms.set_valve("on", factor_per_mille=1_500, key="2"))
    assert (await poll(world, outside["ticket"]))["probably_gone"] is False


async def test_a_rush_that_nobody_expected_makes_an_automatic_room_begin_once(world: World) -> None:
    await told(world, rooms.set_valve("automatic"))
    load = world.parts.shedding.load(0)
    for _ in range(LOOKS):
        assert (await world.door.reader.read(0, ["q:1"])).rows[0].active == 0
        load.refused += REFUSED_A_LOOK
        await world.parts.rushes.look()
    await told(world)
    await world.parts.rushes.look()
    assert (await world.door.reader.read(0, ["q:1"])).rows[0].round == 1
    assert (await book(world, None)).reason == "ticket_required"


async def test_a_refusal_now_and_then_is_no_rush(world: World) -> None:
    await told(world, rooms.set_valve("automatic"))
    load = world.parts.shedding.load(0)
    for refused in (REFUSED_A_LOOK, REFUSED_A_LOOK, 1, REFUSED_A_LOOK, REFUSED_A_LOOK):
        load.refused += refused
        await world.parts.rushes.look()
    await told(world)
    assert (await world.door.reader.read(0, ["q:1"])).rows[0].round == 0


# -- before an opening -------------------------------------------------------------------------------------------------


async def test_before_the_opening_nobody_hears_a_place_and_a_hundred_tickets_are_worth_one(world: World) -> None:
    await prepared(world)
    joined = [(await join(world, ME, "masks")).json for _ in range(3)]
    for one in joined:
        assert (one["state"], one["ahead"], one["estimate_s"]) == ("waiting", None, None)
        assert (one["draw"]["commitment"], one["draw"]["seed"]) == (commitment_of(SEED), None)
    await opened(world, people=50)
    places = {(await poll(world, one["ticket"]))["ahead"] for one in joined}
    assert len(places) == 1


async def test_everybody_can_recompute_the_own_place(world: World) -> None:
    await prepared(world)
    ticket = (await join(world, ME, "masks")).json["ticket"]
    await opened(world, people=50)
    told_ = await poll(world, ticket)
    draw = told_["draw"]
    assert draw["people"] == 50
    assert told_["ahead"] == early_place(draw["seed"], draw["receipt"], draw["people"])


async def test_who_comes_after_the_opening_stands_behind_all_who_were_there(world: World) -> None:
    await prepared(world)
    await opened(world, people=50)
    assert (await join(world, ANOTHER, "masks")).json["ahead"] == 50


async def test_between_the_opening_and_the_freeze_nobody_hears_a_place(world: World) -> None:
    await prepared(world)
    early = (await join(world, ME, "masks")).json["ticket"]
    world.transition(c.Open, "masks")
    await told(world)
    late = (await join(world, ANOTHER, "masks")).json
    assert (late["state"], late["ahead"], (await poll(world, early))["ahead"]) == ("waiting", None, None)


async def test_those_who_are_there_are_counted_by_joining_and_by_every_poll(world: World) -> None:
    await prepared(world)
    no = world.door.catalogue.get("masks").row.no  # type: ignore[union-attr]
    tickets = [(await join(world, people(), "masks")).json["ticket"] for _ in range(7)]
    await asyncio.sleep(0.2)
    assert await world.door.waiting_count.count((0, no, 1)) == 7
    world.model.counted.clear()  # an emptied Redis
    for ticket in tickets:
        await poll(world, ticket)
    await asyncio.sleep(0.2)
    assert await world.door.waiting_count.count((0, no, 1)) == 7


async def test_a_campaign_that_has_no_room_yet_says_when_it_opens(world: World) -> None:
    await world.apply(campaign("masks"), opened=False)
    assert (await join(world, ME, "masks")).reason == "not_open"


@pytest.mark.safety
async def test_who_has_not_heard_of_the_campaign_for_two_seconds_gives_out_no_early_ticket(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await _joined_while_blind(world, monkeypatch)).reason == "catching_up"


@pytest.mark.control
async def test_without_that_lease_it_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_room, "EARLY_LEASE_S", float("inf"))
    assert (await _joined_while_blind(world, monkeypatch)).json["state"] == "waiting"


async def _joined_while_blind(world: World, monkeypatch: pytest.MonkeyPatch) -> Heard:
    await prepared(world)
    now = world.waiting_room._rooms.now

    async def asleep(view: CampaignView) -> CampaignView:
        """The process stood still between the reading and what it makes of it."""
        return replace(await now(view), as_of_s=asyncio.get_running_loop().time() - 2.1)

    monkeypatch.setattr(world.waiting_room._rooms, "now", asleep)
    return await join(world, ME, "masks")


# -- tickets that are none ---------------------------------------------------------------------------------------------


@pytest.mark.safety
@pytest.mark.parametrize("how", ["forged", "edited", "expired", "of another round", "of another campaign", "foreign"])
async def test_a_ticket_that_is_none_gets_nowhere(world: World, how: str) -> None:
    await told(world, rooms.set_valve("on"))
    mine = (await join(world)).json["ticket"]
    await told(world, rooms.admit(1))
    ours = Tickets(world.secrets.ticket_key)
    genuine = ours.read(mine)
    assert genuine is not None
    ticket = {
        "forged": Tickets(bytes(32)).text(genuine),
        "edited": mine[:-1] + ("A" if mine[-1] != "A" else "B"),
        "expired": ours.text(genuine._replace(expires_s=1_600_000_000)),
        "of another round": ours.text(genuine._replace(round=genuine.round + 1)),
        "of another campaign": ours.text(genuine._replace(campaign_no=genuine.campaign_no + 1)),
        "foreign": ours.text(genuine._replace(receipt=rooms.receipt("somebody else"))),
    }[how]
    assert (await book(world, ticket)).reason == "ticket_invalid"
    assert (await book(world, mine)).status == 202


@pytest.mark.control
async def test_where_nothing_was_checked_all_of_them_would_get_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(world, rooms.set_valve("on"))
    forged = Ticket(0, 1, 1, rooms.receipt("nobody"), is_early=False, number=0, expires_s=4_000_000_000)
    room = world.waiting_room

    async def shown(_text: str) -> Ticket:
        return forged

    monkeypatch.setattr(room, "shown", shown)
    monkeypatch.setattr(room, "why_not", lambda *_: None)
    assert (await book(world, "whatever")).status == 202


@pytest.mark.safety
async def test_a_retry_of_what_was_accepted_never_hears_that_it_needs_a_ticket(world: World) -> None:
    assert (await _retry_after_the_valve_was_turned(world)).status == 202


@pytest.mark.control
async def test_where_the_log_is_not_asked_it_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_campaign: Any, _asked: Any, problem: Exception) -> None:
        raise problem

    monkeypatch.setattr(world.reservations._early_refusals, "unless_it_came_before", refuse)
    assert (await _retry_after_the_valve_was_turned(world)).reason == "ticket_required"


async def _retry_after_the_valve_was_turned(world: World) -> Heard:
    first = await book(world, None)
    assert first.status == 202
    await told(world, rooms.set_valve("on"))
    again = await book(world, None)
    assert again.status != 202 or again.json["id"] == first.json["id"]
    return again


async def test_a_ticket_lets_in_its_household_once_its_own_resident_has_booked(world: World) -> None:
    rules = {"units_max": 5, "document_types": ["passport"], "household_max": 2}
    await world.apply(campaign("families", rules=rules))
    await told(world, rooms.set_valve("on", campaign="families"))
    mine = (await join(world, ME, "families")).json["ticket"]
    await told(world, rooms.admit(1, campaign="families"))

    async def decided(who: dict[str, str], key: str) -> str:
        heard = await book(world, mine, who, key, campaign="families")
        assert heard.status == 202, heard.text
        await told(world)
        shown = await world.ask("GET", heard.json["status_url"])
        return str(shown.json["reason"] or shown.json["state"])

    assert await decided(ANOTHER, "2") == "ticket_invalid"
    assert await decided(ME, "1") == "confirmed"
    assert await decided(ANOTHER, "3") == "confirmed"
    assert await decided(people(), "4") in ("ticket_used_up", "household_limit")


# -- a place never gets worse ------------------------------------------------------------------------------------------


@pytest.mark.safety
@pytest.mark.parametrize("number", range(10))
async def test_whatever_happens_no_place_ever_gets_worse(world: World, number: int) -> None:
    await _watch_places(world, random.Random(number))


@pytest.mark.control
async def test_places_that_were_told_before_the_count_stands_would(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_early(ticket: Ticket, room: Any) -> int:
        return early_place(SEED, ticket.receipt, room.early) if ticket.is_early else room.early + ticket.number

    monkeypatch.setattr(waiting_room, "place_of", too_early)
    with pytest.raises(AssertionError, match="worse"):
        for number in range(10):
            name = f"again-{number}"
            await _watch_places(world, random.Random(number), name)


async def _watch_places(world: World, chance: random.Random, name: str = "masks") -> None:
    """People join before and after an opening while the count grows, numbers are leased and people are let in."""
    await prepared(world, name)
    best: dict[str, int] = {}
    tickets: list[str] = []
    async def look() -> None:
        for ticket in tickets:
            ahead = (await poll(world, ticket))["ahead"]
            if ahead is None:
                assert ticket not in best, "worse: a place was told, and is not known any more"
                continue
            assert ahead <= best.get(ticket, ahead), f"worse: {ahead} people ahead after {best[ticket]}"
            best[ticket] = ahead

    for _ in range(4):
        tickets += [(await join(world, people(), name)).json["ticket"] for _ in range(chance.randrange(4))]
        await told(world, rooms.count_room(chance.randrange(100), campaign=name))
        await look()
    world.transition(c.Open, name)
    await told(world)
    await look()
    tickets += [(await join(world, people(), name)).json["ticket"] for _ in range(chance.randrange(3))]
    await told(world, rooms.freeze_room(chance.randrange(100), campaign=name))
    for _ in range(4):
        await look()
        tickets += [(await join(world, people(), name)).json["ticket"] for _ in range(chance.randrange(3))]
        counted = rooms.count_room(chance.randrange(1_000), campaign=name)
        leased = rooms.lease_numbers(chance.randrange(1, 50), campaign=name)
        await told(world, counted, leased, rooms.admit(chance.randrange(150), campaign=name))
    await look()
    assert best
