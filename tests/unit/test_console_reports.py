"""Reports at the console: who may read them, what they say, and what is said where there is no ledger or it is away."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.console.pages import report_view
from services.console.users import Role
from services.domain import commands as c
from services.domain.events import encode, events_of
from services.ledger.follower import Follower, FollowerSettings
from services.platform.languages import LANGUAGES
from services.sql.database import Database, DatabaseSettings
from services.stream.fake import FakeReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, EVENTS
from tests.unit.campaign_documents import RIGHT, checked
from tests.unit.console_world import ConsoleWorld, console, installation
from tests.unit.folded_world import LOG_ID
from tests.unit.test_console_pages import Browser
from tests.unit.test_console_withdrawals import book

NAME = "gz-2020-02"
PATH = f"/v1/reports/{NAME}"
PAGE = f"/campaigns/{NAME}/report"
FIRST = PartitionId(0)
HELD_AT_MOST_S = 10.0
LATER = {"starts_at": "2090-02-03T09:00:00+08:00", "ends_at": "2090-02-03T10:00:00+08:00"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    database = Database(DatabaseSettings(ledger=f"sqlite:///{tmp_path / 'ledger.sqlite'}", ledger_timeout_s=1.0))
    yield database
    database.close()


@pytest.fixture
async def world(data: Path, tmp_path: Path, ledger: Database) -> AsyncIterator[ConsoleWorld]:
    """A slot of five units and one of fifty; four people came for two each of the first, one for one of the other."""
    async with console(data, tmp_path, ledger=ledger) as world:
        slots = [{**slot, **LATER, "units": units} for slot, units in zip(RIGHT["slots"], (5, 50), strict=True)]
        await world.give(checked({**RIGHT, "slots": slots}))
        await world.post(f"/v1/campaigns/{NAME}/open", {"why": "it is time"})
        for who in ("anna", "ben", "cleo", "dan"):
            book(world, who)
        book(world, "gabi", units=1)
        book(world, "eve", units=1)
        book(world, "finn", "s-2", units=1)
        yield world


async def follow(world: ConsoleWorld, ledger: Database) -> None:
    """Everything is decided, published, and in the ledger."""
    system = world.system
    records = system.log.records[COMMANDS, FIRST]
    system.store.fold(FIRST)
    for record in records[len(system.log.records[EVENTS, FIRST]) :]:
        facts = system.store.decided[FIRST, f"d:{record.offset // 64}"][1 + record.offset % 64]
        events = events_of(LOG_ID, FIRST, record.offset, record.timestamp, c.decode(record.value), facts)
        system.log.write(EVENTS, FIRST, [encode(event) for event in events], record.timestamp)
    follower = Follower(
        FakeReader(system.log, COMMANDS), FakeReader(system.log, EVENTS), ledger, 1, FollowerSettings()
    )
    await follower.begin()
    while await follower.step():
        pass
    assert follower.wrong() is None


async def test_a_report_tells_what_happened(world: ConsoleWorld, ledger: Database) -> None:
    await follow(world, ledger)
    answer = await world.get(PATH, token=await world.sign_in(Role.VIEWER))
    assert answer.status == 200
    told = answer.json
    assert (told["campaign"], told["behind"]) == (NAME, 0)
    first, second = told["slots"]
    assert (first["slot"], first["bookings"], first["units"], first["turned_away"]) == ("s-1", 3, 5, 1)
    assert first["sold_out_at"] == first["first_booked_at"] == second["first_booked_at"]  # one moment in this test
    assert (second["slot"], second["bookings"], second["sold_out_at"]) == ("s-2", 1, None)
    assert told["refusals"] == [{"reason": "slot_full", "bookings": 3}]
    (residents,) = told["channels"]
    assert residents == {
        "channel": "resident", "share": "public", "confirmed": 4, "units": 6, "waitlisted": 0, "refused": 3,
    }  # fmt: skip
    assert told["attendance"]["confirmed"] == 4
    assert told["attendance"]["pick_up_rate"] is None
    assert told["waits"]["longest_s"] is None


async def test_a_ledger_that_is_behind_says_by_how_much(world: ConsoleWorld, ledger: Database) -> None:
    await follow(world, ledger)
    book(world, "late", "s-2")
    book(world, "later", "s-2")
    told = (await world.get(PATH)).json
    assert told["behind"] == 2
    assert told["slots"][1]["bookings"] == 1


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_who_has_signed_in_may_read_reports(role: Role, world: ConsoleWorld, ledger: Database) -> None:
    await follow(world, ledger)
    assert (await world.get(PATH, token=await world.sign_in(role))).status == 200


async def test_nobody_else_reads_them(world: ConsoleWorld) -> None:
    answer = await world.get(PATH, token=None)
    assert (answer.status, answer.reason) == (401, "unauthorized")
    assert (await Browser(world).get(PAGE)).headers["Location"] == "/sign-in"


async def test_a_campaign_that_is_not_there_has_no_report(world: ConsoleWorld, ledger: Database) -> None:
    await follow(world, ledger)
    answer = await world.get("/v1/reports/nowhere")
    assert (answer.status, answer.reason) == (404, "unknown_campaign")


async def test_where_no_ledger_is_kept_words_say_so(data: Path, tmp_path: Path) -> None:
    async with console(data, tmp_path) as world:
        answer = await world.get(PATH)
        assert (answer.status, answer.reason) == (503, "no_ledger")
        for language, word in (("en", "MASKLINE_LEDGER"), ("zh-Hans", "账本"), ("zh-Hant", "帳本")):
            assert word in (await world.get(PATH, Accept_Language=language)).json["detail"]


async def test_a_ledger_that_no_ledger_process_has_made_yet_is_not_ready(world: ConsoleWorld) -> None:
    answer = await world.get(PATH)
    assert (answer.status, answer.reason) == (503, "ledger_unavailable")
    assert "Retry-After" in answer.headers


async def test_a_database_that_is_away_is_told_and_nothing_else_is_disturbed(data: Path, tmp_path: Path) -> None:
    away = Database(DatabaseSettings(ledger="postgresql://u:PLANTED@127.0.0.1:1/nowhere", ledger_timeout_s=0.5))
    async with console(data, tmp_path, ledger=away) as world:
        await world.give(checked(dict(RIGHT)))
        answer = await world.get(PATH)
        assert (answer.status, answer.reason) == (503, "ledger_unavailable")
        assert "PLANTED" not in answer.text
        assert (await world.get("/v1/campaigns")).status == 200
    away.close()


async def test_the_page_shows_the_same_in_three_languages_without_a_script(
    world: ConsoleWorld, ledger: Database
) -> None:
    await follow(world, ledger)
    browser = Browser(world)
    await browser.sign_in(Role.VIEWER)
    assert f'href="{PAGE}"' in (await browser.get(f"/campaigns/{NAME}")).text
    for language, word in zip(LANGUAGES, ("约满时间", "約滿時間", "Sold out"), strict=True):
        browser.language = language
        answer = await browser.get(PAGE)
        assert answer.status == 200
        assert word in answer.text
        for forbidden in ("<script", "style=", "onclick", "javascript:", "http://", "https://"):
            assert forbidden not in answer.text
        assert "s-1" in answer.text


async def test_the_page_has_so_many_slots_and_leads_to_the_others(
    world: ConsoleWorld, ledger: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_view, "SLOTS_A_PAGE", 1)
    await follow(world, ledger)
    browser = Browser(world)
    await browser.sign_in(Role.VIEWER)
    first = (await browser.get(PAGE)).text
    assert ("s-1" in first, "s-2" in first) == (True, False)
    assert f'href="{PAGE}?first=1"' in first
    second = (await browser.get(f"{PAGE}?first=1")).text
    assert ("s-1" in second, "s-2" in second) == (False, True)
    assert f'href="{PAGE}"' in second
    assert (await browser.get(f"{PAGE}?first=-1")).status == 400


async def test_the_page_says_so_where_there_is_no_ledger(data: Path, tmp_path: Path) -> None:
    async with console(data, tmp_path) as world:
        await world.give(checked(dict(RIGHT)))
        browser = Browser(world)
        await browser.sign_in(Role.VIEWER)
        answer = await browser.get(PAGE)
        assert answer.status == 503
        assert "There are no reports here" in answer.text


async def test_whoever_waits_for_a_report_waits_for_a_bounded_time(
    data: Path, tmp_path: Path, ledger: Database
) -> None:
    held, enough = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def busy(_: sa.Connection) -> None:
        loop.call_soon_threadsafe(held.set)
        enough.wait(HELD_AT_MOST_S)

    async with console(data, tmp_path, ledger=ledger, report_timeout_s=0.2) as world:
        await world.give(checked(dict(RIGHT)))
        working = asyncio.create_task(ledger.call(busy))
        await held.wait()
        try:
            answer = await world.get(PATH)
        finally:
            enough.set()
            await working
        assert (answer.status, answer.reason) == (503, "ledger_unavailable")
