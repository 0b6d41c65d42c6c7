"""What a campaign document says otherwise than the sealed campaign of its name: what may be changed now, what may not.

People have booked by what stands in slots, shares and lists, so that stays. So do windows that have begun or nearly:
the clock names openings and closings by the window's number, and none of them may come twice or be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import asdict

from services.domain.campaign import Campaign, Definition, Window, revision
from services.domain.campaign_document import definition_document
from services.domain.campaign_times import timed
from services.domain.commands import Pharmacy, Slot
from services.domain.rows import PharmacyRow, SlotRow
from services.domain.schedule import due
from services.state.catalogue import CampaignView

MAX_NAMED: Final = 5
WINDOWS_STAY_MS: Final = 10 * 60_000
"""An opening or closing this near stays as it is: clocks of processes may be five minutes apart."""

ANOTHER_CAMPAIGN: Final = "Take it back, or apply another campaign"
IN_SLOTS: Final = f"It stands in the slots, and people have booked by it. {ANOTHER_CAMPAIGN}"
IN_SHARES: Final = "The shares were counted out when the campaign was sealed. Take it back, and change quotas of slots"
FIXED: Final = {
    "region": ANOTHER_CAMPAIGN,
    "rehearsal": ANOTHER_CAMPAIGN,
    "timezone": IN_SLOTS,
    "delete_after_days": f"Residents were told the day, and phones are encrypted for it. {ANOTHER_CAMPAIGN}",
    "rules.assisted": IN_SHARES,
    "rules.reserve_per_mille": IN_SHARES,
    "rules.pickup_grace_h": IN_SLOTS,
    "rules.change_until_h": IN_SLOTS,
    "waiting_room": "Turn the campaign's valve: `POST /v1/campaigns/{campaign}/valve`, or its page in the console",
}
OF_THE_LIST: Final = f"The list stands in the log as pseudonyms. {ANOTHER_CAMPAIGN} for those who are on top"
OF_UNITS: Final = "Change quotas by their own call, and write what is there now (`maskline campaign export` does)"
OF_WINDOWS: Final = (
    "What has begun, and what opens or closes within ten minutes, stays. Change later ones, or open and close by hand"
)
OF_STAGGER: Final = "For a minute doors would tell the other digit. Apply the campaign without `stagger` first"


class Amendment(NamedTuple):
    """A line for each difference. Where there is something under `refused`, nothing is changed."""

    changes: list[str]
    refused: list[str]


class Before(NamedTuple):
    """The sealed campaign. `slots` are of now; `is_same_list`: the same people are entitled."""

    view: CampaignView
    slots: Mapping[str, SlotRow]
    is_same_list: bool

    @property
    def definition(self) -> Definition:
        """What its file says."""
        return self.view.definition


def has_the_tables(view: CampaignView, asked: Campaign, entitled: Sequence[str]) -> bool:
    """Whether a document has the tables that were applied last, whatever has become of quotas since: a document with
    these tables and the definition that is in force is the revision that is in force. 20,000 slots take 0.2 s."""
    definition = view.definition
    slots = tuple(timed(slot, definition.rules, view.where) for slot in asked.slots)
    whole = Campaign(**asdict(definition), pharmacies=asked.pharmacies, slots=slots)
    return revision(whole, entitled) == view.row.revision


def amendment(before: Before, asked: Campaign, *, has_tables: bool, now_ms: int) -> Amendment:
    """Everything that differs. `has_tables` as told above, so that a file need not follow the quotas."""
    definition = before.definition
    was, will_be = _values(definition_document(definition)), _values(definition_document(asked))
    changes, refused = [], []
    for place in dict.fromkeys([*was, *will_be]):
        if was.get(place) != will_be.get(place):
            line = f"{place}: {_shown(was.get(place))} → {_shown(will_be.get(place))}"
            why = _why_it_stays(place, before, definition, asked, now_ms)
            if why:
                refused.append(f"{line}. {why}.")
            else:
                changes.append(line)
    if not has_tables:
        refused += _tables(before, definition, asked)
    if not changes and not refused:
        changes.append("tables: the same rows in another order")
    return Amendment(changes, refused)


def _why_it_stays(place: str, before: Before, definition: Definition, asked: Campaign, now_ms: int) -> str:
    """Why this cannot be changed to that, and what to do; empty where it can."""
    rules = asked.rules
    if place == "windows":
        return "" if _windows_can_follow(definition.windows, asked.windows, now_ms) else OF_WINDOWS
    if place == "rules.stagger":
        old, new = definition.rules.stagger, rules.stagger
        return OF_STAGGER if old is not None and new is not None and old.by != new.by else ""
    if place == "rules.cool_down_days" and rules.cool_down_days:
        return "" if _have_times(before, asked, "cool_until_ms") else IN_SLOTS
    if place == "rules.waiting_list" and rules.waiting_list is not None:
        return "" if _have_times(before, asked, "promote_until_ms") else IN_SLOTS
    return FIXED.get(place, "")


def _windows_can_follow(old: tuple[Window, ...], new: tuple[Window, ...], now_ms: int) -> bool:
    """Whether every opening and closing that a clock may have sent has the same name and time in both."""
    return due(old, now_ms + WINDOWS_STAY_MS) == due(new, now_ms + WINDOWS_STAY_MS)


def _have_times(before: Before, asked: Campaign, time: str) -> bool:
    """Whether each slot has the time that the rule needs, as it was written when the campaign was sealed."""
    return all(
        slot.id not in before.slots or getattr(before.slots[slot.id], time) == getattr(slot, time)
        for slot in asked.slots
    )


# -------------------------------------------------------------------------------------------------------------- tables


def _tables(before: Before, definition: Definition, asked: Campaign) -> list[str]:
    people = definition.rules.entitled, asked.rules.entitled
    lines = []
    if people[0] != people[1]:
        lines.append(f"eligible: {people[0]} → {people[1]} people. {OF_THE_LIST}.")
    elif not before.is_same_list:
        lines.append(f"eligible: other people stand on the list. {OF_THE_LIST}.")
    was = {one.id: _pharmacy(one) for one in before.view.pharmacies.values()}
    lines += _of_table("pharmacies", was, {one.id: _pharmacy(one) for one in asked.pharmacies})
    lines += _of_table(
        "slots",
        {slot: _slot(row) for slot, row in before.slots.items()},
        {slot.id: _slot(slot) for slot in asked.slots},
    )
    units = {slot: row.quota + row.assisted_quota + row.reserve_quota for slot, row in before.slots.items()}
    others = [
        f"{slot.id}: {units[slot.id]} → {slot.units}"
        for slot in asked.slots
        if slot.id in units and units[slot.id] != slot.units
    ]
    if others:
        lines.append(f"units of {len(others)} slots ({_named(others)}). {OF_UNITS}.")
    return lines


def _pharmacy(one: Pharmacy | PharmacyRow) -> tuple[Any, ...]:
    return one.name, one.address, one.lon_e6, one.lat_e6, one.phone


def _slot(one: Slot | SlotRow) -> tuple[Any, ...]:
    return one.pharmacy, one.starts_ms, one.ends_ms, one.day_from_ms, one.day_to_ms


def _of_table(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found = {
        "new": after.keys() - before.keys(),
        "gone": before.keys() - after.keys(),
        "changed": {name for name in before.keys() & after.keys() if before[name] != after[name]},
    }
    return [
        f"{what}: {len(names)} {word} ({_named(names)}). {ANOTHER_CAMPAIGN}." for word, names in found.items() if names
    ]


def _named(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = ", …" if len(ordered) > MAX_NAMED else ""
    return ", ".join(ordered[:MAX_NAMED]) + more


# -------------------------------------------------------------------------------------------------------------- values


def _values(document: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a definition by their places in its file; the list of the entitled is a table."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            found |= {f"{key}.{name}": each for name, each in value.items()}
        else:
            found[key] = value
    found.pop("rules.eligible", None)
    return found


def _shown(value: Any) -> str:
    return "none" if value is None else msgspec.json.encode(value).decode()
