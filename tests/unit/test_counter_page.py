"""The page at the till: it works without JavaScript, in three languages, and no other site can use it."""

import re
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest
import yaml

from services.counter.main import TillSettings
from services.counter.pages.views import times
from services.domain import commands as c
from services.domain.documents import DocumentType
from services.domain.reasons import DoorReason
from services.platform.languages import LANGUAGES
from services.platform.problems import Problem
from services.state.errors import StateUnavailableError
from tests.unit.counter_world import CounterWorld, counter, slot
from tests.unit.till_browser import Browser, paired


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path) as world:
        yield world


async def test_a_browser_is_paired_and_then_shows_its_pharmacy_and_its_day(world: CounterWorld) -> None:
    browser = Browser(world)
    first = await browser.opens()
    assert "Pairing code" in first.text
    page = await browser.sends("/pair", pairing_code=world.invites("till-1", "p-1"))
    assert "Yong&#x27;an pharmacy" in page.text
    assert "09:00–13:00" in page.text
    assert "Scan the pass" in page.text
    assert "<script" not in page.text


async def test_the_cookie_is_for_this_site_and_no_script(world: CounterWorld) -> None:
    browser = Browser(world)
    await browser.opens()
    form = {"nonce": browser.nonce, "pairing_code": world.invites("till-1", "p-1")}
    heard = await world.ask("POST", "/pair", data=form)
    assert heard.status == 303
    cookie = heard.headers["Set-Cookie"]
    assert all(part in cookie for part in ("maskline_terminal=01.till-1.", "HttpOnly", "SameSite=Strict", "Path=/"))
    assert "Secure" not in cookie


async def test_behind_tls_the_cookie_never_travels_in_clear(tmp_path: Path) -> None:
    async with counter(tmp_path, TillSettings(secure_cookies=True)) as world:
        heard = await world.ask("GET", "/language/en")
        assert "; Secure" in heard.headers["Set-Cookie"]


async def test_a_scanned_pass_is_handed_out_in_green_and_again_in_red(world: CounterWorld) -> None:
    browser, anna = await paired(world), world.books("A0000001", units=3)
    heard = await browser.sends("/pick-up", **{"pass": f" {world.pass_of(anna)} "})
    assert heard.status == 200
    assert "Hand out 3" in browser.card
    assert 'class="card good"' in heard.text
    heard = await browser.sends("/pick-up", **{"pass": world.pass_of(anna)})
    assert heard.status == 409
    assert 'class="card bad"' in heard.text
    assert "picked up" in browser.card
    assert "2020-02-01 12:0" in browser.card


async def test_a_reload_hands_nothing_out_twice_and_says_the_same(world: CounterWorld) -> None:
    browser, anna = await paired(world), world.books("A0000001")
    nonce = browser.nonce
    for _ in range(2):
        heard = await browser.sends("/pick-up", nonce=nonce, **{"pass": world.pass_of(anna)})
        assert heard.status == 200
        assert "Hand out 5" in browser.card
    assert len(world.row(anna).history) == 1


async def test_short_code_and_document_work_as_people_type_them(world: CounterWorld) -> None:
    browser, anna, bo = await paired(world), world.books("A0000001"), world.books("A0000002")
    code = world.short_code(anna)
    await browser.sends("/pick-up", short_code=f"{code[:4]} {code[4:]}", document_last4=anna.last4)
    assert "Hand out" in browser.card
    await browser.sends("/pick-up", document_type="passport", document_number="a 000 0002")
    assert "Hand out" in browser.card
    assert world.row(bo).state == 4


async def test_a_slip_is_taken_back_from_the_green_answer(world: CounterWorld) -> None:
    browser, anna = await paired(world), world.books("A0000001")
    await browser.sends("/pick-up", **{"pass": world.pass_of(anna)})
    await browser.sends("/undo", pass_no=anna.pass_no, why="slip")
    assert "Taken back" in browser.card
    assert world.row(anna).state == 1


async def test_a_look_up_shows_the_bookings_and_cancels_one(world: CounterWorld) -> None:
    browser, anna = await paired(world), world.books("A0000001", "s-other")
    await browser.sends("/look-up", document_type="passport", document_number="A0000001")
    assert "Changshou pharmacy" in browser.card
    assert "confirmed" in browser.card
    await browser.sends("/cancel", pass_no=anna.pass_no, why="booked by somebody else")
    assert "Cancelled" in browser.card
    assert world.row(anna).state == 3
    await browser.sends("/look-up", document_type="passport", document_number="A0000001")
    assert "no booking" in browser.card


