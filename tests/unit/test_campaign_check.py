"""Checking a campaign: everything that is wrong is told at once, with its place, and nothing is passed over."""

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.domain import campaign_check
from services.domain.campaign import Assisted, Rules, Stagger, StaggerBy, WaitingList, definition_json, revision
from services.domain.campaign_problems import CampaignInvalid, Problem, Problems
from services.domain.campaign_rules import RULES_TO_COME
from services.domain.days import instant_ms
from services.domain.documents import DocumentType
from tests.unit.campaign_documents import ABSENT, RIGHT, changed, checked, problems_of

NOT_ENFORCED = "is not enforced by this version"


def test_a_right_document_is_a_campaign() -> None:
    campaign = checked(RIGHT)
    assert (campaign.campaign, campaign.region, campaign.units) == ("gz-2020-02", "guangzhou", 150)
    assert campaign.rules.units_max == 5
    assert campaign.deletion_day == "2020-02-17"
    assert campaign.pharmacies[0].lon_e6 == 113_264_400
    assert campaign.slots[0].day == 20200203
    assert campaign.slots[0].day_to_ms - campaign.slots[0].day_from_ms == 86_400_000
    assert campaign.slots[1].ends_ms == campaign.slots[1].day_to_ms


@pytest.mark.parametrize("key", ["mode", "delete_after_days"])
def test_what_has_a_usual_value_may_be_left_out(key: str) -> None:
    assert problems_of(changed(key, to=ABSENT)) == []


def test_without_a_list_every_kind_of_document_is_accepted() -> None:
    assert checked(changed("rules", "document_types", to=ABSENT)).rules.document_types == tuple(DocumentType)


@pytest.mark.parametrize("rule", RULES_TO_COME)
def test_a_rule_that_this_version_does_not_enforce_is_refused(rule: str) -> None:
    (problem,) = problems_of(changed("rules", rule, to={"per_mille": 100}))
    assert f"rules.{rule}: {NOT_ENFORCED}" in problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", "lottery"),
        ("mode", "register_all"),
    ],
)
def test_a_mode_that_this_version_does_not_enforce_is_refused(key: str, value: Any) -> None:
    (problem,) = problems_of(changed(key, to=value))
    assert f"{key}: " in problem
    assert NOT_ENFORCED in problem


@pytest.mark.parametrize(("key", "value"), [("waiting_room", {"mode": "off"}), ("rehearsal", False)])
def test_what_asks_for_nothing_is_accepted(key: str, value: Any) -> None:
    assert problems_of(changed(key, to=value)) == []


def test_what_a_campaign_without_a_rehearsal_has_in_the_log_is_as_it_was_before_there_were_any() -> None:
    """Or each of them would have become another revision."""
    assert "rehearsal" not in definition_json(checked(RIGHT))
    assert revision(checked(RIGHT)) == "33fc781c4070405a"


def test_a_rehearsal_is_in_a_region_of_its_own() -> None:
    document = changed("region", to="rehearsal-guangzhou") | {"rehearsal": True}
    assert checked(document).rehearsal
    assert not checked(RIGHT).rehearsal


@pytest.mark.safety
def test_a_rehearsal_in_a_real_region_is_refused_and_a_real_campaign_in_one_of_rehearsals() -> None:
    (problem,) = problems_of(changed("rehearsal", to=True))
    assert "region: lives in a region of its own in a rehearsal; write `region: rehearsal-guangzhou`" in problem
    (problem,) = problems_of(changed("region", to="rehearsal-guangzhou"))
    assert "region: begins with `rehearsal-`, which only rehearsals have; add `rehearsal: true`" in problem


