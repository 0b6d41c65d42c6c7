"""The tables of a campaign: rows of text to pharmacies and slots, with everything that is wrong in them.

A row comes from a CSV file or from a list in the document; a cell is the text that stood there, without the blanks
around it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import NamedTuple, get_args
from zoneinfo import ZoneInfo

import msgspec

from services.domain.campaign_problems import Report
from services.domain.command_fields import Name, Pharmacy, Slot
from services.domain.days import MINUTE_MS, TimeUnreadable, day_of, instant_ms

PHARMACY_COLUMNS = {"id": True, "name": True, "address": False, "lon": False, "lat": False, "phone": False}
SLOT_COLUMNS = {"id": True, "pharmacy": True, "starts_at": True, "ends_at": True, "units": True}
MAX_PHARMACIES, MAX_SLOTS = 20_000, 100_000
MAX_SLOT_UNITS = 1_000_000
MAX_PHARMACY_ID_CHARS = 29  # with one more, a pass of the most units could have more than 200 (platform/passes.py)
MICRODEGREES = 1_000_000

NAME = re.compile(get_args(Name)[1].pattern)
NAME_FORM = "1 to 48 of the characters A–Z a–z 0–9 . _ - (the first a letter or digit)"
_NUMBER = re.compile(r"[0-9]{1,9}")
_TEXT_LIMITS = {"name": 200, "address": 400, "phone": 40}
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Row(NamedTuple):
    """A row of a table with the line on which it begins."""

    line: int
    cells: Mapping[str, str]


class Table(msgspec.Struct, frozen=True):
    """Rows under known columns; `file` is told in problems."""

    file: str
    rows: Sequence[Row]


def is_printable(text: str) -> bool:
    """Whether a text can stand in one line of a page: no control characters, no half characters."""
    return _UNPRINTABLE.search(text) is None


def read_pharmacies(table: Table, report: Report) -> list[Pharmacy]:
    """The pharmacies of a table. Rows with mistakes are reported and left out."""
    _report_size(table, MAX_PHARMACIES, report)
    seen = _Seen("pharmacy")
    found = []
    for row in table.rows:
        reader = _RowReader(table.file, row, report)
        pharmacy_id = reader.name("id")
        reader.check("id", seen.problem(pharmacy_id, row))
        if len(pharmacy_id) > MAX_PHARMACY_ID_CHARS:
            what = f"has {len(pharmacy_id)} characters; {MAX_PHARMACY_ID_CHARS} is the most"
            reader.problem("id", f"{what}, for it stands in every pass. Give the pharmacy a shorter one")
        texts = {column: reader.text(column) for column in _TEXT_LIMITS}
        if not texts["name"]:
            reader.problem("name", "is empty; residents find the pharmacy by it")
        lon_e6, lat_e6 = reader.degrees("lon", 180), reader.degrees("lat", 90)
        if reader.is_good:
            found.append(Pharmacy(id=pharmacy_id, lon_e6=lon_e6, lat_e6=lat_e6, **texts))
    return found


def read_slots(table: Table, pharmacies: Table | None, where: ZoneInfo, report: Report) -> list[Slot]:
    """The slots of a table, each at one of the pharmacies (not looked up where those could not be read).

    Rows with mistakes are reported and left out.
    """
    _report_size(table, MAX_SLOTS, report)
    known = {row.cells.get("id", "") for row in pharmacies.rows} if pharmacies else set()
    seen = _Seen("slot")
    times: dict[tuple[str, int, int], Row] = {}
    found = []
    for row in table.rows:
        reader = _RowReader(table.file, row, report)
        slot_id, pharmacy = reader.name("id"), reader.name("pharmacy")
        reader.check("id", seen.problem(slot_id, row))
        if pharmacies and pharmacy and pharmacy not in known:
            reader.problem(
                "pharmacy", f"{pharmacy!r} is no pharmacy of {pharmacies.file}; add it there, or mend the id"
            )
        starts_ms, ends_ms = reader.minute("starts_at"), reader.minute("ends_at")
        units = reader.units()
        if not reader.is_good:
            continue
        day = day_of(starts_ms, where)
        if ends_ms <= starts_ms:
            reader.problem("ends_at", "is not after starts_at; look whether the two are exchanged")
        elif ends_ms > day.to_ms:
            reader.problem("ends_at", f"is on another day in {where.key}; make two slots of it, one for each day")
        first = times.setdefault((pharmacy, starts_ms, ends_ms), row)
        if first is not row:
            reader.problem("id", f"{first.cells['id']!r} is at the same place and time; put the units together")
        if reader.is_good:
            slot = Slot(
                id=slot_id,
                pharmacy=pharmacy,
                day=day.number,
                starts_ms=starts_ms,
                ends_ms=ends_ms,
                day_from_ms=day.from_ms,
                day_to_ms=day.to_ms,
                units=units,
            )
            found.append(slot)
    return found


def _report_size(table: Table, limit: int, report: Report) -> None:
    if not table.rows:
        report.row(table.file, 0, "", "has no rows; a campaign needs at least one")
    if len(table.rows) > limit:
        report.row(table.file, 0, "", f"has {len(table.rows)} rows; {limit} is the most. Split the campaign by region")


class _Seen:
    """Ids so far: two that differ in nothing but capitals would be mixed up at a desk."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._rows: dict[str, Row] = {}

    def problem(self, new: str, row: Row) -> str:
        """What is wrong with one more id; empty if nothing is."""
        first = self._rows.setdefault(new.lower(), row)
        if not new or first is row:
            return ""
        other = first.cells["id"]
        if other == new:
            return f"{new!r} is the {self._kind} of line {first.line} already; give each {self._kind} an id of its own"
        return f"{new!r} differs only in capitals from {other!r} of line {first.line}; give it another id"


