"""The waiting room: who joins gets a signed ticket, and everybody's place follows from it and a handful of numbers.

Nothing is kept of who waits. What a round keeps stands in the log (`services/domain/room_commands.py`), so a place
survives whatever dies here. It never gets worse: nobody hears one before the count of those who were there first
stands, nobody is put before somebody who has heard one, and who may come in only grows.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

from msgspec.structs import asdict
from multidict import istr

from services.domain.places import early_place, late_place
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Phase, RoomRow
from services.domain.rules.waiting_room import OF_ANOTHER
from services.front_door.campaigns import Offered
from services.front_door.messages import Draw, TicketGiven, TicketStanding
from services.front_door.numbers import Numbers
from services.front_door.outflow import Outflow
from services.front_door.rooms import Rooms
from services.front_door.tickets import Ticket, Tickets
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.door import Door

TICKET_HEADER: Final = istr("Maskline-Ticket")
EARLY_LEASE_S: Final = 2.0
"""An early ticket is given out only where the campaign was not open so short a time ago. The clock freezes the count
later than this after the opening (`services/clock/waiting_rooms.py`)."""
TICKET_LIFE_S: Final = 86_400
LEAST_POLL_S: Final = 2
LONGEST_POLL_S: Final = 60
BEFORE_OPENING_POLL_S: Final = 20
PEOPLE_A_POLL_S: Final = 2_000
"""People who wait share so many polls a second, whatever number of them there is, until LONGEST_POLL_S is reached."""
POLLS_TO_TURN: Final = 4
"""So often somebody asks at least until the turn comes."""
SPREAD: Final = 0.2
"""Times to ask again differ by so much: who was told the same moment must not come at the same one."""
OPENED: Final = (Phase.OPEN, Phase.PAUSED)


class WaitingRoom:
    """Gives out tickets, tells where they stand, and checks them at the door of booking."""

    def __init__(self, door: Door, tickets: Tickets, now_s: Callable[[], float] = time.time) -> None:
        self._door: Final = door
        self._catalogue: Final = door.catalogue
        self._tickets: Final = tickets
        self._rooms: Final = Rooms(door.reader)
        self._numbers: Final = Numbers(door)
        self._outflow: Final = Outflow()
        self._now_s: Final = now_s
        self._loop: Final = asyncio.get_running_loop()

    # -- joining and asking -----------------------------------------------------------------------------------------

    async def join(self, campaign: Offered, resident: str) -> TicketGiven:
        """A ticket for a resident, and where it stands. Raises Problem 409 `not_open`, `campaign_closed`; 503."""
        known = self._catalogue.get(campaign.name)
        if known is None:
            raise Problem(DoorReason.CATCHING_UP)
        view = await self._rooms.now(known)
        room = view.room
        round_ = 0 if room is None else room.round
        if room is None or room.active == 0:
            if view.phase not in OPENED:
                raise Problem(Reason.CAMPAIGN_CLOSED if view.phase is Phase.CLOSED else Reason.NOT_OPEN)
            is_early, number = False, 0  # who comes now needs none, and may book with it all the same
        elif view.phase in OPENED or room.frozen == 1:
            is_early, number = False, await self._numbers.next(view, round_)
        else:
            is_early, number = self._early(view)
        ticket = Ticket(
            partition=view.partition,
            campaign_no=view.row.no,
            round=round_,
            receipt=self._tickets.receipt(view.name, resident),
            is_early=is_early,
            number=number,
            expires_s=int(self._now_s()) + TICKET_LIFE_S,
        )
        standing = self._standing(view if is_early else await self._rooms.now(known), ticket)
        return TicketGiven(ticket=self._tickets.text(ticket), **asdict(standing))

    async def where(self, text: str) -> TicketStanding:
        """Where a ticket stands now. Raises Problem `ticket_invalid`, 503."""
        ticket = self.read(text)
        known = self._catalogue.by_no(ticket.partition, ticket.campaign_no)
        if known is None:
            raise Problem(Reason.TICKET_INVALID)
        return self._standing(await self._rooms.now(known), ticket)

    def read(self, text: str) -> Ticket:
        """A ticket of ours that has not expired. Raises Problem `ticket_invalid`."""
        ticket = self._tickets.read(text)
        if ticket is None or ticket.expires_s <= self._now_s():
            raise Problem(Reason.TICKET_INVALID)
        return ticket

    def _early(self, view: CampaignView) -> tuple[bool, int]:
        """A ticket of those who are there before the opening, unless this process slept since it heard that there was
        none. Raises Problem 503."""
        if self._loop.time() - view.as_of_s >= EARLY_LEASE_S:
            raise Problem(DoorReason.CATCHING_UP)
        return True, 0

    def _standing(self, view: CampaignView, ticket: Ticket) -> TicketStanding:
        room = view.room or RoomRow()
        if ticket.round > room.round:  # a Redis that has lost its tail: who gave the ticket had heard more
            raise Problem(DoorReason.CATCHING_UP)
        if room.active == 0:
            return TicketStanding(state="admitted" if view.phase in OPENED else "closed")
        if ticket.round < room.round:
            return TicketStanding(state="closed")
        if room.frozen == 0 and ticket.is_early:
            self._door.waiting_count.add((ticket.partition, ticket.campaign_no, ticket.round), ticket.receipt)
        draw = draw_of(ticket, room)
        place = place_of(ticket, room)
        if place is None:
            poll_after_s = _spread(max(BEFORE_OPENING_POLL_S, room.early / PEOPLE_A_POLL_S))
            return TicketStanding(state="waiting", poll_after_s=poll_after_s, draw=draw)
        if place < room.serving:
            return TicketStanding(state="admitted", ahead=0, estimate_s=0, draw=draw)
        ahead = place - room.serving
        rate = self._outflow.people_per_s(view, self._loop.time())
        estimate_s = None if rate is None else max(1, round(ahead / rate))
        shared_s = (room.early + room.late - room.serving) / PEOPLE_A_POLL_S
        turn_s = LONGEST_POLL_S if estimate_s is None else estimate_s / POLLS_TO_TURN
        return TicketStanding(
            state="waiting",
            ahead=ahead,
            estimate_s=estimate_s,
            poll_after_s=_spread(max(shared_s, turn_s)),
            probably_gone=is_probably_gone(view, room, ahead),
            draw=draw,
        )

    # -- at the door of booking -------------------------------------------------------------------------------------

    async def shown(self, text: str) -> Ticket:
        """The ticket that a booking shows, before its body is read. Raises Problem `ticket_invalid` for what is none of
        ours, `ticket_not_admitted` for one whose turn has not come."""
        ticket = self.read(text)
        view = self._catalogue.by_no(ticket.partition, ticket.campaign_no)
        if view is not None and _has_to_wait(ticket, view.room):
            view = await self._rooms.now(view)  # another process may have told that it is admitted
            if _has_to_wait(ticket, view.room):
                raise Problem(DoorReason.TICKET_NOT_ADMITTED)
        return ticket

    @property
    def some_wait(self) -> bool:
        """Whether any campaign of this system needs tickets now; as of the last refresh."""
        return self._catalogue.some_wait

    def is_needed(self, campaign: Offered) -> bool:
        """Whether nobody books in a campaign without a ticket now; as of the last refresh."""
        view = self._catalogue.get(campaign.name)
        return view is not None and view.room is not None and view.room.active == 1

    def why_not(self, campaign: Offered, ticket: Ticket | None, resident: str) -> Problem | None:
        """What keeps a resident from booking with a ticket; whose booking was accepted before it does not concern."""
        view = self._catalogue.get(campaign.name)
        room = None if view is None else view.room
        if view is None or room is None or room.active == 0:
            return None
        if ticket is None:
            return Problem(DoorReason.TICKET_REQUIRED)
        is_of_now = (ticket.partition, ticket.campaign_no, ticket.round) == (view.partition, view.row.no, room.round)
        if not is_of_now or (view.row.household_max <= 1 and not self._is_of(ticket, view, resident)):
            return Problem(Reason.TICKET_INVALID)
        return None  # and it is admitted, or `shown` would have said so

    def word_for_fold(self, campaign: Offered, ticket: Ticket | None, resident: str) -> str:
        """What the command says of the ticket, where it may let in more than its own resident; else nothing."""
        view = self._catalogue.get(campaign.name)
        if ticket is None or view is None or view.row.household_max <= 1 or not self.is_needed(campaign):
            return ""
        return ticket.receipt if self._is_of(ticket, view, resident) else OF_ANOTHER + ticket.receipt

    def _is_of(self, ticket: Ticket, view: CampaignView, resident: str) -> bool:
        return ticket.receipt == self._tickets.receipt(view.name, resident)


def place_of(ticket: Ticket, room: RoomRow) -> int | None:
    """The place in the room's round, from 0; None before the count of those who were there first stands."""
    if room.frozen == 0:
        return None
    if ticket.is_early:
        return early_place(room.seed, ticket.receipt, room.early)
    return late_place(room.early, ticket.number)


