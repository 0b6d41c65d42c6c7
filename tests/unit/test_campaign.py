"""A campaign as commands: whole, in order, the same for the same file, and readable for whoever reads the log."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.campaign import (
    Campaign,
    Definition,
    StaggerBy,
    definition_json,
    revision,
)
from services.domain.campaign_check import Source, check
from services.domain.campaign_commands import MAX_CHUNK_BYTES
from services.domain.campaign_document import document
from services.domain.campaign_times import digit_of
from services.domain.commands import (
    MAX_CHUNK,
    MAX_RECORD_BYTES,
    AddEntitled,
    AddPharmacies,
    AddSlots,
    CampaignRules,
    DefineCampaign,
    Pharmacy,
    SealDefinition,
    StaggerDay,
    decode,
    encode,
)
from services.domain.days import LAST_MS, day_of, instant_ms, iso_day, rfc3339, zone
from services.domain.documents import DocumentType
from tests.unit.campaign_documents import (
    RIGHT,
    YEAR_2020_MS,
    YEAR_2090_MS,
    ZONES,
    campaigns,
    changed,
    checked,
    pseudonyms,
    written,
)


@given(campaign=campaigns())
@settings(max_examples=50)
def test_a_campaign_becomes_a_document_that_is_the_same_campaign(campaign: Campaign) -> None:
    sent = msgspec.json.decode(msgspec.json.encode(document(campaign)))
    assert check(Source(file="sent.json", document=sent)) == campaign


@given(campaign=campaigns())
@settings(max_examples=50)
def test_its_commands_stand_in_the_log_as_they_were_made(campaign: Campaign) -> None:
    commands = written(campaign, actor="ops:li", why="first round")
    assert [decode(encode(command)) for command in commands] == commands
    define, *chunks, seal = commands
    assert isinstance(define, DefineCampaign)
    assert isinstance(seal, SealDefinition)
    entitled = [one for chunk in chunks if isinstance(chunk, AddEntitled) for one in chunk.residents]
    assert entitled == sorted(pseudonyms(campaign))
    pharmacies = [one for chunk in chunks if isinstance(chunk, AddPharmacies) for one in chunk.pharmacies]
    slots = [one for chunk in chunks if isinstance(chunk, AddSlots) for one in chunk.slots]
    assert (define.pharmacies, define.slots) == (len(pharmacies), len(slots))
    assert (tuple(pharmacies), tuple(slots)) == (campaign.pharmacies, campaign.slots)
    assert len({command.id for command in commands}) == len(commands)


def big_campaign(pharmacies: int, slots: int, name: str = "Pharmacy") -> Campaign:
    campaign = checked(RIGHT)
    return msgspec.structs.replace(
        campaign,
        pharmacies=tuple(Pharmacy(id=f"p-{number}", name=name) for number in range(pharmacies)),
        slots=tuple(
            msgspec.structs.replace(campaign.slots[0], id=f"s-{number}", pharmacy=f"p-{number % pharmacies}")
            for number in range(slots)
        ),
    )


def test_a_definition_goes_into_the_log_in_chunks_that_say_how_many_came_before() -> None:
    commands = written(big_campaign(pharmacies=401, slots=1_000))
    pharmacies = [(one.first, len(one.pharmacies)) for one in commands if isinstance(one, AddPharmacies)]
    slots = [(one.first, len(one.slots)) for one in commands if isinstance(one, AddSlots)]
    assert pharmacies == [(0, 200), (200, 200), (400, 1)]
    assert slots == [(first, MAX_CHUNK) for first in range(0, 1_000, MAX_CHUNK)]


def test_long_names_make_smaller_chunks_and_never_a_record_that_is_too_large() -> None:
    campaign = big_campaign(pharmacies=400, slots=1, name="𠮷" * 200)
    chunks = [one for one in written(campaign) if isinstance(one, AddPharmacies)]
    assert [chunk.first for chunk in chunks] == [
        sum(len(one.pharmacies) for one in chunks[:n]) for n in range(len(chunks))
    ]
    assert sum(len(chunk.pharmacies) for chunk in chunks) == 400
    assert all(len(encode(chunk)) <= MAX_CHUNK_BYTES + 1_000 < MAX_RECORD_BYTES for chunk in chunks)


def test_the_same_content_is_the_same_revision_and_sends_the_same_commands() -> None:
    one, other = checked(RIGHT), checked({**RIGHT, "title": dict(reversed(RIGHT["title"].items()))})
    assert revision(one) == revision(other)
    assert written(one) == written(other)


@pytest.mark.parametrize("change", [{"delete_after_days": 15}, {"region": "foshan"}, {"slots": RIGHT["slots"][:1]}])
def test_other_content_is_another_revision_with_other_command_ids(change: dict[str, object]) -> None:
    one, other = checked(RIGHT), checked({**RIGHT, **change})
    assert revision(one) != revision(other)
    ids = [{command.id for command in written(campaign)} for campaign in (one, other)]
    assert not ids[0] & ids[1]


@given(campaign=campaigns())
@settings(max_examples=25)
def test_a_definition_is_read_back_from_the_log_without_its_tables(campaign: Campaign) -> None:
    definition = msgspec.json.decode(definition_json(campaign), type=Definition)
    assert type(definition) is Definition
    for field in Definition.__struct_fields__:
        assert getattr(definition, field) == getattr(campaign, field)


# ------------------------------------------------------------------------------------------------------------ rules


def passports(count: int) -> list[dict[str, str]]:
    return [{"document_type": "passport", "document_number": f"E{number:08d}"} for number in range(count)]


def test_the_entitled_go_into_the_log_by_pseudonym_in_chunks_before_the_seal() -> None:
    campaign = checked(changed("rules", "eligible", to=passports(1_201)))
    commands = written(campaign)
    chunks = [command for command in commands if isinstance(command, AddEntitled)]
    assert [(chunk.first, len(chunk.residents)) for chunk in chunks] == [(0, 500), (500, 500), (1_000, 201)]
    assert isinstance(commands[-1], SealDefinition)
    assert isinstance(commands[0], DefineCampaign)
    assert commands[0].rules.entitled == 1_201
    assert not any(b"E0000" in encode(command) for command in commands)


def test_a_revision_tells_the_entitled_by_pseudonyms_and_not_by_their_order() -> None:
    one = checked(changed("rules", "eligible", to=passports(3)))
    other = checked(changed("rules", "eligible", to=passports(3)[::-1]))
    third = checked(changed("rules", "eligible", to=passports(4)[1:]))
    assert revision(one, pseudonyms(one)) == revision(other, pseudonyms(other))
    assert revision(one, pseudonyms(one)) != revision(third, pseudonyms(third))
    assert revision(one) == revision(third)  # the documents themselves are in no digest
    assert [encode(command) for command in written(one)] == [encode(command) for command in written(other)]


@pytest.mark.parametrize("where", ["Asia/Shanghai", "Australia/Perth"])
def test_the_deletion_day_goes_into_the_log_as_the_instant_at_which_it_begins_there(where: str) -> None:
    """Two weeks after the day of the last slot, where the campaign is."""
    campaign = checked(changed("timezone", to=where))
    define = written(campaign)[0]
    assert isinstance(define, DefineCampaign)
    there = day_of(define.delete_ms, zone(where))
    assert (iso_day(there.number), there.from_ms) == (campaign.deletion_day, define.delete_ms)


def test_a_deletion_day_in_the_year_2100_is_still_one_that_a_command_can_carry() -> None:
    far = [slot | {"starts_at": "2099-12-28T10:00:00+08:00", "ends_at": "2099-12-28T11:00:00+08:00"}
           for slot in changed("region", to="x")["slots"][:1]]  # fmt: skip
    define = written(checked(changed("slots", to=far)))[0]
    assert isinstance(define, DefineCampaign)
    assert define.delete_ms == LAST_MS
    assert decode(encode(define)) == define


def test_the_rules_go_into_the_log_as_integers() -> None:
    rules = {
        "units_max": 5, "cool_down_days": 2, "household_max": 3, "reserve_per_mille": 20,
        "assisted": {"per_mille": 100}, "stagger": {"by": "document_digit", "days": {"sat": [0, 1], "sun": [2]}},
        "waiting_list": {"per_mille": 500, "promote_until_h": 1},
    }  # fmt: skip
    windows = [
        {"opens_at": "2020-02-01T20:00:00+08:00", "closes_at": "2020-02-02T00:00:00+08:00"},
        {"opens_at": "2020-02-02T09:00:00+08:00", "closes_at": "2020-02-02T10:00:00+08:00"},
        {"opens_at": "2020-02-02T11:00:00+08:00", "closes_at": "2020-02-04T00:00:00+08:00"},
    ]
    define = written(checked(changed("rules", to=rules) | {"windows": windows}))[0]
    assert isinstance(define, DefineCampaign)
    saturday, sunday, monday = (instant_ms(f"2020-02-0{day}T00:00:00+08:00") for day in (1, 2, 3))
    assert define.rules == CampaignRules(
        household_max=3,
        cool_down=True,
        stagger=[
            StaggerDay(from_ms=saturday, to_ms=sunday, digits=[0, 1]),
            StaggerDay(from_ms=sunday, to_ms=monday, digits=[2]),
        ],
        assisted_per_mille=100,
        reserve_per_mille=20,
        waiting_per_mille=500,
    )


@pytest.mark.parametrize(
    ("by", "kind", "number", "said", "digit"),
    [
        (StaggerBy.DOCUMENT_DIGIT, DocumentType.CN_RESIDENT_ID, "11010519491231002X", None, 0),
        (StaggerBy.DOCUMENT_DIGIT, DocumentType.PASSPORT, "E12345678", 1987, 8),
        (StaggerBy.BIRTH_YEAR_DIGIT, DocumentType.CN_RESIDENT_ID, "11010519491231002X", None, 9),
        (StaggerBy.BIRTH_YEAR_DIGIT, DocumentType.CN_RESIDENT_ID, "11010519491231002X", 1987, 9),
        (StaggerBy.BIRTH_YEAR_DIGIT, DocumentType.PASSPORT, "E12345678", 1987, 7),
        (StaggerBy.BIRTH_YEAR_DIGIT, DocumentType.PASSPORT, "E12345678", None, None),
    ],
)
def test_the_digit_of_a_person(
    by: StaggerBy, kind: DocumentType, number: str, said: int | None, digit: int | None
) -> None:
    assert digit_of(by, kind, number, said) == digit


# ------------------------------------------------------------------------------------------------------------- days


@given(at_ms=st.integers(YEAR_2020_MS, YEAR_2090_MS), name=st.sampled_from(ZONES))
def test_an_instant_lies_in_its_day_and_days_follow_each_other_without_gap(at_ms: int, name: str) -> None:
    where = zone(name)
    day = day_of(at_ms, where)
    assert day.from_ms <= at_ms < day.to_ms
    assert day_of(day.from_ms, where) == day == day_of(day.to_ms - 1, where)
    assert day_of(day.to_ms, where).from_ms == day.to_ms
    assert rfc3339(day.from_ms, where).startswith(f"{day.number // 10_000}-")


@pytest.mark.parametrize(
    ("name", "noon", "hours"),
    [
        ("Asia/Shanghai", "2020-03-29T12:00:00+08:00", 24),
        ("Europe/Berlin", "2020-03-29T12:00:00+02:00", 23),
        ("Europe/Berlin", "2020-10-25T12:00:00+01:00", 25),
        ("Asia/Beirut", "2020-03-29T12:00:00+03:00", 23),  # the clock jumps at midnight
        ("America/Havana", "2020-11-01T12:00:00-05:00", 25),
    ],
)
def test_the_day_on_which_a_clock_is_changed_is_shorter_or_longer(name: str, noon: str, hours: int) -> None:
    day = day_of(instant_ms(noon), zone(name))
    assert day.to_ms - day.from_ms == hours * 3_600_000


@given(at_ms=st.integers(YEAR_2020_MS, YEAR_2090_MS), name=st.sampled_from(ZONES))
def test_an_instant_is_read_back_as_it_was_written(at_ms: int, name: str) -> None:
    assert instant_ms(rfc3339(at_ms, zone(name))) == at_ms
