"""Days and times as people say them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def day(at_ms: int, where: ZoneInfo, words: Mapping[str, str]) -> str:
    """`Mon 3 Feb`, `2月3日 周一`."""
    local = (_EPOCH + at_ms * _MILLISECOND).astimezone(where)
    weekday = words["weekdays"].split(",")[local.weekday()]
    month = words["months"].split(",")[local.month - 1]
    return words["day"].format(weekday=weekday, month=month, day=local.day)


def clock(at_ms: int, where: ZoneInfo) -> str:
    """`09:00`."""
    return (_EPOCH + at_ms * _MILLISECOND).astimezone(where).strftime("%H:%M")


def moment(at_ms: int, where: ZoneInfo, words: Mapping[str, str]) -> str:
    """`Mon 3 Feb 09:00`."""
    return f"{day(at_ms, where, words)} {clock(at_ms, where)}"


def span(from_ms: int, to_ms: int, where: ZoneInfo) -> str:
    """`09:00–12:00`; midnight at the end is 24:00, for that is how a day ends."""
    end = clock(to_ms, where)
    return f"{clock(from_ms, where)}–{'24:00' if end == '00:00' else end}"


def window(from_ms: int, to_ms: int, where: ZoneInfo, words: Mapping[str, str]) -> str:
    """A time that may reach over several days; one that ends with the day it begins on is told in short."""
    last_day = day(to_ms - 1, where, words)
    if last_day == day(from_ms, where, words) and to_ms - from_ms <= DAY_MS:
        return when(from_ms, to_ms, where, words)
    return f"{moment(from_ms, where, words)} – {moment(to_ms, where, words)}"


def when(from_ms: int, to_ms: int, where: ZoneInfo, words: Mapping[str, str]) -> str:
    """Day and times."""
    return f"{day(from_ms, where, words)} {span(from_ms, to_ms, where)}"
