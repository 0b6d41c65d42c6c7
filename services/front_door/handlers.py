"""HTTP in, HTTP out: each call of the contract, in the order of a resident's way. What it means stands elsewhere."""

import time

import msgspec
from aiohttp import web

from services.domain.documents import DocumentInvalid
from services.domain.phones import PhoneInvalid
from services.domain.reasons import DoorReason
from services.domain.rows import Facts
from services.front_door.campaigns import Campaigns
from services.front_door.line import Line
from services.front_door.messages import Pending, Reservation, ReservationRequest, SlotChange, TicketRequest
from services.front_door.offers import Offers
from services.front_door.passes import Passes
from services.front_door.refusals import (
    busy,
    come_back,
    counted,
    not_any_more,
    of_change,
    of_input,
    of_owner,
    of_reservation,
)
from services.front_door.reservations import Booking, Reservations
from services.front_door.standing import Owner, Standings, about_person, refusal_in
from services.front_door.stock import StockView
from services.front_door.waiting_room import TICKET_HEADER, WaitingRoom
from services.platform.http_answers import JSON, NO_STORE, SVG, Answer
from services.platform.http_requests import decode_json, idempotency_key, language, malformed, prefer_wait_s, read_body
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.stream.place import Place

_encode = msgspec.json.Encoder().encode


