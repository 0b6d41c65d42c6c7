"""What is on offer, as documents: the list of campaigns, and each whole. Made anew when a phase or rules change."""

import asyncio
from typing import Any, Final

import msgspec

from services.domain.campaign import Rules
from services.domain.rows import PharmacyRow, Phase
from services.front_door.campaigns import Campaigns, Offered
from services.front_door.messages import (
    AssistedOut,
    CampaignList,
    CampaignOut,
    CampaignSummary,
    PharmacyOut,
    RulesOut,
    SlotOut,
    StaggerOut,
    WaitingListOut,
    Window,
)
from services.front_door.published import Published
from services.platform.http_answers import JSON

MAX_AGE_S: Final = 1
MICRODEGREES: Final = 1_000_000


class Offers:
    """Documents about campaigns."""

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns
        self._list: tuple[tuple[tuple[int, str, str, Phase], ...], Published] | None = None
        self._whole: dict[str, tuple[tuple[int, str, Phase], asyncio.Task[Published]]] = {}

    def listed(self) -> Published:
        """The list, those that may be booked first."""
        state = tuple(
            (offered.no, offered.name, offered.revision, self._campaigns.phase(offered)) for offered in self._campaigns
        )
        if self._list is None or self._list[0] != state:
            lines = [
                CampaignSummary(**_summary(offered, self._campaigns.phase(offered))) for offered in self._campaigns
            ]
            body = msgspec.json.encode(CampaignList(campaigns=lines))
            self._list = (state, Published(body, JSON, MAX_AGE_S))
        return self._list[1]

    async def whole(self, offered: Offered) -> Published:
        """One campaign with its pharmacies and slots; made in a thread, for there may be 100,000 slots."""
        phase = self._campaigns.phase(offered)
        version = (offered.no, offered.revision, phase)
        known = self._whole.get(offered.name)
        if known is None or known[0] != version:
            making = asyncio.create_task(asyncio.to_thread(_whole, offered, phase), name=f"offer {offered.name}")
            known = self._whole[offered.name] = (version, making)
        return await asyncio.shield(known[1])


def _whole(offered: Offered, phase: Phase) -> Published:
    definition = offered.definition
    times: dict[int, str] = {}  # few different ones, and each takes 3 µs

    def time(at_ms: int) -> str:
        text = times.get(at_ms)
        if text is None:
            text = times[at_ms] = offered.time(at_ms)
        return text

    content = CampaignOut(
        **_summary(offered, phase),
        timezone=definition.timezone,
        mode="first_come",
        controller={"name": definition.controller.name, "contact": definition.controller.contact},
        appeal_contact=offered.how_to_appeal,
        rules=_rules(definition.rules),
        delete_after_days=definition.delete_after_days,
        deletion_day=definition.deletion_day,
        rehearsal=definition.rehearsal,
        pharmacies=[_pharmacy(row) for row in offered.pharmacies.values()],
        slots=[
            SlotOut(id=name, pharmacy=row.pharmacy, starts_at=time(row.starts_ms), ends_at=time(row.ends_ms))
            for name, row in offered.slots.items()
        ],
    )
    return Published(msgspec.json.encode(content), JSON, MAX_AGE_S)


def _rules(rules: Rules) -> RulesOut:
    stagger, assisted, waiting = rules.stagger, rules.assisted, rules.waiting_list
    return RulesOut(
        units_max=rules.units_max,
        document_types=list(rules.document_types),
        cool_down_days=rules.cool_down_days or None,
        household_max=rules.household_max or None,
        stagger=None
        if stagger is None
        else StaggerOut(by=stagger.by, days={day: list(digits) for day, digits in stagger.days.items()}),
        entitled_only=rules.entitled > 0,
        assisted=None
        if assisted is None
        else AssistedOut(per_mille=assisted.per_mille, release_h=assisted.release_h),
        reserve_per_mille=rules.reserve_per_mille,
        pickup_grace_h=rules.pickup_grace_h,
        waiting_list=None if waiting is None else WaitingListOut(**msgspec.structs.asdict(waiting)),
        change_until_h=rules.change_until_h,
    )


def _summary(offered: Offered, phase: Phase) -> dict[str, Any]:
    definition = offered.definition
    return {
        "campaign": offered.name,
        "region": definition.region,
        "title": dict(definition.title),
        "phase": phase.name.lower(),
        "windows": [
            Window(opens_at=offered.time(window.opens_ms), closes_at=offered.time(window.closes_ms))
            for window in definition.windows
        ],
    }


def _pharmacy(row: PharmacyRow) -> PharmacyOut:
    known = bool(row.lon_e6 or row.lat_e6)
    return PharmacyOut(
        id=row.id,
        name=row.name,
        address=row.address,
        lon=row.lon_e6 / MICRODEGREES if known else None,
        lat=row.lat_e6 / MICRODEGREES if known else None,
        phone=row.phone,
    )
