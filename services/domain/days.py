"""Instants and days. A day is what a campaign's time zone says it is; its boundaries are worked out here, once, when a
campaign is written, so that nothing behind the log ever needs a time-zone table.

Units: `_ms` is milliseconds since the epoch; a day is the integer YYYYMMDD.
"""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.domain.errors import MasklineError

# 2 January 2020 to 30 December 2099: a day inside of what commands carry, so that in every zone the whole day is.
FIRST_MS, LAST_MS = 1_577_923_200_000, 4_102_272_000_000
MINUTE_MS = 60_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class UnknownZone(MasklineError):
    """There is no time zone {name!r}; write a name of the IANA table, such as Asia/Shanghai."""


class TimeUnreadable(MasklineError):
    """{what}"""


class Day(NamedTuple):
    """A day of a time zone: its number YYYYMMDD, its first instant and the first one after it."""

    number: int
    from_ms: int
    to_ms: int


def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError) as error:  # a folder of the table, a path out of it, not in it
        raise UnknownZone(name=name) from error


def instant_ms(text: str) -> int:
    """The instant that an RFC 3339 text with an offset names. Raises TimeUnreadable, which says what to write."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise TimeUnreadable(
            what="is no time; write it like 2020-02-01T20:00:00+08:00, midnight as 00:00 of the day that begins"
        ) from error
    if moment.tzinfo is None:
        raise TimeUnreadable(what="has no offset; add the one that holds there and then, such as +08:00")
    at_ms = (moment - _EPOCH) // _MILLISECOND
    if not FIRST_MS <= at_ms < LAST_MS:
        raise TimeUnreadable(what="is in no year from 2020 to 2099; look for a typo")
    return at_ms


def rfc3339(at_ms: int, where: ZoneInfo) -> str:
    """The instant as people of that zone write it, to the second (or millisecond, if need be)."""
    moment = (_EPOCH + at_ms * _MILLISECOND).astimezone(where)
    return moment.isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds")


def day_of(at_ms: int, where: ZoneInfo) -> Day:
    """The day of that zone in which an instant lies."""
    return _day(datetime.fromtimestamp(at_ms // 1000, where).date(), where)


def iso_day(day: int) -> str:
    """YYYYMMDD as YYYY-MM-DD."""
    return _date(day).isoformat()


def days_apart(day: int, other: int) -> int:
    """How many days lie between two days YYYYMMDD."""
    return abs((_date(day) - _date(other)).days)


def later(day: int, days: int) -> str:
    """The day that many days after YYYYMMDD, as YYYY-MM-DD."""
    return (_date(day) + timedelta(days=days)).isoformat()


def begins_ms(day: date, where: tzinfo) -> int:
    """The first instant of a day there."""
    return _midnight_ms(day, where)


def days_after(day: int, days: int, where: ZoneInfo) -> Day:
    """The day of that zone that many days after YYYYMMDD."""
    return _day(_date(day) + timedelta(days=days), where)


def weekday(day: int) -> int:
    """Of YYYYMMDD; Monday is 0."""
    return _date(day).weekday()


def _date(day: int) -> date:
    return date(day // 10_000, day // 100 % 100, day % 100)


@lru_cache(maxsize=4_096)
def _day(local: date, where: ZoneInfo) -> Day:
    number = local.year * 10_000 + local.month * 100 + local.day
    return Day(number, _midnight_ms(local, where), _midnight_ms(local + timedelta(days=1), where))


def _midnight_ms(local: date, where: tzinfo) -> int:
    # Where the clock jumps over midnight this is the instant of the jump: 00:00 under the offset before it.
    return (datetime(local.year, local.month, local.day, tzinfo=where) - _EPOCH) // _MILLISECOND
