"""The console's pages: usable without JavaScript, in three languages, and by nobody who has not signed in."""

import re
from collections.abc import AsyncIterator
from html import unescape
from importlib import resources
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
import yaml

from services.console.pages import words as words_module
from services.console.pages.words import words
from services.console.users import Role
from services.domain import commands as c
from services.platform.languages import LANGUAGES, Language
from services.state.errors import StateUnavailableError
from tests.unit.campaign_documents import RIGHT, checked
from tests.unit.console_world import NAMES, PASSWORD, Answered, ConsoleWorld, console, installation

NAME = "gz-2020-02"
PAGES = ("/", f"/campaigns/{NAME}", "/terminals", "/audit")
FORM = "application/x-www-form-urlencoded"


class Browser:
    """Somebody with a browser: it keeps cookies, follows nothing by itself, and sends forms."""

    def __init__(self, world: ConsoleWorld) -> None:
        self.world = world
        self.cookies: dict[str, str] = {}
        self.language = "en"

    async def get(self, path: str) -> Answered:
        return self._kept(await self.world.get(path, token=None, **self._headers()))

    async def submit(self, path: str, fields: dict[str, str], **headers: str) -> Answered:
        body = urlencode(fields).encode()
        return self._kept(
            await self.world.ask("POST", path, body, token=None, Content_Type=FORM, **{**self._headers(), **headers})
        )

    async def sign_in(self, role: Role) -> Answered:
        return await self.submit("/sign-in", {"user": NAMES[role], "password": PASSWORD})

    async def nonce(self, path: str) -> str:
        found = re.search(r'name="nonce" value="([^"]+)"', (await self.get(path)).text)
        assert found is not None
        return found[1]

    def _headers(self) -> dict[str, str]:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": kept, "Accept_Language": self.language}

    def _kept(self, answer: Answered) -> Answered:
        if cookie := answer.headers.get("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
async def world(data: Path, tmp_path: Path) -> AsyncIterator[ConsoleWorld]:
    async with console(data, tmp_path) as world:
        await world.give(checked(dict(RIGHT)))
        yield world


@pytest.fixture
async def browser(world: ConsoleWorld) -> Browser:
    browser = Browser(world)
    assert (await browser.sign_in(Role.OPERATOR)).status == 303
    return browser


async def test_without_a_sign_in_every_page_leads_there(world: ConsoleWorld) -> None:
    browser = Browser(world)
    for path in PAGES:
        answer = await browser.get(path)
        assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    for path in (f"/campaigns/{NAME}/phase", "/terminals/invite", "/terminals/revoke"):
        answer = await browser.submit(path, {"verb": "open", "why": "x", "pharmacy": "p-1", "terminal": "t"})
        assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    assert 'name="password"' in (await browser.get("/sign-in")).text


async def test_somebody_signs_in_and_out(world: ConsoleWorld) -> None:
    browser = Browser(world)
    answer = await browser.sign_in(Role.VIEWER)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    page = (await browser.get("/")).text
    assert "vera" in page
    assert "Guangzhou masks" in page
    answer = await browser.submit("/sign-out", {"nonce": await browser.nonce("/")})
    assert answer.headers["Location"] == "/sign-in"
    assert (await browser.get("/")).status == 303


async def test_a_wrong_password_is_told_on_the_page(world: ConsoleWorld) -> None:
    browser = Browser(world)
    answer = await browser.submit("/sign-in", {"user": "vera", "password": "wrong"})
    assert answer.status == 401
    assert "The name or the password is wrong" in answer.text
    for _ in range(4):
        await browser.submit("/sign-in", {"user": "vera", "password": "wrong"})
    answer = await browser.sign_in(Role.VIEWER)
    assert answer.status == 429
    assert "locked for a minute" in answer.text
    assert (await browser.submit("/sign-in", {"user": "vera"})).status == 400


async def test_pages_need_no_script_and_allow_none(browser: Browser) -> None:
    for path in (*PAGES, "/sign-in"):
        answer = await browser.get(path)
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for forbidden in ("<script", "style=", "onclick", "javascript:", "http://", "https://"):
            assert forbidden not in answer.text
        assert not re.search(r"\{\w*\}", answer.text)


async def test_the_stylesheet_may_be_kept_for_ever(browser: Browser) -> None:
    found = re.search(r'href="(/console-[0-9a-f]+\.css)"', (await browser.get("/")).text)
    assert found is not None
    answer = await browser.get(found[1])
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in answer.headers["Cache-Control"]


async def test_the_overview_shows_numbers_and_loads_again_by_itself(browser: Browser) -> None:
    page = (await browser.get("/")).text
    assert '<meta http-equiv="refresh" content="5">' in page
    assert "scheduled" in page
    assert "150" in page


async def test_a_campaign_is_opened_paused_resumed_and_closed_by_forms(world: ConsoleWorld, browser: Browser) -> None:
    path = f"/campaigns/{NAME}"
    for verb, shown in (("open", "open"), ("pause", "paused"), ("resume", "open"), ("close", "closed")):
        page = (await browser.get(path)).text
        assert f'value="{verb}"' in page
        answer = await browser.submit(
            f"{path}/phase", {"nonce": await browser.nonce(path), "verb": verb, "why": f"to {verb}"}
        )
        assert answer.status == 200
        assert 'class="card good"' in answer.text
        assert f'class="badge {shown}"' in answer.text
    (closed,) = world.system.every(c.Close)
    assert (closed.actor, closed.why) == ("user:olga", "to close")


async def test_a_form_sent_twice_does_it_once(world: ConsoleWorld, browser: Browser) -> None:
    path = f"/campaigns/{NAME}"
    form = {"nonce": await browser.nonce(path), "slot": "s-1", "change": "+20", "why": "a delivery"}
    for _ in range(2):
        answer = await browser.submit(f"{path}/quota", form)
        assert "Slot s-1 now has 120" in answer.text
        assert "<dd>170</dd>" in answer.text
    answer = await browser.submit(f"{path}/quota", {**form, "change": "-20"})
    assert "Slot s-1 now has 100" in answer.text


@pytest.mark.safety
async def test_no_other_site_can_make_a_browser_change_anything(world: ConsoleWorld, browser: Browser) -> None:
    path = f"/campaigns/{NAME}"
    nonce = await browser.nonce(path)
    stranger = Browser(world)
    await stranger.sign_in(Role.ADMIN)
    form = {"verb": "open", "why": "x"}
    for forged in ("", "x", "x.y", f"{nonce}x", await stranger.nonce(path), "名"):
        answer = await browser.submit(f"{path}/phase", {**form, "nonce": forged})
        assert answer.status == 400
        assert "This form is too old" in answer.text
    answer = await browser.submit(f"{path}/phase", {**form, "nonce": nonce}, Sec_Fetch_Site="cross-site")
    assert answer.status == 400
    assert world.system.every(c.Open) == []


@pytest.mark.control
async def test_without_the_nonce_another_site_could(
    world: ConsoleWorld, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.platform.forms.Nonces.check", lambda _self, _who, nonce: nonce or "k")
    answer = await browser.submit(f"/campaigns/{NAME}/phase", {"verb": "open", "why": "x"})
    assert answer.status == 200
    assert len(world.system.every(c.Open)) == 1


async def test_who_may_only_look_sees_no_form_and_can_send_none(world: ConsoleWorld) -> None:
    browser = Browser(world)
    await browser.sign_in(Role.VIEWER)
    for path in (f"/campaigns/{NAME}", "/terminals"):
        page = (await browser.get(path)).text
        assert "Your role may look, not change." in page
        assert re.findall(r'method="post" action="([^"]+)"', page) == ["/sign-out"]
    answer = await browser.submit(
        f"/campaigns/{NAME}/phase", {"nonce": await browser.nonce("/"), "verb": "open", "why": "x"}
    )
    assert answer.status == 403
    assert world.system.every(c.Open) == []


async def test_what_was_refused_is_told_on_the_page(browser: Browser) -> None:
    path = f"/campaigns/{NAME}"
    answer = await browser.submit(f"{path}/phase", {"nonce": await browser.nonce(path), "verb": "pause", "why": "x"})
    assert answer.status == 409
    assert 'class="card bad"' in answer.text
    assert "It is scheduled." in answer.text


async def test_every_field_that_is_missing_or_wrong_is_named_at_once(browser: Browser) -> None:
    path = f"/campaigns/{NAME}"

    async def named(form: str, **fields: str) -> str:
        answer = await browser.submit(f"{path}/{form}", {"nonce": await browser.nonce(path), **fields})
        told = re.search(r"look again at: (.*?)<", answer.text)
        assert (answer.status, told is not None) == (400, True)
        return told[1] if told else ""

    assert await named("phase", verb="open", why="") == "Why"
    assert await named("phase", verb="dance", why="x") == "Change the phase"
    assert await named("phase") == "Change the phase, Why"
    for change in ("", "many", "1.5", "9999999999"):
        assert await named("quota", slot="s-1", why="x", change=change) == "More or less (for example 20 or -20)"
    assert await named("quota", slot="s-1", change="many") == "More or less (for example 20 or -20), Why"


async def test_a_terminal_is_invited_and_revoked_by_forms(world: ConsoleWorld, browser: Browser) -> None:
    form = {"nonce": await browser.nonce("/terminals"), "pharmacy": "p-1", "terminal": "", "why": "a new till"}
    answer = await browser.submit("/terminals/invite", form)
    assert answer.status == 200
    code = re.search(r"Pairing code (00-[0-9A-Z]{4}-[0-9A-Z]{4})", answer.text)
    assert code is not None
    assert code[1] not in (await browser.get("/terminals")).text
    (invited,) = world.system.every(c.InviteTerminal)
    answer = await browser.submit(
        "/terminals/revoke",
        {"nonce": await browser.nonce("/terminals"), "terminal": invited.terminal, "why": "stolen"},
    )
    assert f"Terminal {invited.terminal} is revoked" in answer.text
    answer = await browser.submit(
        "/terminals/revoke", {"nonce": await browser.nonce("/terminals"), "terminal": "none", "why": "x"}
    )
    assert answer.status == 404


async def test_where_there_are_two_regions_the_form_asks_for_one(world: ConsoleWorld, browser: Browser) -> None:
    assert 'name="region"' not in (await browser.get("/terminals")).text
    await world.give(checked({**RIGHT, "campaign": "fs-1", "region": "foshan"}), partition=1)
    assert '<option value="foshan">' in (await browser.get("/terminals")).text
    form = {"nonce": await browser.nonce("/terminals"), "pharmacy": "p-1", "region": "foshan", "why": "a new till"}
    assert "Pairing code 01-" in (await browser.submit("/terminals/invite", form)).text


async def test_slots_are_shown_by_pharmacy(browser: Browser) -> None:
    page = (await browser.get(f"/campaigns/{NAME}?pharmacy=p-2")).text
    assert "s-2" in page
    assert "s-1" not in page


async def test_who_waits_stands_beside_the_other_numbers_where_anybody_does(
    world: ConsoleWorld, browser: Browser
) -> None:
    state = world.system.reader.states[0]
    assert "Put on a waiting list" not in (await browser.get(f"/campaigns/{NAME}")).text
    row, slot = state.get(f"c:{NAME}"), state.get("s:1:s-1")
    row.waitlisted, row.promoted, slot.waiting = 1_234, 56, 7_890
    await world.system.door.refresh_once()
    page = (await browser.get(f"/campaigns/{NAME}")).text
    assert "<dt>Put on a waiting list</dt><dd>1,234</dd>" in page
    assert "<dt>Booked from a list</dt><dd>56</dd>" in page
    assert "<td>7890</td>" in page


async def test_the_audit_trail_is_a_page(browser: Browser) -> None:
    page = (await browser.get("/audit")).text
    assert "seal_definition" in page
    assert "There are no changes here." in (await browser.get("/audit?partition=1")).text
    assert (await browser.get("/audit?partition=7")).status == 400


async def test_what_people_wrote_cannot_become_markup(world: ConsoleWorld, browser: Browser) -> None:
    why = '<script>alert("x")</script>&{title}'
    path = f"/campaigns/{NAME}"
    await browser.submit(f"{path}/phase", {"nonce": await browser.nonce(path), "verb": "open", "why": why})
    page = (await browser.get("/audit")).text
    assert "<script" not in page
    assert why in unescape(page)
    answer = await browser.get(f"{path}?pharmacy=%22%3E%3Cb%3E")
    assert '"><b>' not in answer.text


async def test_a_redis_that_is_away_is_told_on_the_page(world: ConsoleWorld, browser: Browser) -> None:
    world.system.reader.error = StateUnavailableError(what="the test says so")
    answer = await browser.get("/")
    assert (answer.status, "not known" in answer.text) == (200, True)
    answer = await browser.get("/terminals")
    assert answer.status == 503
    assert 'class="card bad"' in answer.text
    assert "Retry-After" in answer.headers


async def test_pages_speak_the_language_of_the_browser_or_the_one_chosen(browser: Browser) -> None:
    browser.language = "zh-TW,zh;q=0.8"
    assert "場次" in (await browser.get("/")).text
    browser.language = "zh-CN"
    assert "场次" in (await browser.get("/")).text
    assert "广州口罩预约" in (await browser.get("/")).text
    answer = await browser.get("/language/en")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    assert "Campaigns" in (await browser.get("/")).text
    assert (await browser.get("/language/fr")).status == 404


@pytest.mark.parametrize("path", ["/sign-out", "/terminals/invite", "/terminals/revoke", f"/campaigns/{NAME}/phase"])
async def test_enter_in_the_address_bar_on_an_answer_leads_to_its_page(browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status == 303
    assert answer.headers["Location"] in ("/", "/terminals", f"/campaigns/{NAME}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_word_in_the_same_order(language: Language) -> None:
    assert list(words(language)) == list(words("en"))
    assert all(words(language).values())
    for name, text in words("en").items():
        assert re.findall(r"\{\w+\}", text) == sorted(re.findall(r"\{\w+\}", text), key=text.index)
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", words(language)[name]))


def test_every_word_of_every_template_is_there() -> None:
    folder = resources.files(words_module.__package__)
    for template in folder.iterdir():
        if template.name.endswith(".html"):
            template.read_text("utf-8").format_map(_Anything())
    source = folder.joinpath("texts", "en.yaml").read_bytes()
    assert msgspec.convert(yaml.load(source, Loader=yaml.CSafeLoader), dict[str, str]) == words("en")


class _Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key
