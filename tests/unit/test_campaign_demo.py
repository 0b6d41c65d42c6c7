"""The demo's campaign: the same city, here and now, with exactly the units that were asked for."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.campaigns import SUIKANG_V1
from infra.campaigns.demo import HOUR_MS, NotThatMany, scaled
from services.domain.campaign import Campaign
from services.domain.campaign_check import Source, check
from services.domain.campaign_document import document
from services.domain.commands import decode, encode
from services.domain.days import day_of, zone
from services.platform.campaign_files import load
from tests.unit.campaign_documents import YEAR_2020_MS, YEAR_2090_MS, campaigns, written

SUIKANG = load(SUIKANG_V1)
NOON_MS = int(datetime(2026, 11, 22, 4, 0, tzinfo=UTC).timestamp() * 1000)


@given(units=st.integers(1, 300_000), now_ms=st.integers(YEAR_2020_MS, YEAR_2090_MS))
@example(units=1, now_ms=NOON_MS)
@example(units=2_000, now_ms=NOON_MS)
@settings(max_examples=25)
def test_there_are_exactly_the_units_that_were_asked_for_and_the_window_is_open(units: int, now_ms: int) -> None:
    campaign = scaled(SUIKANG, units, now_ms)
    assert campaign.units == units
    (window,) = campaign.windows
    assert window.opens_ms < now_ms < window.closes_ms
    assert any(slot.starts_ms <= now_ms < slot.ends_ms for slot in campaign.slots)


@given(campaign=campaigns(), units=st.integers(1, 5_000_000), now_ms=st.integers(YEAR_2020_MS, YEAR_2090_MS))
@settings(max_examples=50)
def test_any_campaign_brought_to_now_is_a_campaign_that_can_be_applied(
    campaign: Campaign, units: int, now_ms: int
) -> None:
    try:
        here = scaled(campaign, units, now_ms)
    except NotThatMany:
        assert units > 1_000_000
        return
    assert here.units == units
    assert check(Source(file="demo", document=document(here))) == here
    assert all(decode(encode(command)) == command for command in written(here))


@pytest.mark.parametrize("units", [2_000, 20_000])
def test_slots_lie_today_and_tomorrow_and_some_cover_now(units: int) -> None:
    campaign = scaled(SUIKANG, units, NOON_MS)
    today = day_of(NOON_MS, zone("Asia/Shanghai"))
    assert {slot.day for slot in campaign.slots} == {today.number, today.number + 1}
    current = [slot for slot in campaign.slots if slot.starts_ms <= NOON_MS < slot.ends_ms]
    assert len({slot.pharmacy for slot in current}) >= 50
    assert all(slot.ends_ms - NOON_MS > HOUR_MS for slot in current)


def test_more_than_one_slot_holds_are_shared_out_over_several_however_much_a_person_may_have() -> None:
    greedy = replace(SUIKANG, rules=replace(SUIKANG.rules, units_max=1_000_000))
    assert scaled(greedy, 1_500_000, NOON_MS).units == 1_500_000


def test_a_slot_has_something_for_several_people() -> None:
    assert min(slot.units for slot in scaled(SUIKANG, 2_000, NOON_MS).slots) >= SUIKANG.rules.units_max
    assert len(scaled(SUIKANG, 112_800, NOON_MS).slots) == len(SUIKANG.slots)


def test_rules_and_words_stay_as_they_were_published() -> None:
    campaign = scaled(SUIKANG, 2_000, NOON_MS)
    assert campaign.rules == SUIKANG.rules
    assert campaign.title == SUIKANG.title
    assert campaign.deletion_day == "2026-12-07"


@pytest.mark.parametrize("units", [0, -5, 10**12])
def test_a_number_that_cannot_be_shared_out_is_refused_in_words(units: int) -> None:
    with pytest.raises(NotThatMany, match="Choose from 1 to 600000000"):
        scaled(SUIKANG, units, NOON_MS)
