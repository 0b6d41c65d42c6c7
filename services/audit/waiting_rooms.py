"""Waiting rooms, reckoned from commands and events: the seed is the one that was committed to, and turns only come."""

from collections.abc import Iterator

from services.domain.commands import Command, FreezeRoom, PrepareRoom
from services.domain.events import Event
from services.domain.places import commitment_of


class WaitingRooms:
    """What stands of each campaign's round. Memory: campaigns."""

    def __init__(self) -> None:
        self._commitments: dict[str, str] = {}
        self._let_in: dict[str, int] = {}

    def step(self, command: Command, event: Event) -> Iterator[str]:
        """What is not fair about the next event, in words."""
        campaign = event.campaign
        if event.type == "room_prepared" and isinstance(command, PrepareRoom):
            self._commitments[campaign] = command.commitment
            self._let_in[campaign] = 0
        elif event.type == "room_frozen" and isinstance(command, FreezeRoom):
            if commitment_of(command.seed) != self._commitments.get(campaign):
                yield f"{campaign}: places are drawn by another seed than was committed to"
        elif event.type == "admitted":
            let_in = int(event.values[0])
            if let_in < self._let_in.get(campaign, 0):
                yield f"{campaign}: fewer places are let in than were before"
            self._let_in[campaign] = let_in
        elif event.type == "valve_set":
            self._let_in[campaign] = 0  # on, in an open campaign, begins a round
