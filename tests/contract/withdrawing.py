"""A slot and who is in it, and what a withdrawal says."""

from services.domain import commands as c
from services.domain.limits import SHEET_LINES
from services.domain.rows import ReservationState
from services.domain.rules.answers import Fact
from tests import builders as b
from tests.contract.worlds import World, fold_all

DONE = [Fact.WITHDRAWAL_DONE, b.CAMPAIGN, "noon"]
MANY = SHEET_LINES + 4


def withdrawn(booking: c.Reserve) -> list[object]:
    return [Fact.WITHDRAWN, booking.pass_no, b.CAMPAIGN, booking.slot, booking.units]


def cut(*units: int) -> list[object]:
    """Public, assisted and reserve units that nobody had, and those that people have to give up."""
    return [Fact.SLOT_WITHDRAWN, *units]


async def people_in(world: World, *units: int, slot: str = "noon") -> list[c.Reserve]:
    """Somebody for each of these wishes, in this order."""
    people = [b.reserve(f"{slot} {n}", slot, each) for n, each in enumerate(units)]
    for facts in await fold_all(world, people):
        assert facts[0][0] == Fact.CONFIRMED
    return people


async def state_of(world: World, booking: c.Reserve) -> ReservationState:
    return ReservationState((await world.row(f"r:{booking.pass_no}")).state)


async def shares(world: World, slot: str = "noon") -> list[tuple[int, int]]:
    """Quota and taken of public, assisted and reserve."""
    row = await world.row(f"s:1:{slot}")
    return [
        (row.quota, row.taken), (row.assisted_quota, row.assisted_taken), (row.reserve_quota, row.reserve_taken)
    ]  # fmt: skip
