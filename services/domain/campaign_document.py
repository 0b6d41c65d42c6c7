"""From a Campaign back to the document that API.md describes: what `campaign export` writes and `apply` sends."""

from typing import Any

from services.domain.campaign import Campaign, Definition
from services.domain.campaign_check import ENFORCED_MODE
from services.domain.campaign_tables import MICRODEGREES
from services.domain.commands import Pharmacy, Slot
from services.domain.days import rfc3339, zone


def definition_document(campaign: Definition) -> dict[str, Any]:
    """A definition with the keys of a campaign file, in their usual order, without the tables."""
    where = zone(campaign.timezone)
    contact = campaign.appeal_contact
    return {
        "campaign": campaign.campaign,
        "region": campaign.region,
        "timezone": campaign.timezone,
        "title": dict(campaign.title),
        "controller": {"name": campaign.controller.name, "contact": campaign.controller.contact},
        "appeal_contact": {field: text for field in contact.__struct_fields__ if (text := getattr(contact, field))},
        "mode": ENFORCED_MODE,
        "windows": [
            {"opens_at": rfc3339(window.opens_ms, where), "closes_at": rfc3339(window.closes_ms, where)}
            for window in campaign.windows
        ],
        "rules": {
            "units_max": campaign.rules.units_max,
            "document_types": [kind.value for kind in campaign.rules.document_types],
        },
        "delete_after_days": campaign.delete_after_days,
    }


def document(campaign: Campaign) -> dict[str, Any]:
    """A whole campaign as one document, the tables as lists of rows of text and numbers; `check` reads it back."""
    return {
        **definition_document(campaign),
        "pharmacies": [pharmacy_row(pharmacy) for pharmacy in campaign.pharmacies],
        "slots": [slot_row(slot, campaign.timezone) for slot in campaign.slots],
    }


def pharmacy_row(pharmacy: Pharmacy) -> dict[str, str]:
    """A pharmacy as a row of pharmacies.csv. Both coordinates are empty where neither is known."""
    known = bool(pharmacy.lon_e6 or pharmacy.lat_e6)
    return {
        "id": pharmacy.id,
        "name": pharmacy.name,
        "address": pharmacy.address,
        "lon": _degrees(pharmacy.lon_e6) if known else "",
        "lat": _degrees(pharmacy.lat_e6) if known else "",
        "phone": pharmacy.phone,
    }


def slot_row(slot: Slot, timezone: str) -> dict[str, str | int]:
    """A slot as a row of slots.csv, its times under the offset of the campaign's zone."""
    where = zone(timezone)
    return {
        "id": slot.id,
        "pharmacy": slot.pharmacy,
        "starts_at": rfc3339(slot.starts_ms, where),
        "ends_at": rfc3339(slot.ends_ms, where),
        "units": slot.units,
    }


def _degrees(microdegrees: int) -> str:
    sign, absolute = "-" if microdegrees < 0 else "", abs(microdegrees)
    text = f"{sign}{absolute // MICRODEGREES}.{absolute % MICRODEGREES:06d}"
    return text.rstrip("0").rstrip(".")
