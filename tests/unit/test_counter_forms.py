"""Forms at the till: who has three things to mend hears of all three at once."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.counter_world import CounterWorld, counter
from tests.unit.till_browser import paired


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    async with counter(tmp_path) as world:
        yield world


@pytest.mark.parametrize(
    ("path", "form", "named"),
    [
        ("/pick-up", {}, ["Kind of document", "Document number"]),
        ("/pick-up", {"short_code": "123", "document_last4": "0001"}, ["Short code"]),
        ("/pick-up", {"short_code": "123", "document_last4": ""}, ["Short code", "Last four of the document"]),
        ("/pick-up", {"pass": ""}, ["Pass"]),
        ("/pick-up", {"pass": "x" * 300}, ["Pass"]),
        ("/quota", {"slot": "gz-2020-02/s-morning", "change": "many", "why": ""}, ["More or less (for", "Why"]),
        (
            "/book",
            {"slot": "", "units": "some", "document_type": "passport", "document_number": "!", "phone": "1"},
            ["Time", "Units", "Document number", "Phone (if"],
        ),
        (
            "/book",
            {"slot": "gz-2020-02/s-morning", "units": "1", "document_type": "passport", "document_number": "!"}
            | {"phone": "1"},
            ["Document number", "Phone (if"],
        ),
        ("/book", {"slot": "gz-2020-02/s-morning", "birth_year": "x"}, ["Units", "Kind of", "Document number", "Year"]),
    ],
)
async def test_every_field_that_is_missing_or_wrong_is_named_at_once(
    world: CounterWorld, path: str, form: dict[str, str], named: list[str]
) -> None:
    browser = await paired(world)
    heard = await browser.sends(path, **form)
    assert heard.status == 400
    told = browser.card.partition("Please look again at")[2].strip()
    labels = re.split(r", (?=[A-Z])", told)
    assert len(labels) == len(named)
    assert all(label.startswith(name) for label, name in zip(labels, named, strict=True))


async def test_one_wrong_number_alone_is_told_with_what_is_wrong_with_it(world: CounterWorld) -> None:
    browser = await paired(world)
    form = {"slot": "gz-2020-02/s-morning", "units": "１", "document_type": "passport", "document_number": "!"}
    heard = await browser.sends("/book", **form)
    assert heard.status == 409
    assert "document" in browser.card
    assert "look again" not in browser.card


async def test_the_stock_of_another_pharmacy_is_refused_in_words_that_fit_it(world: CounterWorld) -> None:
    browser = await paired(world)
    heard = await browser.sends("/quota", slot="gz-2020-02/s-other", change="5", why="a delivery")
    assert heard.status == 409
    assert "the stock of a slot is changed by its own pharmacy" in browser.card
