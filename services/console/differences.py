"""What a campaign document says otherwise than the campaign of the same name that is there, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from services.domain.campaign import Campaign, Definition
from services.domain.campaign_document import definition_document
from services.state.catalogue import CampaignView

MAX_NAMED: Final = 5


def differences(known: CampaignView, asked: Campaign) -> list[str]:
    """One line for each key of the file that differs, and for pharmacies and slots that came, went or changed."""
    before = definition_document(msgspec.convert(known.definition, Definition))
    after = definition_document(asked)
    lines = [f"{key}: {_shown(before[key])} → {_shown(after[key])}" for key in before if before[key] != after[key]]
    people = msgspec.convert(known.definition, Definition).rules.entitled, asked.rules.entitled
    if people[0] != people[1]:
        lines.append(f"eligible: {people[0]} → {people[1]} people")
    lines += _of_table(
        "pharmacies",
        {
            one.id: (one.name, one.address, one.lon_e6, one.lat_e6, one.phone)
            for one in known.pharmacies.values()
        },
        {one.id: (one.name, one.address, one.lon_e6, one.lat_e6, one.phone) for one in asked.pharmacies},
    )
    # Quotas are left out: they change on their own, and a file does not set them back.
    lines += _of_table(
        "slots",
        {slot: (row.pharmacy, row.starts_ms, row.ends_ms) for slot, row in known.slots.items()},
        {slot.id: (slot.pharmacy, slot.starts_ms, slot.ends_ms) for slot in asked.slots},
    )
    quota = sum(row.quota + row.assisted_quota + row.reserve_quota for row in known.slots.values())
    if quota != asked.units:
        lines.append(f"units: {quota} → {asked.units}")
    if not lines and asked.rules.entitled:
        lines.append("eligible: other people stand on the list")
    return lines


def _of_table(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found = {
        "new": after.keys() - before.keys(),
        "gone": before.keys() - after.keys(),
        "changed": {name for name in before.keys() & after.keys() if before[name] != after[name]},
    }
    return [f"{what}: {len(names)} {word} ({_named(names)})" for word, names in found.items() if names]


def _named(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = ", …" if len(ordered) > MAX_NAMED else ""
    return ", ".join(ordered[:MAX_NAMED]) + more


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()
