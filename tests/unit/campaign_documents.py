"""Campaigns for tests: one small document that is right, to be made wrong in one place, and any campaign at all."""

import copy
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from services.domain.campaign import (
    REHEARSAL_REGION,
    WEEKDAYS,
    AppealContact,
    Assisted,
    Campaign,
    Controller,
    Document,
    Rules,
    Stagger,
    StaggerBy,
    WaitingList,
    Window,
    deletion_day,
    revision,
)
from services.domain.campaign_check import Source, check
from services.domain.campaign_commands import DefinitionCommand, change_of, commands_of
from services.domain.campaign_problems import CampaignInvalid
from services.domain.campaign_tables import MAX_PHARMACY_ID_CHARS
from services.domain.campaign_times import timed
from services.domain.commands import ChangeRules, Pharmacy, Slot
from services.domain.days import FIRST_MS, MINUTE_MS, day_of, zone
from services.domain.documents import DocumentType
from tests.builders import digest

RIGHT: Mapping[str, Any] = {
    "campaign": "gz-2020-02",
    "region": "guangzhou",
    "timezone": "Asia/Shanghai",
    "title": {"zh-Hans": "广州口罩预约", "en": "Guangzhou masks"},
    "controller": {"name": "Health Commission", "contact": "privacy@masks.example"},
    "appeal_contact": {"phone": "12345"},
    "mode": "first_come",
    "windows": [{"opens_at": "2020-02-01T20:00:00+08:00", "closes_at": "2020-02-02T00:00:00+08:00"}],
    "rules": {"units_max": 5, "document_types": ["cn_resident_id", "passport"]},
    "delete_after_days": 14,
    "pharmacies": [
        {"id": "p-1", "name": "First", "address": "1 Road", "lon": 113.2644, "lat": "23.1291", "phone": "020-1"},
        {"id": "p-2", "name": "Second"},
    ],
    "slots": [
        {"id": "s-1", "pharmacy": "p-1", "starts_at": "2020-02-03T09:00:00+08:00",
         "ends_at": "2020-02-03T12:00:00+08:00", "units": 100},
        {"id": "s-2", "pharmacy": "p-2", "starts_at": "2020-02-03T18:00:00+08:00",
         "ends_at": "2020-02-04T00:00:00+08:00", "units": "50"},
    ],
}  # fmt: skip
ABSENT = object()


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """The right document with one value changed, or taken away if `to` is ABSENT."""
    document = copy.deepcopy(dict(RIGHT))
    part: Any = document
    for step in path[:-1]:
        part = part[step]
    if to is ABSENT:
        del part[path[-1]]
    else:
        part[path[-1]] = to
    return document


def checked(document: Any) -> Campaign:
    return check(Source(file="campaign.json", document=document))


def problems_of(document: Any) -> list[str]:
    """What the check says of a document, a line each; empty if it is right."""
    try:
        checked(document)
    except CampaignInvalid as error:
        return [str(problem) for problem in error.problems]
    return []


def pseudonym(document_type: str, number: str) -> str:
    """Stands in for `Identities.resident`."""
    return digest("resident", document_type, number)


def pseudonyms(campaign: Campaign) -> list[str]:
    """Of those who are entitled."""
    return [pseudonym(one.document_type, one.document_number) for one in campaign.entitled]


def written(campaign: Campaign, of_revision: str = "", **words: str) -> list[DefinitionCommand]:
    """The definition as commands, as some console would write it."""
    entitled = pseudonyms(campaign)
    of_revision = of_revision or revision(campaign, entitled)
    key = f"{campaign.campaign}|{of_revision}"
    return commands_of(campaign, of_revision, lambda step: digest(key, step), entitled=entitled, **words)


def changed_to(campaign: Campaign, before: str) -> ChangeRules:
    """The command that changes what stands under revision `before`, as some console would write it."""
    of_revision = revision(campaign, pseudonyms(campaign))
    return change_of(campaign, of_revision, before=before, command_id=digest("change", before, of_revision))


# ------------------------------------------------------------------------------------------------------- any campaign

DAY_MS = 86_400_000
YEAR_2020_MS, YEAR_2090_MS = FIRST_MS + DAY_MS, 3_786_912_000_000
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")
_texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40
).filter(lambda text: text == text.strip())
_names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True)
_short_names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
_real_regions = _names.filter(lambda name: not name.startswith(REHEARSAL_REGION))
_pharmacy_ids = st.from_regex(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_PHARMACY_ID_CHARS - 1}}}", fullmatch=True)


