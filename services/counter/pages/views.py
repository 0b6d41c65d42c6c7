"""What the pages look like: from what was decided to markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from services.counter.contract import Booked, OwnSlot, OwnSlots, QuotaChanged, Reservation
from services.counter.pages.markup import Html, fill, joined, stylesheet
from services.counter.pages.words import NAMES, words
from services.domain.documents import DocumentType
from services.platform.forms import FormIncomplete, FormOld
from services.platform.languages import LANGUAGES, Language
from services.platform.problems import Problem, word_of
from services.platform.texts import text_of

Kind = Literal["good", "bad", "plain"]
_LABELS: Mapping[str, str] = {"document_last4": "last4", "campaign": "slot"}
"""Fields whose label is another word."""
SIGNS: Mapping[Kind, str] = {"good": "✓", "bad": "✕", "plain": "i"}


@dataclass(frozen=True)
class Till:
    """Who looks at the page: a paired terminal, and the nonce of its forms."""

    terminal: str
    pharmacy_name: str
    nonce: str


@dataclass(frozen=True)
class Bookable:
    """A slot that somebody at the desk may be booked into."""

    value: str
    label: str


class View:
    """The pages in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = words(language)

    # -- whole pages ------------------------------------------------------------------------------------------------

    def pairing(self, nonce: str, card: Html) -> bytes:
        """Where a browser becomes a terminal."""
        return self._frame(card, fill("pairing", self._words, nonce=nonce), Html(""))

    def counter(
        self, till: Till, card: Html, slots: OwnSlots | None, date: str, bookable: Sequence[Bookable] = ()
    ) -> bytes:
        """Where masks are handed out; without `slots` where they cannot be read."""
        types = joined([self._option(kind.value, self._words[kind.value]) for kind in DocumentType])
        content = fill(
            "counter",
            self._words,
            nonce=till.nonce,
            document_types=types,
            date=date,
            slots=self._slots(slots, till.nonce),
            book_form=self._book_form(bookable, types, till.nonce),
        )
        whoami = fill(
            "whoami",
            self._words,
            pharmacy_name=till.pharmacy_name,
            terminal_name=till.terminal,
            nonce=till.nonce,
        )
        return self._frame(card, content, whoami)

    # -- answers ----------------------------------------------------------------------------------------------------

    def handed_out(self, told: Reservation, nonce: str) -> Html:
        """Green: count them out."""
        title = self._words["picked_up_title"].format(units=told.units)
        undo = fill("undo", self._words, nonce=nonce, the_pass_no=told.pass_no)
        return self._card("good", title, self._words["picked_up_detail"], self._booking(told), undo)

    def undone(self, told: Reservation) -> Html:
        """A pick-up was taken back."""
        return self._card("plain", self._words["undone_title"], self._words["undone_detail"], self._booking(told))

    def cancelled(self, told: Reservation) -> Html:
        """A booking was cancelled."""
        return self._card("plain", self._words["cancelled_title"], self._words["cancelled_detail"], self._booking(told))

    def booked(self, told: Booked) -> Html:
        """Somebody at the desk has a booking, or waits for one."""
        facts = [(self._words["booked_for"], times(told.starts_at, told.ends_at, with_day=True))]
        facts.append((self._words["where"], self._listed(told.pharmacy_name or told.pharmacy, told.pharmacy_address)))
        facts.append((self._words["units"], str(told.units)))
        facts += [(self._words["short_code"], told.short_code)] if told.short_code else []
        facts.append((self._words["pass_no"], told.pass_no))
        if told.state == "confirmed":
            title = self._words["desk_booked_title"].format(units=told.units)
            return self._card("good", title, self._words["desk_booked_detail"], facts)
        if told.state == "waitlisted":
            detail = self._words["desk_waits_detail"].format(ahead=told.units_ahead)
            return self._card("plain", self._words["desk_waits_title"], detail, facts)
        state = self._words[f"state_{told.state}"]
        return self._card("plain", state, "", facts)

    def changed(self, told: QuotaChanged) -> Html:
        """A slot's stock was changed."""
        detail = self._words["quota_detail"].format(quota=told.quota, left=told.left)
        return self._card("plain", self._words["quota_title"], detail, [(self._words["slot"], told.slot)])

    def found(self, reservations: Iterable[Reservation], precedence: Sequence[str], nonce: str) -> Html:
        """What a document's holder has, each with a way to cancel it, and where they may book before others."""
        bookings = []
        for told in reservations:
            cancel = fill("cancel", self._words, nonce=nonce, the_pass_no=told.pass_no)
            state = [(self._words["state"], self._words[f"state_{told.state}"])]
            actions = cancel if told.state == "confirmed" else Html("")
            bookings.append(Html(f'<div class="booking">{self._facts([*state, *self._booking(told)])}{actions}</div>'))
        detail = "" if bookings else self._words["found_none"]
        facts = [(self._words["precedence"], self._listed(*precedence))] if precedence else []
        return self._card("plain", self._words["found_title"], detail, facts, joined(bookings))

    def refused(self, problem: Problem) -> Html:
        """Red: the reason in words, and where and when it would be right."""
        text = text_of(word_of(problem.reason), self.language, {})
        members = problem.members
        facts = []
        if "starts_at" in members:
            facts.append((self._words["booked_for"], times(members["starts_at"], members["ends_at"], with_day=True)))
        if "when" in members:
            facts.append((self._words["when"], moment(members["when"])))
        where = [members.get("pharmacy_name") or members.get("pharmacy"), members.get("pharmacy_address")]
        facts += [(self._words["where"], self._listed(*where))] if any(where) else []
        facts += [(self._words["confirmed"], str(members["confirmed"]))] if "confirmed" in members else []
        facts += [(self._words["appeal"], self._appeal(problem.how_to_appeal))] if problem.how_to_appeal else []
        return self._card("bad", text.title, text.detail, facts)

    def not_done(self, error: FormOld | FormIncomplete) -> Html:
        """Red, in the page's own words, with every field that has to be looked at again."""
        if isinstance(error, FormOld):
            return self._card("bad", self._words["form_old"], self._words["form_old_detail"], [])
        names = self._listed(*dict.fromkeys(self._words.get(_LABELS.get(one, one), one) for one in error.fields))
        facts = [(self._words["look_again"], names)] if names else []
        return self._card("bad", self._words["incomplete"], self._words["incomplete_detail"], facts)

    # ---------------------------------------------------------------------------------------------------------------

    def _booking(self, told: Reservation) -> list[tuple[str, str]]:
        facts = []
        if told.starts_at:
            facts.append((self._words["booked_for"], times(told.starts_at, told.ends_at, with_day=True)))
        facts.append((self._words["where"], self._listed(told.pharmacy_name or told.pharmacy, told.pharmacy_address)))
        facts.append((self._words["units"], str(told.units)))
        facts.append((self._words["pass_no"], told.pass_no))
        return facts

    def _appeal(self, contact: Any) -> str:
        if isinstance(contact, str):
            return contact
        return self._listed(*(contact.get(name) for name in ("phone", "place", "hours")))

    def _listed(self, *parts: str | None) -> str:
        return (", " if self.language == "en" else "，").join(filter(None, parts))

    def _card(
        self, kind: Kind, title: str, detail: str, facts: list[tuple[str, str]], actions: Html | None = None
    ) -> Html:
        return fill(
            "card",
            self._words,
            kind=kind,
            sign=SIGNS[kind],
            card_title=title,
            detail=detail,
            facts=self._facts(facts),
            actions=actions or Html(""),
        )

    def _facts(self, facts: list[tuple[str, str]]) -> Html:
        if not facts:
            return Html("")
        pairs = [fill("fact", {}, name=name, value=value) for name, value in facts]
        return Html(f"<dl>{joined(pairs)}</dl>")

    def _slots(self, slots: OwnSlots | None, nonce: str) -> Html:
        if slots is None or not slots.slots:
            return fill("remark", {}, remark=self._words["no_numbers" if slots is None else "no_slots"])
        several = len({slot.campaign for slot in slots.slots}) > 1
        rows = [self._slot(slot, slot.campaign if several else "") for slot in slots.slots]
        options = [self._option(f"{slot.campaign}/{slot.slot}", self._label(slot, several)) for slot in slots.slots]
        return fill("slots", self._words, rows=joined(rows), slot_options=joined(options), nonce=nonce)

    def _book_form(self, bookable: Sequence[Bookable], types: Html, nonce: str) -> Html:
        """Nothing where nobody can be booked now."""
        if not bookable:
            return Html("")
        options = [self._option(each.value, each.label) for each in bookable]
        return fill("book", self._words, slot_options=joined(options), document_types=types, nonce=nonce)

    def _slot(self, slot: OwnSlot, about: str) -> Html:
        taken = slot.confirmed + slot.picked_up
        waiting = self._words["slot_waiting"].format(units=slot.waiting) if slot.waiting else ""
        return fill(
            "slot",
            {},
            times=times(slot.starts_at, slot.ends_at),
            about=" · ".join(filter(None, (about, waiting))),
            quota=slot.quota,
            confirmed=slot.confirmed,
            picked_up=slot.picked_up,
            left=slot.left,
            taken_percent=_percent(taken, slot.quota),
            gone_percent=_percent(slot.picked_up, slot.quota),
        )

    def _label(self, slot: OwnSlot, several: bool) -> str:
        when = times(slot.starts_at, slot.ends_at)
        return f"{when} · {slot.campaign}" if several else when

    def _option(self, value: str, label: str) -> Html:
        return fill("option", {}, value=value, label=label)

    def _frame(self, card: Html, content: Html, whoami: Html) -> bytes:
        languages = joined([self._language(each) for each in LANGUAGES])
        page = fill(
            "frame",
            self._words,
            html_lang=self.language,
            stylesheet=stylesheet()[0],
            whoami=whoami,
            card=card,
            content=content,
            languages=languages,
        )
        return page.encode()

    def _language(self, language: Language) -> Html:
        current = Html(' aria-current="true"' if language == self.language else "")
        return fill("language", {}, tag=language, name=NAMES[language], current=current)


def moment(rfc3339: str) -> str:
    """A time as people write it there: day and minute."""
    return rfc3339[:16].replace("T", " ")


def times(starts_at: str, ends_at: str, *, with_day: bool = False) -> str:
    """From when to when; midnight at the end is 24:00, for that is how a day ends."""
    first_day, last_day = date.fromisoformat(starts_at[:10]), date.fromisoformat(ends_at[:10])
    last = ends_at[11:16]
    if last == "00:00" and last_day - first_day == timedelta(days=1):
        last = "24:00"
    elif last_day != first_day:
        last = moment(ends_at)
    return f"{moment(starts_at) if with_day else starts_at[11:16]}–{last}"


def _percent(part: int, whole: int) -> str:
    return f"{min(100.0, 100 * part / whole):.1f}" if whole > 0 else "0"
