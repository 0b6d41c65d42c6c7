"""Campaigns as files: a YAML file and the CSV tables beside it, read and written.

YAML is read as its newest standard would have it: `off` is a word and not false, a phone number with a leading zero is
text, a time is text. Anchors, tags and keys that stand twice are refused: a file means what it looks like.
CSV is read as spreadsheets write it: UTF-8 with or without a byte-order mark, or GB18030. Of the list of the entitled
nothing that stands in it is ever repeated in a problem.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from services.domain.campaign import Campaign
from services.domain.campaign_check import Source, check
from services.domain.campaign_document import (
    definition_document,
    entitled_file,
    entitled_row,
    pharmacy_row,
    slot_row,
)
from services.domain.campaign_entitled import ENTITLED_COLUMNS
from services.domain.campaign_problems import Path as DocumentPath
from services.domain.campaign_problems import Report
from services.domain.campaign_tables import PHARMACY_COLUMNS, SLOT_COLUMNS, Row, Table
from services.platform.errors import MasklineError

MAX_YAML_BYTES = 256 * 1024  # the tables belong in CSV files
MAX_CSV_BYTES = 16 * 1024 * 1024
_TABLES: Mapping[str, Mapping[str, bool]] = {"pharmacies": PHARMACY_COLUMNS, "slots": SLOT_COLUMNS}
_ELIGIBLE: DocumentPath = ("rules", "eligible")

ReadFile = Callable[[str], bytes]


class CampaignFileUnreadable(MasklineError):
    """The campaign file {file} cannot be read: {why}. Name a YAML file; its tables are looked for beside it."""


def load(path: Path) -> Campaign:
    """The campaign in a file. Raises CampaignInvalid with everything that is wrong in it and in its tables.

    Raises CampaignFileUnreadable where there is nothing to look at.
    """
    return parse(path.name, lambda name: _read(path.with_name(name)))


def parse(name: str, read: ReadFile) -> Campaign:
    """The campaign in the file that `read` gives for `name`, its tables from the files that it names.

    `read` raises OSError where a file is missing; it is only asked for plain file names. Raises CampaignInvalid and
    CampaignFileUnreadable.
    """
    report = Report(name, {})
    text = _text(name, read, MAX_YAML_BYTES, report)
    report.raise_if_any()
    lines: dict[DocumentPath, int] = {}
    report = Report(name, lines)
    document = _document(text, lines, report)
    report.raise_if_any()
    tables: dict[str, Table | None] = {}
    for key, columns in _TABLES.items():
        value = document.get(key) if isinstance(document, dict) else None
        if isinstance(value, str):
            tables[key] = _table((key,), value, columns, read, report)
    rules = document.get("rules") if isinstance(document, dict) else None
    eligible = rules.get("eligible") if isinstance(rules, dict) else None
    if isinstance(eligible, str):
        tables["eligible"] = _entitled(eligible, read, report)
    return check(Source(file=name, document=document, lines=lines, tables=tables), report)


def export(campaign: Campaign) -> dict[str, str]:
    """The texts of a campaign's files by name, the YAML file first; `parse` makes an equal campaign of them.

    The list of the entitled is among them only where the campaign brings it: a running system does not know it.
    """
    tables = {key: f"{campaign.campaign}-{key}.csv" for key in _TABLES}
    text = yaml.dump(
        definition_document(campaign) | tables,
        Dumper=_Dumper,
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=None,
        width=118,
    )
    texts = {
        f"{campaign.campaign}.yaml": text,
        tables["pharmacies"]: _csv(PHARMACY_COLUMNS, [pharmacy_row(pharmacy) for pharmacy in campaign.pharmacies]),
        tables["slots"]: _csv(SLOT_COLUMNS, [slot_row(slot, campaign.timezone) for slot in campaign.slots]),
    }
    if campaign.entitled:
        texts[entitled_file(campaign)] = _csv(ENTITLED_COLUMNS, [entitled_row(one) for one in campaign.entitled])
    return texts


# ----------------------------------------------------------------------------------------------------- files and bytes


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_CSV_BYTES + 1)


def _text(name: str, read: ReadFile, most_bytes: int, report: Report) -> str:
    """The text of a file, decoded; empty with a problem reported where it cannot be had."""
    try:
        content = read(name)
    except OSError as error:
        why = error.strerror or str(error)
        if name == report.file:
            raise CampaignFileUnreadable(file=name, why=why) from error
        report.row(name, 0, "", f"cannot be read: {why}. It is looked for beside the campaign file")
        return ""
    if len(content) > most_bytes:
        report.row(name, 0, "", f"has more than {most_bytes} bytes, which is the most")
        return ""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.row(name, 0, "", "is UTF-16; save it again as UTF-8 (in a spreadsheet: «CSV UTF-8»)")
        return ""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    report.row(name, 0, "", "is neither UTF-8 nor GB18030 text; save it again as UTF-8")
    return ""


# ---------------------------------------------------------------------------------------------------------------- YAML

_WORDS = {
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    "null": (re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    "int": (re.compile(r"-?(?:0|[1-9][0-9]{0,17})"), "-0123456789"),
    "float": (re.compile(r"-?[0-9]{1,17}\.[0-9]{1,17}"), "-0123456789"),
}
_TAG = "tag:yaml.org,2002:"
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
for _name, (_form, _firsts) in _WORDS.items():
    for _first in _firsts:
        _RESOLVERS.setdefault(_first, []).append((_TAG + _name, re.compile(f"(?:{_form.pattern})\\Z")))


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = _RESOLVERS

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            what = "anchors (&), aliases (*) and tags (!) are not used in campaign files"
            raise yaml.MarkedYAMLError(problem=what, problem_mark=event.start_mark)
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _RESOLVERS


def _document(text: str, lines: dict[DocumentPath, int], report: Report) -> Any:
    """The values in a YAML text; fills in on which line each stands."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        return _value(root, (), lines, report) if root is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        report.row(report.file, line, "", f"is no YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        report.row(report.file, 0, "", f"is no YAML: {' '.join(str(error).split())}")
    except RecursionError:
        report.row(report.file, 0, "", "is nested too deeply")
    return None


