"""What is left, in bands, for everybody alike: one reading serves all who ask until it is a second old.

A large campaign is read less often, so that watching it never costs more than a bounded part of Redis: 2,000 slots a
second. Where Redis is away the last reading goes on being told, with its age, for a minute.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from services.domain.days import rfc3339
from services.domain.reasons import DoorReason
from services.domain.rows import CampaignRow, Share, SlotRow
from services.domain.rules.buckets import units_left
from services.domain.rules.waiting import may_wait
from services.domain.stock import Band, band
from services.front_door.campaigns import Offered
from services.front_door.messages import SlotStock, Stock, WaitingWord
from services.front_door.published import Published
from services.platform.errors import MasklineError
from services.platform.http_answers import CSV, JSON
from services.platform.problems import Problem
from services.state.catalogue import Catalogue

LEAST_AGE_S: Final = 1.0
SLOTS_PER_S: Final = 2_000
TOLD_FOR_S: Final = 60.0
CSV_HEADER: Final = "slot,pharmacy,starts_at,band,as_of,waiting_list"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """The bands of a campaign at a moment, and its two documents."""

    read_at_s: float  # monotonic
    as_of: str
    bands: dict[str, Band]
    waiting: dict[str, WaitingWord]  # slots that have a list (now)
    reserved: frozenset[str]  # slots that have something set aside, for those who lost a place
    json: Published
    csv: Published


class StockView:
    """The stock of all campaigns."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._readings: dict[str, Reading] = {}
        self._reading: dict[str, asyncio.Task[Reading]] = {}

    async def of(self, offered: Offered) -> Reading:
        """At most a second old (more for more than 2,000 slots). Raises Problem 503 where Redis is away for long."""
        known = self._readings.get(offered.name)
        age_s = time.monotonic() - known.read_at_s if known is not None else 0.0
        if known is not None and age_s < max(LEAST_AGE_S, len(offered.slots) / SLOTS_PER_S):
            return known
        reading = self._reading.get(offered.name)
        if reading is None:
            reading = asyncio.create_task(self._read(offered), name=f"stock {offered.name}")
            self._reading[offered.name] = reading
        try:
            return await asyncio.shield(reading)
        except MasklineError as error:
            if known is not None and age_s < TOLD_FOR_S:
                return known
            raise Problem(DoorReason.CATCHING_UP) from error

    async def _read(self, offered: Offered) -> Reading:
        try:
            view = self._catalogue.get(offered.name)
            if view is None:
                raise Problem(DoorReason.CATCHING_UP)
            at_ms = int(time.time() * 1000)
            rows = await self._catalogue.stock(view)
            reading = await asyncio.to_thread(_made, offered, view.row, rows, at_ms)
            self._readings[offered.name] = reading
            return reading
        finally:
            del self._reading[offered.name]


def _made(offered: Offered, campaign: CampaignRow, rows: dict[str, SlotRow], at_ms: int) -> Reading:
    as_of = rfc3339(at_ms, offered.where)
    bands = {name: _band(row) for name, row in rows.items()}
    waiting = {name: word for name, row in rows.items() if (word := _waiting(campaign, row, at_ms)) is not None}
    times: dict[int, str] = {}
    slots = []
    for name, row in rows.items():
        starts_at = times.get(row.starts_ms)
        if starts_at is None:
            starts_at = times[row.starts_ms] = offered.time(row.starts_ms)
        slots.append(
            SlotStock(
                slot=name,
                pharmacy=row.pharmacy,
                starts_at=starts_at,
                band=bands[name],
                waiting_list=waiting.get(name),
            )
        )
    # Names are of a safe alphabet and times are times: no cell needs a quote.
    cells = (
        f"{slot.slot},{slot.pharmacy},{slot.starts_at},{slot.band},{as_of},{slot.waiting_list or ''}" for slot in slots
    )
    lines = [CSV_HEADER, *cells, ""]
    max_age_s = int(max(LEAST_AGE_S, len(slots) / SLOTS_PER_S))
    return Reading(
        read_at_s=time.monotonic(),
        as_of=as_of,
        bands=bands,
        waiting=waiting,
        reserved=frozenset(name for name, row in rows.items() if units_left(row, Share.RESERVE) > 0),
        json=Published(msgspec.json.encode(Stock(as_of=as_of, slots=slots)), JSON, max_age_s),
        csv=Published("\r\n".join(lines).encode(), CSV, max_age_s),
    )


def _band(row: SlotRow) -> Band:
    """Nobody takes units past those who wait: what is left beside a waiting list is theirs."""
    return Band.NONE if row.waiting > 0 else band(row.quota - row.taken, row.quota)


def _waiting(campaign: CampaignRow, row: SlotRow, at_ms: int) -> WaitingWord | None:
    """Whether one unit more may wait; None where no list takes anybody (any more), however few wait."""
    if not campaign.waiting_per_mille or at_ms >= row.promote_until_ms:
        return None
    return "open" if may_wait(campaign, row, at_ms, 1) else "full"