@pytest.mark.control
def test_without_the_look_at_the_region_a_rehearsal_counts_for_real_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_check, "_rehearsal", lambda *_: True)
    assert checked(changed("rehearsal", to=True)).region == checked(RIGHT).region


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("rules", "unit_max"), 5, "rules.unit_max: is unknown here; did you mean `units_max`?"),
        (("colour",), "blue", "colour: is unknown here; known are campaign, region"),
        (("campaign",), ABSENT, "campaign: is missing"),
        (("campaign",), "gz 2020", "is no name"),
        (("campaign",), "x" * 49, "is no name"),
        (("campaign",), ["gz"], "campaign: has to be a line of text"),
        (("region",), "a:b", "is no name"),
        (("region",), "gz\n", None),
        (("timezone",), "China/Guangzhou", "timezone: There is no time zone 'China/Guangzhou'"),
        (("timezone",), "../../../etc/passwd", "timezone: There is no time zone"),
        (("timezone",), "Asia", "timezone: There is no time zone"),
        (("title",), {}, "title: is missing"),
        (("title",), "Masks", "title: has to be a group of keys"),
        (("title", "fr"), "Masques", "title.fr: is unknown here"),
        (("title", "en"), "x" * 201, "title.en: has to be a line of text"),
        (("title", "en"), "a\x1bb", "title.en: has to be a line of text"),
        (("controller", "contact"), ABSENT, "controller.contact: is missing"),
        (("controller", "name"), "", "controller.name: is missing"),
        (("appeal_contact",), ABSENT, "appeal_contact: is missing"),
        (("appeal_contact", "fax"), "1", "appeal_contact.fax: is unknown here"),
        (("mode",), "best_friends", "mode: is no mode"),
        (("rehearsal",), "no", "rehearsal: has to be true or false"),
        (("rules", "units_max"), ABSENT, "rules.units_max: has to be a whole number"),
        (("rules", "units_max"), 0, "rules.units_max: has to be a whole number"),
        (("rules", "units_max"), True, "rules.units_max: has to be a whole number"),
        (("rules", "units_max"), 2.5, "rules.units_max: has to be a whole number"),
        (("rules", "document_types"), [], "rules.document_types: has to be a list"),
        (("rules", "document_types"), "passport", "rules.document_types: has to be a list"),
        (("rules", "document_types"), ["library_card"], "rules.document_types[1]: 'library_card' is no kind"),
        (("rules", "document_types"), ["passport", "passport"], "rules.document_types[2]: passport stands here twice"),
        (("rules", "cool_down_days"), -1, "rules.cool_down_days: has to be a whole number from 0 to 366"),
        (("rules", "cool_down_days"), 367, "rules.cool_down_days: has to be a whole number"),
        (("rules", "cool_down_days"), "2", "rules.cool_down_days: has to be a whole number"),
        (("rules", "household_max"), 0, "rules.household_max: has to be a whole number from 1 to 1000"),
        (("rules", "pickup_grace_h"), -1, "rules.pickup_grace_h: has to be a whole number from 0 to 720"),
        (("rules", "reserve_per_mille"), 1_001, "rules.reserve_per_mille: has to be a whole number from 0 to 1000"),
        (("rules", "assisted"), 100, "rules.assisted: has to be a group of keys: per_mille, release_h"),
        (("rules", "assisted"), {"release_h": 2}, "rules.assisted.per_mille: has to be a whole number"),
        (("rules", "assisted"), {"per_mille": 1, "release": 2}, "assisted.release: is unknown here; did you mean"),
        (("rules", "assisted"), {"per_mille": 1, "release_h": 2.5}, "assisted.release_h: has to be a whole number"),
        (("rules", "assisted"), {"per_mille": 1, "release_h": 48}, "release_h: is before a window opens for 2 of the"),
        (("rules", "waiting_list"), 500, "rules.waiting_list: has to be a group of keys: per_mille, promote_until_h"),
        (("rules", "waiting_list"), {"promote_until_h": 1}, "waiting_list.per_mille: has to be a whole number from 1"),
        (("rules", "waiting_list"), {"per_mille": 1}, "waiting_list.promote_until_h: has to be a whole number from 0"),
        (("rules", "waiting_list"), {"per_mille": 1, "until_h": 1}, "waiting_list.until_h: is unknown here"),
        (("rules", "waiting_list"), {"per_mille": 10_001, "promote_until_h": 1}, "per_mille: has to be a whole number"),
        (("rules", "change_until_h"), 721, "rules.change_until_h: has to be a whole number from 0 to 720"),
        (("rules", "stagger"), "odd", "rules.stagger: has to be a group of keys: by, days"),
        (("rules", "stagger"), {"days": {"mon": [1]}}, "stagger.by: has to be one of document_digit, birth_year_digit"),
        (("rules", "stagger"), {"by": "document_digit"}, "rules.stagger.days: is missing"),
        (("rules", "stagger"), {"by": "document_digit", "days": [1]}, "rules.stagger.days: has to be a group of keys"),
        (("rules", "stagger"), {"by": "document_digit", "days": {"monday": [1]}}, "days.monday: is unknown here"),
        (("rules", "stagger"), {"by": "document_digit", "days": {"mon": "odd"}}, "days.mon: has to be a list of dig"),
        (("rules", "stagger"), {"by": "document_digit", "days": {"mon": [1, 10]}}, "days.mon: has to be a list of dig"),
        (("rules", "stagger"), {"by": "document_digit", "days": {"mon": [1, 1]}}, "days.mon: has to be a list of dig"),
        (("rules", "stagger"), {"by": "document_digit", "days": {"mon": [True]}}, "days.mon: has to be a list of dig"),
        (("rules", "stagger"), {"by": "document_digit", "days": {"mon": []}}, "days.mon: has to be a list of dig"),
        (("rules", "eligible"), 5, "rules.eligible: has to name a CSV file"),
        (("rules", "eligible"), "people.csv", "rules.eligible: has to name a CSV file"),
        (("rules", "eligible"), [], "rules.eligible: has no rows"),
        (("rules", "eligible"), [{"document_type": "passport"}], "rules.eligible[1]: has to have the keys"),
        (("delete_after_days",), 0, "delete_after_days: has to be a whole number from 1"),
        (("windows",), [], "windows: has to be a list of 1 to 100"),
        (("windows",), ABSENT, "windows: has to be a list"),
        (("windows", 0, "opens_at"), "2020-02-01T20:00:00", "windows[1].opens_at: '2020-02-01T20:00:00' has no offset"),
        (("windows", 0, "opens_at"), "2020-02-03T20:00:00+08:00", "windows[1].closes_at: is not after opens_at"),
        (("windows", 0, "opens_at"), "yesterday", "is no time"),
        (("windows", 0, "open_at"), "2020-02-01T20:00:00+08:00", "did you mean `opens_at`?"),
        (("pharmacies",), ABSENT, "pharmacies: is missing"),
        (("pharmacies", 1, "id"), "p-1", "id: 'p-1' is the pharmacy of line 1 already"),
        (("pharmacies", 1, "id"), "p" * 30, "id: has 30 characters; 29 is the most"),
        (("pharmacies", 0, "name"), "", "name: is empty"),
        (("pharmacies", 0, "name"), "x" * 201, "name: has 201 characters"),
        (("pharmacies", 0, "address"), "a\nb", "address: has a line break"),
        (("pharmacies", 0, "lon"), "181", "lon: '181' is no number of degrees"),
        (("pharmacies", 0, "lat"), "NaN", "lat: 'NaN' is no number of degrees"),
        (("pharmacies", 0, "lat"), "north", "lat: 'north' is no number of degrees"),
        (("pharmacies", 0, "owner"), "me", "pharmacies[1].owner: is unknown here"),
        (("slots",), [], "has no rows"),
        (("slots", 0, "pharmacy"), "p-9", "pharmacy: 'p-9' is no pharmacy"),
        (("slots", 0, "id"), "", "id: is empty"),
        (("slots", 0, "id"), "s:1", "id: 's:1' is no id"),
        (("slots", 1, "id"), "s-1", "id: 's-1' is the slot of line 1 already"),
        (("slots", 1, "id"), "S-1", "id: 'S-1' differs only in capitals from 's-1'"),
        (("slots", 0, "units"), 0, "units: '0' is no whole number from 1"),
        (("slots", 0, "units"), "５０", "is no whole number from 1"),
        (("slots", 0, "units"), 1_000_001, "is no whole number from 1"),
        (("slots", 0, "ends_at"), "2020-02-03T09:00:00+08:00", "ends_at: is not after starts_at"),
        (("slots", 0, "ends_at"), "2020-02-04T00:01:00+08:00", "ends_at: is on another day in Asia/Shanghai"),
        (("slots", 0, "starts_at"), "2020-02-03T09:00:30+08:00", "is not on a whole minute"),
        (("slots", 0, "starts_at"), "2020-02-03 09:00", "has no offset"),
        (("slots", 0, "starts_at"), "1020-02-03T09:00:00+08:00", "is in no year from 2020 to 2099"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(path: tuple[str | int, ...], value: Any, told: str | None) -> None:
    problems = problems_of(changed(*path, to=value))
    if told is None:  # blanks around a value are nobody's mistake
        assert problems == []
    else:
        assert [problem for problem in problems if told in problem], problems


@pytest.mark.parametrize("document", [None, [], "campaign", 5, True])
def test_what_is_no_document_at_all_is_told_so(document: Any) -> None:
    (problem,) = problems_of(document)
    assert "is no campaign" in problem


def test_the_rules_of_a_document_are_read() -> None:
    asked = {
        "units_max": 5, "document_types": ["passport"], "cool_down_days": 2, "household_max": 3,
        "stagger": {"by": "birth_year_digit", "days": {"tue": [7, 2], "mon": [6, 1]}},
        "eligible": [{"document_type": "passport", "document_number": "e1234 5678"}],
        "assisted": {"per_mille": 100, "release_h": 12}, "reserve_per_mille": 20, "pickup_grace_h": 24,
        "waiting_list": {"per_mille": 500, "promote_until_h": 12}, "change_until_h": 6,
    }  # fmt: skip
    campaign = checked(changed("rules", to=asked))
    assert campaign.rules == Rules(
        units_max=5,
        document_types=(DocumentType.PASSPORT,),
        cool_down_days=2,
        household_max=3,
        stagger=Stagger(by=StaggerBy.BIRTH_YEAR_DIGIT, days={"mon": (1, 6), "tue": (2, 7)}),
        entitled=1,
        assisted=Assisted(per_mille=100, release_h=12),
        reserve_per_mille=20,
        pickup_grace_h=24,
        waiting_list=WaitingList(per_mille=500, promote_until_h=12),
        change_until_h=6,
    )
    assert [one.document_number for one in campaign.entitled] == ["E12345678"]


def test_what_a_rule_asks_of_a_slot_is_an_instant_in_the_campaigns_zone() -> None:
    rules = {
        "units_max": 5, "cool_down_days": 2, "pickup_grace_h": 24, "assisted": {"per_mille": 1, "release_h": 3},
        "waiting_list": {"per_mille": 500, "promote_until_h": 12}, "change_until_h": 0,
    }  # fmt: skip
    morning = checked(changed("rules", to=rules)).slots[0]
    assert morning.day == 20200203
    assert morning.cool_until_ms == instant_ms("2020-02-06T00:00:00+08:00")  # the 4th and the 5th are two whole days
    assert morning.pick_until_ms == instant_ms("2020-02-04T12:00:00+08:00")
    assert morning.release_ms == instant_ms("2020-02-03T06:00:00+08:00")
    assert morning.promote_until_ms == instant_ms("2020-02-02T21:00:00+08:00")
    assert morning.change_until_ms == instant_ms("2020-02-03T09:00:00+08:00")


def test_without_the_rules_a_slot_asks_for_nothing() -> None:
    for slot in checked(RIGHT).slots:
        assert (slot.cool_until_ms, slot.pick_until_ms, slot.release_ms) == (0, 0, 0)
        assert (slot.promote_until_ms, slot.change_until_ms) == (0, 0)


def test_a_list_that_ends_before_the_opening_for_some_slots_is_a_list_for_the_others() -> None:
    def with_hours(hours: int) -> list[str]:
        return problems_of(changed("rules", "waiting_list", to={"per_mille": 500, "promote_until_h": hours}))

    assert with_hours(37) == []  # the morning's list ends at 20:00 of the day before the day before, the opening
    assert with_hours(40) == []
    (problem,) = with_hours(46)
    assert "waiting_list.promote_until_h: is before a window opens for every slot" in problem


def test_the_shares_are_not_more_than_the_whole() -> None:
    rules = {"units_max": 5, "assisted": {"per_mille": 600}, "reserve_per_mille": 401}
    (problem,) = problems_of(changed("rules", to=rules))
    assert "and assisted.per_mille are more than the whole, which is 1000" in problem
    assert problems_of(changed("rules", to=rules | {"reserve_per_mille": 400})) == []


def test_a_stagger_over_years_is_refused() -> None:
    window = [{"opens_at": "2020-02-01T20:00:00+08:00", "closes_at": "2028-02-01T20:00:00+08:00"}]
    document = changed("windows", to=window)
    document["rules"]["stagger"] = {"by": "document_digit", "days": {"mon": [1]}}
    (problem,) = problems_of(document)
    assert "rules.stagger: is for 400 days at most" in problem


SECRET = "11010519491231002X"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"document_type": SECRET, "document_number": "cn_resident_id"}, "document_type: is no kind of document"),
        ({"document_type": "cn_resident_id", "document_number": SECRET[:-1] + "1"}, "document_number: This cannot be"),
        ({"document_type": "military_id", "document_number": SECRET}, "document_type: military_id is none that this"),
        ({"document_type": "passport", "document_number": {"is": SECRET}}, "document_number: This cannot be"),
        ({SECRET: "cn_resident_id"}, "rules.eligible[2]: has to have the keys"),
        (SECRET, "rules.eligible[2]: has to have the keys"),
    ],
)
def test_a_mistake_in_the_list_of_the_entitled_is_told_without_what_stands_there(row: Any, told: str) -> None:
    right = {"document_type": "cn_resident_id", "document_number": SECRET}
    problems = problems_of(changed("rules", "eligible", to=[right, row]))
    assert any(told in problem for problem in problems), problems
    assert not any(SECRET[:-1] in problem for problem in problems)