async def test_somebody_at_the_desk_is_booked_from_the_page(world: CounterWorld) -> None:
    await world.applies(slot("s-tonight", hour=18, units=4), campaign="gz-desk")
    browser = await paired(world)
    assert "2020-02-01 18:00–22:00 · gz-desk" in (await browser.opens()).text
    form = {"slot": "gz-desk/s-tonight", "units": "2", "document_type": "passport", "document_number": "a0000001"}
    nonce = browser.nonce
    await browser.sends("/book", nonce=nonce, phone="", birth_year="", **form)
    assert "Booked 2" in browser.card
    (command,) = world.folded.commands(1, c.Reserve)
    assert isinstance(command, c.Reserve)
    assert (command.terminal, command.phone_pseudonym) == ("till-1", "")
    code = world.identities.short_code(0, "p-1", "2020-02-01")
    assert code in browser.card
    await browser.sends("/book", nonce=nonce, phone="", birth_year="", **form)  # a reload
    assert "Booked 2" in browser.card
    await browser.sends("/pick-up", short_code=code, document_last4="0001")
    assert "Hand out 2" in browser.card
    await browser.sends("/book", phone="110", birth_year="", **form)
    assert "phone" in browser.card
    await browser.sends("/book", phone="", birth_year="", **form | {"units": "many"})
    assert "Something is missing" in browser.card


async def test_where_nobody_can_be_booked_now_there_is_no_form_for_it(world: CounterWorld) -> None:
    browser = await paired(world)
    assert "Book for somebody here" in (await browser.opens()).text
    world.write(c.Pause(id=world.id(), campaign="gz-2020-02"))
    await world.folded.door.refresh_once()
    assert "Book for somebody here" not in (await browser.opens()).text


async def test_stock_is_changed_from_the_page(world: CounterWorld) -> None:
    browser = await paired(world)
    heard = await browser.sends("/quota", slot="gz-2020-02/s-morning", change="+20", why="delivery")
    assert "120" in browser.card
    assert heard.status == 200
    for change in ("many", "", "1.5"):
        await browser.sends("/quota", slot="gz-2020-02/s-morning", change=change, why="delivery")
        assert "More or less (for example 20 or -20)" in browser.card
    await browser.sends("/quota", slot="gz-2020-02/s-morning", change="-1000", why="broken")
    assert "promised" in browser.card


async def test_the_wrong_pharmacy_and_the_wrong_day_are_told_with_the_right_ones(world: CounterWorld) -> None:
    browser = await paired(world)
    elsewhere, tomorrow = world.books("A0000001", "s-other"), world.books("A0000002", "s-tomorrow")
    await browser.sends("/pick-up", **{"pass": world.pass_of(elsewhere)})
    assert "Changshou pharmacy, p-2 street" in browser.card
    assert "12345, Town hall, 9-18" in browser.card
    await browser.sends("/pick-up", **{"pass": world.pass_of(tomorrow)})
    assert "2020-02-02 09:00–13:00" in browser.card


@pytest.mark.safety
async def test_a_form_of_another_site_does_nothing_even_with_the_cookie(world: CounterWorld) -> None:
    browser, anna = await paired(world), world.books("A0000001")
    neighbour = await paired(world, "till-2", "p-1")
    for nonce in ("", "x.y", neighbour.nonce, "ü"):
        heard = await browser.sends("/pick-up", nonce=nonce, **{"pass": world.pass_of(anna)})
        assert heard.status == 400
        assert "too old" in browser.card
    assert world.row(anna).state == 1


