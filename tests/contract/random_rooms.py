"""Waiting rooms in random logs: the valve, and what the clock and front doors do."""

from collections.abc import Callable
from random import Random
from typing import Any

from services.domain import commands as c
from tests import builders as b
from tests import room_builders as rooms


def in_a_room(random: Random, campaign: str, round_: int, key: Callable[[], str]) -> list[c.Command]:
    """One command or a few about a campaign's room, mostly about the round that is under way."""
    people = random.randrange(30)
    about: dict[str, Any] = {"campaign": campaign, "round_": 1 if random.random() < 0.1 else round_}
    valve = random.choice(("off", "on", "on", "automatic"))
    match random.randrange(8):
        case 0 | 1:
            outflow_per_s = random.choice((0, 0, 5))
            return [rooms.set_valve(valve, outflow_per_s=outflow_per_s, campaign=campaign, key=key())]
        case 2:
            return [rooms.prepare_room(campaign=campaign, key=key()), rooms.count_room(people, **about)]
        case 3:  # a whole opening, which chance alone would hardly ever put into order
            return [
                rooms.set_valve("automatic", campaign=campaign, key=key()),
                b.close(campaign=campaign, by_clock=True, key=key()),
                rooms.prepare_room(campaign=campaign, key=key()),
                b.open_(campaign=campaign, key=key()),
                rooms.freeze_room(people, campaign=campaign, round_=round_ + 1, key=key()),
            ]
        case 4:
            return [rooms.freeze_room(people, key=key(), **about)]
        case 5:
            return [rooms.lease_numbers(people + 1, **about)]
        case 6:
            return [rooms.admit(people, **about)]
        case _:
            return [rooms.close_room(key=key(), **about)]
