"""Campaigns and bookings for figures, made before the clock starts."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from infra.campaigns.demo import scaled
from loadtests.residents import residents
from services.domain.campaign import Campaign
from services.domain.commands import Pharmacy, Slot
from services.platform.campaign_files import load
from tests.integration.cli_system import CAMPAIGN_FILE

PHARMACIES = 500
HOUR_MS = 3_600_000


class Wish(NamedTuple):
    """A booking that is ready to be sent."""

    headers: dict[str, str]
    body: bytes


def wide_campaign(name: str, slots: int, units_a_slot: int) -> Campaign:
    """A campaign that is open now, with as many slots as are asked for."""
    pattern = scaled(load(CAMPAIGN_FILE), 100, int(time.time() * 1000))
    first = max(pattern.slots, key=lambda slot: slot.day)  # tomorrow: none of its hours is over
    count = min(PHARMACIES, slots)
    return msgspec.structs.replace(
        pattern,
        campaign=name,
        pharmacies=tuple(Pharmacy(id=f"ph-{n:03d}", name=f"pharmacy {n}") for n in range(count)),
        slots=tuple(_slot(first, n, count, units_a_slot) for n in range(slots)),
    )


def _slot(pattern: Slot, number: int, pharmacies: int, units: int) -> Slot:
    starts_ms = pattern.day_from_ms + number // pharmacies * HOUR_MS
    return msgspec.structs.replace(
        pattern,
        id=f"s-{number:05d}",
        pharmacy=f"ph-{number % pharmacies:03d}",
        starts_ms=starts_ms,
        ends_ms=starts_ms + HOUR_MS,
        units=units,
    )


def wishes(campaign: Campaign, count: int, seed: int, *, wait_s: int = 0) -> list[Wish]:
    """Bookings of one unit each by different people, over all slots of the campaign in turn."""
    slots: Sequence[Slot] = campaign.slots
    made = []
    for number, person in enumerate(residents(count, seed)):
        headers = {"Idempotency-Key": f"bench-{seed}-{number}"}
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        wish = {
            "campaign": campaign.campaign,
            "slot": slots[number % len(slots)].id,
            "units": 1,
            "resident": {"document_type": person.document_type, "document_number": person.document_number},
            "phone": person.phone,
        }
        made.append(Wish(headers, msgspec.json.encode(wish)))
    return made
