"""What a crowd is told: who it is, when it comes, where to. It goes to Locust's processes as a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from loadtests.shape import Shape, Stretch

Life = Literal["rush", "evening", "search", "insist", "bot", "wait", "desk"]
"""How somebody behaves: a function of `loadtests/crowd/lives.py`."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """People who behave alike. `share` of them all, whoever comes when."""

    life: Life
    share: float
    comes_first: bool = False  # before all others, who are mixed


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Everything that is drawn by chance is drawn from `seed`."""

    front_door: str
    campaign: str
    slots: Sequence[str]  # the most wanted first
    zipf: float  # 0: all are wanted alike
    people: int
    groups: Sequence[Group]
    stretches: Sequence[Stretch]  # of arrivals
    ends_s: float  # whoever has not heard by then has not heard
    patience_s: float  # of each
    looks: int  # at the stock, of who only searches
    seed: int
    counter: str  # and the token of a terminal there; empty where nobody works at a desk
    token: str
    notes: Path  # the folder for what is heard

    @property
    def shape(self) -> Shape:
        """When they come."""
        return Shape(*self.stretches)

    def life_of(self, number: int) -> Life:
        """How the person of this number behaves: the groups are mixed evenly through the crowd."""
        first = [group for group in self.groups if group.comes_first]
        mixed = [group for group in self.groups if not group.comes_first]
        for group in first:
            number -= round(group.share * self.people)
            if number < 0:
                return group.life
        at = (number * GOLDEN) % 1.0 * sum(group.share for group in mixed)
        for group in mixed:
            at -= group.share
            if at < 0:
                return group.life
        return mixed[-1].life


GOLDEN = 0.6180339887498949
"""Multiples of it, without their whole part, are spread evenly, however many there are."""


def write(plan: Plan, path: Path) -> None:
    """For `read`."""
    path.write_bytes(msgspec.json.encode(plan, enc_hook=str))


def read(path: Path) -> Plan:
    """What was written."""
    return msgspec.json.decode(path.read_bytes(), type=Plan, dec_hook=lambda kind, value: kind(value))
