"""Look-ups are bounded a terminal: a stolen token must not be able to try document numbers all day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.counter.allowance import MAX_WATCHED, WITHIN_S, Allowance
from services.counter.main import TillSettings
from services.platform.problems import Problem
from tests.unit.counter_world import CounterWorld, counter
from tests.unit.till_browser import paired

MOST = 3
NOBODY = {"document_type": "passport", "document_number": "A9999999"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path, TillSettings(lookups_per_minute=MOST)) as world:
        yield world


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.safety
async def test_a_terminal_that_looks_up_more_than_it_may_is_told_to_wait(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    for _ in range(MOST):
        assert (await till.post("/v1/lookups", anna.shown)).status == 200
    heard = await till.post("/v1/lookups", anna.shown)
    assert (heard.status, heard.reason) == (429, "too_many_lookups")
    assert 1 <= int(heard.headers["Retry-After"]) <= WITHIN_S
    assert anna.pass_no not in heard.text


@pytest.mark.control
async def test_without_the_check_any_number_of_documents_can_be_tried(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = await world.paired()
    monkeypatch.setattr(Allowance, "check", lambda _self, _terminal: None)
    for _ in range(MOST + 1):
        assert (await till.post("/v1/lookups", NOBODY)).status == 200


@pytest.mark.safety
async def test_pick_ups_of_documents_that_nobody_booked_with_count_as_look_ups(world: CounterWorld) -> None:
    till, anna = await world.paired(), world.books("A0000001")
    for _ in range(MOST):
        assert (await till.post("/v1/pickups", NOBODY)).status == 404
    for path in ("/v1/pickups", "/v1/lookups"):
        heard = await till.post(path, anna.shown)
        assert (heard.status, heard.reason) == (429, "too_many_lookups")
    assert (await till.post("/v1/pickups", {"pass": world.pass_of(anna)})).status == 200


@pytest.mark.control
async def test_without_counting_them_pick_ups_would_tell_who_booked(
    world: CounterWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = await world.paired()
    monkeypatch.setattr(Allowance, "count", lambda _self, _terminal: None)
    for _ in range(MOST + 1):
        assert (await till.post("/v1/pickups", NOBODY)).status == 404


async def test_what_is_handed_out_by_document_counts_as_no_look_up(world: CounterWorld) -> None:
    till = await world.paired()
    for number in range(MOST + 2):
        assert (await till.post("/v1/pickups", world.books(f"A000000{number}").shown)).status == 200


async def test_one_terminal_takes_nothing_from_another(world: CounterWorld) -> None:
    till, other = await world.paired(), await world.paired("till-2", "p-1")
    for _ in range(MOST + 1):
        await till.post("/v1/lookups", NOBODY)
    assert (await other.post("/v1/lookups", NOBODY)).status == 200


async def test_the_page_is_bounded_as_the_calls_are(world: CounterWorld) -> None:
    browser = await paired(world)
    for _ in range(MOST):
        assert (await browser.sends("/look-up", **NOBODY)).status == 200
    heard = await browser.sends("/look-up", **NOBODY)
    assert heard.status == 429
    assert "Too many look-ups" in browser.card


def test_each_look_up_is_forgotten_after_its_minute() -> None:
    clock = Clock()
    allowance = Allowance(2, clock)
    for _ in range(2):
        allowance.check("till")
        allowance.count("till")
        clock.now_s += 20
    with pytest.raises(Problem) as caught:
        allowance.check("till")
    assert caught.value.headers == b"Retry-After: 20\r\n"
    clock.now_s += 20
    allowance.check("till")
    allowance.count("till")
    with pytest.raises(Problem):
        allowance.check("till")


def test_terminals_that_are_quiet_are_forgotten() -> None:
    clock = Clock()
    allowance = Allowance(1, clock)
    for number in range(MAX_WATCHED):
        allowance.count(number)
    clock.now_s += WITHIN_S
    allowance.count("one more")
    assert len(allowance._made) == 1