class Handlers:
    """The API of the front door."""

    def __init__(
        self,
        *,
        campaigns: Campaigns,
        offers: Offers,
        stock: StockView,
        reservations: Reservations,
        standings: Standings,
        passes: Passes,
        line: Line,
        identities: Identities,
        waiting_room: WaitingRoom,
    ) -> None:
        self._campaigns = campaigns
        self._offers = offers
        self._stock = stock
        self._reservations = reservations
        self._standings = standings
        self._passes = passes
        self._line = line
        self._identities = identities
        self._waiting_room = waiting_room

    # -- what is on offer -------------------------------------------------------------------------------------------

    async def list_campaigns(self, request: web.BaseRequest) -> Answer:
        return await self._offers.listed().answer(request)

    async def show_campaign(self, request: web.BaseRequest, name: str) -> Answer:
        offered = await self._campaigns.find(name)
        return await (await self._offers.whole(offered)).answer(request)

    async def show_stock(self, request: web.BaseRequest, name: str) -> Answer:
        return await (await self._stock.of(await self._campaigns.find(name))).json.answer(request)

    async def show_stock_csv(self, request: web.BaseRequest, name: str) -> Answer:
        return await (await self._stock.of(await self._campaigns.find(name))).csv.answer(request)

    # -- the waiting room -------------------------------------------------------------------------------------------

    async def join(self, request: web.BaseRequest, name: str) -> Answer:
        """A repeat gets the same place before the opening, and one further behind after it: tickets are kept by their
        owners alone."""
        wish = decode_json(await read_body(request), TicketRequest)
        campaign = await self._campaigns.find(name)
        try:
            resident = self._reservations.resident(wish.resident, campaign)
        except DocumentInvalid as error:
            raise of_input(error, campaign, language(request)) from error
        return Answer(201, _encode(await self._waiting_room.join(campaign, resident)), JSON, NO_STORE)

    async def show_ticket(self, _request: web.BaseRequest, ticket: str) -> Answer:
        return Answer(200, _encode(await self._waiting_room.where(ticket)), JSON, NO_STORE)

    # -- booking ----------------------------------------------------------------------------------------------------

    async def book(self, request: web.BaseRequest) -> Answer:
        """The hot path: from here to the log and back."""
        try:
            # Before the body is read, let alone parsed.
            shown = request.headers.get(TICKET_HEADER)
            ticket = None if shown is None else await self._waiting_room.shown(shown)
            if self._reservations.is_full(has_turn=ticket is not None):
                return busy(language(request))
            key = idempotency_key(request)
            wait_s = prefer_wait_s(request)
            wish = decode_json(await read_body(request), ReservationRequest)
            campaign = self._campaigns.get(wish.campaign) or await self._campaigns.find(wish.campaign)
            if self._reservations.is_full_for(campaign, has_turn=ticket is not None):
                return busy(language(request))
            try:
                booking = await self._reservations.book(wish, campaign, key, ticket)
            except (DocumentInvalid, PhoneInvalid) as error:
                raise of_input(error, campaign, language(request)) from error
        except Problem as problem:
            counted(problem)
            raise
        if not wait_s:
            return await self._pending(booking.id, booking.place)
        until_s = time.monotonic() + wait_s
        facts = await self._standings.decided(booking.place, wait_s)
        answer = None if facts is None else await self._decision(booking, facts)
        return answer or await self._pending(booking.id, booking.place, come_back(until_s))

    async def _decision(self, booking: Booking, facts: Facts) -> Answer | None:
        """What was decided; None where only Redis could tell, and does not."""
        reservation = await self._standings.of_booking(booking, facts)
        if reservation.state == "rejected":
            known = about_person(booking, reservation.reason)
            raise of_reservation(reservation, booking.campaign, **known)
        if reservation.state == "pending":
            return None
        return Answer(201 if reservation.state == "confirmed" else 200, _encode(reservation))

    async def _pending(self, reservation_id: str, place: Place, headers: bytes = b"") -> Answer:
        ahead = self._line.ahead_now(place)
        if ahead is None:
            ahead = await self._line.ahead(place)
        url = self.status_url(reservation_id, place)
        body = _encode(Pending(id=reservation_id, state="pending", ahead=ahead, status_url=url))
        return Answer(202, body, JSON, b"%bLocation: %b\r\n%b" % (NO_STORE, url.encode(), headers))

    def status_url(self, reservation_id: str, place: Place) -> str:
        """Where to ask for a reservation, with its place in line signed."""
        return f"/v1/reservations/{reservation_id}?place={self._identities.sign_place(reservation_id, place.offset)}"

    # -- a reservation ----------------------------------------------------------------------------------------------

    async def show_reservation(self, request: web.BaseRequest, reservation_id: str) -> Answer:
        owner = self._standings.owner(reservation_id)
        offset = self.place_asked(request, owner)
        wait_s = prefer_wait_s(request)
        if offset is None:
            return Answer(200, _encode(await self._standings.now(owner)))
        until_s = time.monotonic() + wait_s
        reservation = await self._standings.at_place(owner, offset, wait_s)
        headers = come_back(until_s) if reservation.state == "pending" else b""
        return Answer(200, _encode(reservation), JSON, NO_STORE + headers)

    def place_asked(self, request: web.BaseRequest, owner: Owner) -> int | None:
        """The offset of a signed place in the URL; None where there is no place."""
        if "?" not in request.raw_path:
            return None
        text = request.query.get("place")
        if text is None:
            return None
        offset = self._identities.check_place(owner.id, text)
        if offset is None:
            raise malformed("place", "the place of a status_url, unchanged")
        return offset

    async def change_slot(self, request: web.BaseRequest, reservation_id: str) -> Answer:
        """The old slot is kept unless the new one is got."""
        if self._reservations.full_for_changes:
            return busy(language(request))
        try:
            owner = self._standings.owner(reservation_id)
            key = idempotency_key(request)
            wait_s = prefer_wait_s(request)
            wish = decode_json(await read_body(request), SlotChange)
            row = await self._standings.live_row(owner)
            command = await self._reservations.change(owner.partition, row.no, owner.pass_no, wish.slot, key)
            place = await self._reservations.write(owner.partition, command)
        except Problem as problem:
            counted(problem)
            raise
        return await self._asked(owner, place, wait_s, Reservation(id=owner.id, state="confirmed", slot=wish.slot))

    async def cancel_reservation(self, request: web.BaseRequest, reservation_id: str) -> Answer:
        if self._reservations.full_for_changes:
            return busy(language(request))
        try:
            owner = self._standings.owner(reservation_id)
            key = idempotency_key(request) if "Idempotency-Key" in request.headers else None
            wait_s = prefer_wait_s(request)
            await self._standings.live_row(owner)
            command = self._reservations.cancel(owner.pass_no, key)
            place = await self._reservations.write(owner.partition, command)
        except Problem as problem:
            counted(problem)
            raise
        return await self._asked(owner, place, wait_s, Reservation(id=owner.id, state="cancelled"))

    async def _asked(self, owner: Owner, place: Place, wait_s: int, done: Reservation) -> Answer:
        """What became of something that an owner asked for; `done` where it was, and Redis does not tell more."""
        until_s = time.monotonic() + wait_s
        facts = await self._standings.decided(place, wait_s) if wait_s else None
        if facts is None:
            return await self._pending(owner.id, place, come_back(until_s))
        reservation = await self._standings.now_or(owner, done)
        reason = refusal_in(facts)
        if reason is not None:
            raise of_change(reason, facts, reservation)
        return Answer(200, _encode(reservation))

    async def show_pass(self, _request: web.BaseRequest, reservation_id: str) -> Answer:
        owner = self._standings.owner(reservation_id)
        reservation = await self._standings.now(owner)
        if reservation.pass_text is None:
            raise no_pass(reservation)
        return Answer(200, await self._passes.svg(reservation.pass_text), SVG)


def no_pass(reservation: Reservation) -> Problem:
    """Why a reservation has no pass to show."""
    reason = not_any_more(reservation)
    return Problem(DoorReason.INTERNAL) if reason is None else of_owner(reason, state=reservation.state)