@st.composite
def _slot_times(draw: st.DrawFn, zone_name: str) -> dict[str, int]:
    starts_ms = draw(st.integers(YEAR_2020_MS // MINUTE_MS, YEAR_2090_MS // MINUTE_MS)) * MINUTE_MS
    day = day_of(starts_ms, zone(zone_name))
    ends_ms = starts_ms + draw(st.integers(1, (day.to_ms - starts_ms) // MINUTE_MS)) * MINUTE_MS
    times = {"starts_ms": starts_ms, "ends_ms": ends_ms}
    return times | {"day": day.number, "day_from_ms": day.from_ms, "day_to_ms": day.to_ms}


@st.composite
def _windows(draw: st.DrawFn) -> tuple[Window, ...]:
    edges = draw(st.lists(st.integers(FIRST_MS, YEAR_2020_MS), min_size=2, max_size=8, unique=True))
    edges.sort()
    return tuple(Window(opens_ms=a, closes_ms=b) for a, b in zip(edges[::2], edges[1::2], strict=False))


@st.composite
def _staggers(draw: st.DrawFn) -> Stagger:
    digits = st.lists(st.integers(0, 9), min_size=1, unique=True).map(lambda found: tuple(sorted(found)))
    days = draw(st.dictionaries(st.sampled_from(WEEKDAYS), digits, min_size=1))
    return Stagger(by=draw(st.sampled_from(StaggerBy)), days=days)


@st.composite
def rules(draw: st.DrawFn, entitled: int) -> Rules:
    """Any rules; of the shares there is no release, which not every opening lets desks live to see,
    and waiting lists end as late as they can."""
    kinds = draw(st.lists(st.sampled_from(DocumentType), min_size=1, unique=True))
    if entitled and DocumentType.PASSPORT not in kinds:
        kinds.append(DocumentType.PASSPORT)
    return Rules(
        units_max=draw(st.integers(1, 1_000_000)),
        document_types=tuple(kinds),
        cool_down_days=draw(st.just(0) | st.integers(1, 366)),
        household_max=draw(st.just(0) | st.integers(1, 1_000)),
        stagger=draw(st.none() | _staggers()),
        entitled=entitled,
        assisted=draw(st.none() | st.builds(Assisted, per_mille=st.integers(0, 500))),
        reserve_per_mille=draw(st.just(0) | st.integers(1, 500)),
        pickup_grace_h=draw(st.none() | st.integers(0, 720)),
        waiting_list=draw(
            st.none() | st.builds(WaitingList, per_mille=st.integers(1, 10_000), promote_until_h=st.just(0))
        ),
        change_until_h=draw(st.none() | st.integers(0, 720)),
    )


@st.composite
def campaigns(draw: st.DrawFn) -> Campaign:
    """Any campaign that a file can hold."""
    zone_name = draw(st.sampled_from(ZONES))
    pharmacies = tuple(
        Pharmacy(
            id=pharmacy_id,
            name=draw(_texts),
            address=draw(st.just("") | _texts),
            lon_e6=draw(st.integers(-180_000_000, 180_000_000)),
            lat_e6=draw(st.integers(-90_000_000, 90_000_000)),
            phone=draw(st.just("") | _texts),
        )
        for pharmacy_id in draw(st.lists(_pharmacy_ids, min_size=1, max_size=4, unique=True))
    )
    slots = tuple(
        Slot(
            id=slot_id,
            pharmacy=pharmacies[index % len(pharmacies)].id,
            units=draw(st.integers(1, 1_000_000)),
            **draw(_slot_times(zone_name)),
        )
        for index, slot_id in enumerate(draw(st.lists(_names, min_size=1, max_size=6, unique=True)))
    )
    slots = tuple({(slot.pharmacy, slot.starts_ms, slot.ends_ms): slot for slot in slots}.values())
    delete_after_days = draw(st.integers(1, 3_650))
    numbers = draw(st.just([]) | st.lists(st.from_regex(r"E[0-9]{8}", fullmatch=True), max_size=4, unique=True))
    entitled = tuple(Document(document_type=DocumentType.PASSPORT, document_number=number) for number in numbers)
    found = draw(rules(len(entitled)))
    return Campaign(
        campaign=draw(_names),
        region=REHEARSAL_REGION + draw(_short_names) if (rehearsal := draw(st.booleans())) else draw(_real_regions),
        rehearsal=rehearsal,
        timezone=zone_name,
        title=draw(st.dictionaries(st.sampled_from(["zh-Hans", "zh-Hant", "en"]), _texts, min_size=1)),
        controller=Controller(name=draw(_texts), contact=draw(_texts)),
        appeal_contact=AppealContact(phone=draw(_texts), place=draw(st.just("") | _texts)),
        windows=draw(_windows()),
        rules=found,
        delete_after_days=delete_after_days,
        deletion_day=deletion_day(slots, delete_after_days),
        pharmacies=pharmacies,
        slots=tuple(timed(slot, found, zone(zone_name)) for slot in slots),
        entitled=entitled,
    )
