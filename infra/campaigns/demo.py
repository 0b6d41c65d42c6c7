"""A campaign brought to here and now: the same city and rules, at the size and time of a demonstration."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from services.domain.campaign import Campaign, Window, deletion_day
from services.domain.campaign_tables import MAX_SLOT_UNITS
from services.domain.campaign_times import timed
from services.domain.commands import Slot
from services.domain.days import MINUTE_MS, Day, day_of, zone
from services.domain.errors import MasklineError

HOUR_MS = 3_600_000
OPENED_BEFORE_MS = MINUTE_MS  # so that the window is open on a machine whose clock is a little behind ours
FIRST_HOUR, LAST_HOUR, SLOT_HOURS = 9, 21, 2
PEOPLE_A_SLOT_AT_LEAST = 4


class NotThatMany(MasklineError):
    """{units} units cannot be shared out over {slots} slots. Choose from 1 to {most}."""


class _Time(NamedTuple):
    """A pick-up time on a day."""

    day: Day
    starts_ms: int
    ends_ms: int


def scaled(campaign: Campaign, units: int, now_ms: int) -> Campaign:
    """The campaign with exactly `units` units, its slots today and tomorrow, and one window that is open now.

    As many slots are kept as can have what four people may book at most, each pharmacy's first before any second; a
    slot with less would refuse most people though it has some left, which the real ones did not. First slots cover now
    (every other one, where nobody has a second), the rest lie tomorrow and later today. Units are shared out in
    proportion to the original ones. Slots get new ids, for the old ones may tell a time. Raises NotThatMany.
    """
    where = zone(campaign.timezone)
    times = _times(now_ms, where)
    by_pharmacy: dict[str, list[Slot]] = defaultdict(list)
    for slot in campaign.slots:
        if len(by_pharmacy[slot.pharmacy]) < len(times):
            by_pharmacy[slot.pharmacy].append(slot)
    room = sum(map(len, by_pharmacy.values()))
    if not 1 <= units <= room * MAX_SLOT_UNITS:
        raise NotThatMany(units=units, slots=room, most=room * MAX_SLOT_UNITS)
    fewest = -(-units // MAX_SLOT_UNITS)
    slots = max(fewest, min(room, units // (PEOPLE_A_SLOT_AT_LEAST * campaign.rules.units_max)))
    kept = [
        _moved(slot, index, times[rank + ((index - 1) % 2 if slots <= len(by_pharmacy) else 0)])
        for rank, index, slot in _by_rank(list(by_pharmacy.values()))[:slots]
    ]
    kept.sort(key=lambda slot: slot.id)
    shares = _shared_out(units, [slot.units for slot in kept])
    window = Window(opens_ms=now_ms // MINUTE_MS * MINUTE_MS - OPENED_BEFORE_MS, closes_ms=times[1].day.to_ms)
    return msgspec.structs.replace(
        campaign,
        windows=(window,),
        pharmacies=tuple(
            pharmacy for pharmacy in campaign.pharmacies if pharmacy.id in {slot.pharmacy for slot in kept}
        ),
        slots=tuple(
            timed(msgspec.structs.replace(slot, units=share), campaign.rules, where)
            for slot, share in zip(kept, shares, strict=True)
        ),
        deletion_day=deletion_day(kept, campaign.delete_after_days),
    )


def _by_rank(pharmacies: Sequence[Sequence[Slot]]) -> list[tuple[int, int, Slot]]:
    """(rank within its pharmacy, number of the pharmacy, slot): all first slots, then all second ones."""
    ranked = [(rank, index, slot) for index, slots in enumerate(pharmacies, 1) for rank, slot in enumerate(slots)]
    return sorted(ranked, key=lambda one: one[:2])


def _times(now_ms: int, where: ZoneInfo) -> list[_Time]:
    """Pick-up times in the order in which they are used: now, then tomorrow and the rest of today in turn."""
    today = day_of(now_ms, where)
    tomorrow = day_of(today.to_ms, where)
    hour_ms = now_ms - (now_ms - today.from_ms) % HOUR_MS
    # At least an hour is left of it, unless the day ends before: whoever watches wants to see a pick-up.
    current = _Time(today, max(today.from_ms, hour_ms - HOUR_MS), min(today.to_ms, hour_ms + 2 * HOUR_MS))
    later_today = [time for time in _opening_times(today) if time.starts_ms >= current.ends_ms]
    next_day = _opening_times(tomorrow)
    pairs = zip_longest(next_day, later_today)
    return [current, *(time for pair in pairs for time in pair if time is not None)]


def _opening_times(day: Day) -> list[_Time]:
    starts = range(day.from_ms + FIRST_HOUR * HOUR_MS, day.from_ms + LAST_HOUR * HOUR_MS, SLOT_HOURS * HOUR_MS)
    return [_Time(day, start_ms, start_ms + SLOT_HOURS * HOUR_MS) for start_ms in starts]


def _moved(slot: Slot, index: int, time: _Time) -> Slot:
    hours = (time.starts_ms - time.day.from_ms) // HOUR_MS
    return msgspec.structs.replace(
        slot,
        id=f"s-{index:04d}-{time.day.number % 10_000:04d}-{hours:02d}",
        day=time.day.number,
        starts_ms=time.starts_ms,
        ends_ms=time.ends_ms,
        day_from_ms=time.day.from_ms,
        day_to_ms=time.day.to_ms,
    )


def _shared_out(units: int, weights: Sequence[int]) -> list[int]:
    """Whole shares of `units` by weight, from 1 to MAX_SLOT_UNITS each, which add up to `units` exactly."""
    whole, spare = sum(weights), units - len(weights)
    shares = [min(MAX_SLOT_UNITS, 1 + spare * weight // whole) for weight in weights]
    left = units - sum(shares)
    while left:
        for index in range(len(shares)):
            more = min(-(-left // (len(shares) - index)), MAX_SLOT_UNITS - shares[index])
            shares[index] += more
            left -= more
    return shares
