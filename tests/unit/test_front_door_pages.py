"""The pages: everything a resident needs, in three languages, without JavaScript, and nothing that leaks."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from services.domain import commands as c
from services.domain.days import instant_ms
from services.domain.documents import DocumentProblem, DocumentType
from services.domain.rows import Phase
from services.domain.stock import Band
from services.front_door.pages import markup, times
from services.front_door.words import words
from services.platform.languages import LANGUAGES
from tests.unit.front_door_world import CAMPAIGN, Heard, World, campaign, front_door

FORM = f"/campaigns/{CAMPAIGN}/slots/s-1"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


class Page(HTMLParser):
    """What a page has: its tags with their attributes, and whether every tag is closed."""

    EMPTY = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def value(self, name: str) -> str:
        return next(str(field["value"]) for field in self.all("input") if field.get("name") == name)


async def page(world: World, path: str, status: int = 200, **options: object) -> tuple[Heard, Page]:
    heard = await world.ask("GET", path, **options)
    assert heard.status == status, heard.text
    return heard, Page(heard.text)


async def send_form(world: World, path: str = FORM, **changes: str) -> Heard:
    """Open the form, fill it in, send it."""
    _, form = await page(world, path)
    fields = {
        "nonce": form.value("nonce"),
        "units": "3",
        "document_type": "cn_resident_id",
        "document_number": "11010519491231002X",
        "phone": "13800000000",
    }
    return await post(world, path, fields | changes)


async def post(world: World, path: str, fields: dict[str, str]) -> Heard:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await world.ask("POST", path, data=urlencode(fields), headers=headers)


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
    await page(world, f"/campaigns/{CAMPAIGN}?{query}")


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


# -- booking ------------------------------------------------------------------------------------------------------


async def test_above_the_document_field_stands_who_answers_for_the_data(world: World) -> None:
    heard, _ = await page(world, FORM)
    above = heard.text[: heard.text.index('name="document_number"')]
    deletion = world.door.catalogue.get(CAMPAIGN).definition["deletion_day"]  # type: ignore[union-attr]
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
    made = re.compile(r"band_|phase_|document_|event_|(pending|confirmed|cancelled|picked_up|expired)_(title|detail)")
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
