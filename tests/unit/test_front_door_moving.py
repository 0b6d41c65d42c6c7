"""Waiting for a full time and changing to another one, with a browser."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.domain import commands as c
from services.platform.languages import LANGUAGES
from tests.unit.front_door_browser import Page, page, post, send_form
from tests.unit.front_door_world import Heard, World, front_door, tomorrow

NAME = "moves"
CAMPAIGN = f"/campaigns/{NAME}"
LIST = {"per_mille": 1_000, "promote_until_h": 2}


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("services.front_door.stock.LEAST_AGE_S", 0.0)
    monkeypatch.setattr("services.front_door.stock.SLOTS_PER_S", 1_000_000)
    async with front_door(tmp_path) as world:
        await world.apply(tomorrow(NAME, 2, 5, 5, waiting_list=LIST, change_until_h=1))
        yield world


async def book(world: World, number: str, slot: str = "s-1", units: str = "2") -> tuple[Heard, str]:
    """Somebody books with the form; the page of the decision, and its address."""
    async with world.folding():
        person = {"document_type": "passport", "document_number": f"E0000000{number}", "units": units}
        sent = await send_form(world, f"{CAMPAIGN}/slots/{slot}", **person)
        assert sent.status == 303, sent.text
        heard, _ = await page(world, sent.headers["Location"])
    return heard, sent.headers["Location"]


def path_of(url: str) -> str:
    return url.partition("?")[0]


async def change(world: World, url: str, slot: str) -> Heard:
    """Press the button of a time."""
    async with world.folding():
        _, shown = await page(world, f"{path_of(url)}/change")
        form = next(form for form in shown.all("form") if form.get("method") == "post")
        sent = await post(world, str(form["action"]), {"nonce": shown.value("nonce"), "slot": slot})
        assert sent.status == 303, sent.text
        heard, _ = await page(world, sent.headers["Location"])
    return heard


# -- waiting ------------------------------------------------------------------------------------------------------


async def test_a_full_time_leads_to_its_form_where_one_can_wait_and_says_so(world: World) -> None:
    await book(world, "1")
    heard, shown = await page(world, CAMPAIGN)
    assert "full; you can wait" in heard.text
    assert f"{CAMPAIGN}/slots/s-1" in [link["href"] for link in shown.all("a")]
    form, _ = await page(world, f"{CAMPAIGN}/slots/s-1")
    assert "you join its waiting list" in form.text
    other, _ = await page(world, f"{CAMPAIGN}/slots/s-2")
    assert "waiting list" not in other.text
    await book(world, "2")
    heard, shown = await page(world, CAMPAIGN)  # the list is full as well
    assert "full; you can wait" not in heard.text
    assert f"{CAMPAIGN}/slots/s-1" not in [link["href"] for link in shown.all("a")]


async def test_who_waits_reads_what_it_means_where_they_stand_and_until_when(world: World) -> None:
    await book(world, "1")
    heard, url = await book(world, "2", units="1")
    assert "On the waiting list" in heard.text
    assert "You are next" in heard.text
    assert "Nothing is kept for you yet" in heard.text
    assert re.search(r"The list ends on \w{3} \d+ \w{3} 0[67]:00\.", heard.text)
    shown = Page(heard.text)
    assert {"http-equiv": "refresh", "content": "60"} in shown.all("meta")
    assert not shown.all("img")
    second, _ = await book(world, "3", units="1")
    assert '<p class="big">1</p><p>people at most may come before you</p>' in second.text
    for spoken in LANGUAGES:
        heard, _ = await page(world, f"{path_of(url)}?lang={spoken}")
        assert f'<html lang="{spoken}">' in heard.text
        assert not re.search(r"\{[a-z_]+\}", heard.text)


async def test_who_is_promoted_finds_the_pass_on_the_same_page(world: World) -> None:
    _, first = await book(world, "1")
    _, waits = await book(world, "2")
    async with world.folding():
        _, shown = await page(world, path_of(first))
        form = next(form for form in shown.all("form") if str(form["action"]).endswith("/cancel"))
        sent = await post(world, str(form["action"]), {"nonce": shown.value("nonce")})
        await page(world, sent.headers["Location"])  # it is held until the decision
        heard, after = await page(world, path_of(waits))
    assert "Booked" in heard.text
    assert after.all("img")
    assert not [meta for meta in after.all("meta") if "http-equiv" in meta]


async def test_who_waits_may_leave_the_list(world: World) -> None:
    await book(world, "1")
    heard, _ = await book(world, "2")
    assert "Yes, leave" in heard.text
    shown = Page(heard.text)
    form = next(form for form in shown.all("form") if str(form["action"]).endswith("/cancel"))
    async with world.folding():
        sent = await post(world, str(form["action"]), {"nonce": shown.value("nonce")})
        after, _ = await page(world, sent.headers["Location"])
    assert "Cancelled" in after.text


async def test_who_waited_in_vain_reads_so_and_not_that_others_have_some(world: World) -> None:
    await book(world, "1")
    _, url = await book(world, "2")
    slot = world.model.states[0].get(f"s:{world.model.states[0].get(f'c:{NAME}').no}:s-1")
    slot.promote_until_ms = 1
    world.write(0, c.EndWaiting(id="end-waiting-0001", campaign=NAME, slots=["s-1"]))
    world.model.fold()
    heard, _ = await page(world, path_of(url))
    assert "Nothing came free in time" in heard.text
    assert "12345" in heard.text
    assert "This pick-up time is full" not in heard.text


# -- changing -----------------------------------------------------------------------------------------------------


async def test_a_press_on_another_time_changes_to_it(world: World) -> None:
    heard, url = await book(world, "1")
    assert "Change to another time" in heard.text
    chooser, shown = await page(world, f"{path_of(url)}/change")
    assert "You keep it unless you get the new time" in chooser.text
    assert [button.get("value") for button in shown.all("button") if button.get("name") == "slot"] == ["s-3", "s-2"]
    after = await change(world, url, "s-2")
    assert "Booked" in after.text
    assert "Second" in after.text
    assert "changed to another time" in after.text


async def test_who_does_not_get_the_new_time_reads_why_and_that_the_old_one_stays(world: World) -> None:
    _, url = await book(world, "1")
    for number, units in (("2", "3"), ("3", "2")):
        await book(world, number, "s-2", units)
    after = await change(world, url, "s-2")
    assert "Your booking stays as it is" in after.text
    assert "Booked" in after.text
    assert Page(after.text).all("img")
    plain, _ = await page(world, path_of(url))
    assert "Your booking stays as it is" not in plain.text


async def test_who_waits_changes_to_a_time_that_has_some(world: World) -> None:
    await book(world, "1")
    heard, url = await book(world, "2")
    assert "Change to another time" in heard.text
    assert "Booked" in (await change(world, url, "s-3")).text


async def test_the_days_and_the_search_of_the_chooser_stay_with_the_booking(world: World) -> None:
    _, url = await book(world, "1")
    path = f"{path_of(url)}/change"
    heard, shown = await page(world, f"{path}?q=SECOND&lang=zh-Hant")
    assert "Second" in heard.text
    search = next(form for form in shown.all("form") if form.get("role") == "search")
    assert search["action"] == path
    days = [str(link["href"]) for link in shown.all("a") if "day=" in str(link["href"])]
    assert days
    assert all(day.startswith(path) and day.endswith("lang=zh-Hant") for day in days)
    assert heard.headers["Cache-Control"] == "no-store"
    assert "改到其他時段" not in heard.text  # that is the page before this one
    assert "選擇其他時段" in heard.text


async def test_what_cannot_be_changed_any_more_leads_back_to_the_booking(world: World) -> None:
    _, url = await book(world, "1")
    async with world.folding():
        await world.ask("DELETE", f"/v1{path_of(url)}?wait=5")
    sent = await world.ask("GET", f"{path_of(url)}/change")
    assert (sent.status, sent.headers["Location"]) == (303, path_of(url))
    await world.apply(tomorrow("early", 5, 5, change_until_h=48))
    async with world.folding():
        sent = await send_form(
            world, "/campaigns/early/slots/s-1", document_type="passport", document_number="E99999999"
        )
        heard, _ = await page(world, sent.headers["Location"])
    assert "Booked" in heard.text
    assert "Change to another time" not in heard.text


async def test_what_was_refused_is_neither_changed_nor_cancelled_and_nothing_is_written(world: World) -> None:
    async with world.folding():
        heard = await world.book(prefer="wait=5", campaign=NAME, slot="s-1", units=6)
    end = world.end()
    for verb in ("change", "cancel"):
        sent = await post(world, f"/reservations/{heard.json['id']}/{verb}", {"nonce": "n" * 16, "slot": "s-2"})
        assert sent.status == 409
        assert "No masks are kept for you under this booking" in sent.text
    assert world.end() == end


async def test_a_change_to_a_time_that_is_not_there_is_a_problem_page(world: World) -> None:
    _, url = await book(world, "1")
    end = world.end()
    sent = await post(world, f"{path_of(url)}/change", {"nonce": "n" * 16, "slot": "s-9"})
    assert sent.status == 404
    assert "This pick-up time is not known" in sent.text
    assert world.end() == end
