"""From a campaign document, as API.md describes it, to a Campaign, or to everything that is wrong with it.

A rule or mode that this version does not enforce is refused, never passed over: a campaign must not promise what
nobody keeps.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from services.domain.campaign import (
    DEFAULT_DELETE_AFTER_DAYS,
    DEFAULT_FACTOR_PER_MILLE,
    DEFAULT_OPENS_BEFORE_MIN,
    REHEARSAL_REGION,
    AppealContact,
    Campaign,
    Controller,
    Document,
    Rules,
    WaitingRoom,
    Window,
    deletion_day,
)
from services.domain.campaign_entitled import ENTITLED_COLUMNS, read_entitled
from services.domain.campaign_problems import Path, Report
from services.domain.campaign_rules import NOT_ENFORCED, read_rules
from services.domain.campaign_tables import (
    PHARMACY_COLUMNS,
    SLOT_COLUMNS,
    Row,
    Table,
    read_pharmacies,
    read_slots,
)
from services.domain.campaign_times import timed
from services.domain.commands import Pharmacy, Slot
from services.domain.days import UnknownZone, zone
from services.domain.document_reader import DocumentReader, as_text

LANGUAGES = ("zh-Hans", "zh-Hant", "en")
MAX_WINDOWS = 100
MAX_DELETE_AFTER_DAYS = 3_650
ENFORCED_MODE = "first_come"
MODES_TO_COME = ("lottery", "register_all")
WAITING_ROOM_MODES = ("off", "on", "automatic")
MAX_OPENS_BEFORE_MIN = 1_440
MAX_ADMISSION_FACTOR = 10
ELIGIBLE: Path = ("rules", "eligible")
_KEYS = (
    "campaign", "region", "timezone", "title", "controller", "appeal_contact", "mode", "rehearsal", "windows", "rules",
    "waiting_room", "delete_after_days", "pharmacies", "slots",
)  # fmt: skip


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign document on its way to be checked.

    `document` is what YAML or JSON gave; `lines` tells on which line each value stands (empty for JSON). `tables` holds
    the tables that were read from files, by key, None for one that could not be read; a key that is missing there is a
    list in the document itself.
    """

    file: str
    document: Any
    lines: Mapping[Path, int] = {}
    tables: Mapping[str, Table | None] = {}


def check(source: Source, report: Report | None = None) -> Campaign:
    """The campaign in a document. Raises CampaignInvalid with every problem, those already in `report` included."""
    report = report or Report(source.file, source.lines)
    document = source.document
    if not isinstance(document, Mapping):
        report.document((), "is no campaign; it begins with keys such as `campaign:` and `region:`")
        report.raise_if_any()
    reader = DocumentReader(document, report)
    reader.known_keys((), _KEYS)
    _refuse_what_is_not_enforced(reader)
    waiting_room = _waiting_room(reader)
    campaign, region = reader.name("campaign"), reader.name("region")
    rehearsal = _rehearsal(reader, region)
    where = _zone(reader)
    title = _title(reader)
    controller = Controller(name=reader.text(("controller", "name")), contact=reader.text(("controller", "contact")))
    reader.known_keys(("controller",), Controller.__struct_fields__)
    windows = _windows(reader)
    rules = read_rules(reader, windows, where)
    appeal_contact = _appeal_contact(reader)
    delete_after_days = reader.integer(
        ("delete_after_days",), 1, MAX_DELETE_AFTER_DAYS, default=DEFAULT_DELETE_AFTER_DAYS
    )
    pharmacies, slots = _tables(source, reader, where)
    entitled = _entitled(source, reader, rules)
    slots = [timed(slot, rules, where) for slot in slots]
    _slots_end_after_the_opening(source, slots, windows, report)
    _desks_come_before_the_release(slots, windows, report)
    _somebody_can_wait(rules, slots, windows, report)
    report.raise_if_any()
    return Campaign(
        campaign=campaign,
        region=region,
        timezone=where.key,
        title=title,
        controller=controller,
        appeal_contact=appeal_contact,
        windows=windows,
        rules=replace(rules, entitled=len(entitled)),
        delete_after_days=delete_after_days,
        deletion_day=deletion_day(slots, delete_after_days),
        rehearsal=rehearsal,
        waiting_room=waiting_room,
        pharmacies=tuple(pharmacies),
        slots=tuple(slots),
        entitled=entitled,
    )


# ---------------------------------------------------------------------------------------------- parts of the document


