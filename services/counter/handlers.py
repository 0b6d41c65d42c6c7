"""HTTP in, HTTP out, for a pharmacy's own programs: each call of the contract. What it means stands elsewhere."""

from __future__ import annotations

import structlog
from aiohttp import web

from services.counter.bookings import Bookings
from services.counter.contract import (
    MAX_BATCH_BYTES,
    AnythingShown,
    DeskBooking,
    DocumentShown,
    Found,
    Key,
    Keys,
    OfflineBatch,
    Pairing,
    QuotaChange,
    Reasoned,
)
from services.counter.days import read_day
from services.counter.offline import OfflineRecords
from services.counter.pickups import PickUps
from services.counter.records import describe
from services.counter.showing import Showing
from services.counter.stock import Stock
from services.counter.terminals import Terminal, Terminals
from services.domain.reasons import DoorReason
from services.platform.http_answers import Answer, json_answer
from services.platform.http_requests import idempotency_key, malformed, read_json
from services.platform.pass_keys import PassKeys
from services.platform.problems import Problem
from services.state.desk import Desk

BEARER = "bearer "
KEYS_FRESH_FOR = b"Cache-Control: public, max-age=60\r\n"
ONE_OF_THREE = "pass; or short_code and document_last4; or document_type and document_number"

log = structlog.get_logger(__name__)


class Handlers:
    """The API of the counter. A terminal signs in with its token, and waits for each decision."""

    def __init__(
        self,
        *,
        desk: Desk,
        terminals: Terminals,
        pick_ups: PickUps,
        showing: Showing,
        stock: Stock,
        bookings: Bookings,
        offline: OfflineRecords,
        pass_keys: PassKeys,
    ) -> None:
        self._desk = desk
        self._terminals = terminals
        self._pick_ups = pick_ups
        self._showing = showing
        self._stock = stock
        self._bookings = bookings
        self._offline = offline
        self._pass_keys = pass_keys

    # -- terminals --------------------------------------------------------------------------------------------------

    async def pair(self, request: web.BaseRequest) -> Answer:
        """POST /v1/terminals"""
        self._desk.admit()
        key = idempotency_key(request)
        body = await read_json(request, Pairing)
        paired = await self._terminals.pair(body.pairing_code, key)
        log.info("A terminal is paired", action="terminal_paired", terminal=paired.terminal, pharmacy=paired.pharmacy)
        return json_answer(201, paired)

    # -- reservations -----------------------------------------------------------------------------------------------

    async def pick_up(self, request: web.BaseRequest) -> Answer:
        """POST /v1/pickups"""
        terminal, key = await self._wish(request)
        shown = (await read_json(request, AnythingShown)).shown()
        if shown is None:
            raise malformed("", f"exactly one of: {ONE_OF_THREE}")
        return json_answer(200, await self._pick_ups.pick_up(terminal, shown, key))

    async def record_pick_ups(self, request: web.BaseRequest) -> Answer:
        """POST /v1/pickups/batch"""
        terminal, _ = await self._wish(request)
        batch = await read_json(request, OfflineBatch, MAX_BATCH_BYTES)
        return json_answer(200, await self._offline.take(terminal, batch))

    async def book(self, request: web.BaseRequest) -> Answer:
        """POST /v1/reservations"""
        terminal, key = await self._wish(request)
        told = await self._bookings.book(terminal, await read_json(request, DeskBooking), key)
        return json_answer(201 if told.state == "confirmed" else 200, told)

    async def undo(self, request: web.BaseRequest, pass_no: str) -> Answer:
        """POST /v1/pickups/{pass_no}/undo"""
        terminal, key = await self._wish(request)
        body = await read_json(request, Reasoned)
        return json_answer(200, await self._pick_ups.undo(terminal, pass_no, body.why, key))

    async def cancel(self, request: web.BaseRequest, pass_no: str) -> Answer:
        """POST /v1/reservations/{pass_no}/cancel"""
        terminal, key = await self._wish(request)
        body = await read_json(request, Reasoned)
        return json_answer(200, await self._pick_ups.cancel(terminal, pass_no, body.why, key))

    async def look_up(self, request: web.BaseRequest) -> Answer:
        """POST /v1/lookups"""
        terminal = await self._terminal(request)
        body = await read_json(request, DocumentShown)
        holder = await self._showing.look_up(terminal, body)
        found = [describe(record) for record in holder.records]
        return json_answer(200, Found(reservations=found, precedence=holder.precedence))

    # -- the pharmacy's day -----------------------------------------------------------------------------------------

    async def slots(self, request: web.BaseRequest) -> Answer:
        """GET /v1/slots"""
        terminal = await self._terminal(request)
        date = request.query.get("date")
        return json_answer(200, await self._stock.slots(terminal, None if date is None else read_day(date)))

    async def change_quota(self, request: web.BaseRequest, slot: str) -> Answer:
        """POST /v1/slots/{slot}/quota"""
        terminal, key = await self._wish(request)
        body = await read_json(request, QuotaChange)
        return json_answer(200, await self._stock.change_quota(terminal, slot, body, key))

    async def today(self, request: web.BaseRequest) -> Answer:
        """GET /v1/today"""
        return json_answer(200, await self._stock.today(await self._terminal(request)))

    async def keys(self, _request: web.BaseRequest) -> Answer:
        """GET /v1/keys"""
        published = sorted(self._pass_keys.published().items())
        keys = [Key(key_id=name, algorithm="Ed25519", public_key=key) for name, key in published]
        return json_answer(200, Keys(keys=keys), KEYS_FRESH_FOR)

    # ---------------------------------------------------------------------------------------------------------------

    async def _wish(self, request: web.BaseRequest) -> tuple[Terminal, str]:
        """Who wants to change something, and the key of the wish; everything that can be refused before the body."""
        self._desk.admit()
        terminal = await self._terminal(request)
        return terminal, idempotency_key(request)

    async def _terminal(self, request: web.BaseRequest) -> Terminal:
        authorization = request.headers.get("Authorization", "")
        if not authorization.lower().startswith(BEARER):
            raise Problem(DoorReason.UNAUTHORIZED)
        return await self._terminals.signed_in(authorization[len(BEARER) :].strip())