class _RowReader:
    """Reads the cells of one row and remembers whether all were good."""

    def __init__(self, file: str, row: Row, report: Report) -> None:
        self.is_good = True
        self._file, self._row, self._report = file, row, report

    def problem(self, column: str, what: str) -> None:
        self.is_good = False
        self._report.row(self._file, self._row.line, column, what)

    def check(self, column: str, what: str) -> None:
        if what:
            self.problem(column, what)

    def name(self, column: str) -> str:
        cell = self._cell(column)
        if NAME.fullmatch(cell):
            return cell
        self.problem(column, f"{cell[:60]!r} is no id; it has {NAME_FORM}" if cell else "is empty; it needs an id")
        return ""

    def text(self, column: str) -> str:
        cell = self._cell(column)
        if len(cell) > _TEXT_LIMITS[column]:
            self.problem(column, f"has {len(cell)} characters; {_TEXT_LIMITS[column]} is the most")
        elif not is_printable(cell):
            self.problem(column, "has a line break or an invisible control character; type it again")
        return cell

    def units(self) -> int:
        cell = self._cell("units")
        if not _NUMBER.fullmatch(cell) or not 1 <= int(cell) <= MAX_SLOT_UNITS:
            self.problem("units", f"{cell[:60]!r} is no whole number from 1 to {MAX_SLOT_UNITS}")
            return 0
        return int(cell)

    def minute(self, column: str) -> int:
        return self._parsed(column, _whole_minute)

    def degrees(self, column: str, most: int) -> int:
        return self._parsed(column, lambda cell: _microdegrees(cell, most)) if self._cell(column) else 0

    def _parsed(self, column: str, parse: Callable[[str], int]) -> int:
        cell = self._cell(column)
        try:
            return parse(cell)
        except (TimeUnreadable, ValueError) as error:
            self.problem(column, f"{cell[:60]!r} {error}" if cell else "is empty")
            return 0

    def _cell(self, column: str) -> str:
        return self._row.cells.get(column, "")


def _whole_minute(cell: str) -> int:
    at_ms = instant_ms(cell)
    if at_ms % MINUTE_MS:
        raise TimeUnreadable(what="is not on a whole minute; passes tell minutes")
    return at_ms


def _microdegrees(cell: str, most: int) -> int:
    try:
        degrees = Decimal(cell)
        if degrees.is_finite() and abs(degrees) <= most:
            return int((degrees * MICRODEGREES).to_integral_value())
    except InvalidOperation:
        pass
    raise ValueError(f"is no number of degrees from -{most} to {most}, such as 113.2644")
