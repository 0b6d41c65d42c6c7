"""What became of a wish: from rows and recorded decisions to what its owner is told.

Three sources, in this order: the decision at the wish's own place (while it is readable), the reservation's row, and
the end of the log, which tells an id that nobody has booked under from one that is not folded yet.
"""

import time
from typing import Final, NamedTuple

from msgspec import structs

from services.domain.days import MINUTE_MS
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Facts, ReservationRow, ReservationState
from services.domain.rules.answers import Fact
from services.front_door.campaigns import Campaigns, Offered
from services.front_door.history import history_of, waited_in_vain
from services.front_door.look_up import LookUp
from services.front_door.messages import Reservation
from services.front_door.passes import Passes
from services.front_door.refusals import of_owner
from services.front_door.reservations import Booking
from services.front_door.waiting import InList, in_list
from services.platform.identities import Identities, partition_of
from services.platform.problems import Problem
from services.state.decisions import DecisionGoneError
from services.state.door import Door
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.keys import decisions_chunk, facts_in
from services.stream.place import Offset, PartitionId, Place

MAX_WAITING: Final = 5_000
"""Answers held for a decision at once; who comes beyond hears the place at once and may ask again."""


class Owner(NamedTuple):
    """Who asks: a reservation's id, the partition it names, and the pass number that the state knows it by."""

    id: str
    partition: int
    pass_no: str


