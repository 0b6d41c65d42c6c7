"""From a Campaign back to the document that API.md describes: what `campaign export` writes and `apply` sends."""

from typing import Any

from msgspec import to_builtins

from services.domain.campaign import WEEKDAYS, Campaign, Definition, Document, WaitingRoom
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
        **({"rehearsal": True} if campaign.rehearsal else {}),
        "windows": [
            {"opens_at": rfc3339(window.opens_ms, where), "closes_at": rfc3339(window.closes_ms, where)}
            for window in campaign.windows
        ],
        "rules": _rules(campaign),
        **({"waiting_room": _waiting_room(campaign.waiting_room)} if campaign.waiting_room is not None else {}),
        "delete_after_days": campaign.delete_after_days,
    }


def _waiting_room(room: WaitingRoom) -> dict[str, Any]:
    return {
        "mode": room.mode,
        "opens_before_min": room.opens_before_min,
        "admission_factor": room.admission_factor_per_mille / 1_000,
    }


def entitled_file(campaign: Definition) -> str:
    """The name of the list of the entitled; what stands in it is kept nowhere."""
    return f"{campaign.campaign}-entitled.csv"


def _rules(campaign: Definition) -> dict[str, Any]:
    """The rules that a campaign has; what it does not demand is left out."""
    rules = campaign.rules
    found: dict[str, Any] = {
        "units_max": rules.units_max,
        "document_types": [kind.value for kind in rules.document_types],
    }
    if rules.cool_down_days:
        found["cool_down_days"] = rules.cool_down_days
    if rules.household_max:
        found["household_max"] = rules.household_max
    if rules.stagger is not None:
        days = {day: list(rules.stagger.days[day]) for day in WEEKDAYS if day in rules.stagger.days}
        found["stagger"] = {"by": rules.stagger.by.value, "days": days}
    if rules.entitled:
        found["eligible"] = entitled_file(campaign)
    if rules.assisted is not None:
        found["assisted"] = to_builtins(rules.assisted)
    if rules.reserve_per_mille:
        found["reserve_per_mille"] = rules.reserve_per_mille
    if rules.pickup_grace_h is not None:
        found["pickup_grace_h"] = rules.pickup_grace_h
    if rules.waiting_list is not None:
        found["waiting_list"] = to_builtins(rules.waiting_list)
    if rules.change_until_h is not None:
        found["change_until_h"] = rules.change_until_h
    return found


def document(campaign: Campaign) -> dict[str, Any]:
    """A whole campaign as one document, the tables as lists of rows of text and numbers; `check` reads it back."""
    definition = definition_document(campaign)
    if campaign.entitled:
        definition["rules"]["eligible"] = [entitled_row(document) for document in campaign.entitled]
    return {
        **definition,
        "pharmacies": [pharmacy_row(pharmacy) for pharmacy in campaign.pharmacies],
        "slots": [slot_row(slot, campaign.timezone) for slot in campaign.slots],
    }


def entitled_row(document: Document) -> dict[str, str]:
    """A document as a row of the list of the entitled."""
    return {"document_type": document.document_type.value, "document_number": document.document_number}


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
