"""What a pharmacy has: its slots on each day, over all campaigns of its region, and which day it is there now."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from services.counter.terminals import Terminal
from services.domain.days import day_of, zone
from services.domain.rows import Phase, SlotRow
from services.platform.http_requests import malformed
from services.state.catalogue import CampaignView, Catalogue

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

MAX_BOOKABLE = 100
"""Slots in the form for somebody at the desk."""

ByDay = dict[int, list[str]]


class PharmacySlot(NamedTuple):
    """A slot of a pharmacy; quota and taken are not of now."""

    campaign: CampaignView
    id: str
    row: SlotRow


class PharmacyDays:
    """The catalogue, looked at from a pharmacy. Slots never change, so each campaign is sorted out once."""

    def __init__(self, catalogue: Catalogue, now_ms: Callable[[], int]) -> None:
        self._catalogue = catalogue
        self._now_ms = now_ms
        self._sorted: dict[tuple[int, int], dict[str, ByDay]] = {}

    def campaigns(self, terminal: Terminal) -> list[CampaignView]:
        """All campaigns of the terminal's region, the newest first."""
        where = (terminal.partition, terminal.region)
        mine = [campaign for campaign in self._catalogue if (campaign.partition, campaign.row.region) == where]
        return sorted(mine, key=lambda campaign: -campaign.row.no)

    def today(self, terminal: Terminal) -> int:
        """The day there, as YYYYMMDD, by the newest campaign that knows the pharmacy; else in UTC."""
        for campaign in self.campaigns(terminal):
            if terminal.pharmacy in campaign.pharmacies:
                return day_of(self._now_ms(), campaign.where).number
        return day_of(self._now_ms(), zone("UTC")).number

    def name_of(self, terminal: Terminal) -> str:
        """The pharmacy's name, by the newest campaign that knows it; else its id."""
        for campaign in self.campaigns(terminal):
            if terminal.pharmacy in campaign.pharmacies:
                return campaign.pharmacies[terminal.pharmacy].name
        return terminal.pharmacy

    def slots(self, terminal: Terminal, day: int) -> list[PharmacySlot]:
        """The slots of the terminal's pharmacy on a day, by time."""
        found = [
            PharmacySlot(campaign, slot, campaign.slots[slot])
            for campaign in self.campaigns(terminal)
            for slot in self._by_day(campaign, terminal.pharmacy).get(day, ())
        ]
        return sorted(found, key=lambda slot: (slot.row.starts_ms, slot.campaign.name, slot.id))

    def days(self, terminal: Terminal) -> list[int]:
        """The days on which the terminal's pharmacy has slots, in order."""
        days: set[int] = set()
        for campaign in self.campaigns(terminal):
            days.update(self._by_day(campaign, terminal.pharmacy))
        return sorted(days)

    def bookable(self, terminal: Terminal) -> list[PharmacySlot]:
        """The own slots that somebody at the desk may be booked into now, by time; at most MAX_BOOKABLE."""
        now_ms = self._now_ms()
        found = [
            slot
            for day in self.days(terminal)
            for slot in self.slots(terminal, day)
            if slot.campaign.phase == Phase.OPEN and now_ms < slot.row.ends_ms
        ]
        return found[:MAX_BOOKABLE]

    def _by_day(self, campaign: CampaignView, pharmacy: str) -> ByDay:
        key = (campaign.partition, campaign.row.no)
        if key not in self._sorted:
            by_pharmacy: dict[str, ByDay] = defaultdict(lambda: defaultdict(list))
            for slot, row in campaign.slots.items():
                by_pharmacy[row.pharmacy][row.day].append(slot)
            self._sorted[key] = {name: dict(by_day) for name, by_day in by_pharmacy.items()}
        return self._sorted[key].get(pharmacy, {})


def read_day(text: str) -> int:
    """YYYY-MM-DD as YYYYMMDD. Raises Problem `malformed`."""
    if _DATE.fullmatch(text):
        try:
            date.fromisoformat(text)
        except ValueError:
            pass
        else:
            return int(text.replace("-", ""))
    raise malformed("date", "a day, written YYYY-MM-DD")