class Standings:
    """Tells where reservations stand."""

    def __init__(
        self, door: Door, campaigns: Campaigns, identities: Identities, passes: Passes, look_up: LookUp
    ) -> None:
        self._door = door
        self._campaigns = campaigns
        self._identities = identities
        self._passes = passes
        self._look_up = look_up
        self._waiting = 0

    def owner(self, reservation_id: str) -> Owner:
        """Raises Problem 404 for what cannot be an id of this system."""
        partition = partition_of(reservation_id)
        if partition is None or partition >= self._door.partitions or not reservation_id.isascii():
            raise Problem(Reason.UNKNOWN_RESERVATION)
        return Owner(reservation_id, partition, self._identities.pass_no(reservation_id))

    async def at_place(self, owner: Owner, offset: int, wait_s: int) -> Reservation:
        """Where a reservation stands, with the decision at `offset` waited for, at most `wait_s`.

        Raises Problem: what was decided there against the request itself, 503, or 504 where nothing tells any more.
        """
        keys = (f"r:{owner.pass_no}", decisions_chunk(offset))
        reading = await self._look_up.now(owner.partition, keys)
        if wait_s and reading.head.position <= offset:
            await self.decided(Place(PartitionId(owner.partition), Offset(offset)), wait_s)
            reading = await self._look_up.now(owner.partition, keys)
        if reading.head.position <= offset:
            return Reservation(id=owner.id, state="pending", ahead=offset - reading.head.position)
        row, chunk = reading.rows
        facts = facts_in(chunk, offset)
        reason = refusal_in(facts)
        if reason is not None and row is None:  # nothing is kept of it: bots must not fill the state
            return Reservation(id=owner.id, state="rejected", reason=reason.word)
        if reason == Reason.IDEMPOTENCY_KEY_REUSED:
            raise Problem(reason)
        if row is None:
            deleted = self._door.deleted_on(owner.partition)
            is_unclear = facts is None and not deleted
            raise Problem(DoorReason.UNKNOWN_OUTCOME) if is_unclear else Problem(Reason.UNKNOWN_RESERVATION, **deleted)
        reservation = await self._of_row(owner, row)
        return reservation if reason is None else structs.replace(reservation, refused=reason.word)

    async def now(self, owner: Owner) -> Reservation:
        """Where a reservation stands, asked with a bare id. Raises Problem 404, 503."""
        return await self._of_row(owner, await self.row(owner))

    async def now_or(self, owner: Owner, otherwise: Reservation) -> Reservation:
        """Where it stands; `otherwise` while Redis does not tell. A 503 would say that nothing was written."""
        try:
            return await self.now(owner)
        except Problem as problem:
            if problem.reason is not DoorReason.CATCHING_UP:
                raise
            return otherwise

    async def row(self, owner: Owner) -> ReservationRow:
        """The row of a reservation. Raises Problem 404 only where the fold has passed all that was written before."""
        keys = (f"r:{owner.pass_no}",)
        row: ReservationRow | None = (await self._look_up.now(owner.partition, keys)).rows[0]
        if row is None:
            row = (await self._look_up.surely(owner.partition, keys)).rows[0]
        if row is None:
            raise Problem(Reason.UNKNOWN_RESERVATION, **self._door.deleted_on(owner.partition))
        return row

    async def live_row(self, owner: Owner) -> ReservationRow:
        """The row of a reservation in which something may still change: neither invented ids are to fill the log, nor
        wishes about what was refused. Raises Problem 404, 409, 503."""
        row = await self.row(owner)
        if row.state == ReservationState.REJECTED:
            raise of_owner(Reason.NOT_CONFIRMED, id=owner.id, state="rejected")
        return row

    async def decided(self, place: Place, wait_s: float) -> Facts | None:
        """The facts at a place; None where they are not there in time, or Redis does not tell: the log has the wish."""
        if self._waiting >= MAX_WAITING:
            return None
        self._waiting += 1
        try:
            return await self._door.decided(place, wait_s)
        except (DecisionGoneError, CatchingUpError, StateUnavailableError):
            return None
        finally:
            self._waiting -= 1

    async def of_booking(self, booking: Booking, facts: Facts) -> Reservation:
        """What the decision on a booking says. Raises Problem where it was not decided but refused."""
        command = booking.command
        campaign = booking.campaign
        match facts[0]:
            case [Fact.CONFIRMED, ordinal, *_]:
                slot = campaign.slots[command.slot]
                return Reservation(
                    id=booking.id,
                    state="confirmed",
                    campaign=campaign.name,
                    slot=command.slot,
                    pharmacy=slot.pharmacy,
                    starts_at=campaign.time(slot.starts_ms),
                    ends_at=campaign.time(slot.ends_ms),
                    units=command.units,
                    pass_text=self._passes.text(command.pass_no, slot, command.units, command.last4_hash),
                    short_code=self._passes.short_code(slot, ordinal),
                )
            case [Fact.WAITLISTED, *_]:
                waits = Reservation(id=booking.id, state="waitlisted", campaign=campaign.name, slot=command.slot)
                return await self.now_or(self.owner(booking.id), waits)  # its place stands in the list
            case [Fact.REJECTED, reason, left, *_]:
                return Reservation(
                    id=booking.id,
                    state="rejected",
                    reason=Reason(reason).word,
                    left=left if reason == Reason.SLOT_FULL else None,
                    from_day=_from_day(campaign, reason, left),
                    campaign=campaign.name,
                    slot=command.slot,
                    pharmacy=campaign.slots[command.slot].pharmacy,
                    units=command.units,
                    how_to_appeal=campaign.how_to_appeal,
                )
            case [Fact.REFUSED, reason, *_]:
                raise Problem(Reason(reason), how_to_appeal=campaign.how_to_appeal)
        pending = Reservation(id=booking.id, state="pending")
        return await self.now_or(self.owner(booking.id), pending)  # repeated: its state of now

    async def _of_row(self, owner: Owner, row: ReservationRow) -> Reservation:
        campaign = await self._campaigns.numbered(owner.partition, row.no)
        if campaign is None:
            raise Problem(DoorReason.CATCHING_UP)
        waiting_before = None
        if row.state == ReservationState.WAITLISTED:
            row, waiting_before = await self._in_list(owner, row)
        slot = campaign.slots[row.slot]
        refused = row.state == ReservationState.REJECTED
        valid = row.state == ReservationState.CONFIRMED
        waits = row.state == ReservationState.WAITLISTED
        left = row.reason == Reason.SLOT_FULL and not waited_in_vain(row)
        return Reservation(
            id=owner.id,
            state=ReservationState(row.state).word,  # type: ignore[arg-type]
            reason=Reason(row.reason).word if row.reason else None,
            left=row.left if refused and left else None,
            from_day=_from_day(campaign, row.reason, row.left) if refused else None,
            campaign=campaign.name,
            slot=row.slot,
            pharmacy=slot.pharmacy,
            starts_at=campaign.time(slot.starts_ms),
            ends_at=campaign.time(slot.ends_ms),
            units=row.units,
            pass_text=self._passes.text(owner.pass_no, slot, row.units, row.last4_hash) if valid else None,
            short_code=self._passes.short_code(slot, row.ordinal) if valid else None,
            waiting_before=waiting_before,
            waiting_until=campaign.time(slot.promote_until_ms) if waits else None,
            change_until=campaign.time(slot.change_until_ms) if valid or waits else None,
            how_to_appeal=campaign.how_to_appeal if row.reason else None,
            history=history_of(campaign, row),
        )

    async def _in_list(self, owner: Owner, row: ReservationRow) -> InList:
        try:
            return await in_list(self._door.reader, owner.partition, owner.pass_no, row)
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error


def about_person(booking: Booking, reason: str | None) -> dict[str, str]:
    """When somebody who was refused may come back, where that hangs on who it is: known to this request alone."""
    if reason != Reason.WRONG_DAY.word:
        return {}
    day = booking.campaign.next_turn(booking.command.digit, int(time.time() * 1000))
    return {} if day is None else {"day": day}


def _from_day(campaign: Offered, reason: int, left: int) -> str | None:
    """The day when a cool-down is over, of which the fold tells the minute."""
    return campaign.day(left * MINUTE_MS) if reason == Reason.COOLING_DOWN else None


def refusal_in(facts: Facts | None) -> Reason | None:
    """Why a command was refused, now or when it was sent first; None where it was not, or nothing tells any more.

    A repeated booking has its state there and three values, a repeated cancel or change its fact and two.
    """
    match facts[0] if facts else None:
        case [Fact.REFUSED, reason, *_] | [Fact.REPEATED, Fact.REFUSED, reason]:
            return Reason(reason)
    return None