def test_somebody_who_is_entitled_stands_on_the_list_once() -> None:
    row = {"document_type": "cn_resident_id", "document_number": SECRET}
    again = row | {"document_number": "１１０１０５ 19491231 002x"}
    (problem,) = problems_of(changed("rules", "eligible", to=[row, again]))
    assert "rules.eligible:2: document_number: is the one of line 1 again" in problem
    assert SECRET not in repr(checked(changed("rules", "eligible", to=[row])))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*RIGHT, "id", "mode"]), inner),
    max_leaves=10,
)


@given(key=st.sampled_from([*RIGHT, "waiting_room", "rehearsal"]), value=json_values)
@example(key="slots", value=[None, 5, [], {"id": {}, "units": 1e400}])
def test_a_value_of_any_shape_is_right_or_answered_in_words(key: str, value: Any) -> None:
    problems = problems_of(changed(key, to=value))
    assert all(problem.isprintable() for problem in problems)


def test_windows_that_overlap_are_refused_and_windows_that_touch_are_not() -> None:
    def window(opens: str, closes: str) -> dict[str, str]:
        return {"opens_at": f"2020-02-01T{opens}:00+08:00", "closes_at": f"2020-02-01T{closes}:00+08:00"}

    overlapping = [window("14:00", "15:00"), window("09:30", "14:01")]
    assert (
        "windows[1]: opens before the window before it has closed" in problems_of(changed("windows", to=overlapping))[0]
    )
    touching = checked(changed("windows", to=[window("14:00", "15:00"), window("09:30", "14:00")]))
    assert [one.opens_ms < two.opens_ms for one, two in zip(touching.windows, touching.windows[1:], strict=False)]


