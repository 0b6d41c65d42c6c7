"""Who lost a place to a withdrawal, or was moved: what status and pages tell, and how they book before others."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.domain import commands as c
from tests.unit.front_door_browser import page, post
from tests.unit.front_door_world import Heard, World, front_door, tomorrow

NAME = "less"
PERSON = {"document_type": "passport", "document": "E00000001"}
CAMPAIGN_PAGE = f"/campaigns/{NAME}"
FORM = f"{CAMPAIGN_PAGE}/slots/s-2"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Two slots of six units tomorrow, two of each in reserve."""
    async with front_door(tmp_path) as world:
        await world.apply(tomorrow(NAME, 6, 6, reserve_per_mille=400))
        yield world


async def booked(world: World, slot: str = "s-1", units: int = 2, **changes: Any) -> Heard:
    async with world.folding():
        return await world.book(prefer="wait=5", campaign=NAME, slot=slot, units=units, **(PERSON | changes))


async def decided(world: World, *commands: c.Command) -> None:
    world.write(0, *commands)
    world.model.fold()
    await world.door.refresh_once()


async def withdrawn(world: World, slot: str = "s-1") -> None:
    await decided(world, c.WithdrawSlot(id="withdraw-0000001", campaign=NAME, slot=slot))


async def closed(world: World) -> None:
    world.transition(c.Close, NAME)
    await decided(world)


async def status(world: World, heard: Heard) -> Any:
    return (await world.ask("GET", f"/v1/reservations/{heard.json['id']}")).json


# -- status ------------------------------------------------------------------------------------------------------------


async def test_who_lost_a_place_hears_why_and_has_no_pass_any_more(world: World) -> None:
    first = await booked(world)
    await withdrawn(world)
    told = await status(world, first)
    assert (told["state"], told["reason"], told["pass"], told["short_code"]) == (
        "cancelled", "slot_withdrawn", None, None
    )  # fmt: skip
    assert told["how_to_appeal"]
    last = told["history"][-1]
    assert (last["event"], last["by"], last["reason"]) == ("withdrawn", "pharmacy", "slot_withdrawn")
    refused = await world.ask("GET", f"/v1/reservations/{first.json['id']}/pass.svg")
    assert (refused.status, refused.reason) == (409, "slot_withdrawn")


async def test_who_lost_a_place_and_asks_for_something_hears_of_the_withdrawal(world: World) -> None:
    first = await booked(world)
    await withdrawn(world)
    path = f"/v1/reservations/{first.json['id']}?wait=5"
    async with world.folding():
        cancel = await world.ask("DELETE", path)
        change = await world.ask("PATCH", path, json={"slot": "s-2"}, headers={"Idempotency-Key": "k"})
    assert (cancel.reason, change.reason) == ("slot_withdrawn", "slot_withdrawn")


async def test_who_gave_a_place_back_before_hears_that_it_was_cancelled(world: World) -> None:
    first = await booked(world)
    async with world.folding():
        await world.ask("DELETE", f"/v1/reservations/{first.json['id']}?wait=5")
    await withdrawn(world)
    told = await status(world, first)
    assert (told["state"], told["reason"]) == ("cancelled", None)


async def test_who_is_moved_has_another_pass_and_the_history_says_whose_doing_it_was(world: World) -> None:
    first = await booked(world)
    await decided(world, c.MoveSlot(id="move-00000000001", campaign=NAME, slot="s-1", to="s-2"))
    told = await status(world, first)
    assert (told["state"], told["slot"], told["reason"]) == ("confirmed", "s-2", None)
    assert told["pass"] not in (None, first.json["pass"])
    verified = world.secrets.pass_verifier().verify(told["pass"])
    assert verified.pharmacy == told["pharmacy"] == "p-2"
    assert (told["history"][-1]["event"], told["history"][-1]["by"]) == ("moved", "pharmacy")


async def test_who_books_in_a_withdrawn_slot_is_told_so(world: World) -> None:
    await withdrawn(world)
    refused = await booked(world)
    assert (refused.status, refused.reason) == (409, "slot_withdrawn")
    assert "not your fault" in refused.json["detail"]


# -- before others -----------------------------------------------------------------------------------------------------


async def test_who_lost_a_place_books_from_the_reserve_also_after_the_end_and_hears_it_at_once(world: World) -> None:
    await booked(world)
    await withdrawn(world)
    await closed(world)
    other = await booked(world, "s-2", document="E00000002")
    assert (other.status, other.reason) == (409, "campaign_closed")
    too_much = await booked(world, "s-2", 3)
    assert (too_much.status, too_much.reason, too_much.json["left"]) == (409, "slot_full", 2)
    again = await booked(world, "s-2", 2)
    assert (again.status, again.json["state"]) == (201, "confirmed")
    assert again.json["pass"]
    assert again.json["short_code"]


