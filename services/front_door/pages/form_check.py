"""What is wrong in a form, field by field: who has three things to mend hears of all three at once.

Looked at only where a wish was refused for what stands in it; a form that is right costs nothing here.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from services.domain import documents
from services.domain.campaign_times import digit_of
from services.domain.documents import DocumentInvalid, DocumentType
from services.domain.phones import PhoneInvalid, canonical_phone
from services.domain.reasons import DoorReason
from services.front_door.campaigns import Offered
from services.front_door.messages import BirthYear, DocumentNumber, PhoneText, UnitsAsked
from services.platform.problems import Problem

OF_THE_FORM = frozenset(
    {
        DoorReason.MALFORMED,
        DoorReason.DOCUMENT_INVALID,
        DoorReason.DOCUMENT_TYPE_NOT_ACCEPTED,
        DoorReason.PHONE_INVALID,
    }
)
"""Reasons that speak of what was filled in."""


def wrong_fields(
    fields: Mapping[str, str], offered: Offered, problem: Problem | None, words: Mapping[str, str]
) -> dict[str, str]:
    """Field → what to say at it, in the order of the form. Empty where the problem is not one of the form."""
    if problem is None or problem.reason not in OF_THE_FORM:
        return {}
    found = {
        "units": _units(fields),
        "document_type": _document_type(fields, offered),
        "document_number": _document_number(fields, offered),
        "birth_year": _birth_year(fields, offered),
        "phone": _phone(fields),
    }
    return {field: words[word] for field, word in found.items() if word}


def _units(fields: Mapping[str, str]) -> str:
    return "" if _is(UnitsAsked, fields.get("units", "")) else "field_missing"


def _document_type(fields: Mapping[str, str], offered: Offered) -> str:
    return "" if fields.get("document_type", "") in offered.document_types else "document_type_other"


def _document_number(fields: Mapping[str, str], offered: Offered) -> str:
    """Whether a number is right only its kind tells: where that is another one to come, nobody can say."""
    number, kind = fields.get("document_number", ""), fields.get("document_type", "")
    if not number.strip():
        return "field_missing"
    if not _is(DocumentNumber, number):
        return "document_too_long"
    if kind in offered.document_types:
        try:
            documents.canonical(DocumentType(kind), number)
        except DocumentInvalid as error:
            return f"document_{error.problem}"
    return ""


def _birth_year(fields: Mapping[str, str], offered: Offered) -> str:
    """Needed only where the campaign goes by it and the document does not tell it."""
    year = fields.get("birth_year", "").strip()
    if year and not _is(BirthYear, year):
        return "birth_year_form"
    stagger = offered.definition.rules.stagger
    if stagger is None or year or _document_type(fields, offered) or _document_number(fields, offered):
        return ""
    kind = DocumentType(fields["document_type"])
    known = digit_of(stagger.by, kind, documents.canonical(kind, fields["document_number"]), None)
    return "birth_year_form" if known is None else ""


def _phone(fields: Mapping[str, str]) -> str:
    phone = fields.get("phone", "")
    if not phone.strip():
        return "field_missing"
    try:
        canonical_phone(phone)
    except PhoneInvalid:
        return "phone_form"
    return "" if _is(PhoneText, phone) else "phone_form"


def _is(kind: Any, text: str) -> bool:
    """Whether the API would take it; a form has only text."""
    try:
        msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True
