"""A pharmacy got less: what the ops team sees before it withdraws or moves a slot, and what it does then."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.console.users import Role
from services.domain import commands as c
from tests.unit.campaign_documents import RIGHT, checked
from tests.unit.console_world import ConsoleWorld, console, installation
from tests.unit.test_console_pages import Browser

NAME = "gz-2020-02"
SLOT, OTHER = "s-1", "s-2"
PATH = f"/v1/campaigns/{NAME}/slots/{SLOT}"
PEOPLE = 20
NOBODY: dict[str, Any] = {"keep": 0, "why": "no delivery"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
async def world(data: Path, tmp_path: Path) -> AsyncIterator[ConsoleWorld]:
    """Twenty people with two units each, of a hundred; the other slot has fifty."""
    async with console(data, tmp_path) as world:
        times = {"starts_at": "2090-02-03T09:00:00+08:00", "ends_at": "2090-02-03T10:00:00+08:00"}
        await world.give(checked({**RIGHT, "slots": [{**slot, **times} for slot in RIGHT["slots"]]}))
        await world.post(f"/v1/campaigns/{NAME}/open", {"why": "it is time"})
        for person in range(PEOPLE):
            book(world, f"p{person:02}")
        yield world


def book(world: ConsoleWorld, who: str, slot: str = SLOT, units: int = 2) -> None:
    told = (who + "_" * 16)[:16]
    world.system.write(0, c.Reserve(campaign=NAME, slot=slot, units=units, resident=told, pass_no=told,
                                    digest="d" * 8, last4_hash="h" * 8))  # fmt: skip


async def slots(world: ConsoleWorld) -> dict[str, Any]:
    told = (await world.get(f"/v1/campaigns/{NAME}/slots")).json["slots"]
    return {one["slot"]: one for one in told}


async def test_a_dry_run_tells_units_and_people_and_changes_nothing(world: ConsoleWorld) -> None:
    before = len(world.system.commands(0))
    answer = await world.post(f"{PATH}/withdraw?dry_run=true", {"keep": 31, "why": "a small delivery"})
    assert (answer.status, answer.json) == (200, {
        "kind": "outlook", "campaign": NAME, "slot": SLOT, "to": None, "units_cut": 60, "units_of_people": 9,
        "people": 5, "reason": None,
    })  # fmt: skip
    assert len(world.system.commands(0)) == before


async def test_a_dry_run_counts_nobody_where_enough_is_free_and_everybody_who_came_where_nothing_is_left(
    world: ConsoleWorld,
) -> None:
    free = (await world.post(f"{PATH}/withdraw?dry_run=true", {"keep": 40, "why": "x"})).json
    assert (free["units_cut"], free["units_of_people"], free["people"]) == (60, 0, 0)
    whole = (await world.post(f"{PATH}/withdraw?dry_run=true", NOBODY)).json
    assert (whole["units_cut"], whole["units_of_people"], whole["people"]) == (60, 40, PEOPLE)


async def test_a_dry_run_of_a_move_tells_what_stands_against_it(world: ConsoleWorld) -> None:
    wish = {**NOBODY, "to": OTHER}
    assert (await world.post(f"{PATH}/move?dry_run=true", wish)).json["reason"] is None
    book(world, "ben", OTHER, units=5)
    book(world, "cleo", OTHER, units=5)
    book(world, "dan", OTHER, units=1)
    assert (await world.post(f"{PATH}/move?dry_run=true", wish)).json["reason"] == "slot_full"
    assert (await world.post(f"{PATH}/move?dry_run=true", {**wish, "to": SLOT})).json["reason"] == "same_slot"
    assert (await world.post(f"{PATH}/withdraw?dry_run=maybe", NOBODY)).reason == "malformed"


async def test_a_slot_is_withdrawn_and_everybody_sees_how_far_it_is(world: ConsoleWorld) -> None:
    token = await world.sign_in(Role.OPERATOR)
    answer = await world.post(f"{PATH}/withdraw", NOBODY, token=token)
    assert (answer.status, answer.json) == (200, {
        "kind": "withdrawn", "campaign": NAME, "slot": SLOT, "to": None, "public_cut": 60, "assisted_cut": 0,
        "reserve_cut": 0, "units_of_people": 40,
    })  # fmt: skip
    told = (await slots(world))[SLOT]
    assert (told["withdrawn"], told["to_withdraw"], told["quota"]) == (True, 32, 32)
    assert (await world.post(f"{PATH}/withdraw?dry_run=true", NOBODY)).json["reason"] == "withdrawal_under_way"
    assert (await world.post(f"{PATH}/withdraw", NOBODY)).reason == "withdrawal_under_way"
    assert (await slots(world))[SLOT]["to_withdraw"] == 0
    await world.system.door.refresh_once()
    assert (await world.get(f"/v1/campaigns/{NAME}")).json["numbers"]["precedence"] == PEOPLE
    entries = (await world.get("/v1/audit")).json["entries"]
    told = [(one["command"], one["actor"], one["slot"], one["keep"], one["why"]) for one in entries[1:2]]
    assert told == [("withdraw_slot", "user:olga", SLOT, 0, "no delivery")]
    assert [(one["outcome"], one.get("reason")) for one in entries[:2]] == [
        ("refused", "withdrawal_under_way"), ("slot_withdrawn", None)
    ]  # fmt: skip


async def test_people_are_moved_and_the_audit_trail_tells_where(world: ConsoleWorld) -> None:
    answer = await world.post(f"{PATH}/move", {"keep": 10, "why": "half a delivery", "to": OTHER})
    assert (answer.json["to"], answer.json["units_of_people"], answer.json["public_cut"]) == (OTHER, 30, 60)
    assert (await slots(world))[OTHER]["moving_in"] > 0
    await world.post(f"/v1/campaigns/{NAME}/pause", {"why": "any record does the rest"})
    told = await slots(world)
    assert (told[SLOT]["taken"], told[OTHER]["taken"], told[OTHER]["moving_in"]) == (10, 30, 0)
    (entry,) = [one for one in (await world.get("/v1/audit")).json["entries"] if one["command"] == "move_slot"]
    assert (entry["slot"], entry["to"], entry["keep"]) == (SLOT, OTHER, 10)


async def test_a_move_without_room_is_refused_with_what_is_left(world: ConsoleWorld) -> None:
    for who in ("ben", "cleo", "dan"):
        book(world, who, OTHER, units=5)
    answer = await world.post(f"{PATH}/move", {**NOBODY, "to": OTHER})
    assert (answer.status, answer.reason, answer.json["left"]) == (409, "slot_full", 35)
    assert (await world.post(f"{PATH}/move", {**NOBODY, "to": SLOT})).reason == "same_slot"


async def test_the_same_key_is_the_same_withdrawal_and_another_content_is_another(world: ConsoleWorld) -> None:
    first = await world.post(f"{PATH}/withdraw", {"keep": 90, "why": "x"}, key="k")
    assert (await world.post(f"{PATH}/withdraw", {"keep": 90, "why": "x"}, key="k")).json == first.json
    other = await world.post(f"{PATH}/withdraw", {"keep": 80, "why": "x"}, key="k")
    assert (first.json["public_cut"], other.json["public_cut"]) == (10, 10)
    assert (await slots(world))[SLOT]["quota"] == 80


@pytest.mark.parametrize("path", [f"/v1/campaigns/{NAME}/slots/none/withdraw", f"{PATH}/move", f"{PATH}/withdraw"])
async def test_what_is_not_there_or_not_said_is_refused(world: ConsoleWorld, path: str) -> None:
    body = {**NOBODY, "to": "none"} if "move" in path else NOBODY
    if "none" in path or "move" in path:
        answer = await world.post(path, body)
        assert (answer.status, answer.reason) == (404, "unknown_slot")
    for wrong in ({**body, "keep": -1}, {key: body[key] for key in body if key != "keep"}):
        assert (await world.post(path, wrong)).reason == "malformed"


async def test_the_reserve_is_filled_for_those_who_lost_a_place(world: ConsoleWorld) -> None:
    more = {"change": 7, "why": "a replacement", "share": "reserve"}
    answer = await world.post(f"/v1/campaigns/{NAME}/slots/{OTHER}/quota", more)
    assert (answer.json["quota"], answer.json["left"]) == (7, 7)
    assert (await slots(world))[OTHER]["reserve_left"] == 7
    assert (await world.post(f"/v1/campaigns/{NAME}/slots/{OTHER}/quota", {**more, "share": "my own"})).status == 400


# -- the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def browser(world: ConsoleWorld) -> Browser:
    browser = Browser(world)
    await browser.sign_in(Role.OPERATOR)
    return browser


async def submit(browser: Browser, **form: str) -> str:
    page = f"/campaigns/{NAME}"
    answer = await browser.submit(f"{page}/withdraw", {"nonce": await browser.nonce(page), "slot": SLOT, **form})
    return answer.text


async def test_the_page_says_what_would_be_done_before_it_is(world: ConsoleWorld, browser: Browser) -> None:
    told = await submit(browser, keep="0", why="no delivery", step="look")
    assert "60 units that nobody has are cut; 20 people with 40 units would go." in told
    assert world.system.every(c.WithdrawSlot) == []
    told = await submit(browser, keep="0", why="no delivery", step="look", to=SLOT)
    assert "it would be refused" in told


async def test_the_page_withdraws_and_moves(world: ConsoleWorld, browser: Browser) -> None:
    told = await submit(browser, keep="50", why="half a delivery", step="do", to=OTHER)
    assert "People of slot s-1 move to s-2" in told
    told = await submit(browser, keep="0", why="no delivery", step="do")
    assert "Slot s-1 is being withdrawn" in told
    assert "60 units" not in told
    (withdrawn,) = world.system.every(c.WithdrawSlot)
    assert (withdrawn.actor, withdrawn.why, withdrawn.keep) == ("user:olga", "no delivery", 0)
    assert "s-1 (withdrawn)" in (await browser.get(f"/campaigns/{NAME}")).text
    assert "→ s-2" in (await browser.get("/audit")).text


async def test_the_page_names_what_is_missing(browser: Browser) -> None:
    assert "look again at: Units it keeps (0: none), Why" in await submit(browser, step="do")
    told = await submit(browser, step="do", keep="1", why="x", to="no name")
    assert "look again at: Move people to slot" in told
