"""The campaigns of this system as the ops team sees them, and what it can do to them by hand: phases and stock."""

from __future__ import annotations

from typing import Final

from services.console.contract import (
    CampaignNumbers,
    CampaignWhole,
    PhaseChanged,
    QuotaChange,
    QuotaChanged,
    SlotList,
    SlotNumbers,
    WindowTimes,
)
from services.console.desk import OpsDesk, phase_word
from services.console.room_numbers import room_numbers
from services.domain.campaign_document import definition_document
from services.domain.commands import ChangeQuota, Close, Open, Pause, Resume
from services.domain.days import rfc3339
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Share
from services.domain.rules.buckets import units_left
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.errors import CatchingUpError, StateUnavailableError

TRANSITIONS: Final = {"open": Open, "pause": Pause, "resume": Resume, "close": Close}
SLOTS_A_PAGE: Final = 500


class Campaigns:
    """Looks and acts through the desk."""

    def __init__(self, desk: OpsDesk, identities: Identities) -> None:
        self._desk = desk
        self._identities = identities

    async def view(self, name: str) -> CampaignView:
        """The campaign. Raises Problem `unknown_campaign`; one that is new is looked for once more."""
        known = self._desk.door.catalogue.get(name)
        if known is None:
            if not await self._desk.door.refresh_once():
                raise Problem(DoorReason.CATCHING_UP)
            known = self._desk.door.catalogue.get(name)
        if known is None:
            raise Problem(Reason.UNKNOWN_CAMPAIGN)
        return known

    def numbers(self, view: CampaignView) -> CampaignNumbers:
        """Where a campaign stands, as of the last look at it (at most a second ago)."""
        definition, where = view.definition, view.where
        row = view.row
        return CampaignNumbers(
            campaign=view.name,
            region=row.region,
            partition=view.partition,
            phase=phase_word(row.phase),  # type: ignore[arg-type]  # a sealed one is never a draft
            title=dict(definition.title),
            rehearsal=definition.rehearsal,
            revision=row.revision,
            windows=[
                WindowTimes(opens_at=rfc3339(one.opens_ms, where), closes_at=rfc3339(one.closes_ms, where))
                for one in definition.windows
            ],
            pharmacies=row.pharmacies,
            slots=row.slots,
            units=row.quota,
            units_left=row.left,
            confirmed=row.confirmed,
            rejected=row.rejected,
            cancelled=row.cancelled,
            picked_up=row.picked_up,
            waitlisted=row.waitlisted,
            promoted=row.promoted,
            precedence=row.precedence,
            waiting_room=None if view.room is None else room_numbers(view.room),
        )

    def all_numbers(self) -> list[CampaignNumbers]:
        """Every sealed campaign, by name."""
        return [self.numbers(view) for view in sorted(self._desk.door.catalogue, key=lambda view: view.name)]

    async def whole(self, name: str) -> CampaignWhole:
        """A campaign with its definition in the form of its file."""
        view = await self.view(name)
        return CampaignWhole(numbers=self.numbers(view), definition=definition_document(view.definition))

    async def slots(self, name: str, first: int, pharmacy: str | None) -> SlotList:
        """A page of a campaign's slots with their numbers of now, by time; of one pharmacy, if it is named."""
        view = await self.view(name)
        where = view.where
        try:
            rows = await self._desk.door.catalogue.stock(view)
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error
        chosen = [
            (slot, row)
            for slot, row in sorted(rows.items(), key=lambda one: (one[1].starts_ms, one[0]))
            if pharmacy is None or row.pharmacy == pharmacy
        ]
        page = [
            SlotNumbers(
                slot=slot,
                pharmacy=row.pharmacy,
                starts_at=rfc3339(row.starts_ms, where),
                ends_at=rfc3339(row.ends_ms, where),
                quota=row.quota,
                taken=row.taken,
                left=row.quota - row.taken,
                waiting=row.waiting,
                assisted_left=units_left(row, Share.ASSISTED),
                reserve_left=units_left(row, Share.RESERVE),
                withdrawn=row.withdrawn == 1,
                to_withdraw=row.to_withdraw,
                moving_in=row.moving_in,
            )
            for slot, row in chosen[first : first + SLOTS_A_PAGE]
        ]
        after = first + len(page)
        return SlotList(campaign=name, slots=page, total=len(chosen), next=after if after < len(chosen) else None)

    async def change_phase(self, name: str, verb: str, *, actor: str, why: str, key: str) -> PhaseChanged:
        """`open`, `pause`, `resume` or `close`. Raises Problem `wrong_phase` with the phase."""
        view = await self.view(name)
        command = TRANSITIONS[verb](
            id=self._identities.command_id(actor, f"{verb}|{name}", key), campaign=name, actor=actor, why=why
        )
        await self._desk.done(view.partition, command)
        (row,) = await self._desk.read(view.partition, [f"c:{name}"])
        await self._desk.door.refresh_once()
        return PhaseChanged(campaign=name, phase=phase_word(row.phase))  # type: ignore[arg-type]

    async def change_quota(self, name: str, slot: str, wish: QuotaChange, *, actor: str, key: str) -> QuotaChanged:
        """More or less units in a share. Raises Problem `unknown_slot`, or `below_confirmed` with the number."""
        view = await self.view(name)
        if slot not in view.slots:
            raise Problem(Reason.UNKNOWN_SLOT)
        command = ChangeQuota(
            # With the change in its id, the same key with another change is another wish, and never silently dropped.
            id=self._identities.command_id(actor, f"quota|{name}|{slot}|{wish.change}|{wish.share}", key),
            campaign=name,
            slot=slot,
            change=wish.change,
            share=wish.share,
            actor=actor,
            why=wish.why,
        )
        _, quota, left, *_ = (await self._desk.done(view.partition, command)).fact
        await self._desk.door.refresh_once()
        return QuotaChanged(campaign=name, slot=slot, quota=quota, left=left)
