"""Commands about a waiting room, in words."""

import hashlib

from services.domain import commands as c
from services.domain.places import commitment_of
from tests.builders import CAMPAIGN, digest


def set_valve(
    valve: str = "on",
    *,
    outflow_per_s: int = 0,
    factor_per_mille: int = 1_500,
    campaign: str = CAMPAIGN,
    key: str = "1",
) -> c.SetValve:
    return c.SetValve(
        id=digest("valve", campaign, valve, key),
        campaign=campaign,
        valve=valve,
        outflow_per_s=outflow_per_s,
        factor_per_mille=factor_per_mille,
    )


def prepare_room(*, seed: str = "seed", campaign: str = CAMPAIGN, key: str = "1") -> c.PrepareRoom:
    return c.PrepareRoom(id=digest("prepare", campaign, key), campaign=campaign, commitment=commitment_of(hex256(seed)))


def count_room(people: int, *, round_: int = 1, campaign: str = CAMPAIGN) -> c.CountRoom:
    return c.CountRoom(campaign=campaign, round=round_, people=people)


def freeze_room(
    people: int, *, seed: str = "seed", round_: int = 1, campaign: str = CAMPAIGN, key: str = "1"
) -> c.FreezeRoom:
    return c.FreezeRoom(
        id=digest("freeze", campaign, key), campaign=campaign, round=round_, seed=hex256(seed), people=people
    )


def lease_numbers(size: int, *, round_: int = 1, campaign: str = CAMPAIGN) -> c.LeaseNumbers:
    return c.LeaseNumbers(campaign=campaign, round=round_, size=size)


def admit(up_to: int, *, round_: int = 1, campaign: str = CAMPAIGN) -> c.Admit:
    return c.Admit(campaign=campaign, round=round_, up_to=up_to)


def close_room(*, round_: int = 1, campaign: str = CAMPAIGN, key: str = "1") -> c.CloseRoom:
    return c.CloseRoom(id=digest("close room", campaign, key), campaign=campaign, round=round_)


def receipt(who: str) -> str:
    """Of a ticket that belongs to somebody."""
    return digest("receipt", who)


def hex256(text: str) -> str:
    """A SHA-256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