def _refuse_what_is_not_enforced(reader: DocumentReader) -> None:
    mode = reader.value(("mode",), ENFORCED_MODE)
    if mode in MODES_TO_COME:
        reader.problem(("mode",), f"`{mode}` {NOT_ENFORCED}. Only `{ENFORCED_MODE}` is")
    elif mode != ENFORCED_MODE:
        reader.problem(("mode",), f"is no mode; write `{ENFORCED_MODE}`")


def _waiting_room(reader: DocumentReader) -> WaitingRoom | None:
    if reader.value(("waiting_room",), None) is None:
        return None
    reader.known_keys(("waiting_room",), ("mode", "opens_before_min", "admission_factor"))
    mode = reader.value(("waiting_room", "mode"), None)
    mode = {True: "on", False: "off"}.get(mode, mode) if isinstance(mode, bool) else mode  # as YAML 1.1 reads them
    if mode not in WAITING_ROOM_MODES:
        reader.problem(("waiting_room", "mode"), f"has to be one of {', '.join(WAITING_ROOM_MODES)}")
    before = reader.integer(
        ("waiting_room", "opens_before_min"), 1, MAX_OPENS_BEFORE_MIN, default=DEFAULT_OPENS_BEFORE_MIN
    )
    factor = reader.value(("waiting_room", "admission_factor"), DEFAULT_FACTOR_PER_MILLE / 1_000)
    is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
    if not is_number or not 1 <= factor <= MAX_ADMISSION_FACTOR:
        reader.problem(("waiting_room", "admission_factor"), f"has to be a number from 1 to {MAX_ADMISSION_FACTOR}")
        factor = 1
    if mode == "off" or mode not in WAITING_ROOM_MODES:
        return None
    return WaitingRoom(mode=mode, opens_before_min=before, admission_factor_per_mille=round(factor * 1_000))


def _rehearsal(reader: DocumentReader, region: str) -> bool:
    """Whether it is one. What is booked in a rehearsal must count for nobody, and the other way round, so the two never
    share a region: cool-downs and cards already used are the region's."""
    rehearsal = reader.value(("rehearsal",), default=False)
    if not isinstance(rehearsal, bool):
        reader.problem(("rehearsal",), "has to be true or false")
    elif rehearsal and not region.startswith(REHEARSAL_REGION):
        what = f"lives in a region of its own in a rehearsal; write `region: {REHEARSAL_REGION}{region}`"
        reader.problem(("region",), what)
    elif region.startswith(REHEARSAL_REGION) and not rehearsal:
        what = f"begins with `{REHEARSAL_REGION}`, which only rehearsals have; add `rehearsal: true`, or name another"
        reader.problem(("region",), what)
    return rehearsal is True


def _zone(reader: DocumentReader) -> ZoneInfo:
    name = reader.text(("timezone",))
    try:
        return zone(name or "UTC")
    except UnknownZone as error:
        reader.problem(("timezone",), str(error))
        return zone("UTC")


def _title(reader: DocumentReader) -> dict[str, str]:
    reader.known_keys(("title",), LANGUAGES)
    title = {language: reader.text(("title", language), default="") for language in LANGUAGES}
    title = {language: text for language, text in title.items() if text}
    if not title:
        reader.problem(("title",), f"is missing; write it in at least one of {', '.join(LANGUAGES)}")
    return title


def _appeal_contact(reader: DocumentReader) -> AppealContact:
    fields = AppealContact.__struct_fields__
    reader.known_keys(("appeal_contact",), fields)
    contact = {field: reader.text(("appeal_contact", field), default="") for field in fields}
    if not any(contact.values()):
        reader.problem(
            ("appeal_contact",), "is missing; a person who is refused has to know whom to ask: phone, place, hours"
        )
    return AppealContact(**contact)


def _windows(reader: DocumentReader) -> tuple[Window, ...]:
    windows = reader.value(("windows",), None)
    if not isinstance(windows, Sequence) or isinstance(windows, str) or not 1 <= len(windows) <= MAX_WINDOWS:
        reader.problem(
            ("windows",), f"has to be a list of 1 to {MAX_WINDOWS} times to book: {{opens_at: …, closes_at: …}}"
        )
        return ()
    found: list[tuple[Window, Path]] = []
    for place in range(len(windows)):
        path: Path = ("windows", place)
        reader.known_keys(path, ("opens_at", "closes_at"))
        opens_ms, closes_ms = reader.instant((*path, "opens_at")), reader.instant((*path, "closes_at"))
        if opens_ms is None or closes_ms is None:
            continue
        if closes_ms <= opens_ms:
            reader.problem((*path, "closes_at"), "is not after opens_at; look whether the two are exchanged")
        found.append((Window(opens_ms=opens_ms, closes_ms=closes_ms), path))
    found.sort(key=lambda one: one[0].opens_ms)
    for (before, _), (window, path) in pairwise(found):
        if window.opens_ms < before.closes_ms:
            reader.problem(path, "opens before the window before it has closed; make one of the two, or part them")
    return tuple(window for window, _ in found)


