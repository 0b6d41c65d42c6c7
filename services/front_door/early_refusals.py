"""Refusals before the log: what the rules say to everybody is said here, where it costs no record.

A campaign in which nothing is left, or that is not open, makes a booking doubtful. A doubtful one is looked up where
the fold has passed all that the log had when it came, and the rules themselves are asked with the rows of that instant.
So nobody whose first try was accepted hears "sold out", and a unit that came free is there for the next who asks: what
this process knew a second ago decides only whether to look.
"""

from typing import Final

from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, PersonRow, Phase, Share, SlotRow
from services.domain.rules.bookings import WAITABLE, why_not_now, why_not_slot
from services.domain.rules.people import aside_key, person_key
from services.domain.rules.waiting import may_wait
from services.front_door.campaigns import Offered
from services.front_door.look_up import LookUp
from services.front_door.refusals import about
from services.platform.booking import Asked, Wish
from services.platform.problems import Problem
from services.state.catalogue import Catalogue

EARLY: Final = frozenset({Reason.SOLD_OUT, Reason.NOT_OPEN, Reason.PAUSED, Reason.CAMPAIGN_CLOSED})
"""What is said before the log. Every other refusal hangs on who asks, or on the wish, and stands in the log."""


class EarlyRefusals:
    """Tells which bookings need no record to be refused."""

    def __init__(self, catalogue: Catalogue, look_up: LookUp) -> None:
        self._catalogue = catalogue
        self._look_up = look_up

    def are_likely(self, campaign: Offered) -> bool:
        """Whether a booking has to be looked up first; as of the catalogue's last refresh."""
        view = self._catalogue.get(campaign.name)
        return view is not None and (view.row.left <= 0 or view.row.phase != Phase.OPEN)

    async def check(self, campaign: Offered, wish: Wish, asked: Asked) -> None:
        """Raises Problem: 409 where the rules refuse everybody who comes now, and this one has not come before; 503
        where nobody can tell yet."""
        view = self._catalogue.get(campaign.name)
        if view is None:
            return
        no, resident = campaign.no, asked.resident
        keys = [f"r:{asked.pass_no}", f"c:{campaign.name}", f"s:{no}:{wish.slot}"]
        keys += [person_key(view.row, resident), aside_key(no, resident)]
        reading = await self._look_up.surely(campaign.partition, keys)
        reservation, row, slot, person, aside = reading.rows
        if reservation is not None or row is None or slot is None or _is_special(no, person, aside):
            return
        reason = _why_nobody(row, slot, reading.head.now_ms, wish.units)
        if reason in EARLY:
            members = {"campaign": campaign.name, "slot": wish.slot, **about(reason.word, campaign)}
            raise Problem(reason, how_to_appeal=campaign.how_to_appeal, **members)

    async def unless_it_came_before(self, campaign: Offered, asked: Asked, problem: Problem) -> None:
        """Raises `problem`, or Problem 503, unless the log has this booking: to be asked for a ticket would tell its
        owner that it was not accepted."""
        (reservation,) = (await self._look_up.surely(campaign.partition, [f"r:{asked.pass_no}"])).rows
        if reservation is None:
            raise problem


def _is_special(no: int, person: PersonRow | None, aside: PersonRow | None) -> bool:
    """Whether something is known of this resident that the rules look at before anything else."""
    here = person if person is not None and person.no == no else aside
    return here is not None and (here.live != "" or here.precedence == 1)


def _why_nobody(campaign: CampaignRow, slot: SlotRow, now_ms: int, units: int) -> Reason | None:
    """What stands against everybody; rows are read by others too, and are not changed."""
    reason = why_not_now(campaign, PersonRow(no=campaign.no), units)
    if reason is None:
        reason, _ = why_not_slot(campaign, slot, now_ms, Share.PUBLIC, units)
    return None if reason in WAITABLE and may_wait(campaign, slot, now_ms, units) else reason
