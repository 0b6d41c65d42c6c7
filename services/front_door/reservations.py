"""From a wish to a command: what comes in over HTTP becomes what the fold decides, and nothing else goes further.

A document number and a phone are brought to their canonical form here and go no further: the log gets a pseudonym, the
salted hash of four characters, and an encrypted phone.
"""

from typing import Final, NamedTuple

from services.domain import documents
from services.domain.commands import Cancel, ChangeSlot, Reserve
from services.domain.phones import canonical_phone
from services.domain.reasons import DoorReason, Reason
from services.front_door.campaigns import Campaigns, Offered
from services.front_door.early_refusals import EarlyRefusals
from services.front_door.messages import ReservationRequest, Resident
from services.front_door.shedding import Shedding
from services.front_door.tickets import Ticket
from services.front_door.waiting_room import WaitingRoom
from services.platform.booking import Wish, asked_as, digit_for, reserve_command
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.state.door import Door
from services.stream.place import Place

CANCEL_WITHOUT_KEY: Final = "cancel"
"""A reservation is cancelled once: a client that names no key of its own means this one."""


class Booking(NamedTuple):
    """A wish that the log has. `id` is its owner's credential, and stands in no command."""

    id: str
    campaign: Offered
    command: Reserve
    place: Place


class Reservations:
    """Makes commands and writes them to the log."""

    def __init__(
        self,
        *,
        door: Door,
        campaigns: Campaigns,
        identities: Identities,
        early_refusals: EarlyRefusals,
        shedding: Shedding,
        waiting_room: WaitingRoom,
    ) -> None:
        self._door = door
        self._campaigns = campaigns
        self._early_refusals = early_refusals
        self._identities = identities
        self._shedding = shedding
        self._waiting_room = waiting_room

    def is_full(self, *, has_turn: bool = False) -> bool:
        """Whether a booking is refused, whatever its body says. Who has been let in by a waiting room comes before
        those who need no ticket."""
        partitions = self._door.catalogue.partitions_with_campaigns
        is_full = self._shedding.full(partitions, with_turn=has_turn or not self._waiting_room.some_wait)
        if is_full:
            for partition in partitions:
                self._shedding.load(partition).refused += 1
        return is_full

    def is_full_for(self, campaign: Offered, *, has_turn: bool = False) -> bool:
        """Whether a booking of this campaign is refused."""
        load = self._shedding.load(campaign.partition)
        is_full = load.full if has_turn or not self._waiting_room.some_wait else load.full_but_for_turns
        load.refused += is_full
        return is_full

    @property
    def full_for_changes(self) -> bool:
        """Whether no cancel and no change is taken now: they have a reserve of their own."""
        return self._shedding.changes.full

    def resident(self, who: Resident, campaign: Offered) -> str:
        """The pseudonym of somebody as a campaign accepts documents. Raises Problem 400, DocumentInvalid."""
        return self._identities.resident(who.document_type, self._number(who, campaign))

    async def book(
        self, wish: ReservationRequest, campaign: Offered, key: str, ticket: Ticket | None = None
    ) -> Booking:
        """Into the log, unless it is sure already that nobody gets anything.

        Raises Problem: 409, 404, 400 and 503 (surely not written), or 504 (unknown); DocumentInvalid, PhoneInvalid.
        """
        wanted = self._checked(wish, campaign)
        asked = asked_as(self._identities, campaign.partition, wanted, key)
        if self._waiting_room.some_wait and (why_not := self._waiting_room.why_not(campaign, ticket, asked.resident)):
            await self._early_refusals.unless_it_came_before(campaign, asked, why_not)
        elif ticket is not None:
            wanted = wanted._replace(ticket=self._waiting_room.word_for_fold(campaign, ticket, asked.resident))
        with self._shedding.bookings, self._shedding.load(campaign.partition) as load:
            if self._early_refusals.are_likely(campaign):  # before the dearer half of the command is made
                await self._early_refusals.check(campaign, wanted, asked)
            command = reserve_command(self._identities, self._campaigns.contact_key(campaign), wanted, asked)
            place = await load.timed(self._door.write(campaign.partition, command))
        return Booking(asked.id, campaign, command, place)

    def _checked(self, wish: ReservationRequest, campaign: Offered) -> Wish:
        """The wish in canonical form. Raises Problem (404, 400), DocumentInvalid, PhoneInvalid.

        What is refused here uses no key up: a wish for a slot that is not there yet is decided once it is, and whoever
        heard 404 has nothing that could contradict it. The fold never has to say "unknown" to a wish that passed here:
        a definition that was read stands in the same log before the wish, and is never taken away.
        """
        if wish.slot not in campaign.slots:
            raise Problem(Reason.UNKNOWN_SLOT)
        kind, number = wish.resident.document_type, self._number(wish.resident, campaign)
        phone = canonical_phone(wish.phone)
        birth_year = wish.resident.birth_year
        digit = digit_for(campaign.definition.rules.stagger, kind, number, birth_year)
        return Wish(campaign.name, wish.slot, wish.units, kind, number, phone, birth_year, digit)

    def _number(self, who: Resident, campaign: Offered) -> str:
        kind = who.document_type
        if kind not in campaign.document_types:
            accepted = ", ".join(campaign.definition.rules.document_types)
            raise Problem(DoorReason.DOCUMENT_TYPE_NOT_ACCEPTED, accepted=accepted)
        return documents.canonical(kind, who.document_number)

    def cancel(self, pass_no: str, key: str | None) -> Cancel:
        """The command by which an owner gives a reservation back."""
        return Cancel(id=self._identities.command_id("owner", pass_no, key or CANCEL_WITHOUT_KEY), pass_no=pass_no)

    async def change(self, partition: int, no: int, pass_no: str, slot: str, key: str) -> ChangeSlot:
        """The command by which an owner asks for another slot of the same campaign. Raises Problem 404, 503.

        The slot is part of the command's id: the same key with another slot is another wish, so that nobody is told
        that theirs was done when an earlier one was.
        """
        campaign = await self._campaigns.numbered(partition, no)
        if campaign is None:
            raise Problem(DoorReason.CATCHING_UP)
        if slot not in campaign.slots:
            raise Problem(Reason.UNKNOWN_SLOT)
        command_id = self._identities.command_id("owner", f"{pass_no}|change|{slot}", key)
        return ChangeSlot(id=command_id, pass_no=pass_no, slot=slot)

    async def write(self, partition: int, command: Cancel | ChangeSlot) -> Place:
        """What an owner asks for, into the log. Raises Problem 503 (surely not written) or 504 (unknown)."""
        with self._shedding.changes:
            return await self._door.write(partition, command)
