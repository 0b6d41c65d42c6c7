"""HTTP in, HTML out: the pages of the console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import quote

import structlog
from aiohttp import web

from services.console.audit_trail import Trail
from services.console.campaigns import TRANSITIONS, Campaigns
from services.console.contract import Invitation, Moving, QuotaChange, Reasoned, SignInRequest, Withdrawal
from services.console.desk import OpsDesk
from services.console.handlers import whole_number
from services.console.live import Live
from services.console.pages.markup import NOTHING, Html, stylesheet
from services.console.pages.report_view import ReportView
from services.console.pages.views import Place, View, Visitor
from services.console.reports import Reports
from services.console.sign_in import SESSION_COOKIE, SESSION_S, Operator, SignIn
from services.console.terminals import Terminals
from services.console.withdrawals import Withdrawals
from services.domain.reasons import DoorReason
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
from services.platform.problems import Problem, status_of
from services.platform.router import Router

ENTRIES_A_PAGE: Final = 50

log = structlog.get_logger(__name__)


class SignedOut(Exception):
    """Nobody we know asks for this page."""


class Visit(NamedTuple):
    """A request of somebody who has signed in."""

    operator: Operator
    token: str
    view: View
    visitor: Visitor


Page = Callable[..., Awaitable[Answer]]


class Site:
    """The pages at `/`, and the forms on them."""

    def __init__(
        self,
        *,
        desk: OpsDesk,
        sign_in: SignIn,
        campaigns: Campaigns,
        withdrawals: Withdrawals,
        terminals: Terminals,
        trail: Trail,
        live: Live,
        reports: Reports,
        nonces: Nonces,
        secure_cookies: bool,
    ) -> None:
        self._desk = desk
        self._sign_in = sign_in
        self._campaigns = campaigns
        self._withdrawals = withdrawals
        self._terminals = terminals
        self._trail = trail
        self._live = live
        self._reports = reports
        self._nonces = nonces
        self._secure = secure_cookies

    def mount(self, router: Router) -> None:
        """Adds the routes."""
        router.get("/sign-in", self.sign_in_page)
        router.post("/sign-in", self.sign_in)
        router.post("/sign-out", self.sign_out)
        router.get("/language/{language}", self.choose_language)
        router.get("/", self._page(self.overview))
        router.get("/campaigns/{campaign}", self._page(self.campaign))
        router.post("/campaigns/{campaign}/phase", self._page(self.change_phase))
        router.post("/campaigns/{campaign}/quota", self._page(self.change_quota))
        router.post("/campaigns/{campaign}/withdraw", self._page(self.withdraw))
        router.get("/campaigns/{campaign}/report", self._page(self.report))
        router.get("/terminals", self._page(self.terminals))
        router.post("/terminals/invite", self._page(self.invite))
        router.post("/terminals/revoke", self._page(self.revoke))
        router.get("/audit", self._page(self.audit))
        # Somebody pressed Enter in the address bar on the answer to a form.
        for path in ("/sign-out", "/terminals/invite", "/terminals/revoke"):
            router.get(path, self._to("/terminals" if path.startswith("/terminals") else "/"))
        for form in ("phase", "quota", "withdraw"):
            router.get(f"/campaigns/{{campaign}}/{form}", self._to_campaign)
        add_stylesheet(router, stylesheet())

    # -- who is asking ----------------------------------------------------------------------------------------------

    async def sign_in_page(self, request: web.BaseRequest) -> Answer:
        """GET /sign-in"""
        return page(View(language_of(request)).sign_in(NOTHING))

    async def sign_in(self, request: web.BaseRequest) -> Answer:
        """POST /sign-in"""
        view = View(language_of(request))
        try:
            wish = fields(await read_form(request), SignInRequest)
            session = await self._sign_in.sign_in(wish.user, wish.password)
        except Problem as problem:
            word = {401: "wrong", 429: "locked"}.get(problem.status or status_of(problem.reason))
            return page(view.sign_in(view.not_done(word) if word else view.refused(problem)), problem)
        except (FormOld, FormIncomplete) as error:
            return page(view.sign_in(view.incomplete(error)), Problem(DoorReason.MALFORMED))
        log.info("Signed in", action="signed_in", user=session.name, role=session.role)
        kept = cookie(SESSION_COOKIE, session.token, life_s=SESSION_S, secure=self._secure)
        return see_other("/", kept)

    async def sign_out(self, request: web.BaseRequest) -> Answer:
        """POST /sign-out"""
        token = request.cookies.get(SESSION_COOKIE, "")
        try:
            self._nonces.check(token, (await read_form(request)).get("nonce", ""))
        except (Problem, FormOld):
            return see_other("/")
        return see_other("/sign-in", cookie(SESSION_COOKIE, "", life_s=0, secure=self._secure))

    async def choose_language(self, _request: web.BaseRequest, chosen: str) -> Answer:
        """GET /language/{language}"""
        if chosen not in LANGUAGES:
            raise Problem(DoorReason.NOT_FOUND)
        return see_other("/", cookie(LANGUAGE_COOKIE, chosen, life_s=LANGUAGE_LIFE_S, secure=self._secure))

    # -- pages ------------------------------------------------------------------------------------------------------

    async def overview(self, _request: web.BaseRequest, visit: Visit) -> Answer:
        """GET /"""
        return page(visit.view.overview(visit.visitor, await self._live.now()))

    async def campaign(self, request: web.BaseRequest, visit: Visit, name: str) -> Answer:
        """GET /campaigns/{campaign}"""
        return await self._campaign_page(request, visit, name, NOTHING)

    async def report(self, request: web.BaseRequest, visit: Visit, name: str) -> Answer:
        """GET /campaigns/{campaign}/report"""
        first = whole_number(request, "first", 0, 0, 1_000_000) or 0
        numbers = self._campaigns.numbers(await self._campaigns.view(name))
        view = ReportView(visit.view.language)
        return page(view.report(visit.visitor, numbers, await self._reports.report(name), first))

    async def terminals(self, _request: web.BaseRequest, visit: Visit) -> Answer:
        """GET /terminals"""
        return await self._terminals_page(visit, NOTHING)

    async def audit(self, request: web.BaseRequest, visit: Visit) -> Answer:
        """GET /audit"""
        partition = whole_number(request, "partition", 0, 0, 99) or 0
        before = whole_number(request, "before", None, 0, 2**53)
        told = await self._trail.read(partition, ENTRIES_A_PAGE, before)
        return page(visit.view.audit(visit.visitor, told, self._desk.door.partitions, before is None))

    # -- what forms do ----------------------------------------------------------------------------------------------

    async def change_phase(self, request: web.BaseRequest, visit: Visit, name: str) -> Answer:
        """POST /campaigns/{campaign}/phase"""

        async def work(form: dict[str, str], key: str) -> Html:
            verb = form.get("verb", "")
            if verb not in TRANSITIONS:
                raise FormIncomplete(["verb", *wrong_fields(form, Reasoned)])
            why = fields(form, Reasoned).why
            told = await self._campaigns.change_phase(name, verb, actor=visit.operator.actor, why=why, key=key)
            log.info("A phase was changed", action=f"campaign_{verb}", campaign=name, actor=visit.operator.actor)
            return visit.view.phase_changed(told, verb)

        card, refused = await self._done(request, visit, work)
        return await self._campaign_page(request, visit, name, card, refused)

    async def change_quota(self, request: web.BaseRequest, visit: Visit, name: str) -> Answer:
        """POST /campaigns/{campaign}/quota"""

        async def work(form: dict[str, str], key: str) -> Html:
            wish = fields(form, QuotaChange)
            told = await self._campaigns.change_quota(
                name, form.get("slot", ""), wish, actor=visit.operator.actor, key=key
            )
            return visit.view.quota_changed(told)

        card, refused = await self._done(request, visit, work)
        return await self._campaign_page(request, visit, name, card, refused)

    async def withdraw(self, request: web.BaseRequest, visit: Visit, name: str) -> Answer:
        """POST /campaigns/{campaign}/withdraw"""

        async def work(form: dict[str, str], key: str) -> Html:
            wish = fields(form, Moving if form.get("to") else Withdrawal)
            slot, actor = form.get("slot", ""), visit.operator.actor
            if form.get("step") != "do":
                return visit.view.withdrawal_outlook(await self._withdrawals.outlook(name, slot, wish))
            told = await self._withdrawals.withdraw(name, slot, wish, actor=actor, key=key)
            log.info("A slot is withdrawn", action="slot_withdrawn", campaign=name, slot=slot, actor=actor)
            return visit.view.slot_withdrawn(told)

        card, refused = await self._done(request, visit, work)
        return await self._campaign_page(request, visit, name, card, refused)

    async def invite(self, request: web.BaseRequest, visit: Visit) -> Answer:
        """POST /terminals/invite"""

        async def work(form: dict[str, str], key: str) -> Html:
            told = await self._terminals.invite(fields(form, Invitation), actor=visit.operator.actor, key=key)
            log.info("A terminal is invited", action="terminal_invited", terminal=told.terminal)
            return visit.view.invited(told)

        return await self._terminals_page(visit, *await self._done(request, visit, work))

    async def revoke(self, request: web.BaseRequest, visit: Visit) -> Answer:
        """POST /terminals/revoke"""

        async def work(form: dict[str, str], key: str) -> Html:
            why = fields(form, Reasoned).why
            told = await self._terminals.revoke(form.get("terminal", ""), actor=visit.operator.actor, why=why, key=key)
            log.info("A terminal is revoked", action="terminal_revoked", terminal=told.terminal)
            return visit.view.revoked(told)

        return await self._terminals_page(visit, *await self._done(request, visit, work))

    # ---------------------------------------------------------------------------------------------------------------

    def _page(self, show: Page) -> Page:
        """A page for somebody who has signed in; everybody else is asked to."""

        async def handle(request: web.BaseRequest, *parameters: str) -> Answer:
            try:
                visit = self._visit(request)
            except SignedOut:
                return see_other("/sign-in")
            try:
                return await show(request, visit, *parameters)
            except Problem as problem:
                return page(visit.view.message(visit.visitor, visit.view.refused(problem)), problem)

        return handle

    def _visit(self, request: web.BaseRequest) -> Visit:
        """Raises SignedOut."""
        token = request.cookies.get(SESSION_COOKIE, "")
        operator = self._sign_in.operator(token)
        if operator is None:
            raise SignedOut
        visitor = Visitor(operator.actor.partition(":")[2], operator.role, self._nonces.make(token))
        return Visit(operator, token, View(language_of(request)), visitor)

    async def _done(
        self,
        request: web.BaseRequest,
        visit: Visit,
        work: Callable[[dict[str, str], str], Awaitable[Html]],
    ) -> tuple[Html, Problem | None]:
        """What a form did, as the card on top of its page; whatever happens, there is a page."""
        try:
            form = await read_form(request)
            key = self._nonces.check(visit.token, form.get("nonce", ""))
            if not visit.operator.role.may_change:
                raise Problem(DoorReason.FORBIDDEN)
            return await work(form, key), None
        except Problem as problem:
            return visit.view.refused(problem), problem
        except (FormOld, FormIncomplete) as error:
            return visit.view.incomplete(error), Problem(DoorReason.MALFORMED)

    async def _campaign_page(
        self, request: web.BaseRequest, visit: Visit, name: str, card: Html, refused: Problem | None = None
    ) -> Answer:
        numbers = self._campaigns.numbers(await self._campaigns.view(name))
        first = whole_number(request, "first", 0, 0, 1_000_000) or 0
        pharmacy = request.query.get("pharmacy", "")[:48]
        slots = await self._campaigns.slots(name, first, pharmacy or None)
        return page(visit.view.campaign(visit.visitor, card, numbers, slots, pharmacy, first), refused)

    async def _terminals_page(self, visit: Visit, card: Html, refused: Problem | None = None) -> Answer:
        places = [
            Place(view.row.region, pharmacy.id, pharmacy.name)
            for view in self._desk.door.catalogue
            for pharmacy in view.pharmacies.values()
        ]
        told = await self._terminals.all()
        return page(visit.view.terminals(visit.visitor, card, told, places), refused)

    def _to(self, path: str) -> Page:
        async def go(_request: web.BaseRequest) -> Answer:
            return see_other(path)

        return go

    async def _to_campaign(self, _request: web.BaseRequest, name: str) -> Answer:
        return see_other(f"/campaigns/{quote(name, safe='')}")
