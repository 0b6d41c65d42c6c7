"""The valve of a campaign's waiting room: who turns it, and where it stands."""

from __future__ import annotations

from services.console.campaigns import Campaigns
from services.console.contract import RoomNumbers, ValveRequest
from services.console.desk import OpsDesk
from services.console.room_numbers import room_numbers
from services.domain.commands import SetValve
from services.platform.identities import Identities


class Valves:
    """Turns them through the desk."""

    def __init__(self, desk: OpsDesk, identities: Identities, campaigns: Campaigns) -> None:
        self._desk = desk
        self._identities = identities
        self._campaigns = campaigns

    async def turn(self, name: str, wish: ValveRequest, *, actor: str, key: str) -> RoomNumbers:
        """The room as it stands then. Raises Problem `unknown_campaign`."""
        view = await self._campaigns.view(name)
        factor = round(wish.admission_factor * 1_000)
        command = SetValve(
            # With the setting in its id, the same key with another setting is another wish.
            id=self._identities.command_id(actor, f"valve|{name}|{wish.mode}|{wish.outflow_per_s}|{factor}", key),
            campaign=name,
            valve=wish.mode,
            outflow_per_s=wish.outflow_per_s,
            factor_per_mille=factor,
            actor=actor,
            why=wish.why,
        )
        await self._desk.done(view.partition, command)
        (room,) = await self._desk.read(view.partition, [f"q:{view.row.no}"])
        await self._desk.door.refresh_once()
        return room_numbers(room)
