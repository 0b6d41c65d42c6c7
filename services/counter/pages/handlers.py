"""HTTP in, HTML out: the page at the till."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from services.counter.bookings import Bookings
from services.counter.contract import (
    DeskBooking,
    DocumentShown,
    Pairing,
    PassShown,
    QuotaChange,
    Reasoned,
    Resident,
    ShortCodeShown,
    Shown,
)
from services.counter.days import PharmacyDays
from services.counter.pages.markup import Html, stylesheet
from services.counter.pages.views import Bookable, Till, View, times
from services.counter.pickups import PickUps
from services.counter.records import campaign_time, describe
from services.counter.showing import Showing
from services.counter.stock import Stock
from services.counter.terminals import Terminal, Terminals
from services.domain.days import iso_day
from services.domain.documents import DocumentInvalid, DocumentType, canonical
from services.domain.phones import PhoneInvalid, canonical_phone
from services.domain.reasons import DoorReason, Reason
from services.platform.forms import (
    LANGUAGE_COOKIE,
    LANGUAGE_LIFE_S,
    FormIncomplete,
    FormOld,
    Nonces,
    cookie,
    fields,
    language_of,
    read_form,
    wrong_fields,
)
from services.platform.http_answers import Answer
from services.platform.languages import LANGUAGES
from services.platform.pages import add_stylesheet, page, see_other
from services.platform.problems import Problem
from services.platform.router import Router

TERMINAL_COOKIE = "maskline_terminal"
TERMINAL_LIFE_S = 366 * 86_400
SIGN_IN_AGAIN = frozenset({DoorReason.UNAUTHORIZED, Reason.UNKNOWN_TERMINAL})

log = structlog.get_logger(__name__)

Work = Callable[[Terminal, dict[str, str], str, View, str], Awaitable[Html]]
"""Terminal, form, key, view, the nonce of the next forms: the card that answers."""


class Pages:
    """The page at `/`, and the forms on it."""

    def __init__(
        self,
        *,
        terminals: Terminals,
        pick_ups: PickUps,
        showing: Showing,
        stock: Stock,
        bookings: Bookings,
        days: PharmacyDays,
        nonces: Nonces,
        secure_cookies: bool,
    ) -> None:
        self._terminals = terminals
        self._pick_ups = pick_ups
        self._showing = showing
        self._stock = stock
        self._bookings = bookings
        self._days = days
        self._nonces = nonces
        self._secure = secure_cookies

    def mount(self, router: Router) -> None:
        """Adds the routes."""
        router.get("/", self.start)
        router.post("/pair", self.pair)
        router.post("/sign-out", self.sign_out)
        router.get("/language/{language}", self.choose_language)
        works = {
            "/pick-up": self._pick_up,
            "/undo": self._undo,
            "/look-up": self._look_up,
            "/cancel": self._cancel,
            "/quota": self._change_quota,
            "/book": self._book,
        }
        for path, work in works.items():
            router.post(path, self._form(work))
        for path in ("/pair", "/sign-out", *works):
            router.get(path, self._to_start)  # somebody pressed Enter in the address bar
        add_stylesheet(router, stylesheet())

    # -- pages ------------------------------------------------------------------------------------------------------

    async def start(self, request: web.BaseRequest) -> Answer:
        """GET /"""
        view = View(language_of(request))
        if TERMINAL_COOKIE not in request.cookies:
            return self._pairing(view, Html(""))
        try:
            terminal = await self._terminal(request)
        except Problem as problem:
            return self._not_signed_in(view, problem)
        return await self._counter(view, terminal, self._nonces.make(_who(terminal)), Html(""))

    async def pair(self, request: web.BaseRequest) -> Answer:
        """POST /pair"""
        view = View(language_of(request))
        try:
            form = await read_form(request)
            key = self._nonces.check("", form.get("nonce", ""))
            paired = await self._terminals.pair(fields(form, Pairing).pairing_code, key)
        except Problem as problem:
            return self._pairing(view, view.refused(problem), problem)
        except (FormOld, FormIncomplete) as error:
            return self._pairing(view, view.not_done(error), Problem(DoorReason.MALFORMED))
        log.info("A terminal is paired", action="terminal_paired", terminal=paired.terminal, pharmacy=paired.pharmacy)
        return see_other("/", self._cookie(TERMINAL_COOKIE, paired.token, TERMINAL_LIFE_S))

    async def sign_out(self, request: web.BaseRequest) -> Answer:
        """POST /sign-out"""
        try:
            self._nonces.check(_who(await self._terminal(request)), (await read_form(request)).get("nonce", ""))
        except (Problem, FormOld):
            return see_other("/")
        return see_other("/", self._cookie(TERMINAL_COOKIE, "", 0))

    async def choose_language(self, _request: web.BaseRequest, chosen: str) -> Answer:
        """GET /language/{language}"""
        if chosen not in LANGUAGES:
            raise Problem(DoorReason.NOT_FOUND)
        return see_other("/", self._cookie(LANGUAGE_COOKIE, chosen, LANGUAGE_LIFE_S))

    # -- what forms do ----------------------------------------------------------------------------------------------

    async def _pick_up(self, terminal: Terminal, form: dict[str, str], key: str, view: View, nonce: str) -> Html:
        return view.handed_out(await self._pick_ups.pick_up(terminal, _shown(form), key), nonce)

    async def _undo(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        why = fields(form, Reasoned).why
        return view.undone(await self._pick_ups.undo(terminal, form.get("pass_no", ""), why, key))

    async def _look_up(self, terminal: Terminal, form: dict[str, str], _key: str, view: View, nonce: str) -> Html:
        holder = await self._showing.look_up(terminal, fields(form, DocumentShown))
        return view.found([describe(record) for record in holder.records], holder.precedence, nonce)

    async def _cancel(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        why = fields(form, Reasoned).why
        return view.cancelled(await self._pick_ups.cancel(terminal, form.get("pass_no", ""), why, key))

    async def _change_quota(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        campaign, _, slot = form.get("slot", "").partition("/")
        wish = fields(form | {"campaign": campaign}, QuotaChange)
        return view.changed(await self._stock.change_quota(terminal, slot, wish, key))

    async def _book(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        campaign, _, slot = form.get("slot", "").partition("/")
        return view.booked(await self._bookings.book(terminal, _booking(form, campaign, slot), key))

    # ---------------------------------------------------------------------------------------------------------------

    def _form(self, work: Work) -> Callable[[web.BaseRequest], Awaitable[Answer]]:
        """A form of a signed-in terminal: whatever happens, the till gets its page with the answer on top."""

        async def handle(request: web.BaseRequest) -> Answer:
            view = View(language_of(request))
            try:
                terminal = await self._terminal(request)
            except Problem as problem:
                return self._not_signed_in(view, problem)
            nonce, refused = self._nonces.make(_who(terminal)), None
            try:
                form = await read_form(request)
                key = self._nonces.check(_who(terminal), form.get("nonce", ""))
                card = await work(terminal, form, key, view, nonce)
                self._stock.forget(terminal)
            except Problem as problem:
                if problem.reason in SIGN_IN_AGAIN:
                    return self._not_signed_in(view, problem)
                card, refused = view.refused(problem), problem
            except (FormOld, FormIncomplete) as error:
                card, refused = view.not_done(error), Problem(DoorReason.MALFORMED)
            return await self._counter(view, terminal, nonce, card, refused)

        return handle

    async def _terminal(self, request: web.BaseRequest) -> Terminal:
        return await self._terminals.signed_in(request.cookies.get(TERMINAL_COOKIE, ""))

    async def _counter(
        self, view: View, terminal: Terminal, nonce: str, card: Html, refused: Problem | None = None
    ) -> Answer:
        try:
            slots = await self._stock.slots(terminal, None)
        except Problem:  # the numbers are beside the point: pick-ups go on without them
            slots = None
        today = iso_day(self._days.today(terminal))
        name = self._days.name_of(terminal)
        content = view.counter(Till(terminal.name, name, nonce), card, slots, today, self._bookable(terminal))
        return page(content, refused)

    def _bookable(self, terminal: Terminal) -> list[Bookable]:
        slots = self._days.bookable(terminal)
        several = len({slot.campaign.name for slot in slots}) > 1
        found = []
        for slot in slots:
            starts_at, ends_at = (campaign_time(slot.campaign, at) for at in (slot.row.starts_ms, slot.row.ends_ms))
            when = times(starts_at, ends_at, with_day=True)
            label = f"{when} · {slot.campaign.name}" if several else when
            found.append(Bookable(f"{slot.campaign.name}/{slot.id}", label))
        return found

    def _pairing(self, view: View, card: Html, refused: Problem | None = None, headers: bytes = b"") -> Answer:
        return page(view.pairing(self._nonces.make(""), card), refused, headers)

    def _not_signed_in(self, view: View, problem: Problem) -> Answer:
        """A token that is worth nothing is taken back; where nobody can tell now, it is kept."""
        gone = problem.reason in SIGN_IN_AGAIN
        headers = self._cookie(TERMINAL_COOKIE, "", 0) if gone else b""
        return self._pairing(view, view.refused(problem), problem, headers)

    async def _to_start(self, _request: web.BaseRequest) -> Answer:
        return see_other("/")

    def _cookie(self, name: str, value: str, life_s: int) -> bytes:
        return cookie(name, value, life_s=life_s, secure=self._secure)


def _who(terminal: Terminal) -> str:
    """Whose forms they are."""
    return f"{terminal.partition}\x1f{terminal.name}"


def _shown(form: dict[str, str]) -> Shown:
    if "pass" in form:
        return fields(form, PassShown)
    if "short_code" in form:
        return fields(form | {"short_code": _digits_of(form["short_code"])}, ShortCodeShown)
    return fields(form, DocumentShown)


def _digits_of(typed: str) -> str:
    """A short code as it may be typed: full-width digits, spaces, hyphens."""
    return "".join(character for character in unicodedata.normalize("NFKC", typed) if character.isalnum())


def _booking(form: dict[str, str], campaign: str, slot: str) -> DeskBooking:
    """The wish in a form. Raises FormIncomplete; one wrong number alone is left to the booking, which says more."""
    chosen = form | {"campaign": campaign, "slot": slot}
    wrong = [*wrong_fields(chosen, DeskBooking, ["resident"]), *wrong_fields(chosen, Resident)]
    unreadable = [name for name in _unreadable(form) if name not in wrong]
    if wrong or len(unreadable) > 1:
        raise FormIncomplete([*wrong, *unreadable])
    return fields(chosen, DeskBooking, resident=fields(form, Resident))


def _unreadable(form: dict[str, str]) -> list[str]:
    """Numbers that are none of a document or of a phone."""
    found = []
    try:
        canonical(DocumentType(form.get("document_type", "")), form.get("document_number", ""))
    except ValueError:
        pass  # which kind of document it is, is wrong already
    except DocumentInvalid:
        found.append("document_number")
    phone = form.get("phone", "").strip()
    try:
        if phone:
            canonical_phone(phone)
    except PhoneInvalid:
        found.append("phone")
    return found
