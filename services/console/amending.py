"""A document for a campaign that is sealed already, laid beside what is there now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from services.console.amendment import Amendment, Before, amendment, has_the_tables
from services.console.desk import OpsDesk
from services.domain.campaign import Campaign
from services.domain.reasons import DoorReason
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.errors import CatchingUpError, StateUnavailableError
from services.state.readers import MAX_KEYS_PER_READ


class Amending:
    """Reads what a change is compared with. Large campaigns are compared beside the loop."""

    def __init__(self, desk: OpsDesk, now_ms: Callable[[], int]) -> None:
        self._desk = desk
        self._now_ms = now_ms

    async def look(self, asked: Campaign, entitled: Sequence[str]) -> tuple[str, Amendment]:
        """The revision in force, and what the document would change in it. Raises Problem `catching_up`."""
        known = await self._known(asked.campaign)
        try:
            slots = await self._desk.door.catalogue.stock(known)
        except (CatchingUpError, StateUnavailableError) as error:
            raise Problem(DoorReason.CATCHING_UP) from error
        has_tables = await asyncio.to_thread(has_the_tables, known, asked, entitled)
        before = Before(known, slots, is_same_list=has_tables or await self._are_entitled(known, entitled))
        found = await asyncio.to_thread(amendment, before, asked, has_tables=has_tables, now_ms=self._now_ms())
        return known.row.revision, found

    async def _known(self, name: str) -> CampaignView:
        """The sealed campaign as it is now."""
        is_fresh = await self._desk.door.refresh_once()
        known = self._desk.door.catalogue.get(name)
        if not is_fresh or known is None:
            raise Problem(DoorReason.CATCHING_UP)
        return known

    async def _are_entitled(self, known: CampaignView, people: Sequence[str]) -> bool:
        """Whether all of these stand on a campaign's list."""
        keys = [f"e:{known.row.no}:{resident}" for resident in people]
        for first in range(0, len(keys), MAX_KEYS_PER_READ):
            if None in await self._desk.read(known.partition, keys[first : first + MAX_KEYS_PER_READ]):
                return False
        return True
