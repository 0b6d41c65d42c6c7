"""A rush that nobody expected: where bookings are refused second after second, an automatic waiting room begins.

The front doors know it first, for what they refuse stands nowhere else. All of them ask for the same round under the
same id, so it begins once.
"""

import asyncio
from typing import Final

import structlog

from services.domain.commands import PrepareRoom
from services.domain.places import commitment_of
from services.domain.rows import Phase, RoomRow, Valve
from services.front_door.shedding import Shedding
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.state.catalogue import CampaignView
from services.state.door import Door

LOOK_S: Final = 1.0
REFUSED_A_LOOK: Final = 10
"""So many bookings of a partition are refused between two looks, or it is no rush."""
LOOKS: Final = 3
NOBODY_EARLY: Final = commitment_of("00" * 32)
"""In an open campaign nobody was there before, and nothing is drawn."""

log = structlog.get_logger(__name__)


class Rushes:
    """Watches what is refused."""

    def __init__(self, door: Door, shedding: Shedding, identities: Identities) -> None:
        self._door: Final = door
        self._shedding: Final = shedding
        self._identities: Final = identities
        self._refused: dict[int, int] = {}
        self._in_a_row: dict[int, int] = {}

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Begin a round wherever there is a rush. What the log does not take is tried again at the next look."""
        for partition in self._door.catalogue.partitions_with_campaigns:
            refused = self._shedding.load(partition).refused
            is_rush = refused - self._refused.get(partition, 0) >= REFUSED_A_LOOK
            self._refused[partition] = refused
            self._in_a_row[partition] = self._in_a_row.get(partition, 0) + 1 if is_rush else 0
        for view in self._door.catalogue:
            room = view.room
            if room is not None and _waits_for_a_rush(view, room) and self._in_a_row[view.partition] >= LOOKS:
                await self._begin(view, room)

    async def _begin(self, view: CampaignView, room: RoomRow) -> None:
        command = PrepareRoom(
            id=self._identities.command_id("front door", view.name, f"rush|{room.round}"),
            campaign=view.name,
            commitment=NOBODY_EARLY,
        )
        try:
            await self._door.write(view.partition, command)
        except Problem as problem:
            log.warning("A waiting room could not begin", action="rush_not_met", why=str(problem.reason))
        else:
            log.info("People are asked to wait by turns", action="rush_met", campaign=view.name, round=room.round + 1)


def _waits_for_a_rush(view: CampaignView, room: RoomRow) -> bool:
    return room.valve == Valve.AUTOMATIC and room.active == 0 and view.phase is Phase.OPEN
