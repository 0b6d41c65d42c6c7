"""Slots whose pharmacy got less than was promised: what a withdrawal or a move would do, and doing it."""

from __future__ import annotations

from functools import partial
from typing import Final

from services.console.campaigns import Campaigns
from services.console.contract import Moving, SlotWithdrawn, Withdrawal, WithdrawalOutlook
from services.console.desk import OpsDesk
from services.domain.commands import MoveSlot, WithdrawSlot
from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, Head, ReservationRow, ReservationState, Share, SheetRow, SlotRow
from services.domain.rules.bookings import why_not_slot
from services.domain.rules.withdrawal import excess, is_busy, units_of_nobody
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.sheets import pass_nos_on, sheets_key

SHEETS_PER_LOOK: Final = 25  # of 16 reservations each: one read


class Withdrawals:
    """Looks and acts through the desk."""

    def __init__(self, desk: OpsDesk, campaigns: Campaigns, identities: Identities) -> None:
        self._desk = desk
        self._campaigns = campaigns
        self._identities = identities

    async def withdraw(self, name: str, slot: str, wish: Withdrawal, *, actor: str, key: str) -> SlotWithdrawn:
        """Begins it. The fold deals with people from then on; nobody has to wait for that.

        Raises Problem `unknown_slot`, `withdrawal_under_way`, and where people move what stands against the new slot.
        """
        view = await self._view(name, slot, wish)
        to = wish.to if isinstance(wish, Moving) else None
        # With its content in the id, the same key with another wish is another wish, and never silently dropped.
        made = self._identities.command_id(actor, f"withdraw|{name}|{slot}|{wish.keep}|{to or ''}", key)
        command: WithdrawSlot | MoveSlot = (
            WithdrawSlot(id=made, campaign=name, slot=slot, keep=wish.keep, actor=actor, why=wish.why)
            if to is None
            else MoveSlot(id=made, campaign=name, slot=slot, to=to, keep=wish.keep, actor=actor, why=wish.why)
        )
        _, public, assisted, reserve, units, *_ = (await self._desk.done(view.partition, command)).fact
        await self._desk.door.refresh_once()
        return SlotWithdrawn(
            campaign=name, slot=slot, to=to, public_cut=public, assisted_cut=assisted, reserve_cut=reserve,
            units_of_people=units,
        )  # fmt: skip

    async def outlook(self, name: str, slot: str, wish: Withdrawal) -> WithdrawalOutlook:
        """What it would do now. Raises Problem `unknown_slot`, `catching_up`."""
        view = await self._view(name, slot, wish)
        to = wish.to if isinstance(wish, Moving) else None
        keys = ["head", f"c:{name}", f"s:{view.row.no}:{slot}", f"s:{view.row.no}:{to or slot}"]
        head, campaign, row, other = await self._desk.read(view.partition, keys)
        gone = excess(row, wish.keep)
        units = gone - min(gone, units_of_nobody(row))
        reason = _why_not(head, campaign, row, other if to is not None else None, units)
        if to == slot:
            reason = Reason.SAME_SLOT
        return WithdrawalOutlook(
            campaign=name,
            slot=slot,
            to=to,
            units_cut=gone - units,
            units_of_people=units,
            people=await self._people(view, slot, row, units),
            reason=None if reason is None else reason.word,
        )

    async def _view(self, name: str, slot: str, wish: Withdrawal) -> CampaignView:
        view = await self._campaigns.view(name)
        if slot not in view.slots or (isinstance(wish, Moving) and wish.to not in view.slots):
            raise Problem(Reason.UNKNOWN_SLOT)
        return view

    async def _people(self, view: CampaignView, slot: str, row: SlotRow, units: int) -> int:
        """How many would have to give up these units, looked at as the fold does: the latest first."""
        read = partial(self._desk.read, view.partition)
        day = sheets_key(view.row.region, row.pharmacy, row.day)
        (count,) = await read([day])
        people = 0
        for last in range(count or 0, 0, -SHEETS_PER_LOOK):
            if units <= 0:
                break
            keys = [f"{day}:{sheet}" for sheet in reversed(range(max(0, last - SHEETS_PER_LOOK), last))]
            sheets: list[SheetRow | None] = await read(keys)
            own = [
                key
                for key, sheet in zip(keys, sheets, strict=True)
                if sheet is not None and (sheet.no, sheet.slot) == (view.row.no, slot)
            ]
            latest_first = [each for on_sheet in await pass_nos_on(read, own) for each in reversed(on_sheet)]
            rows: list[ReservationRow | None] = await read([f"r:{each}" for each in dict.fromkeys(latest_first)])
            for reservation in rows:
                if units > 0 and reservation is not None and _is_in(reservation, slot):
                    units -= reservation.units
                    people += 1
        return people


def _is_in(reservation: ReservationRow, slot: str) -> bool:
    return reservation.state == ReservationState.CONFIRMED and reservation.slot == slot


def _why_not(head: Head, campaign: CampaignRow, slot: SlotRow, to: SlotRow | None, units: int) -> Reason | None:
    if is_busy(slot):
        return Reason.WITHDRAWAL_UNDER_WAY
    return None if to is None else why_not_slot(campaign, to, head.now_ms, Share.PUBLIC, units)[0]
