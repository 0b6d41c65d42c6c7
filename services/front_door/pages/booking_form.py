"""The form that really books: what it shows, and what comes back from it.

Its idempotency key is a nonce made with the page and a digest of what was filled in: sent twice it is one booking; Back
and another choice is another one.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from services.domain.campaign import StaggerBy
from services.domain.reasons import DoorReason
from services.domain.rows import Phase
from services.front_door.campaigns import Offered
from services.front_door.messages import ReservationRequest, Resident
from services.front_door.pages import times
from services.front_door.pages.form_check import wrong_fields
from services.front_door.pages.markup import NOTHING, Html, facts, fill, joined, safe
from services.front_door.pages.visit import Visit
from services.platform.http_requests import malformed, malformed_by
from services.platform.identities import Identities
from services.platform.problems import Problem, word_of
from services.platform.texts import text_of

MAX_FIELDS: Final = 12
NONCE_BYTES: Final = 12
UNITS_OFFERED: Final = 20
"""So many numbers stand in the list; a campaign that allows more gets a field to type into."""
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16}")


class Filled(NamedTuple):
    """A form that came back."""

    nonce: str
    fields: Mapping[str, str]

    def key(self, identities: Identities, campaign: str, slot: str) -> str:
        """The idempotency key of this choice."""
        chosen = "\x1f".join((campaign, slot, *(f"{name}={self.fields[name]}" for name in sorted(self.fields))))
        return f"{self.nonce}.{identities.body_digest(chosen.encode())}"

    def resident(self) -> Resident:
        """Who joins a waiting room. Raises Problem `malformed`."""
        content = {name: self.fields.get(name, "") for name in ("document_type", "document_number")}
        try:
            return msgspec.convert(content, Resident, strict=False)
        except msgspec.ValidationError as error:
            raise malformed_by(error) from error

    def wish(self, campaign: str, slot: str) -> ReservationRequest:
        """What is asked for. Raises Problem `malformed`."""
        resident = {name: self.fields.get(name, "") for name in ("document_type", "document_number")}
        content: dict[str, Any] = {
            "campaign": campaign,
            "slot": slot,
            "units": self.fields.get("units", ""),
            "resident": resident | _said(self),
            "phone": self.fields.get("phone", ""),
        }
        try:
            return msgspec.convert(content, ReservationRequest, strict=False)
        except msgspec.ValidationError as error:
            raise malformed_by(error) from error


def _said(filled: Filled) -> dict[str, str]:
    """The year of birth, where the form asks for it and somebody has filled it in."""
    year = filled.fields.get("birth_year", "").strip()
    return {"birth_year": year} if year else {}


def read(body: bytes) -> Filled:
    """The form in a request's body. Raises Problem `malformed`."""
    try:
        fields = dict(parse_qsl(body.decode("ascii"), strict_parsing=False, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise malformed("", "a form of this page") from error
    nonce = fields.pop("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise malformed("nonce", "a form of this page")
    return Filled(nonce, fields)


def show(
    visit: Visit,
    offered: Offered,
    slot: str,
    phase: Phase,
    filled: Filled | None,
    problem: Problem | None,
    *,
    is_full: bool = False,
) -> Html:
    """The form, empty or as it came back, with what was wrong in it; `is_full` where it is for the waiting list."""
    words = visit.words
    row = offered.slots[slot]
    pharmacy = offered.pharmacies[row.pharmacy]
    choice = fill(
        "choice",
        words,
        pharmacy_name=pharmacy.name,
        rows=facts(
            (
                (words["when"], times.when(row.starts_ms, row.ends_ms, offered.where, words)),
                (words["address"], pharmacy.address),
                (words["telephone"], pharmacy.phone),
            )
        ),
        other_url=visit.url(f"/campaigns/{offered.name}", day=row.day),
    )
    if phase is not Phase.OPEN and problem is None:
        return joined([choice, Html(f'<p class="panel">{safe(words["no_form_yet"])}</p>')])
    fields = filled.fields if filled is not None else {}
    said = wrong_fields(fields, offered, problem, words)
    wrong = {field: Html(f'<em class="wrong">{safe(text)}</em>') for field, text in said.items()}
    form = fill(
        "form",
        words,
        action=visit.url(f"/campaigns/{offered.name}/slots/{slot}"),
        # A request that was refused is another one when it comes back changed; the digest of the choice sees to that.
        nonce=filled.nonce if filled is not None else secrets.token_urlsafe(NONCE_BYTES),
        message=_message(visit, problem, said),
        data=about_data(visit, offered),
        units_field=_units(offered, fields.get("units", "")),
        document_types=document_types(visit, offered, fields.get("document_type", "")),
        number_value=fields.get("document_number", ""),
        birth_year_field=_birth_year(visit, offered, fields.get("birth_year", ""), wrong.get("birth_year", NOTHING)),
        phone_value=fields.get("phone", ""),
        wrong_type=wrong.get("document_type", NOTHING),
        wrong_number=wrong.get("document_number", NOTHING),
        wrong_phone=wrong.get("phone", NOTHING),
        wrong_units=wrong.get("units", NOTHING),
    )
    return joined([choice, _about_waiting(visit, offered, slot) if is_full else NOTHING, form])


def _about_waiting(visit: Visit, offered: Offered, slot: str) -> Html:
    until = times.moment(offered.slots[slot].promote_until_ms, offered.where, visit.words)
    return Html(f'<p class="panel">{safe(visit.words["form_waiting"].format(until=until))}</p>')


def about_data(visit: Visit, offered: Offered) -> Html:
    """Who answers for the data, what it is for, when it is deleted, and whom to ask: above the document field."""
    words, definition = visit.words, offered.definition
    return fill(
        "about_data",
        words,
        controller=words["about_controller"].format(
            name=definition.controller.name, contact=definition.controller.contact
        ),
        deletion=words["about_deletion"].format(day=definition.deletion_day),
        appeal_line=words["about_appeal"].format(contact=appeal_contact(offered.how_to_appeal, words)),
    )


def appeal_contact(contact: Mapping[str, str], words: Mapping[str, str]) -> str:
    """Phone, place and hours in one line."""
    return words["between"].join(text for text in contact.values() if text)


def _message(visit: Visit, problem: Problem | None, wrong: Mapping[str, str]) -> Html:
    if problem is None:
        return NOTHING
    if len(wrong) > 1:
        words = visit.words
        names = words["between"].join(words[field] for field in wrong)
        return fill("message", {}, title=words["fields_wrong"], detail=words["fields_wrong_detail"].format(names=names))
    word = word_of(problem.reason)
    # What is malformed is said at its field, in words; the members name fields of the API.
    text = text_of(word, visit.spoken, {} if word == DoorReason.MALFORMED else problem.members)
    return fill("message", {}, title=text.title, detail=text.detail)


def _units(offered: Offered, chosen: str) -> Html:
    most = offered.definition.rules.units_max
    if most > UNITS_OFFERED:
        value = safe(chosen or "1")
        return Html(f'<input type="number" name="units" min="1" max="{most}" value="{value}" required>')
    options = (f'<option value="{n}"{" selected" if str(n) == chosen else ""}>{n}</option>' for n in range(1, most + 1))
    return Html(f'<select name="units" required>{"".join(options)}</select>')


def _birth_year(visit: Visit, offered: Offered, filled: str, wrong: Html) -> Html:
    """Asked for where the campaign goes by it; not required, for some documents tell it."""
    stagger = offered.definition.rules.stagger
    if stagger is None or stagger.by is not StaggerBy.BIRTH_YEAR_DIGIT:
        return NOTHING
    return fill("birth_year", visit.words, year=filled, wrong=wrong)


def document_types(visit: Visit, offered: Offered, chosen: str) -> Html:
    """The kinds of document that a campaign accepts, to choose from."""
    return joined(
        Html(f'<option value="{kind}"{" selected" if kind == chosen else ""}>{safe(visit.words[kind])}</option>')
        for kind in offered.definition.rules.document_types
    )