def _value(node: yaml.Node, path: DocumentPath, lines: dict[DocumentPath, int], report: Report) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, report)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, place), lines, report) for place, item in enumerate(node.value)]
    return _SCALARS[node.tag.removeprefix(_TAG)](node.value)


def _mapping(
    node: yaml.MappingNode, path: DocumentPath, lines: dict[DocumentPath, int], report: Report
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
        line = key_node.start_mark.line + 1
        if key in found:
            report.row(report.file, line, key, f"stands here twice; the first is on line {lines[(*path, key)]}")
            continue
        found[key] = _value(value_node, (*path, key), lines, report)
        lines[(*path, key)] = line
    return found


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: text.lower() == "true",
    "null": lambda _: None,
}


# ----------------------------------------------------------------------------------------------------------------- CSV


def _entitled(name: str, read: ReadFile, report: Report) -> Table | None:
    """The list of the entitled. What is no file is not repeated: it could be somebody's number."""
    if not name.endswith(".csv"):
        report.document(_ELIGIBLE, "has to name a CSV file beside the campaign file, such as entitled.csv")
        return None
    return _table(_ELIGIBLE, name, ENTITLED_COLUMNS, read, report)


def _table(
    path: DocumentPath, name: str, columns: Mapping[str, bool], read: ReadFile, report: Report
) -> Table | None:
    """The rows of a CSV file under the columns that are known; None with problems reported where it has no such."""
    if name != Path(name).name or "\\" in name or name.startswith(".") or not (name and name.isprintable()):
        report.document(path, f"{name[:60]!r} is no plain file name; put the table beside the campaign file")
        return None
    text = _text(name, read, MAX_CSV_BYTES, report)
    if any(problem.file == name for problem in report.problems):
        return None
    rows: list[Row] = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        if not _header_is_good(name, header, columns, report):
            return None
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if len(cells) != len(header):
                    report.row(
                        name, line, "", f"has {len(cells)} cells under {len(header)} columns; look at its commas"
                    )
                else:
                    rows.append(Row(line, dict(zip(header, [cell.strip() for cell in cells], strict=True))))
            line = reader.line_num + 1
    except csv.Error as error:
        report.row(name, reader.line_num, "", f"is no CSV from here on: {error}")
    return Table(name, rows)


def _header_is_good(name: str, header: list[str], columns: Mapping[str, bool], report: Report) -> bool:
    if len(header) <= 1 and re.search(r"[;\t]", "".join(header)):
        report.row(name, 1, "", "is not separated by commas; save it again as CSV with commas")
        return False
    wanted = ", ".join(columns)
    missing = [column for column, is_needed in columns.items() if is_needed and column not in header]
    unknown = [column for column in header if column not in columns]
    if missing:
        report.row(name, 1, ", ".join(missing), f"missing among the columns; the first line names them: {wanted}")
    if unknown:
        # A list of the entitled without a first line of names would show somebody's number here.
        shown = "" if columns is ENTITLED_COLUMNS else ", ".join(unknown)
        report.row(name, 1, shown, f"unknown as a column; known are {wanted}")
    if len(set(header)) < len(header):
        report.row(name, 1, "", "names the same column twice; remove one")
    return not missing and not unknown and len(set(header)) == len(header)


def _csv(columns: Mapping[str, bool], rows: list[Any]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
