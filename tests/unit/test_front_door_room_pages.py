"""The waiting room with a browser and without a script: join, wait, come in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.domain import commands as c
from services.domain.places import commitment_of
from tests import room_builders as rooms
from tests.unit.front_door_browser import Page
from tests.unit.front_door_world import CAMPAIGN, Heard, World, campaign, front_door
from tests.unit.test_front_door_waiting_room import told

WAIT = f"/campaigns/{CAMPAIGN}/wait"
FORM = f"/campaigns/{CAMPAIGN}/slots/s-1"
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world, world.folding():
        await told(world)
        yield world


async def look(world: World, path: str, cookie: str = "", language: str = "en") -> Heard:
    headers = {"Accept-Language": language} | ({"Cookie": cookie} if cookie else {})
    return await world.ask("GET", path, headers=headers)


async def join(world: World, path: str = WAIT, number: str = "E11111111") -> str:
    """The cookie that the browser keeps."""
    nonce = Page((await look(world, path)).text).value("nonce")
    fields = {"nonce": nonce, "document_type": "passport", "document_number": number}
    heard = await world.ask("POST", path, data=fields, headers=ENGLISH)
    assert (heard.status, heard.headers["Location"]) == (303, path)
    kept = heard.headers["Set-Cookie"]
    assert "HttpOnly" in kept
    return kept.partition(";")[0]


async def book(world: World, cookie: str) -> Heard:
    nonce = Page((await look(world, FORM, cookie)).text).value("nonce")
    fields = {"nonce": nonce, "units": "1", "document_type": "passport", "document_number": "E11111111",
              "phone": "+8613800000000"}  # fmt: skip
    return await world.ask("POST", FORM, data=fields, headers=ENGLISH | {"Cookie": cookie})


async def test_while_people_wait_the_campaigns_page_leads_to_the_waiting_room(world: World) -> None:
    page = f"/campaigns/{CAMPAIGN}"
    assert WAIT not in (await look(world, page)).text
    await told(world, rooms.set_valve("on"))
    assert f'href="{WAIT}"' in (await look(world, page)).text


async def test_somebody_joins_waits_and_comes_in_when_the_turn_is_there(world: World) -> None:
    await told(world, rooms.set_valve("on"), rooms.lease_numbers(41))
    assert (await look(world, FORM)).headers["Location"] == WAIT
    cookie = await join(world)
    waiting = (await look(world, WAIT, cookie)).text
    assert "41" in waiting
    assert "people before you" in waiting
    assert 'http-equiv="refresh"' in waiting
    assert (await book(world, cookie)).headers["Location"] == WAIT
    await told(world, rooms.admit(42))
    admitted = (await look(world, WAIT, cookie)).text
    assert "It is your turn" in admitted
    assert "refresh" not in admitted
    booked = await book(world, cookie)
    assert booked.headers["Location"].startswith("/reservations/")


async def test_before_the_opening_the_page_says_that_it_does_not_matter_who_came_first(world: World) -> None:
    await world.apply(campaign("masks"), opened=False)
    await told(world, rooms.set_valve("on", campaign="masks"), rooms.prepare_room(campaign="masks"))
    wait = "/campaigns/masks/wait"
    cookie = await join(world, wait)
    early = (await look(world, wait, cookie)).text
    assert "by lot" in early
    assert commitment_of(rooms.hex256("seed")) in early
    world.transition(c.Open, "masks")
    await told(world, rooms.freeze_room(50, campaign="masks"))
    assert rooms.hex256("seed") in (await look(world, wait, cookie)).text


@pytest.mark.parametrize(
    ("language", "words"), [("zh-Hans", "人排在您前面"), ("zh-Hant", "人排在您前面"), ("en", "people before")]
)
async def test_the_page_speaks_three_languages(world: World, language: str, words: str) -> None:
    await told(world, rooms.set_valve("on"))
    assert words in (await look(world, WAIT, await join(world), language)).text


async def test_what_is_no_document_is_said_and_the_form_is_kept(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    nonce = Page((await look(world, WAIT)).text).value("nonce")
    fields = {"nonce": nonce, "document_type": "cn_resident_id", "document_number": "110101199003077050"}
    heard = await world.ask("POST", WAIT, data=fields, headers=ENGLISH)
    assert heard.status == 409
    assert "Set-Cookie" not in heard.headers
    assert Page(heard.text).value("document_number") == "110101199003077050"


async def test_a_ticket_that_is_none_is_forgotten_and_another_one_can_be_taken(world: World) -> None:
    await told(world, rooms.set_valve("on"))
    name = (await join(world)).partition("=")[0]
    heard = await look(world, WAIT, f"{name}=nonsense")
    assert heard.status == 403
    assert "Max-Age=0" in heard.headers["Set-Cookie"]
    assert "<form" in heard.text


async def test_when_the_room_is_off_nobody_is_sent_there(world: World) -> None:
    assert (await look(world, FORM)).status == 200
