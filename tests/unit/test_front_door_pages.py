"""The pages: everything a resident needs, in three languages, without JavaScript, and nothing that leaks."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from services.domain import commands as c
from services.domain.days import instant_ms
from services.domain.documents import DocumentProblem, DocumentType
from services.domain.rows import Phase
from services.domain.stock import Band
from services.front_door.pages import kept, markup, offers, times
from services.front_door.pages.visit import Visit
from services.front_door.words import words
from services.platform.languages import LANGUAGES
from tests.unit.front_door_browser import FORM, Page, page
from tests.unit.front_door_world import CAMPAIGN, World, campaign, front_door


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


# -- looking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoken", LANGUAGES)
async def test_every_page_reads_in_every_language(world: World, spoken: str) -> None:
    url = (await world.book()).json["status_url"].removeprefix("/v1")
    for path in ("/", f"/campaigns/{CAMPAIGN}", FORM, url, "/nothing"):
        heard = await world.ask("GET", path, headers={"Accept-Language": spoken})
        if path != "/nothing":
            assert f'<html lang="{spoken}">' in heard.text
            assert not re.search(r"\{[a-z_]+\}", heard.text)
            Page(heard.text)


async def test_a_language_chosen_by_hand_stays(world: World) -> None:
    heard, home = await page(world, "/?lang=zh-Hant", headers={"Accept-Language": "en"})
    assert "口罩預約" in heard.text
    links = [str(link["href"]) for link in home.all("a") if str(link["href"]).startswith("/campaigns")]
    assert links
    assert all(link.endswith("lang=zh-Hant") for link in links)
    _, form = await page(world, f"{FORM}?lang=zh-Hant")
    assert str(form.all("form")[0]["action"]).endswith("lang=zh-Hant")


async def test_no_page_runs_scripts_or_calls_others(world: World) -> None:
    url = (await world.book()).json["status_url"].removeprefix("/v1")
    world.model.fold()
    for path in ("/", f"/campaigns/{CAMPAIGN}", FORM, url):
        heard, shown = await page(world, path)
        policy = heard.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert heard.headers["Referrer-Policy"] == "no-referrer"
        assert heard.headers["X-Content-Type-Options"] == "nosniff"
        assert not shown.all("script")
        for tag, attributes in shown.tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes), tag
            for name in ("href", "src", "action"):
                assert str(attributes.get(name, "/")).startswith(("/", "#"))


async def test_what_is_typed_into_a_campaign_or_an_address_is_never_markup(world: World) -> None:
    evil = "<script>alert(1)</script>"
    named = [{"id": "p-1", "name": evil, "address": evil}, {"id": "p-2", "name": evil}]
    await world.apply(campaign("evil", pharmacies=named, title={"en": evil}), partition=1)
    for path in ("/", "/campaigns/evil", "/campaigns/evil/slots/s-1", f"/campaigns/evil?q={evil}&day={evil}"):
        heard, shown = await page(world, path)
        assert evil not in heard.text
        assert not shown.all("script")


async def test_the_pharmacies_of_a_day_are_found_by_a_word(world: World) -> None:
    tomorrow = world.door.catalogue.get(CAMPAIGN).slots["s-2"].day  # type: ignore[union-attr]
    today, _ = await page(world, f"/campaigns/{CAMPAIGN}")
    assert "First" in today.text
    assert "Second" not in today.text
    other, _ = await page(world, f"/campaigns/{CAMPAIGN}?day={tomorrow}&q=SECOND")
    assert "Second" in other.text
    nothing, _ = await page(world, f"/campaigns/{CAMPAIGN}?q=nowhere")
    assert "No pharmacy was found" in nothing.text


@pytest.mark.parametrize(
    "query", ["day=x", "day=99999999", "page=0", "page=-1", "page=9999", "q=" + "x" * 500, "lang=xx"]
)
async def test_an_address_with_nonsense_in_it_still_shows_the_campaign(world: World, query: str) -> None:
    usual, _ = await page(world, f"/campaigns/{CAMPAIGN}")
    heard, shown = await page(world, f"/campaigns/{CAMPAIGN}?{query}")
    assert heard.text.count("<h1") == usual.text.count("<h1") == 1
    assert "First" in heard.text or (query.startswith("q=") and "No pharmacy was found" in heard.text)
    assert [link for link in shown.all("a") if "/slots/" in str(link["href"])] or query.startswith("q=")


async def test_what_is_gone_or_not_open_has_no_link(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.front_door.stock.LEAST_AGE_S", 0.0)
    monkeypatch.setattr("services.front_door.stock.SLOTS_PER_S", 10**9)

    async def links() -> list[object]:
        _, shown = await page(world, f"/campaigns/{CAMPAIGN}")
        return [link for link in shown.all("a") if "/slots/" in str(link["href"])]

    assert len(await links()) == 1
    world.write(0, c.ChangeQuota(id="quota-change-001", campaign=CAMPAIGN, slot="s-1", change=-100))
    world.model.fold()
    assert await links() == []


async def test_a_stylesheet_is_kept_for_ever_and_changes_its_name(world: World) -> None:
    _, home = await page(world, "/")
    heard = await world.ask("GET", str(home.all("link")[0]["href"]))
    assert heard.status == 200
    assert heard.headers["Content-Type"].startswith("text/css")
    assert "immutable" in heard.headers["Cache-Control"]


async def test_pages_without_forms_may_be_kept_and_forms_may_not(world: World) -> None:
    assert "max-age" in (await page(world, "/"))[0].headers["Cache-Control"]
    assert (await page(world, FORM))[0].headers["Cache-Control"] == "no-store"


async def test_a_page_that_everybody_gets_is_made_once_for_each_language(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    make = offers.campaign

    def counted(*arguments: Any, **named: Any) -> markup.Html:
        made.append(arguments)
        return make(*arguments, **named)

    monkeypatch.setattr(offers, "campaign", counted)
    path = f"/campaigns/{CAMPAIGN}"
    first, _ = await page(world, path)
    assert (await world.ask("GET", path, headers={"If-None-Match": first.headers["ETag"]})).status == 304
    for _ in range(5):
        await page(world, path)
        await page(world, path, headers={"Accept-Language": "zh-CN"})
    assert len(made) == 2


async def test_addresses_that_people_make_up_are_not_kept_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.front_door.pages.kept.MAX_KEPT", 3)
    pages = kept.KeptPages()
    for number in range(10):
        visit = cast("Visit", SimpleNamespace(address=f"/?q={number}", spoken="en"))
        pages.page(visit, 1, lambda: b"page")
    assert len(pages._kept) == 3


# -- texts --------------------------------------------------------------------------------------------------------


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_language_has_the_same_words_with_the_same_places() -> None:
    english = words("en")
    for spoken in LANGUAGES:
        assert list(words(spoken)) == list(english)
        for name, text in words(spoken).items():
            assert text
            if name != "day":
                assert places(text) == places(english[name]), (spoken, name)


def test_everything_that_can_be_said_has_a_word() -> None:
    english = words("en")
    needed = [f"document_{problem}" for problem in DocumentProblem] + list(DocumentType)
    needed += [f"band_{band}" for band in Band]
    needed += [f"phase_{phase.name.lower()}" for phase in Phase if phase is not Phase.DRAFT]
    assert [word for word in needed if word not in english] == []


def test_no_word_stands_unused() -> None:
    folder = Path(markup.__file__).parent
    code = "".join(path.read_text() for path in [*folder.glob("*"), *folder.parent.glob("*.py")] if path.is_file())
    of_states = "(pending|confirmed|cancelled|withdrawn|picked_up|expired)_(title|detail)"
    of_states += "|room_(early|waiting|admitted|closed)_(title|detail)"
    made = re.compile(rf"band_|phase_|document_|event_|{of_states}|(cancel|leave)_(hint|button)")
    unused = [
        word
        for word in words("en")
        if not made.match(word)
        and word not in set(DocumentType)
        and not re.search(rf"\{{{word}\}}|[\"']{word}[\"']", code)
    ]
    assert unused == []


# -- times --------------------------------------------------------------------------------------------------------

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOUR_MS = 3_600_000
EIGHT_PM_MS = instant_ms("2020-01-31T20:00:00+08:00")


def test_times_are_told_as_people_say_them() -> None:
    assert times.when(EIGHT_PM_MS, EIGHT_PM_MS + 4 * HOUR_MS, SHANGHAI, words("en")) == "Fri 31 Jan 20:00–24:00"
    assert times.when(EIGHT_PM_MS, EIGHT_PM_MS + HOUR_MS, SHANGHAI, words("zh-Hans")) == "1月31日 周五 20:00–21:00"


def test_a_window_over_several_days_tells_both() -> None:
    one_day = times.window(EIGHT_PM_MS, EIGHT_PM_MS + 4 * HOUR_MS, SHANGHAI, words("en"))
    assert one_day == "Fri 31 Jan 20:00–24:00"
    a_week = times.window(EIGHT_PM_MS, EIGHT_PM_MS + 7 * 24 * HOUR_MS, SHANGHAI, words("en"))
    assert a_week == "Fri 31 Jan 20:00 – Fri 7 Feb 20:00"
