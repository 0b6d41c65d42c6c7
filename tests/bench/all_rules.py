"""A campaign with every rule on, for the figures of the fold: what each of them costs is paid by every booking."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from services.domain.campaign import WEEKDAYS, Assisted, Campaign, Rules, Stagger, StaggerBy, WaitingList, revision
from services.domain.campaign_commands import commands_of
from services.domain.campaign_times import timed
from services.domain.commands import Command, Open, Reserve
from services.domain.days import zone
from services.domain.documents import DocumentType
from tests.bench.wishes import wide_campaign
from tests.builders import digest

DIGITS: Final = tuple(range(10))
RULES: Final = Rules(
    units_max=5,
    document_types=tuple(DocumentType),
    cool_down_days=2,
    household_max=3,
    stagger=Stagger(by=StaggerBy.DOCUMENT_DIGIT, days=dict.fromkeys(WEEKDAYS, DIGITS)),
    assisted=Assisted(per_mille=100, release_h=24),
    reserve_per_mille=20,
    pickup_grace_h=24,
    waiting_list=WaitingList(per_mille=500, promote_until_h=12),
    change_until_h=12,
)
"""Nobody is refused by them: everybody is on the list, has a phone of their own, and any digit may come today."""


def strict_campaign(name: str, slots: int, units_a_slot: int) -> Campaign:
    """Open now, with as many slots as are asked for."""
    campaign = wide_campaign(name, slots, units_a_slot)
    where = zone(campaign.timezone)
    return replace(campaign, rules=RULES, slots=tuple(timed(slot, RULES, where) for slot in campaign.slots))


def opened(campaign: Campaign, people: Sequence[str]) -> list[Command]:
    """The campaign for these people, by pseudonym: sealed and open."""
    rules = replace(campaign.rules, entitled=len(people))
    campaign = replace(campaign, rules=rules)
    make_id = partial(digest, campaign.campaign)
    commands: list[Command] = [*commands_of(campaign, revision(campaign, people), make_id, entitled=people)]
    return [*commands, Open(id=digest("open", campaign.campaign), campaign=campaign.campaign)]


def person(number: int) -> str:
    """A pseudonym."""
    return f"p{number:015d}"


def reservations(count: int, slots: int, first: int = 0, campaign: str = "fold") -> list[Command]:
    """Commands as a front door writes them, by `count` different people."""
    return [
        Reserve(
            campaign=campaign,
            slot=f"s-{number % slots:05d}",
            units=1,
            resident=person(number),
            pass_no=f"{campaign[0]}{number:015d}",
            digest=f"d{number % 10**7:07d}",
            last4_hash=f"l{number % 10**7:07d}",
            phone_pseudonym=f"t{number:015d}",
            contact="c" * 59,
            digit=number % 10,
        )
        for number in range(first, first + count)
    ]


def definition(slots: int, units_a_slot: int, people: int, campaign: str = "fold") -> list[Command]:
    """A campaign for the first `people`, sealed and open."""
    return opened(strict_campaign(campaign, slots, units_a_slot), [person(number) for number in range(people)])
