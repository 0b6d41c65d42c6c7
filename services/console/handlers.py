"""HTTP in, HTTP out, for programs and the command line: each call of `/v1`. What it means stands elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from services.console.applying import MAX_APPLYING, Applying, Order
from services.console.audit_trail import MAX_ENTRIES, Trail
from services.console.campaigns import TRANSITIONS, Campaigns
from services.console.contract import (
    CampaignList,
    Checked,
    Invitation,
    Moving,
    QuotaChange,
    Reasoned,
    RulesVersion,
    SignedIn,
    SignInRequest,
    ValveRequest,
    Withdrawal,
)
from services.console.live import UTC, Live
from services.console.reports import Reports
from services.console.rules_in_force import Rules
from services.console.sign_in import SESSION_COOKIE, Operator, SignIn
from services.console.terminals import Terminals
from services.console.users import Role
from services.console.valve import Valves
from services.console.withdrawals import Withdrawals
from services.domain.campaign import Campaign
from services.domain.campaign_check import Source, check
from services.domain.campaign_problems import MAX_PROBLEMS_SHOWN, CampaignInvalid
from services.domain.days import rfc3339
from services.domain.reasons import DoorReason
from services.platform.http_answers import Answer, json_answer
from services.platform.http_requests import idempotency_key, language, malformed, read_body, read_json
from services.platform.problems import Problem

BEARER: Final = "bearer "
MAX_CAMPAIGN_BYTES: Final = 16 * 1024 * 1024
MAX_WHY_CHARACTERS: Final = 500
MAX_NAME_CHARACTERS: Final = 48
LINES: Final = "application/x-ndjson"
DOCUMENT_NAME: Final = "campaign"

log = structlog.get_logger(__name__)

Transition = Callable[[web.BaseRequest, str], Awaitable[Answer]]


class Handlers:
    """The API of the console. Everybody who has signed in may look; operators and admins may change."""

    def __init__(
        self,
        *,
        sign_in: SignIn,
        campaigns: Campaigns,
        withdrawals: Withdrawals,
        applying: Applying,
        terminals: Terminals,
        rules: Rules,
        trail: Trail,
        live: Live,
        reports: Reports,
        valves: Valves,
    ) -> None:
        self._sign_in = sign_in
        self._campaigns = campaigns
        self._withdrawals = withdrawals
        self._applying = applying
        self._terminals = terminals
        self._rules = rules
        self._trail = trail
        self._live = live
        self._reports = reports
        self._valves = valves
        self._documents = 0

    # -- who is asking ----------------------------------------------------------------------------------------------

    async def sign_in(self, request: web.BaseRequest) -> Answer:
        """POST /v1/session"""
        body = await read_json(request, SignInRequest)
        session = await self._sign_in.sign_in(body.user, body.password)
        log.info("Signed in", action="signed_in", user=session.name, role=session.role)
        expires_at = rfc3339(session.expires_s * 1000, UTC)
        return json_answer(
            201, SignedIn(token=session.token, user=session.name, role=session.role, expires_at=expires_at)
        )

    def _viewer(self, request: web.BaseRequest) -> Operator:
        """Who looks: by bearer token or, since looking changes nothing, by the cookie of the pages."""
        authorization = request.headers.get("Authorization")
        if authorization is not None:
            return self._bearer(authorization)
        operator = self._sign_in.operator(request.cookies.get(SESSION_COOKIE, ""))
        if operator is None:
            raise Problem(DoorReason.UNAUTHORIZED)
        return operator

    def _changer(self, request: web.BaseRequest) -> Operator:
        """Who wants to change something: by bearer token alone, which no page of somebody else's can send."""
        operator = self._bearer(request.headers.get("Authorization", ""))
        if not operator.role.may_change:
            raise Problem(DoorReason.FORBIDDEN)
        return operator

    def _bearer(self, authorization: str) -> Operator:
        if not authorization.lower().startswith(BEARER):
            raise Problem(DoorReason.UNAUTHORIZED)
        operator = self._sign_in.operator(authorization[len(BEARER) :].strip())
        if operator is None:
            raise Problem(DoorReason.UNAUTHORIZED)
        return operator

    # -- campaigns --------------------------------------------------------------------------------------------------

    async def campaigns(self, request: web.BaseRequest) -> Answer:
        """GET /v1/campaigns"""
        self._viewer(request)
        return json_answer(200, CampaignList(campaigns=self._campaigns.all_numbers()))

    async def campaign(self, request: web.BaseRequest, name: str) -> Answer:
        """GET /v1/campaigns/{campaign}"""
        self._viewer(request)
        return json_answer(200, await self._campaigns.whole(name))

    async def slots(self, request: web.BaseRequest, name: str) -> Answer:
        """GET /v1/campaigns/{campaign}/slots"""
        self._viewer(request)
        first = whole_number(request, "first", 0, 0, 1_000_000)
        pharmacy = request.query.get("pharmacy")
        if pharmacy is not None and not 1 <= len(pharmacy) <= MAX_NAME_CHARACTERS:
            raise malformed("pharmacy", f"1 to {MAX_NAME_CHARACTERS} characters")
        return json_answer(200, await self._campaigns.slots(name, first or 0, pharmacy))

    async def check(self, request: web.BaseRequest) -> Answer:
        """POST /v1/campaigns/check"""
        self._bearer(request.headers.get("Authorization", ""))
        wish = await self._order(request, actor="", key="")
        campaign = wish.campaign
        return json_answer(
            200,
            Checked(
                campaign=campaign.campaign,
                region=campaign.region,
                revision=wish.revision,
                pharmacies=len(campaign.pharmacies),
                slots=len(campaign.slots),
                units=campaign.units,
                deletion_day=campaign.deletion_day,
            ),
        )

    async def apply(self, request: web.BaseRequest) -> Answer | web.StreamResponse:
        """POST /v1/campaigns/apply"""
        operator = self._changer(request)
        dry_run = _is_dry_run(request)
        key = idempotency_key(request)
        wish = await self._order(request, actor=operator.actor, key=key)
        if dry_run:
            return json_answer(200, await self._applying.outlook(wish))
        if LINES in request.headers.get("Accept", ""):
            return await self._apply_in_lines(request, wish)
        return json_answer(200, await self._applying.apply(wish, _tell_nobody))

    async def _apply_in_lines(self, request: web.BaseRequest, wish: Order) -> web.StreamResponse:
        """Progress as it goes, a JSON line each; the last one is the result or the problem."""
        response = web.StreamResponse(headers={"Content-Type": LINES, "Cache-Control": "no-store"})
        await response.prepare(request)

        async def tell(step: str, done: int, of: int) -> None:
            await response.write(msgspec.json.encode({"step": step, "done": done, "of": of}) + b"\n")

        try:
            applied = await self._applying.apply(wish, tell)
        except Problem as problem:
            content = msgspec.Raw(problem.answer(language(request)).body)
            await response.write(msgspec.json.encode({"problem": content}) + b"\n")
        else:
            await response.write(msgspec.json.encode({"result": applied}) + b"\n")
        await response.write_eof()
        return response

    async def _order(self, request: web.BaseRequest, *, actor: str, key: str) -> Order:
        """The document in the body, checked. A few large ones at once; the work is done beside the loop."""
        why = request.query.get("why", "")
        if len(why) > MAX_WHY_CHARACTERS:
            raise malformed("why", f"at most {MAX_WHY_CHARACTERS} characters")
        if self._documents >= MAX_APPLYING:
            raise Problem(DoorReason.OVERLOADED)
        self._documents += 1
        try:
            body = await read_body(request, MAX_CAMPAIGN_BYTES)
            return await asyncio.to_thread(lambda: self._applying.order(_checked(body), actor=actor, why=why, key=key))
        finally:
            self._documents -= 1

    def transition(self, verb: str) -> Transition:
        """POST /v1/campaigns/{campaign}/open, …/pause, …/resume, …/close"""
        assert verb in TRANSITIONS  # noqa: S101 -- a typo in the table of calls

        async def change_phase(request: web.BaseRequest, name: str) -> Answer:
            operator = self._changer(request)
            key = idempotency_key(request)
            why = (await read_json(request, Reasoned)).why
            changed = await self._campaigns.change_phase(name, verb, actor=operator.actor, why=why, key=key)
            log.info("A phase was changed", action=f"campaign_{verb}", campaign=name, actor=operator.actor)
            return json_answer(200, changed)

        return change_phase

    async def change_quota(self, request: web.BaseRequest, name: str, slot: str) -> Answer:
        """POST /v1/campaigns/{campaign}/slots/{slot}/quota"""
        operator = self._changer(request)
        key = idempotency_key(request)
        body = await read_json(request, QuotaChange)
        return json_answer(200, await self._campaigns.change_quota(name, slot, body, actor=operator.actor, key=key))

    async def turn_valve(self, request: web.BaseRequest, name: str) -> Answer:
        """POST /v1/campaigns/{campaign}/valve"""
        operator = self._changer(request)
        key = idempotency_key(request)
        wish = await read_json(request, ValveRequest)
        turned = await self._valves.turn(name, wish, actor=operator.actor, key=key)
        log.info("A valve was turned", action="valve_turned", campaign=name, mode=wish.mode, actor=operator.actor)
        return json_answer(200, turned)

    async def withdraw_slot(self, request: web.BaseRequest, name: str, slot: str) -> Answer:
        """POST /v1/campaigns/{campaign}/slots/{slot}/withdraw"""
        return await self._withdraw(request, name, slot, Withdrawal)

    async def move_slot(self, request: web.BaseRequest, name: str, slot: str) -> Answer:
        """POST /v1/campaigns/{campaign}/slots/{slot}/move"""
        return await self._withdraw(request, name, slot, Moving)

    async def _withdraw(self, request: web.BaseRequest, name: str, slot: str, kind: type[Withdrawal]) -> Answer:
        operator = self._changer(request)
        dry_run = _is_dry_run(request)
        key = idempotency_key(request)
        wish = await read_json(request, kind)
        if dry_run:
            return json_answer(200, await self._withdrawals.outlook(name, slot, wish))
        told = await self._withdrawals.withdraw(name, slot, wish, actor=operator.actor, key=key)
        log.info("A slot is withdrawn", action="slot_withdrawn", campaign=name, slot=slot, actor=operator.actor)
        return json_answer(200, told)

    # -- rules, terminals, the audit trail, now ---------------------------------------------------------------------

    async def rules(self, request: web.BaseRequest) -> Answer:
        """GET /v1/rules"""
        self._viewer(request)
        return json_answer(200, await self._rules.now())

    async def adopt_rules(self, request: web.BaseRequest) -> Answer:
        """POST /v1/rules"""
        operator = self._changer(request)
        if operator.role is not Role.ADMIN:
            raise Problem(DoorReason.FORBIDDEN)
        key = idempotency_key(request)
        wish = await read_json(request, RulesVersion)
        in_force = await self._rules.adopt(wish.version, actor=operator.actor, why=wish.why, key=key)
        log.info("Rules are in force", action="rules_adopted", version=wish.version, actor=operator.actor)
        return json_answer(200, in_force)

    async def terminals(self, request: web.BaseRequest) -> Answer:
        """GET /v1/terminals"""
        self._viewer(request)
        return json_answer(200, await self._terminals.all())

    async def invite(self, request: web.BaseRequest) -> Answer:
        """POST /v1/terminals"""
        operator = self._changer(request)
        key = idempotency_key(request)
        wish = await read_json(request, Invitation)
        invited = await self._terminals.invite(wish, actor=operator.actor, key=key)
        log.info("A terminal is invited", action="terminal_invited", terminal=invited.terminal, actor=operator.actor)
        return json_answer(201, invited)

    async def revoke(self, request: web.BaseRequest, terminal: str) -> Answer:
        """POST /v1/terminals/{terminal}/revoke"""
        operator = self._changer(request)
        key = idempotency_key(request)
        why = (await read_json(request, Reasoned)).why
        revoked = await self._terminals.revoke(terminal, actor=operator.actor, why=why, key=key)
        log.info("A terminal is revoked", action="terminal_revoked", terminal=terminal, actor=operator.actor)
        return json_answer(200, revoked)

    async def audit(self, request: web.BaseRequest) -> Answer:
        """GET /v1/audit"""
        self._viewer(request)
        partition = whole_number(request, "partition", 0, 0, 99)
        limit = whole_number(request, "limit", 100, 1, MAX_ENTRIES)
        before = whole_number(request, "before", None, 0, 2**53)
        return json_answer(200, await self._trail.read(partition or 0, limit or MAX_ENTRIES, before))

    async def report(self, request: web.BaseRequest, name: str) -> Answer:
        """GET /v1/reports/{campaign}"""
        self._viewer(request)
        return json_answer(200, await self._reports.report(name))

    async def live(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /v1/live"""
        self._viewer(request)
        return await self._live.watch(request)

    async def live_once(self, request: web.BaseRequest) -> Answer:
        """GET /v1/live/now"""
        self._viewer(request)
        return json_answer(200, await self._live.now())


def whole_number(request: web.BaseRequest, name: str, default: int | None, least: int, most: int) -> int | None:
    """A number of the query. Raises Problem 400."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        raise malformed(name, f"a whole number from {least} to {most}")
    return int(text)


def _checked(body: bytes) -> Campaign:
    """The campaign in a document. Raises Problem 400 with everything that is wrong in it."""
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed("", f"a campaign document as JSON: {error}") from error
    try:
        return check(Source(file=DOCUMENT_NAME, document=document))
    except CampaignInvalid as error:
        shown = [problem._asdict() for problem in error.problems[:MAX_PROBLEMS_SHOWN]]
        first = error.problems[0]
        raise Problem(
            DoorReason.MALFORMED,
            field=first.field,
            expected=f"{len(error.problems)} problems; the first: {first.what}",
            problems=shown,
        ) from error


def _is_dry_run(request: web.BaseRequest) -> bool:
    asked = request.query.get("dry_run", "false")
    if asked not in ("true", "false"):
        raise malformed("dry_run", "true or false")
    return asked == "true"


async def _tell_nobody(_step: str, _done: int, _of: int) -> None: ...
