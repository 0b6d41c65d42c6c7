"""HTTP in, HTML out: the page at the till."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from msgspec import UNSET

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
from services.counter.pages.forms import (
    LANGUAGE_COOKIE,
    TERMINAL_COOKIE,
    FormIncomplete,
    FormOld,
    Nonces,
    cookie,
    digits_of,
    fields,
    language_of,
    read_form,
)
from services.counter.pages.markup import Html, stylesheet
from services.counter.pages.views import Bookable, Till, View, times
from services.counter.pickups import PickUps
from services.counter.records import campaign_time, describe
from services.counter.showing import Showing
from services.counter.stock import Stock
from services.counter.terminals import Terminal, Terminals
from services.domain.days import iso_day
from services.domain.reasons import DoorReason, Reason
from services.platform.http_answers import HTML, NO_STORE, Answer, header, retry_after
from services.platform.languages import LANGUAGES
from services.platform.problems import RETRY_AFTER_S, Problem, status_of
from services.platform.router import Router

POLICY = header(
    "Content-Security-Policy",
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
)
PAGE_HEADERS = NO_STORE + POLICY
FOR_EVER = b"Cache-Control: public, max-age=31536000, immutable\r\n"
CSS = b"text/css; charset=utf-8"
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
        path, content = stylesheet()

        async def css(_request: web.BaseRequest) -> Answer:
            return Answer(200, content, CSS, FOR_EVER)

        router.get(path, css)

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
        return await self._counter(view, terminal, self._nonces.make(terminal), Html(""))

    async def pair(self, request: web.BaseRequest) -> Answer:
        """POST /pair"""
        view = View(language_of(request))
        try:
            form = await read_form(request)
            key = self._nonces.check(None, form.get("nonce", ""))
            paired = await self._terminals.pair(fields(form, Pairing).pairing_code, key)
        except Problem as problem:
            return self._pairing(view, view.refused(problem), problem)
        except (FormOld, FormIncomplete) as error:
            return self._pairing(view, view.not_done(_word(error)), Problem(DoorReason.MALFORMED))
        log.info("A terminal is paired", action="terminal_paired", terminal=paired.terminal, pharmacy=paired.pharmacy)
        return self._see_other(cookie(TERMINAL_COOKIE, paired.token, secure=self._secure))

    async def sign_out(self, request: web.BaseRequest) -> Answer:
        """POST /sign-out"""
        try:
            self._nonces.check(await self._terminal(request), (await read_form(request)).get("nonce", ""))
        except (Problem, FormOld):
            return self._see_other()
        return self._see_other(cookie(TERMINAL_COOKIE, "", secure=self._secure))

    async def choose_language(self, _request: web.BaseRequest, chosen: str) -> Answer:
        """GET /language/{language}"""
        if chosen not in LANGUAGES:
            raise Problem(DoorReason.NOT_FOUND)
        return self._see_other(cookie(LANGUAGE_COOKIE, chosen, secure=self._secure))

    # -- what forms do ----------------------------------------------------------------------------------------------

    async def _pick_up(self, terminal: Terminal, form: dict[str, str], key: str, view: View, nonce: str) -> Html:
        return view.handed_out(await self._pick_ups.pick_up(terminal, _shown(form), key), nonce)

    async def _undo(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        why = fields(form, Reasoned).why
        return view.undone(await self._pick_ups.undo(terminal, form.get("pass_no", ""), why, key))

    async def _look_up(self, terminal: Terminal, form: dict[str, str], _key: str, view: View, nonce: str) -> Html:
        shown = fields(form, DocumentShown)
        records = await self._showing.reservations_of(terminal, shown.document_type, shown.document_number)
        return view.found([describe(record) for record in records], nonce)

    async def _cancel(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        why = fields(form, Reasoned).why
        return view.cancelled(await self._pick_ups.cancel(terminal, form.get("pass_no", ""), why, key))

    async def _change_quota(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        campaign, _, slot = form.get("slot", "").partition("/")
        try:
            wish = fields(form, QuotaChange, change=int(form.get("change", "")), campaign=campaign or UNSET)
        except (ValueError, FormIncomplete):
            return view.not_done("change_invalid")
        return view.changed(await self._stock.change_quota(terminal, slot, wish, key))

    async def _book(self, terminal: Terminal, form: dict[str, str], key: str, view: View, _nonce: str) -> Html:
        campaign, _, slot = form.get("slot", "").partition("/")
        given = {name: value for name, value in form.items() if value.strip()}  # an empty field was not filled in
        try:
            numbers = {name: int(given[name]) for name in ("units", "birth_year") if name in given}
        except ValueError as error:
            raise FormIncomplete from error
        units, born = numbers.pop("units", 0), numbers
        resident = fields(given, Resident, **born)
        wish = fields(given, DeskBooking, campaign=campaign, slot=slot, units=units, resident=resident)
        return view.booked(await self._bookings.book(terminal, wish, key))

    # ---------------------------------------------------------------------------------------------------------------

    def _form(self, work: Work) -> Callable[[web.BaseRequest], Awaitable[Answer]]:
        """A form of a signed-in terminal: whatever happens, the till gets its page with the answer on top."""

        async def handle(request: web.BaseRequest) -> Answer:
            view = View(language_of(request))
            try:
                terminal = await self._terminal(request)
            except Problem as problem:
                return self._not_signed_in(view, problem)
            nonce, refused = self._nonces.make(terminal), None
            try:
                form = await read_form(request)
                key = self._nonces.check(terminal, form.get("nonce", ""))
                card = await work(terminal, form, key, view, nonce)
                self._stock.forget(terminal)
            except Problem as problem:
                if problem.reason in SIGN_IN_AGAIN:
                    return self._not_signed_in(view, problem)
                card, refused = view.refused(problem), problem
            except (FormOld, FormIncomplete) as error:
                card, refused = view.not_done(_word(error)), Problem(DoorReason.MALFORMED)
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
        page = view.counter(Till(terminal.name, name, nonce), card, slots, today, self._bookable(terminal))
        return _page(page, refused)

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
        return _page(view.pairing(self._nonces.make(None), card), refused, headers)

    def _not_signed_in(self, view: View, problem: Problem) -> Answer:
        """A token that is worth nothing is taken back; where nobody can tell now, it is kept."""
        gone = problem.reason in SIGN_IN_AGAIN
        headers = cookie(TERMINAL_COOKIE, "", secure=self._secure) if gone else b""
        return self._pairing(view, view.refused(problem), problem, headers)

    async def _to_start(self, _request: web.BaseRequest) -> Answer:
        return self._see_other()

    def _see_other(self, headers: bytes = b"") -> Answer:
        return Answer(303, b"", HTML, PAGE_HEADERS + header("Location", "/") + headers)


def _shown(form: dict[str, str]) -> Shown:
    if "pass" in form:
        return fields(form, PassShown)
    if "short_code" in form:
        return fields(form, ShortCodeShown, short_code=digits_of(form["short_code"]))
    return fields(form, DocumentShown)


def _word(error: FormOld | FormIncomplete) -> str:
    return "form_old" if isinstance(error, FormOld) else "incomplete"


def _page(content: bytes, refused: Problem | None, headers: bytes = b"") -> Answer:
    status = status_of(refused.reason) if refused else 200
    lines = PAGE_HEADERS + headers + (refused.headers if refused else b"")
    if status in (429, 503) and b"Retry-After" not in lines:
        lines += retry_after(RETRY_AFTER_S)
    return Answer(status, content, HTML, lines)