@pytest.mark.control
async def test_without_the_signed_nonce_another_site_could_hand_out(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, anna = await paired(world), world.books("A0000001")
    monkeypatch.setattr("services.platform.forms.Nonces.check", lambda _self, _who, nonce: nonce or "any")
    heard = await browser.sends("/pick-up", nonce="", **{"pass": world.pass_of(anna)})
    assert heard.status == 200


async def test_a_terminal_that_was_revoked_is_asked_to_pair_again(world: CounterWorld) -> None:
    browser, anna = await paired(world), world.books("A0000001")
    world.write(c.RevokeTerminal(id=world.id(), terminal="till-1"))
    heard = await browser.sends("/pick-up", **{"pass": world.pass_of(anna)})
    assert heard.status == 401
    assert "Pairing code" in heard.text
    assert browser.cookies == {}


async def test_forgetting_the_terminal_needs_a_form_of_its_own(world: CounterWorld) -> None:
    browser = await paired(world)
    await browser.sends("/sign-out", nonce="x")
    assert browser.cookies
    page = await browser.sends("/sign-out")
    assert browser.cookies == {}
    assert "Pairing code" in page.text


async def test_a_wrong_pairing_code_is_refused_in_words(world: CounterWorld) -> None:
    browser = Browser(world)
    await browser.opens()
    heard = await browser.sends("/pair", pairing_code="01-0000-0000")
    assert heard.status == 404
    assert "not known" in browser.card
    heard = await browser.sends("/pair", nonce="x", pairing_code=world.invites("till-1", "p-1"))
    assert heard.status == 400


async def test_what_is_typed_cannot_become_markup(world: CounterWorld) -> None:
    browser = await paired(world)
    heard = await browser.sends("/look-up", document_type="<b>", document_number="<script>alert(1)</script>")
    assert "<script" not in heard.text
    assert heard.status == 400
    heard = await browser.sends("/undo", pass_no="<script>", why="<script>")
    assert "<script" not in heard.text
    assert heard.status == 404


async def test_garbage_instead_of_a_form_is_told_so(world: CounterWorld) -> None:
    browser = await paired(world)
    assert browser.cookies is not None
    cookie = {"Cookie": f"maskline_terminal={browser.cookies['maskline_terminal']}"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    too_many = b"&".join([b"a=1"] * 30)
    for content, kind in ((b"\xff=%", form), (b"a=b", {"Content-Type": "text/plain"}), (too_many, form)):
        heard = await world.ask("POST", "/pick-up", data=content, headers=cookie | kind)
        assert heard.status == 400
    heard = await world.ask("POST", "/pick-up", data=b"a=" + b"x" * 20_000, headers=cookie | form)
    assert heard.status == 413


async def test_units_that_people_wait_for_stand_at_their_slot(world: CounterWorld) -> None:
    browser = await paired(world)
    assert "waiting" not in (await browser.opens()).text
    rows = next(state.rows for state in world.folded.reader.states if "s:1:s-noon" in state.rows)
    rows["s:1:s-noon"].waiting = 3
    assert (await browser.opens()).text.count("3 waiting") == 1


async def test_pick_ups_go_on_where_the_numbers_cannot_be_read(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Problem(DoorReason.CATCHING_UP)

    monkeypatch.setattr("services.counter.stock.Stock.slots", away)
    browser, anna = await paired(world), world.books("A0000001")
    heard = await browser.sends("/pick-up", **{"pass": world.pass_of(anna)})
    assert "Hand out" in browser.card
    assert "numbers cannot be read" in heard.text


async def test_a_state_that_is_away_does_not_sign_anybody_out(world: CounterWorld) -> None:
    browser = Browser(world, cookies={"maskline_terminal": f"01.till-1.{'x' * 22}"})
    world.folded.reader.error = StateUnavailableError(what="TimeoutError")
    heard = await browser.opens()
    assert heard.status == 503
    assert int(heard.headers["Retry-After"]) >= 1
    assert browser.cookies


async def test_an_address_typed_by_hand_leads_to_the_start(world: CounterWorld) -> None:
    heard = await (await paired(world)).opens("/pick-up")
    assert heard.status == 200


async def test_every_page_is_kept_by_nobody_and_framed_by_nobody(world: CounterWorld) -> None:
    heard = await (await paired(world)).opens()
    assert heard.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in heard.headers["Content-Security-Policy"]
    assert "script" not in heard.headers["Content-Security-Policy"]
    assert heard.headers["Referrer-Policy"] == "no-referrer"
    assert " style=" not in heard.text


async def test_the_stylesheet_may_be_kept_for_ever(world: CounterWorld) -> None:
    page = await Browser(world).opens()
    path = re.search(r'href="(/counter-[0-9a-f]+\.css)"', page.text)
    assert path is not None
    heard = await world.ask("GET", path[1])
    assert heard.headers["Content-Type"].startswith("text/css")
    assert "immutable" in heard.headers["Cache-Control"]


# -- languages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("accepted", "words"), [("zh-CN", "绑定码"), ("zh-TW", "綁定碼"), ("en", "Pairing code")])
async def test_the_page_speaks_the_language_of_the_browser(world: CounterWorld, accepted: str, words: str) -> None:
    assert words in (await Browser(world, language=accepted).opens()).text


async def test_a_language_that_was_chosen_stays(world: CounterWorld) -> None:
    browser = Browser(world)
    await browser.opens("/language/zh-Hant")
    assert "綁定碼" in (await browser.opens()).text
    assert (await browser.opens("/language/xx")).status == 404


def test_every_language_has_the_same_words_with_the_same_places() -> None:
    folder = resources.files("services.counter.pages").joinpath("texts")
    texts = {each: yaml.safe_load(folder.joinpath(f"{each}.yaml").read_text("utf-8")) for each in LANGUAGES}
    names = list(texts["en"])
    assert {kind.value for kind in DocumentType} <= set(names)
    for language in LANGUAGES:
        assert list(texts[language]) == names
        for name, text in texts[language].items():
            assert isinstance(text, str)
            assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", texts["en"][name])), name


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "told"),
    [
        ("2020-02-01T09:00:00+08:00", "2020-02-01T12:00:00+08:00", "09:00–12:00"),
        ("2020-02-01T00:00:00+08:00", "2020-02-02T00:00:00+08:00", "00:00–24:00"),
        ("2020-02-01T22:00:00+08:00", "2020-02-02T06:00:00+08:00", "22:00–2020-02-02 06:00"),
    ],
)
def test_a_slot_that_ends_with_the_day_ends_at_24(starts_at: str, ends_at: str, told: str) -> None:
    assert times(starts_at, ends_at) == told