def draw_of(ticket: Ticket, room: RoomRow) -> Draw | None:
    """What it takes to compute the place of one of those who were there first; None for who came later."""
    if not ticket.is_early or not room.commitment:
        return None
    return Draw(commitment=room.commitment, receipt=ticket.receipt, seed=room.seed or None, people=room.early or None)


def is_probably_gone(view: CampaignView, room: RoomRow, ahead: int) -> bool:
    """Whether those ahead will leave nothing, if they book as those before them did and as many do not come as the
    campaign's factor says."""
    row = view.row
    units_each = max(1.0, (row.quota - row.left) / row.confirmed) if row.confirmed else 1.0
    return ahead > row.left / units_each * room.factor_per_mille / 1_000


def _has_to_wait(ticket: Ticket, room: RoomRow | None) -> bool:
    """Whether people wait in the ticket's round, and this one's turn has not come."""
    if room is None or room.active == 0 or room.round != ticket.round:
        return False
    place = place_of(ticket, room)
    return place is None or place >= room.serving


def _spread(seconds: float) -> int:
    at_least = min(max(seconds, LEAST_POLL_S), LONGEST_POLL_S)
    return max(LEAST_POLL_S, round(at_least * random.uniform(1 - SPREAD, 1 + SPREAD)))  # noqa: S311 -- spreads people
