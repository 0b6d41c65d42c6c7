"""The pages' handlers: the same calls as the API's, asked with a browser and answered with HTML."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from services.domain.documents import DocumentInvalid
from services.domain.phones import PhoneInvalid
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Phase
from services.front_door.campaigns import Campaigns, Offered
from services.front_door.pages import booking_form, change, decision, offers, room
from services.front_door.pages.booking_form import Filled
from services.front_door.pages.kept import KeptPages
from services.front_door.pages.markup import NOTHING, Html, fill, joined, safe, stylesheet
from services.front_door.pages.shelf import Choice, can_wait
from services.front_door.pages.visit import KEPT_FOR_EVER, Visit, see
from services.front_door.refusals import RETRY_AFTER_S, counted, of_input
from services.front_door.reservations import Reservations
from services.front_door.standing import Owner, Standings
from services.front_door.stock import StockView
from services.front_door.waiting_room import WaitingRoom
from services.platform.http_answers import NO_STORE, Answer, retry_after
from services.platform.http_requests import malformed, read_body
from services.platform.identities import Identities
from services.platform.problems import Problem, status_of, word_of
from services.platform.router import Router
from services.platform.texts import text_of
from services.stream.place import Place

DECIDED_WITHIN_S: Final = 1
"""How long a page is held for the decision; then it tells the place in line and looks again."""
CSS: Final = b"text/css; charset=utf-8"

ASK_THE_ROOM: Final = frozenset({DoorReason.TICKET_REQUIRED, DoorReason.TICKET_NOT_ADMITTED})
"""Who is refused for one of these is led to the waiting room, which says what to do."""

Page = Callable[..., Awaitable[Answer]]


class Site:
    """The pages of the front door."""

    def __init__(
        self,
        *,
        campaigns: Campaigns,
        stock: StockView,
        reservations: Reservations,
        standings: Standings,
        identities: Identities,
        waiting_room: WaitingRoom,
    ) -> None:
        self._campaigns = campaigns
        self._stock = stock
        self._reservations = reservations
        self._standings = standings
        self._identities = identities
        self._waiting_room = waiting_room
        self._kept = KeptPages()

    def mount(self, router: Router) -> None:
        """Adds the routes."""
        router.get("/", _page(self.home))
        router.get("/campaigns/{campaign}", _page(self.campaign))
        router.get("/campaigns/{campaign}/wait", _page(self.wait))
        router.post("/campaigns/{campaign}/wait", _page(self.join))
        router.get("/campaigns/{campaign}/slots/{slot}", _page(self.form))
        router.post("/campaigns/{campaign}/slots/{slot}", _page(_sent(self.book)))
        router.get("/reservations/{id}", _page(self.reservation))
        router.get("/reservations/{id}/change", _page(self.change_form))
        router.post("/reservations/{id}/change", _page(_sent(self.change)))
        router.post("/reservations/{id}/cancel", _page(_sent(self.cancel)))
        path, content = stylesheet()
        style = Answer(200, content, CSS, KEPT_FOR_EVER)

        async def send_style(_request: web.BaseRequest) -> Answer:
            return style

        router.get(path, send_style)

    async def home(self, visit: Visit, request: web.BaseRequest) -> Answer:
        on_offer = [(offered, self._campaigns.phase(offered)) for offered in self._campaigns]
        version = tuple((offered.name, offered.no, phase) for offered, phase in on_offer)

        def make() -> bytes:
            return visit.document(visit.words["site"], offers.home(visit, on_offer))

        return await self._kept.page(visit, version, make).answer(request)

    async def campaign(self, visit: Visit, request: web.BaseRequest, name: str) -> Answer:
        offered = await self._campaigns.find(name)
        stock = await self._stock.of(offered)
        phase = self._campaigns.phase(offered)
        is_first = visit.comes_first and self._campaigns.has_somebody_first(offered)
        people_wait = self._waiting_room.is_needed(offered)

        def make() -> bytes:
            choice = Choice.of(visit, offered, int(time.time() * 1000))
            content = offers.campaign(visit, offered, phase, stock, choice, is_first=is_first)
            content = joined([room.link(visit, offered), content]) if people_wait else content
            return visit.document(visit.title(offered.definition), content)

        version = (offered.no, stock.as_of, phase, is_first, people_wait)
        return await self._kept.page(visit, version, make).answer(request)

    async def wait(self, visit: Visit, request: web.BaseRequest, name: str) -> Answer:
        offered = await self._campaigns.find(name)
        ticket = request.cookies.get(room.cookie_name(offered))
        title = visit.words["room_title"]
        if ticket is None:
            return visit.page(title, room.form(visit, offered, None))
        try:
            standing = await self._waiting_room.where(ticket)
        except Problem as problem:
            if problem.reason is not Reason.TICKET_INVALID:
                raise
            headers = NO_STORE + room.cookie(offered, "")
            return visit.page(title, room.form(visit, offered, problem), status=403, headers=headers)
        headers = NO_STORE if standing.state != "closed" else NO_STORE + room.cookie(offered, "")
        content = room.show(visit, offered, standing)
        return visit.page(title, content, headers=headers, look_again_s=standing.poll_after_s or 0)

    async def join(self, visit: Visit, request: web.BaseRequest, name: str) -> Answer:
        filled = booking_form.read(await read_body(request))
        offered = await self._campaigns.find(name)
        kind, number = (filled.fields.get(field, "") for field in ("document_type", "document_number"))
        try:
            resident = self._reservations.resident(filled.resident(), offered)
            given = await self._waiting_room.join(offered, resident)
        except DocumentInvalid as error:
            problem = counted(of_input(error, offered, visit.spoken))
        except Problem as refused:
            problem = counted(refused)
        else:
            return see(visit.url(room.path(offered)), room.cookie(offered, given.ticket))
        content = room.form(visit, offered, problem, number, kind)
        return visit.page(visit.words["room_title"], content, status=_status(problem), headers=_headers(problem))

    async def form(self, visit: Visit, request: web.BaseRequest, name: str, slot: str) -> Answer:
        offered = await self._offered_with(name, slot)
        if self._waiting_room.is_needed(offered) and room.cookie_name(offered) not in request.cookies:
            return see(visit.url(room.path(offered)))
        return await self._form(visit, offered, slot, None, None)

    async def _form(
        self, visit: Visit, offered: Offered, slot: str, filled: Filled | None, problem: Problem | None
    ) -> Answer:
        phase, is_full = self._campaigns.phase(offered), await self._is_full(offered, slot)
        if phase is Phase.CLOSED and visit.comes_first and self._campaigns.has_somebody_first(offered):
            phase = Phase.OPEN  # for them it is
        content = booking_form.show(visit, offered, slot, phase, filled, problem, is_full=is_full)
        status, headers = (200, NO_STORE) if problem is None else (_status(problem), _headers(problem))
        return visit.page(visit.words["book_title"], content, status=status, headers=headers)

    async def book(self, visit: Visit, request: web.BaseRequest, name: str, slot: str) -> Answer:
        if self._reservations.is_full():
            raise Problem(DoorReason.OVERLOADED)
        filled = booking_form.read(await read_body(request))
        offered = await self._offered_with(name, slot)
        try:
            wish, shown = filled.wish(name, slot), request.cookies.get(room.cookie_name(offered))
            ticket = None if shown is None else await self._waiting_room.shown(shown)
            key = filled.key(self._identities, name, slot)
            booking = await self._reservations.book(wish, offered, key, ticket)
        except (DocumentInvalid, PhoneInvalid) as error:
            return await self._form(visit, offered, slot, filled, counted(of_input(error, offered, visit.spoken)))
        except Problem as problem:
            if counted(problem).reason in ASK_THE_ROOM:
                return see(visit.url(room.path(offered)))
            return await self._form(visit, offered, slot, filled, problem)
        return see(self._url(visit, booking.id, booking.place))

    async def reservation(self, visit: Visit, _request: web.BaseRequest, reservation_id: str) -> Answer:
        owner = self._standings.owner(reservation_id)
        offset = self._place(visit, owner)
        if offset is None:
            standing = await self._standings.now(owner)
        else:
            standing = await self._standings.at_place(owner, offset, DECIDED_WITHIN_S)
        offered = None if standing.campaign is None else self._campaigns.get(standing.campaign)
        title, content = decision.show(visit, standing, offered)
        return visit.page(title, content, look_again_s=decision.LOOK_AGAIN_S.get(standing.state, 0))

    async def change_form(self, visit: Visit, _request: web.BaseRequest, reservation_id: str) -> Answer:
        standing = await self._standings.now(self._standings.owner(reservation_id))
        offered = self._campaigns.get(standing.campaign or "")
        now_ms = int(time.time() * 1000)
        if offered is None or not change.is_offered(standing, offered, now_ms):
            return see(visit.url(f"/reservations/{reservation_id}"))
        stock, choice = await self._stock.of(offered), Choice.of(visit, offered, now_ms)
        content = change.show(visit, standing, offered, self._campaigns.phase(offered), stock, choice, now_ms)
        return visit.page(visit.words["change_title"], content)

    async def change(self, visit: Visit, request: web.BaseRequest, reservation_id: str) -> Answer:
        if self._reservations.full_for_changes:
            raise Problem(DoorReason.OVERLOADED)
        owner = self._standings.owner(reservation_id)
        filled = booking_form.read(await read_body(request))
        row, slot = await self._standings.live_row(owner), filled.fields.get("slot", "")
        command = await self._reservations.change(owner.partition, row.no, owner.pass_no, slot, filled.nonce)
        place = await self._reservations.write(owner.partition, command)
        return see(self._url(visit, reservation_id, place))

    async def cancel(self, visit: Visit, request: web.BaseRequest, reservation_id: str) -> Answer:
        if self._reservations.full_for_changes:
            raise Problem(DoorReason.OVERLOADED)
        owner = self._standings.owner(reservation_id)
        filled = booking_form.read(await read_body(request))
        await self._standings.live_row(owner)
        command = self._reservations.cancel(owner.pass_no, filled.nonce)
        place = await self._reservations.write(owner.partition, command)
        return see(self._url(visit, reservation_id, place))

    async def _is_full(self, offered: Offered, slot: str) -> bool:
        """Whether a booking would join a waiting list; a form is shown also where nobody can tell."""
        try:
            return can_wait(await self._stock.of(offered), slot)
        except Problem:
            return False

    async def _offered_with(self, name: str, slot: str) -> Offered:
        offered = await self._campaigns.find(name)
        if slot not in offered.slots:
            raise Problem(Reason.UNKNOWN_SLOT)
        return offered

    def _url(self, visit: Visit, reservation_id: str, place: Place) -> str:
        signed = self._identities.sign_place(reservation_id, place.offset)
        return visit.url(f"/reservations/{reservation_id}", place=signed)

    def _place(self, visit: Visit, owner: Owner) -> int | None:
        text = visit.query.get("place")
        if text is None:
            return None
        offset = self._identities.check_place(owner.id, text)
        if offset is None:
            raise malformed("place", "the place of a link from here, unchanged")
        return offset


def _page(show: Page) -> Page:
    """A handler whose problems are pages too."""

    async def answer(request: web.BaseRequest, *parameters: str) -> Answer:
        visit = Visit(request)
        try:
            return await show(visit, request, *parameters)
        except Problem as problem:
            return _problem_page(visit, problem)

    return answer


def _sent(show: Page) -> Page:
    """A form's handler, which ends with the log: what it raises was refused before."""

    async def answer(visit: Visit, request: web.BaseRequest, *parameters: str) -> Answer:
        try:
            return await show(visit, request, *parameters)
        except Problem as problem:
            counted(problem)
            raise

    return answer


def _problem_page(visit: Visit, problem: Problem) -> Answer:
    text = text_of(word_of(problem.reason), visit.spoken, problem.members, problem.reader)
    again: Html = NOTHING
    if _status(problem) >= 500:
        again = Html(f"<p>{safe(visit.words['try_again'].format(seconds=RETRY_AFTER_S[-1]))}</p>")
    content = fill("problem", visit.words, title=text.title, detail=text.detail, again=again, home_url=visit.url("/"))
    return visit.page(text.title, content, status=_status(problem), headers=_headers(problem))


def _status(problem: Problem) -> int:
    return problem.status or status_of(problem.reason)


def _headers(problem: Problem) -> bytes:
    return NO_STORE + (retry_after(RETRY_AFTER_S[-1]) if _status(problem) == 503 else b"")
