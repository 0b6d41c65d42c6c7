"""Who may come, at the public door: the digit in the log, and what somebody who is refused is told to do next."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from services.domain import commands as c
from services.domain.campaign import WEEKDAYS
from services.domain.days import day_of, days_after, weekday
from services.platform.identities import Identities
from services.platform.languages import LANGUAGES
from tests.morning import WHERE
from tests.unit.front_door_world import World, campaign, front_door, now_ms

NAME = "ruled"
PASSPORT = {"document_type": "passport", "document": "E12345678"}
RESIDENT_ID = "11010519491231002X"  # born in 1949
ALL = list(range(10))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with front_door(tmp_path) as world:
        yield world


async def ruled(world: World, **rules: Any) -> None:
    """An open campaign with these rules."""
    kinds = ["cn_resident_id", "passport"]
    await world.apply(campaign(NAME, rules={"units_max": 5, "document_types": kinds, **rules}))


def weekday_in(days: int) -> str:
    """The weekday so many days from today where the campaign is."""
    return WEEKDAYS[(weekday(day_of(now_ms(), WHERE).number) + days) % 7]


def date_in(days: int) -> str:
    day = days_after(day_of(now_ms(), WHERE).number, days, WHERE).number
    return f"{day // 10_000}-{day // 100 % 100:02d}-{day % 100:02d}"


async def book(world: World, slot: str = "s-2", **wish: Any) -> Any:
    """Book in the slot of tomorrow, and wait for the decision."""
    async with world.folding():
        return await world.book(prefer="wait=5", campaign=NAME, slot=slot, units=1, **wish)


def digit(world: World) -> int:
    command = world.command()
    assert isinstance(command, c.Reserve)
    return command.digit


# -- the digit ----------------------------------------------------------------------------------------------------


async def test_a_campaign_that_does_not_stagger_gets_no_digit(world: World) -> None:
    await world.book()
    assert digit(world) == -1


@pytest.mark.parametrize(
    ("by", "document", "expected"),
    [
        ("document_digit", {"document_type": "passport", "document": "e1234 5678"}, 8),
        ("document_digit", {"document": RESIDENT_ID.lower()}, 0),
        ("birth_year_digit", {"document": RESIDENT_ID}, 9),
    ],
)
async def test_the_digit_of_the_document_goes_into_the_log(
    world: World, by: str, document: dict[str, str], expected: int
) -> None:
    await ruled(world, stagger={"by": by, "days": {weekday_in(0): ALL}})
    assert (await book(world, **document)).status == 201
    assert digit(world) == expected


def with_birth_year(year: int | None, kind: str = "passport", number: str = "E12345678") -> dict[str, Any]:
    resident: dict[str, Any] = {"document_type": kind, "document_number": number}
    return {"resident": resident if year is None else resident | {"birth_year": year}}


async def test_a_year_of_birth_is_asked_for_where_the_document_does_not_tell_it(world: World) -> None:
    await ruled(world, stagger={"by": "birth_year_digit", "days": {weekday_in(0): ALL}})
    end = world.end()
    heard = await book(world, **with_birth_year(None))
    assert (heard.status, heard.reason, heard.json["field"]) == (400, "malformed", "resident.birth_year")
    assert world.end() == end
    assert (await book(world, **with_birth_year(1987))).status == 201
    assert digit(world) == 7


async def test_what_the_document_tells_counts_before_what_somebody_says(world: World) -> None:
    await ruled(world, stagger={"by": "birth_year_digit", "days": {weekday_in(0): [9]}})
    assert (await book(world, **with_birth_year(1987, "cn_resident_id", RESIDENT_ID))).status == 201


# -- no, and what to do next --------------------------------------------------------------------------------------


async def test_on_the_wrong_day_the_own_day_is_told(world: World) -> None:
    days = {weekday_in(0): [1], weekday_in(1): [8]}
    await ruled(world, stagger={"by": "document_digit", "days": days})
    heard = await book(world, **PASSPORT)
    assert (heard.status, heard.reason, heard.json["day"]) == (409, "wrong_day", date_in(1))
    assert heard.json["detail"].endswith(f"Your day is {date_in(1)}.")
    assert heard.json["how_to_appeal"]


async def test_who_has_no_day_left_is_told_none(world: World) -> None:
    await ruled(world, stagger={"by": "document_digit", "days": {weekday_in(0): [1], weekday_in(1): [1]}})
    heard = await book(world, **PASSPORT)
    assert heard.reason == "wrong_day"
    assert "day" not in heard.json


async def test_who_got_some_not_long_ago_is_told_when_it_is_time(world: World) -> None:
    await ruled(world, cool_down_days=2)
    assert (await book(world, **PASSPORT)).status == 201
    await world.apply(campaign("next", rules={"units_max": 5, "cool_down_days": 2}))
    async with world.folding():
        heard = await world.book(prefer="wait=5", campaign="next", slot="s-2", **PASSPORT)
    assert (heard.status, heard.reason) == (409, "cooling_down")
    assert heard.json["from_day"] == date_in(1 + 3)
    assert date_in(1 + 3) in heard.json["detail"]


async def test_who_is_not_on_the_list_is_told_whom_to_ask(world: World) -> None:
    await ruled(world, eligible=[{"document_type": "passport", "document_number": "E12345678"}])
    heard = await book(world, document=RESIDENT_ID)
    assert (heard.status, heard.reason) == (409, "not_eligible")
    assert heard.json["how_to_appeal"]


async def test_who_is_on_the_list_may_book(world: World) -> None:
    person = Identities(world.secrets).resident("passport", "E12345678")
    await ruled(world)
    world.model.fold()
    campaign = world.model.states[0].get(f"c:{NAME}")
    campaign.entitled = campaign.demands = 1
    world.model.states[0].put(f"e:{world.model.states[0].get(f'c:{NAME}').no}:{person}", 1)
    assert (await book(world, document=RESIDENT_ID)).reason == "not_eligible"
    assert (await book(world, **PASSPORT)).status == 201


async def test_a_phone_acts_for_so_many_people_and_no_more(world: World) -> None:
    await ruled(world, household_max=1)
    assert (await book(world, **PASSPORT)).status == 201
    heard = await book(world, document=RESIDENT_ID, phone="138 0000 0000")
    assert (heard.status, heard.reason, heard.json["household_max"]) == (409, "household_limit", 1)
    assert heard.json["detail"].endswith("At most 1 people for each phone.")


async def test_a_slot_that_is_over_is_told_so(world: World) -> None:
    await ruled(world)
    world.model.fold()
    state = world.model.states[0]
    state.get(f"s:{state.get(f'c:{NAME}').no}:s-1").ends_ms = now_ms() - 1
    heard = await book(world, slot="s-1")
    assert (heard.status, heard.reason) == (409, "slot_over")


async def test_who_looks_again_later_is_still_told_when_it_is_time(world: World) -> None:
    await ruled(world, cool_down_days=2)
    await book(world, **PASSPORT)
    await world.apply(campaign("next", rules={"units_max": 5, "cool_down_days": 2}))
    async with world.folding():
        heard = await world.book(prefer="wait=5", campaign="next", slot="s-2", **PASSPORT)
    told = (await world.ask("GET", f"/v1/reservations/{heard.json['id']}")).json
    assert (told["reason"], told["from_day"], told["left"]) == ("cooling_down", date_in(1 + 3), None)
    assert f"again from {date_in(1 + 3)}" in await page(world, f"/reservations/{heard.json['id']}")


# -- what is told beforehand --------------------------------------------------------------------------------------

RULES = {
    "cool_down_days": 2, "household_max": 3, "stagger": {"by": "birth_year_digit", "days": {"mon": [1, 6], "sun": [0]}},
    "assisted": {"per_mille": 125, "release_h": 0}, "reserve_per_mille": 20, "pickup_grace_h": 24,
    "eligible": [{"document_type": "passport", "document_number": "E12345678"}],
    "waiting_list": {"per_mille": 500, "promote_until_h": 12}, "change_until_h": 6,
}  # fmt: skip


async def test_a_campaign_tells_its_rules(world: World) -> None:
    await ruled(world, **RULES)
    told = (await world.ask("GET", f"/v1/campaigns/{NAME}")).json["rules"]
    assert told == {
        "units_max": 5, "document_types": ["cn_resident_id", "passport"], "cool_down_days": 2, "household_max": 3,
        "stagger": {"by": "birth_year_digit", "days": {"mon": [1, 6], "sun": [0]}}, "entitled_only": True,
        "assisted": {"per_mille": 125, "release_h": 0}, "reserve_per_mille": 20, "pickup_grace_h": 24,
        "waiting_list": {"per_mille": 500, "promote_until_h": 12}, "change_until_h": 6,
    }  # fmt: skip
    assert "E12345678" not in (await world.ask("GET", f"/v1/campaigns/{NAME}")).text


async def test_a_campaign_without_rules_tells_that_it_has_none(world: World) -> None:
    await ruled(world)
    told = (await world.ask("GET", f"/v1/campaigns/{NAME}")).json["rules"]
    assert [name for name, value in told.items() if value] == ["units_max", "document_types"]


async def page(world: World, path: str, spoken: str = "en", **form: str) -> str:
    if form:
        body = urlencode(form)
        headers = {"Accept-Language": spoken, "Content-Type": "application/x-www-form-urlencoded"}
        heard = await world.ask("POST", path, data=body, headers=headers)
        if heard.status == 303:
            return await page(world, heard.headers["Location"], spoken)
        return heard.text
    return (await world.ask("GET", path, headers={"Accept-Language": spoken})).text


async def test_the_page_tells_the_rules_in_sentences(world: World) -> None:
    await ruled(world, **RULES)
    text = await page(world, f"/campaigns/{NAME}")
    for told in (
        "Only for people on the organisers&#x27; list",
        "by the last digit of the year of birth: Mon: 1, 6; Sun: 0; on all other days: everybody",
        "for at most 3 people",
        "2 whole days",
        "12.5% of the masks",
        "24 hours",
    ):
        assert told in text, told
    plain = await page(world, "/campaigns/gz-2020-02")
    assert "whole days" not in plain
    for spoken in LANGUAGES:
        assert "{" not in await page(world, f"/campaigns/{NAME}", spoken)


async def test_a_campaign_that_only_desks_can_book_says_so(world: World) -> None:
    await ruled(world, assisted={"per_mille": 980}, reserve_per_mille=20)
    assert "at a desk only" in await page(world, f"/campaigns/{NAME}")


async def test_the_form_asks_for_the_year_of_birth_where_it_counts_and_says_where_it_is_missing(world: World) -> None:
    await ruled(world, stagger={"by": "birth_year_digit", "days": {weekday_in(0): ALL}})
    path = f"/campaigns/{NAME}/slots/s-2"
    assert 'name="birth_year"' in await page(world, path)
    assert 'name="birth_year"' not in await page(world, "/campaigns/gz-2020-02/slots/s-2")
    filled = {"nonce": "n" * 16, "units": "1", "document_type": "passport", "document_number": "E12345678",
              "phone": "13800000000", "birth_year": ""}  # fmt: skip
    again = await page(world, path, **filled)
    assert 'name="birth_year"' in again
    assert '<em class="wrong">' in again
    async with world.folding():
        assert "Booked" in await page(world, path, **(filled | {"birth_year": "1987"}))
    assert digit(world) == 7


async def test_the_page_of_a_refusal_tells_whose_turn_is_when(world: World) -> None:
    await ruled(world, stagger={"by": "document_digit", "days": {weekday_in(0): [1], weekday_in(1): [8]}})
    form = {"nonce": "n" * 16, "units": "1", "document_type": "passport", "document_number": "E12345678",
            "phone": "13800000000"}  # fmt: skip
    async with world.folding():
        text = await page(world, f"/campaigns/{NAME}/slots/s-2", **form)
    assert "Today is not your booking day" in text
    assert "on all other days: everybody" in text


# -- a no-show ----------------------------------------------------------------------------------------------------


async def test_a_no_show_is_told_kindly_and_has_no_pass(world: World) -> None:
    await ruled(world)
    heard = await book(world, slot="s-1", **PASSPORT)
    state = world.model.states[0]
    row = state.get(f"s:{state.get(f'c:{NAME}').no}:s-1")
    row.day_to_ms = row.ends_ms = 0
    expire = c.Expire(id="e" * 16, region="guangzhou", pharmacy="p-1", day=row.day, sheet=0)
    world.write(0, expire)
    world.model.fold()
    path = f"/v1/reservations/{heard.json['id']}"
    told = (await world.ask("GET", path)).json
    assert (told["state"], told["pass"], told["short_code"]) == ("expired", None, None)
    assert (await world.ask("GET", f"{path}/pass.svg")).reason == "expired"
    async with world.folding():
        assert (await world.ask("DELETE", f"{path}?wait=5")).reason == "expired"
    text = await page(world, f"/reservations/{heard.json['id']}")
    assert "Not picked up" in text
