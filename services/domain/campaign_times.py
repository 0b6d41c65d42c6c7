"""Rules that rest on days and hours, as integers for the fold: behind the log nobody knows a time zone."""

from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from services.domain.campaign import WEEKDAYS, Rules, Stagger, StaggerBy, Window
from services.domain.commands import Slot, StaggerDay
from services.domain.days import LAST_MS, Day, day_of, days_after, weekday
from services.domain.documents import DocumentType, birth_year, last_digit

HOUR_MS = 3_600_000
MAX_STAGGER_DAYS = 400


def timed(slot: Slot, rules: Rules, where: ZoneInfo) -> Slot:
    """A slot with the instants at which the rules do something with it; they stay within what commands carry."""
    pick_until_ms = cool_until_ms = release_ms = promote_until_ms = change_until_ms = 0
    if rules.pickup_grace_h is not None:
        pick_until_ms = min(slot.ends_ms + rules.pickup_grace_h * HOUR_MS, LAST_MS)
    if rules.cool_down_days:
        # Whoever got some on this day waits so many whole days behind it.
        cool_until_ms = min(days_after(slot.day, rules.cool_down_days + 1, where).from_ms, LAST_MS)
    if rules.assisted is not None and rules.assisted.release_h is not None:
        release_ms = slot.starts_ms - rules.assisted.release_h * HOUR_MS
    if rules.waiting_list is not None:
        promote_until_ms = slot.starts_ms - rules.waiting_list.promote_until_h * HOUR_MS
    if rules.change_until_h is not None:
        change_until_ms = slot.starts_ms - rules.change_until_h * HOUR_MS
    return replace(
        slot,
        pick_until_ms=pick_until_ms,
        cool_until_ms=cool_until_ms,
        release_ms=release_ms,
        promote_until_ms=promote_until_ms,
        change_until_ms=change_until_ms,
    )


class Turn(NamedTuple):
    """A day on which only some may book."""

    day: Day
    digits: tuple[int, ...]


def turns(stagger: Stagger, windows: Sequence[Window], where: ZoneInfo) -> list[Turn]:
    """Every day that a window touches and that is listed, in order; at most one more than MAX_STAGGER_DAYS."""
    found: dict[int, Turn] = {}
    for window in windows:
        day = day_of(window.opens_ms, where)
        while day.from_ms < window.closes_ms and len(found) <= MAX_STAGGER_DAYS:
            digits = stagger.days.get(WEEKDAYS[weekday(day.number)])
            if digits is not None:
                found[day.number] = Turn(day, digits)
            day = day_of(day.to_ms, where)
    return list(found.values())


def next_day(
    stagger: Stagger, windows: Sequence[Window], where: ZoneInfo, digit: int, now_ms: int
) -> Day | None:
    """The next day on which somebody with this digit may book, today included; None where no window has one left."""
    for window in windows:
        day = day_of(max(window.opens_ms, now_ms), where)
        for _ in WEEKDAYS:  # one of a week at the latest
            if day.from_ms >= window.closes_ms or now_ms >= window.closes_ms:
                break
            if digit in stagger.days.get(WEEKDAYS[weekday(day.number)], (digit,)):
                return day
            day = day_of(day.to_ms, where)
    return None


def stagger_days(stagger: Stagger | None, windows: Sequence[Window], where: ZoneInfo) -> list[StaggerDay]:
    """The same as the fold gets it."""
    if stagger is None:
        return []
    return [
        StaggerDay(from_ms=turn.day.from_ms, to_ms=turn.day.to_ms, digits=list(turn.digits))
        for turn in turns(stagger, windows, where)
    ]


def digit_of(by: StaggerBy, kind: DocumentType, number: str, said_birth_year: int | None) -> int | None:
    """The digit of somebody with this canonical number. What the document tells counts before what somebody says.

    None where the year of birth is needed and neither tells it.
    """
    if by is StaggerBy.DOCUMENT_DIGIT:
        return last_digit(number)
    year = birth_year(kind, number) or said_birth_year
    return None if year is None else year % 10
