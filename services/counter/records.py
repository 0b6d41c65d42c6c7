"""Reservations with what they point to (campaign, slot, pharmacy), and how they are told at a counter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from services.counter.contract import Reservation
from services.domain.days import rfc3339, zone
from services.domain.limits import UNDO_WITHIN_MS
from services.domain.reasons import Reason
from services.domain.rows import Action, PharmacyRow, ReservationRow, ReservationState, SlotRow
from services.domain.rules.answers import Fact
from services.state.catalogue import CampaignView
from services.state.desk import Desk
from services.state.door import Door
from services.state.readers import MAX_KEYS_PER_READ


class Record(NamedTuple):
    """A reservation. Its campaign is None only in the second in which a process has not heard of it yet."""

    pass_no: str
    row: ReservationRow
    campaign: CampaignView | None

    @property
    def state(self) -> ReservationState:
        """Where it stands."""
        return ReservationState(self.row.state)

    @property
    def slot(self) -> SlotRow | None:
        """Its slot; quota and taken are not of now."""
        return self.campaign.slots.get(self.row.slot) if self.campaign else None

    @property
    def pharmacy(self) -> PharmacyRow | None:
        """The pharmacy of its slot, as the campaign tells it."""
        slot = self.slot
        return self.campaign.pharmacies.get(slot.pharmacy) if self.campaign and slot else None

    @property
    def last_pick_up(self) -> Action | None:
        """Its last pick-up that was not undone afterwards."""
        for action in reversed(self.row.history):
            if action.fact == Fact.PICK_UP_UNDONE:
                return None
            if action.fact == Fact.PICKED_UP:
                return action
        return None

    @property
    def cancel(self) -> Action | None:
        """What ended it; refusals stand behind it."""
        return next((action for action in self.row.history if action.fact in (Fact.CANCELLED, Fact.WITHDRAWN)), None)

    @property
    def how_to_appeal(self) -> dict[str, Any] | None:
        """Whom to ask when somebody is refused."""
        return self.campaign.how_to_appeal if self.campaign else None

    def time(self, at_ms: int) -> str:
        """RFC 3339 where the campaign is."""
        return campaign_time(self.campaign, at_ms)


class Records:
    """Reads reservations."""

    def __init__(self, door: Door, desk: Desk) -> None:
        self._door = door
        self._desk = desk

    async def many(self, partition: int, pass_nos: Sequence[str]) -> list[Record]:
        """Those of these reservations that are there, in their order. Raises Problem `catching_up`."""
        rows: list[ReservationRow | None] = []
        for first in range(0, len(pass_nos), MAX_KEYS_PER_READ):
            keys = [f"r:{pass_no}" for pass_no in pass_nos[first : first + MAX_KEYS_PER_READ]]
            rows += await self._desk.read(partition, keys)
        found = [(pass_no, row) for pass_no, row in zip(pass_nos, rows, strict=True) if row is not None]
        campaigns = await self.campaigns(partition, {row.no for _, row in found})
        return [Record(pass_no, row, campaigns[row.no]) for pass_no, row in found]

    async def one(self, partition: int, pass_no: str) -> Record | None:
        """A reservation. Raises Problem `catching_up`."""
        found = await self.many(partition, [pass_no])
        return found[0] if found else None

    async def campaigns(self, partition: int, numbers: Iterable[int]) -> dict[int, CampaignView | None]:
        """Campaigns by their numbers; one that is not known here yet is asked for once."""
        catalogue = self._door.catalogue
        known = {no: catalogue.by_no(partition, no) for no in numbers}
        if None in known.values() and await self._door.refresh_once():
            known = {no: catalogue.by_no(partition, no) for no in known}
        return known


def describe(record: Record) -> Reservation:
    """A reservation as it is told."""
    row, campaign, slot, pharmacy = record.row, record.campaign, record.slot, record.pharmacy
    picked_up = record.last_pick_up if record.state == ReservationState.PICKED_UP else None
    return Reservation(
        pass_no=record.pass_no,
        state=record.state.word,  # type: ignore[arg-type]  # the words of the four states
        campaign=campaign.name if campaign else "",
        slot=row.slot,
        pharmacy=slot.pharmacy if slot else "",
        units=row.units,
        pharmacy_name=pharmacy.name if pharmacy else "",
        pharmacy_address=pharmacy.address if pharmacy else "",
        starts_at=record.time(slot.starts_ms) if slot else "",
        ends_at=record.time(slot.ends_ms) if slot else "",
        picked_up_at=record.time(picked_up.at_ms) if picked_up else "",
        undo_until=record.time(picked_up.at_ms + UNDO_WITHIN_MS) if picked_up else "",
        reason=Reason(row.reason).word if row.reason else "",
    )


def campaign_time(campaign: CampaignView | None, at_ms: int) -> str:
    """RFC 3339 where the campaign is; in UTC where that is not known."""
    return rfc3339(at_ms, campaign.where if campaign else zone("UTC"))
