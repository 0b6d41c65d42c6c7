"""Booking with a form, and what became of it: the place in line, the pass, a refusal, giving it back."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.domain import commands as c
from tests.unit.front_door_browser import FORM, Page, page, post, send_form
from tests.unit.front_door_world import CAMPAIGN, World, front_door


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


# -- booking ------------------------------------------------------------------------------------------------------


async def test_above_the_document_field_stands_who_answers_for_the_data(world: World) -> None:
    heard, _ = await page(world, FORM)
    above = heard.text[: heard.text.index('name="document_number"')]
    deletion = world.door.catalogue.get(CAMPAIGN).definition.deletion_day  # type: ignore[union-attr]
    for told in (
        "Health Commission",
        "privacy@masks.example",
        "12345",
        deletion,
        "only to give each person one booking",
    ):
        assert told in above


async def test_a_form_really_books(world: World) -> None:
    async with world.folding():
        sent = await send_form(world)
        assert sent.status == 303
        heard, shown = await page(world, sent.headers["Location"])
    assert "Booked" in heard.text
    command = world.command()
    assert isinstance(command, c.Reserve)
    assert command.units == 3
    picture = next(str(image["src"]) for image in shown.all("img"))
    assert (await world.ask("GET", picture)).headers["Content-Type"] == "image/svg+xml"
    assert re.search(r"\d{4} \d{4}", heard.text)


async def test_a_form_sent_twice_is_one_booking_and_another_choice_is_another(world: World) -> None:
    _, form = await page(world, FORM)
    fields = {
        "nonce": form.value("nonce"),
        "units": "3",
        "document_type": "cn_resident_id",
        "document_number": "11010519491231002X",
        "phone": "13800000000",
    }
    first, again = [await post(world, FORM, fields) for _ in range(2)]
    other = await post(world, FORM.replace("s-1", "s-2"), fields)
    fewer = await post(world, FORM, fields | {"units": "2"})
    ids = [heard.headers["Location"].split("?")[0] for heard in (first, again, other, fewer)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"document_number": "110105194912310021"}, 409, "its last character does not fit the others"),
        ({"document_number": ""}, 400, "Please fill in this field"),
        ({"phone": "110"}, 400, "eleven digits for a mainland mobile number"),
        ({"units": "many"}, 400, "Please fill in this field"),
        ({"document_type": "military_id"}, 400, "This kind of document is not accepted here"),
    ],
)
async def test_what_is_wrong_in_a_form_is_said_at_its_field_and_the_rest_is_kept(
    world: World, changes: dict[str, str], status: int, told: str
) -> None:
    end = world.end()
    heard = await send_form(world, **changes)
    assert heard.status == status
    assert told in heard.text
    kept = Page(heard.text)
    assert kept.value("phone") == changes.get("phone", "13800000000")
    assert world.end() == end


async def test_everything_that_is_wrong_in_a_form_is_said_at_once_each_at_its_field(world: World) -> None:
    wrong = {"units": "", "document_type": "military_id", "document_number": "110105194912310021", "phone": "110"}
    heard = await send_form(world, **wrong)
    assert heard.status == 400
    said = said_at_fields(heard.text)
    assert sorted(said) == ["document_type", "phone", "units"]  # whether a number fits, only its kind tells
    assert "Number of masks, Kind of document, Mobile phone" in heard.text
    heard = await send_form(world, **(wrong | {"document_type": "cn_resident_id", "units": "2"}))
    said = said_at_fields(heard.text)
    assert sorted(said) == ["document_number", "phone"]
    assert "its last character does not fit" in said["document_number"]
    assert "eleven digits" in said["phone"]
    empty = said_at_fields((await send_form(world, units="", document_number="", phone=" ")).text)
    assert empty == dict.fromkeys(["units", "document_number", "phone"], "Please fill in this field.")


async def test_who_was_refused_for_another_reason_finds_no_field_marked(world: World) -> None:
    world.producer.is_down = True
    assert said_at_fields((await send_form(world)).text) == {}


def said_at_fields(text: str) -> dict[str, str]:
    """What stands at the fields of a form, by their names."""
    labels = re.findall(r"<label>(.*?)</label>", text, re.DOTALL)
    marked = [label for label in labels if 'class="wrong"' in label]
    named = [re.search(r'name="(\w+)"', label) for label in marked]
    return {
        name[1]: label.partition('class="wrong">')[2].partition("<")[0]
        for name, label in zip(named, marked, strict=True)
        if name is not None
    }


async def test_a_form_that_was_not_made_here_is_refused(world: World) -> None:
    for fields in ({}, {"nonce": "short"}, {"nonce": "x" * 16, **{f"f{n}": "1" for n in range(20)}}):
        assert (await post(world, FORM, fields)).status == 400


async def test_while_booking_is_closed_there_is_no_form(world: World) -> None:
    world.transition(c.Pause)
    world.model.fold()
    await world.door.refresh_once()
    heard, shown = await page(world, FORM)
    assert "Booking is not open" in heard.text
    assert not shown.all("form")


async def test_a_log_that_is_away_keeps_the_form_and_its_key(world: World) -> None:
    world.producer.is_down = True
    heard = await send_form(world)
    assert heard.status == 503
    assert "Retry-After" in heard.headers
    assert Page(heard.text).value("document_number") == "11010519491231002X"


# -- the decision -------------------------------------------------------------------------------------------------


async def test_who_is_in_line_sees_the_place_and_the_page_looks_again(world: World) -> None:
    sent, *_ = [
        await send_form(world, document_type="passport", document_number=f"E000000{number}") for number in (1, 2, 3)
    ][::-1]
    heard, shown = await page(world, sent.headers["Location"])
    assert '<p class="big">2</p>' in heard.text
    assert {"http-equiv": "refresh", "content": "2"} in shown.all("meta")
    world.model.fold()
    decided, shown = await page(world, sent.headers["Location"])
    assert "Booked" in decided.text
    assert not [meta for meta in shown.all("meta") if "http-equiv" in meta]


async def test_who_is_refused_reads_why_and_whom_to_ask(world: World) -> None:
    async with world.folding():
        await send_form(world)
        sent = await send_form(world)
        heard, _ = await page(world, sent.headers["Location"])
    assert "You already have a booking" in heard.text
    assert "12345" in heard.text
    assert f"/campaigns/{CAMPAIGN}" in heard.text


async def test_a_booking_can_be_cancelled_from_its_page(world: World) -> None:
    async with world.folding():
        sent = await send_form(world)
        _, shown = await page(world, sent.headers["Location"])
        form = next(form for form in shown.all("form") if str(form["action"]).endswith("/cancel"))
        cancelled = await post(world, str(form["action"]), {"nonce": shown.value("nonce")})
        assert cancelled.status == 303
        heard, after = await page(world, cancelled.headers["Location"])
    assert "Cancelled" in heard.text
    assert not after.all("img")
    assert not [form for form in after.all("form") if str(form["action"]).endswith("/cancel")]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/campaigns/nowhere", 404), (f"/campaigns/{CAMPAIGN}/slots/s-9", 404), ("/reservations/00" + "x" * 22, 404)],
)
async def test_a_problem_is_a_page_too(world: World, path: str, status: int) -> None:
    heard, _ = await page(world, path, status)
    assert heard.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_while_redis_is_away_a_page_says_when_to_try_again(world: World) -> None:
    sent = await send_form(world)
    world.model.is_down = True
    heard, _ = await page(world, sent.headers["Location"], 503)
    assert "again in 3 seconds" in heard.text
    assert heard.headers["Retry-After"] == "3"


async def test_what_a_pharmacy_did_is_told_as_its_doing(world: World) -> None:
    sent = await send_form(world)
    world.pick_up(world.command().pass_no)  # type: ignore[attr-defined]
    world.model.fold()
    heard, shown = await page(world, sent.headers["Location"])
    assert "picked up (by the pharmacy)" in heard.text
    assert not shown.all("img")