async def test_the_page_of_a_lost_place_leads_to_what_is_set_aside(world: World) -> None:
    first = await booked(world)
    await withdrawn(world)
    await closed(world)
    heard, lost = await page(world, f"/reservations/{first.json['id']}")
    assert "Your pharmacy could not keep this booking" in heard.text
    assert "lost, because the pharmacy got fewer masks" in heard.text
    (link,) = [str(a["href"]) for a in lost.all("a") if "first=1" in str(a["href"]) and "lang" not in str(a["href"])]
    heard, shown = await page(world, link)
    assert "set aside for you" in heard.text
    forms = [str(a["href"]) for a in shown.all("a") if "/slots/" in str(a["href"])]
    assert forms == [f"{FORM}?first=1"]
    _, form = await page(world, forms[0])
    fields = {"nonce": form.value("nonce"), "units": "2", "document_type": "passport", "document_number": "E00000001",
              "phone": "13800000000"}  # fmt: skip
    async with world.folding():
        sent = await post(world, forms[0], fields)
        heard, _ = await page(world, sent.headers["Location"])
    assert "Show this pass" in heard.text


async def test_nobody_else_is_shown_what_is_set_aside(world: World) -> None:
    await booked(world)
    await withdrawn(world)
    await closed(world)
    heard, shown = await page(world, CAMPAIGN_PAGE)
    assert "set aside" not in heard.text
    assert [a for a in shown.all("a") if "/slots/" in str(a["href"])] == []
    heard, _ = await page(world, FORM)
    assert "Booking is not open" in heard.text


async def test_where_nobody_waits_for_a_lost_place_the_link_shows_nothing_more(world: World) -> None:
    await closed(world)
    heard, _ = await page(world, f"{CAMPAIGN_PAGE}?first=1")
    assert "set aside" not in heard.text
    heard, _ = await page(world, f"{FORM}?first=1")
    assert "Booking is not open" in heard.text


async def test_links_and_languages_keep_that_somebody_comes_first(world: World) -> None:
    first = await booked(world)
    await withdrawn(world)
    _, shown = await page(world, f"{CAMPAIGN_PAGE}?first=1")
    languages = [str(a["href"]) for a in shown.all("a") if "lang=" in str(a["href"])]
    assert len(languages) == 3
    assert all("first=1" in link for link in languages)
    assert shown.value("first") == "1"
    assert first.status == 201


async def test_the_page_of_somebody_who_was_moved_says_so_first(world: World) -> None:
    first = await booked(world)
    await decided(world, c.MoveSlot(id="move-00000000001", campaign=NAME, slot="s-1", to="s-2"))
    heard, _ = await page(world, f"/reservations/{first.json['id']}")
    assert heard.text.index("Your time or pharmacy has changed") < heard.text.index("Show this pass")
    assert "moved to another time or pharmacy" in heard.text


async def test_who_changed_after_a_move_is_not_told_of_it_any_more(world: World) -> None:
    await decided(world, c.ChangeQuota(id="more-00000000001", campaign=NAME, slot="s-1", change=1))
    first = await booked(world, units=1)
    await decided(world, c.MoveSlot(id="move-00000000001", campaign=NAME, slot="s-1", to="s-2", keep=0))
    await decided(world, c.ChangeQuota(id="more-00000000002", campaign=NAME, slot="s-1", change=2))
    async with world.folding():
        path = f"/v1/reservations/{first.json['id']}?wait=5"
        await world.ask("PATCH", path, json={"slot": "s-1"}, headers={"Idempotency-Key": "k"})
    heard, _ = await page(world, f"/reservations/{first.json['id']}")
    assert "Your time or pharmacy has changed" not in heard.text


async def test_who_waited_for_a_slot_that_was_withdrawn_hears_so(world: World) -> None:
    await world.apply(tomorrow("waits", 2, 2, waiting_list={"per_mille": 1_000, "promote_until_h": 1}))
    async with world.folding():
        await world.book(prefer="wait=5", campaign="waits", slot="s-1", units=2, **PERSON)
        waits = await world.book(
            prefer="wait=5", campaign="waits", slot="s-1", units=2, document_type="passport", document="E00000002"
        )
    assert waits.json["state"] == "waitlisted"
    await decided(world, c.WithdrawSlot(id="withdraw-0000001", campaign="waits", slot="s-1"))
    told = await status(world, waits)
    assert (told["state"], told["reason"]) == ("rejected", "slot_withdrawn")
    heard, _ = await page(world, f"/reservations/{waits.json['id']}")
    assert "The pharmacy has withdrawn this pick-up time" in heard.text