def test_slots_that_are_over_before_anybody_can_book_are_refused() -> None:
    late = [{"opens_at": "2020-02-03T12:00:00+08:00", "closes_at": "2020-02-03T13:00:00+08:00"}]
    (problem,) = problems_of(changed("windows", to=late))
    assert "1 of the slots, s-1 first, end before a window opens" in problem


def test_two_slots_at_one_place_and_time_are_one_slot() -> None:
    twin = {**RIGHT["slots"][0], "id": "s-3"}
    (problem,) = problems_of(changed("slots", to=[*RIGHT["slots"], twin]))
    assert "'s-1' is at the same place and time" in problem


def test_all_mistakes_are_told_at_once() -> None:
    document = changed("rules", to={"unit_max": 5, "claim_h": 3})
    document |= {"timezone": "Mars/Base", "mode": "lottery", "slots": [{"id": "s"}], "colour": 1}
    problems = problems_of(document)
    for told in ("timezone", "lottery", "rules.unit_max", "rules.units_max", "claim_h", "colour"):
        assert any(told in problem for problem in problems), told
    for column in ("pharmacy", "starts_at", "ends_at", "units"):
        assert any(f"campaign.json, slots:1: {column}: " in problem for problem in problems), column


def test_a_long_list_of_mistakes_is_cut_in_the_message_and_whole_in_the_error() -> None:
    problems = Problems(Problem("a.csv", line, "units", "is wrong") for line in range(1, 502))
    error = CampaignInvalid(problems=problems)
    assert len(error.problems) == 501
    assert "a.csv:100: units" in str(error)
    assert "a.csv:101:" not in str(error)
    assert "and 401 more" in str(error)


def test_twenty_thousand_slots_are_checked_in_two_seconds() -> None:
    pharmacies = [{"id": f"p-{number}", "name": f"Pharmacy {number}"} for number in range(2_000)]
    slots = [
        {
            "id": f"s-{number}",
            "pharmacy": f"p-{number % 2_000}",
            "starts_at": f"2020-02-{3 + number // 2_000 % 5:02d}T{9 + number // 10_000 * 3:02d}:00:00+08:00",
            "ends_at": f"2020-02-{3 + number // 2_000 % 5:02d}T{12 + number // 10_000 * 3:02d}:00:00+08:00",
            "units": 50,
        }
        for number in range(20_000)
    ]
    began = time.process_time()
    campaign = checked({**RIGHT, "pharmacies": pharmacies, "slots": slots})
    assert len(campaign.slots) == 20_000
    assert time.process_time() - began < 2
