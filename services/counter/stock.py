"""A pharmacy's day: its slots with what is confirmed and picked up, everybody who is expected, and changes of quota."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

from msgspec import UNSET

from services.counter.contract import OwnSlot, OwnSlots, QuotaChange, QuotaChanged, Today, TodayEntry
from services.counter.days import PharmacyDays, PharmacySlot
from services.counter.records import Record, Records, campaign_time
from services.counter.terminals import Terminal
from services.domain.commands import ChangeQuota
from services.domain.days import iso_day
from services.domain.limits import SHEET_LINES
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Share, SlotRow
from services.domain.rules.answers import Fact
from services.domain.rules.buckets import units_left, units_taken
from services.platform.http_requests import malformed
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.state.desk import Desk
from services.state.readers import MAX_KEYS_PER_READ
from services.state.sheets import pass_nos_on, sheets_key

FRESH_FOR_S = 2.0
"""How long a walk over a day's reservations serves everybody who asks; many terminals look at the same numbers."""
MAX_RESERVATIONS_WALKED = 50_000
MAX_DAYS_KEPT = 64


class _Walk(NamedTuple):
    """Everybody who booked at a pharmacy for a day, as of then."""

    at_s: float
    at_ms: int
    records: list[Record]


class Stock:
    """Reads and changes what a pharmacy has."""

    def __init__(
        self,
        desk: Desk,
        records: Records,
        days: PharmacyDays,
        identities: Identities,
        now_ms: Callable[[], int],
    ) -> None:
        self._desk = desk
        self._records = records
        self._days = days
        self._identities = identities
        self._now_ms = now_ms
        self._walks: dict[tuple[int, str, str, int], asyncio.Task[_Walk]] = {}

    async def slots(self, terminal: Terminal, day: int | None) -> OwnSlots:
        """The own slots of a day (None: today), in units. Raises Problem."""
        day = day or self._days.today(terminal)
        slots = self._days.slots(terminal, day)
        at_ms = self._now_ms()
        rows = await self._now(terminal.partition, slots)
        return OwnSlots(
            date=iso_day(day),
            pharmacy=terminal.pharmacy,
            as_of=self._time(slots, at_ms),
            slots=[_own_slot(slot, row) for slot, row in zip(slots, rows, strict=True)],
        )

    async def today(self, terminal: Terminal) -> Today:
        """Everybody who was expected today: who still is, and who is not. Raises Problem."""
        day = self._days.today(terminal)
        walk = await self._walk(terminal, day)
        slots = self._days.slots(terminal, day)
        return Today(
            date=iso_day(day),
            pharmacy=terminal.pharmacy,
            as_of=self._time(slots, walk.at_ms),
            reservations=list({record.pass_no: _entry(record, terminal, day) for record in walk.records}.values()),
        )

    async def change_quota(self, terminal: Terminal, slot_id: str, wish: QuotaChange, key: str) -> QuotaChanged:
        """More or less stock in a slot. Raises Problem: `unknown_slot`, `other_pharmacy`, `below_confirmed`.

        The change is part of the command's id: the same key with another change is another wish, so that nobody is
        told that theirs was done when an earlier one was.
        """
        await self._desk.learn_campaigns(terminal.partition)
        campaign, change = self._campaign_of(terminal, slot_id, wish), int(wish.change)
        command = ChangeQuota(
            id=self._identities.command_id(
                terminal.name, f"quota|{campaign}|{slot_id}|{wish.share}|{change:+d}", key
            ),
            campaign=campaign,
            slot=slot_id,
            change=change,
            share=wish.share,
            terminal=terminal.name,
            why=wish.why,
        )
        match (await self._desk.decide(terminal.partition, command)).fact:
            case [Fact.QUOTA_CHANGED, int(quota), int(left), *_]:
                return QuotaChanged(campaign=campaign, slot=slot_id, quota=quota, left=left)
            case [_, Reason.BELOW_CONFIRMED, int(taken)]:
                raise Problem(Reason.BELOW_CONFIRMED, confirmed=taken)
            case [_, Reason.OTHER_PHARMACY, str(pharmacy)]:
                raise Problem(Reason.OTHER_PHARMACY, pharmacy=pharmacy)
            case [_, int(reason), *_]:
                raise Problem(Reason(reason))
            case _:
                raise AssertionError("change_quota is changed or refused")

    def forget(self, terminal: Terminal) -> None:
        """The terminal has just changed something, and looks at the numbers to see it."""
        for key, walk in list(self._walks.items()):
            if key[:3] == (terminal.partition, terminal.region, terminal.pharmacy) and walk.done():
                del self._walks[key]

    def _campaign_of(self, terminal: Terminal, slot_id: str, wish: QuotaChange) -> str:
        """Which campaign a slot belongs to: the one that is named, or the only one here that has it."""
        having = [each for each in self._days.campaigns(terminal) if slot_id in each.slots]
        if wish.campaign is not UNSET:
            having = [each for each in having if each.name == wish.campaign]
        own = [each for each in having if each.slots[slot_id].pharmacy == terminal.pharmacy]
        if len(own) > 1:
            raise malformed("campaign", "one of " + ", ".join(sorted(each.name for each in own)))
        if own:
            return own[0].name
        if having:
            raise Problem(Reason.OTHER_PHARMACY, pharmacy=having[0].slots[slot_id].pharmacy)
        raise Problem(Reason.UNKNOWN_SLOT)

    async def _now(self, partition: int, slots: list[PharmacySlot]) -> list[SlotRow]:
        rows: list[SlotRow] = []
        for first in range(0, len(slots), MAX_KEYS_PER_READ):
            keys = [f"s:{slot.campaign.row.no}:{slot.id}" for slot in slots[first : first + MAX_KEYS_PER_READ]]
            rows += await self._desk.read(partition, keys)
        return rows

    def _time(self, slots: list[PharmacySlot], at_ms: int) -> str:
        return campaign_time(slots[0].campaign if slots else None, at_ms // 1000 * 1000)

    async def _walk(self, terminal: Terminal, day: int) -> _Walk:
        """One walk for all who ask within FRESH_FOR_S, or while it goes on. Raises Problem."""
        key = (terminal.partition, terminal.region, terminal.pharmacy, day)
        task = self._walks.get(key)
        if task is None or (task.done() and not self._is_fresh(task)):
            if len(self._walks) >= MAX_DAYS_KEPT:
                self._walks = {key: task for key, task in self._walks.items() if not task.done()}
            task = self._walks[key] = asyncio.create_task(self._walked(*key), name="walk a day")
        return await asyncio.shield(task)

    @staticmethod
    def _is_fresh(task: asyncio.Task[_Walk]) -> bool:
        failed = task.cancelled() or task.exception() is not None
        return not failed and time.monotonic() - task.result().at_s < FRESH_FOR_S

    async def _walked(self, partition: int, region: str, pharmacy: str, day: int) -> _Walk:
        at_s, at_ms = time.monotonic(), self._now_ms()
        name = sheets_key(region, pharmacy, day)
        sheets: int = (await self._desk.read(partition, [name]))[0] or 0
        if sheets * SHEET_LINES > MAX_RESERVATIONS_WALKED:
            raise Problem(DoorReason.OVERLOADED)
        pass_nos = await pass_nos_on(
            lambda keys: self._desk.read(partition, keys), [f"{name}:{number}" for number in range(sheets)]
        )
        return _Walk(at_s, at_ms, await self._records.many(partition, list(chain.from_iterable(pass_nos))))


def _own_slot(slot: PharmacySlot, row: SlotRow) -> OwnSlot:
    """Over all shares. Units of no-shows went back into their shares, where nobody can book them any more."""
    left = {share: units_left(row, share) for share in Share}
    taken = sum(units_taken(row, share) for share in Share)
    return OwnSlot(
        campaign=slot.campaign.name,
        slot=slot.id,
        starts_at=campaign_time(slot.campaign, row.starts_ms),
        ends_at=campaign_time(slot.campaign, row.ends_ms),
        quota=taken + sum(left.values()),
        confirmed=taken - row.picked_up - row.moving_in,
        picked_up=row.picked_up,
        expired=row.expired,
        left=sum(left.values()) - row.expired,
        left_for_desks=left[Share.ASSISTED],
        left_for_appeals=left[Share.RESERVE],
        waiting=row.waiting,
        beside=row.beside,
        moving_in=row.moving_in,
        to_withdraw=row.to_withdraw,
        withdrawn=row.withdrawn == 1,
    )


def _entry(record: Record, terminal: Terminal, day: int) -> TodayEntry:
    """Somebody of the day's list; who changed to another day or pharmacy since is not expected any more."""
    slot = record.slot
    is_here = slot is None or (slot.pharmacy, slot.day) == (terminal.pharmacy, day)
    return TodayEntry(
        pass_no=record.pass_no,
        state=record.state.word if is_here else "moved",  # type: ignore[arg-type]  # the words of the states
        slot=record.row.slot,
        units=record.row.units,
    )
