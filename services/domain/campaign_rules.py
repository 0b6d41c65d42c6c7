"""The `rules` of a campaign document: those that are enforced are read, all others are refused."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from services.domain.campaign import WEEKDAYS, Assisted, Rules, Stagger, StaggerBy, WaitingList, Window
from services.domain.campaign_problems import Path
from services.domain.campaign_tables import MAX_SLOT_UNITS
from services.domain.campaign_times import MAX_STAGGER_DAYS, turns
from services.domain.document_reader import DocumentReader
from services.domain.documents import DocumentType

NOT_ENFORCED = "is not enforced by this version; remove it, or wait for a version that enforces it"
RULES_TO_COME = ("claim_h",)
RULES = (
    "units_max", "document_types", "cool_down_days", "household_max", "stagger", "eligible", "assisted",
    "reserve_per_mille", "pickup_grace_h", "waiting_list", "change_until_h",
)  # fmt: skip
PER_MILLE = 1_000
MAX_COOL_DOWN_DAYS = 366
MAX_HOUSEHOLD = 1_000
MAX_HOURS = 720
MAX_WAITING_PER_MILLE = 10_000  # ten times what there is


def read_rules(reader: DocumentReader, windows: Sequence[Window], where: ZoneInfo) -> Rules:
    """The rules; how many are entitled is not known before their table is read."""
    reader.known_keys(("rules",), (*RULES, *RULES_TO_COME))
    for rule in RULES_TO_COME:
        if _is_there(reader, rule):
            reader.problem(("rules", rule), NOT_ENFORCED)
    rules = Rules(
        units_max=reader.integer(("rules", "units_max"), 1, MAX_SLOT_UNITS),
        document_types=_document_types(reader),
        cool_down_days=reader.integer(("rules", "cool_down_days"), 0, MAX_COOL_DOWN_DAYS, default=0),
        household_max=_optional(reader, ("rules", "household_max"), 1, MAX_HOUSEHOLD) or 0,
        stagger=_stagger(reader),
        assisted=_assisted(reader),
        reserve_per_mille=reader.integer(("rules", "reserve_per_mille"), 0, PER_MILLE, default=0),
        pickup_grace_h=_optional(reader, ("rules", "pickup_grace_h"), 0, MAX_HOURS),
        waiting_list=_waiting_list(reader),
        change_until_h=_optional(reader, ("rules", "change_until_h"), 0, MAX_HOURS),
    )
    if rules.stagger is not None and len(turns(rules.stagger, windows, where)) > MAX_STAGGER_DAYS:
        reader.problem(("rules", "stagger"), f"is for {MAX_STAGGER_DAYS} days at most; make the windows shorter")
    if rules.assisted is not None and rules.assisted.per_mille + rules.reserve_per_mille > PER_MILLE:
        reader.problem(
            ("rules", "reserve_per_mille"), f"and assisted.per_mille are more than the whole, which is {PER_MILLE}"
        )
    return rules


def _is_there(reader: DocumentReader, rule: str) -> bool:
    return reader.value(("rules", rule), None) is not None


def _optional(reader: DocumentReader, path: Path, least: int, most: int) -> int | None:
    return None if reader.value(path, None) is None else reader.integer(path, least, most)


def _assisted(reader: DocumentReader) -> Assisted | None:
    path: Path = ("rules", "assisted")
    if not _is_there(reader, "assisted"):
        return None
    reader.known_keys(path, Assisted.__struct_fields__)
    return Assisted(
        per_mille=reader.integer((*path, "per_mille"), 0, PER_MILLE),
        release_h=_optional(reader, (*path, "release_h"), 0, MAX_HOURS),
    )


def _waiting_list(reader: DocumentReader) -> WaitingList | None:
    path: Path = ("rules", "waiting_list")
    if not _is_there(reader, "waiting_list"):
        return None
    reader.known_keys(path, WaitingList.__struct_fields__)
    return WaitingList(
        per_mille=reader.integer((*path, "per_mille"), 1, MAX_WAITING_PER_MILLE),
        promote_until_h=reader.integer((*path, "promote_until_h"), 0, MAX_HOURS),
    )


def _stagger(reader: DocumentReader) -> Stagger | None:
    path: Path = ("rules", "stagger")
    if not _is_there(reader, "stagger"):
        return None
    reader.known_keys(path, Stagger.__struct_fields__)
    by = reader.value((*path, "by"), None)
    if by not in list(StaggerBy):
        reader.problem((*path, "by"), f"has to be one of {', '.join(StaggerBy)}")
        by = StaggerBy.DOCUMENT_DIGIT
    days = reader.value((*path, "days"), {})
    reader.known_keys((*path, "days"), WEEKDAYS)
    if not days:
        reader.problem((*path, "days"), "is missing; write which digits may book on which day: {mon: [0, 1], tue: …}")
    if not isinstance(days, Mapping):
        days = {}
    found = {day: _digits(reader, (*path, "days", day), days[day]) for day in WEEKDAYS if day in days}
    return Stagger(by=StaggerBy(by), days=found)


def _digits(reader: DocumentReader, path: Path, value: Any) -> tuple[int, ...]:
    """The digits of a day, in order."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    digits = [one for one in value if type(one) is int and 0 <= one <= 9] if is_list else []
    if not digits or len(set(digits)) < len(value):
        reader.problem(path, "has to be a list of digits from 0 to 9, each once, such as [0, 1]")
    return tuple(sorted(set(digits)))


def _document_types(reader: DocumentReader) -> tuple[DocumentType, ...]:
    path: Path = ("rules", "document_types")
    types = reader.value(path, [kind.value for kind in DocumentType])
    if not isinstance(types, Sequence) or isinstance(types, str) or not types:
        reader.problem(path, f"has to be a list of kinds of documents: {', '.join(DocumentType)}")
        types = ()
    found: list[DocumentType] = []
    for place, kind in enumerate(types):
        if kind not in list(DocumentType):
            reader.problem((*path, place), f"{kind!r} is no kind of document; there are {', '.join(DocumentType)}")
        elif kind in found:
            reader.problem((*path, place), f"{kind} stands here twice; remove one")
        else:
            found.append(DocumentType(kind))
    return tuple(found)