def _tables(source: Source, reader: DocumentReader, where: ZoneInfo) -> tuple[list[Pharmacy], list[Slot]]:
    tables = {
        key: source.tables[key] if key in source.tables else _table(source, reader, key, columns)
        for key, columns in (("pharmacies", PHARMACY_COLUMNS), ("slots", SLOT_COLUMNS))
    }
    pharmacies, slots = tables["pharmacies"], tables["slots"]
    return (
        read_pharmacies(pharmacies, reader.report) if pharmacies else [],
        read_slots(slots, pharmacies, where, reader.report) if slots else [],
    )


def _entitled(source: Source, reader: DocumentReader, rules: Rules) -> tuple[Document, ...]:
    """The list of those who may book; empty where the campaign has none."""
    if "eligible" in source.tables:
        table = source.tables["eligible"]
    elif reader.value(ELIGIBLE, None) is None:
        return ()
    else:
        table = _entitled_table(source, reader)
    return read_entitled(table, rules.document_types, reader.report) if table is not None else ()


def _entitled_table(source: Source, reader: DocumentReader) -> Table | None:
    """The list where it stands in the document itself; no key and no value of it is repeated."""
    entries = reader.value(ELIGIBLE, None)
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        reader.problem(ELIGIBLE, f"has to name a CSV file with the columns {', '.join(ENTITLED_COLUMNS)}")
        return None
    rows = []
    for place, entry in enumerate(entries):
        line = reader.report.line_of((*ELIGIBLE, place)) or place + 1
        if isinstance(entry, Mapping) and entry.keys() == ENTITLED_COLUMNS.keys():
            rows.append(Row(line, {column: as_text(entry[column]) for column in ENTITLED_COLUMNS}))
        else:
            reader.problem((*ELIGIBLE, place), f"has to have the keys {', '.join(ENTITLED_COLUMNS)} and no others")
    return Table(source.file if source.lines else f"{source.file}, rules.eligible", rows)


def _table(source: Source, reader: DocumentReader, key: str, columns: Mapping[str, bool]) -> Table | None:
    """A table that stands in the document as a list; each cell becomes the text that a CSV file would have."""
    entries = reader.value((key,), None)
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        reader.problem((key,), "is missing; name a CSV file beside this one, or write a list")
        return None
    rows = []
    for place, entry in enumerate(entries):
        path: Path = (key, place)
        reader.known_keys(path, tuple(columns))
        if isinstance(entry, Mapping):
            cells = {column: as_text(entry.get(column)) for column in columns}
            rows.append(Row(reader.report.line_of(path) or place + 1, cells))
    return Table(source.file if source.lines else f"{source.file}, {key}", rows)


def _slots_end_after_the_opening(
    source: Source, slots: Sequence[Slot], windows: Sequence[Window], report: Report
) -> None:
    if not windows:
        return
    too_early = [slot.id for slot in slots if slot.ends_ms <= windows[0].opens_ms]
    if too_early:
        table = source.tables.get("slots")
        what = f"{len(too_early)} of the slots, {too_early[0]} first, end before a window opens; nobody could book them"
        report.row(table.file if table else source.file, 0, "ends_at", f"{what}. Mend the dates there or in `windows`")


def _desks_come_before_the_release(slots: Sequence[Slot], windows: Sequence[Window], report: Report) -> None:
    if not windows:
        return
    too_early = [slot.id for slot in slots if 0 < slot.release_ms <= windows[0].opens_ms]
    if too_early:
        what = f"is before a window opens for {len(too_early)} of the slots, {too_early[0]} first; no desk could book"
        report.document(("rules", "assisted", "release_h"), f"{what} from the share. Make it shorter, or leave it out")


def _somebody_can_wait(rules: Rules, slots: Sequence[Slot], windows: Sequence[Window], report: Report) -> None:
    """A list that ends before the opening for some slots is no list for those; one that does for all is a mistake."""
    if rules.waiting_list is None or not windows:
        return
    opens_ms = windows[0].opens_ms
    coming = [slot for slot in slots if slot.starts_ms > opens_ms]
    if coming and all(slot.promote_until_ms <= opens_ms for slot in coming):
        what = "is before a window opens for every slot; nobody could wait. Make it shorter"
        report.document(("rules", "waiting_list", "promote_until_h"), what)
