"""Stock as the public sees it: in bands, never in counts, so that nobody can watch single bookings happen.

Korea's open data of 2020 had four bands for pharmacies that got some 250 masks a day: plenty from 100, some from 30,
few from 2 (one sale), none below. Here a slot may be much smaller, so the two upper limits shrink with the quota, to
two fifths and to three twenty-fifths of it (100 and 30 of 250), but never below 10 and 3: five units are not plenty,
even of five. A single unit can be booked, so `none` is nothing at all.
"""

from enum import StrEnum

PLENTY_UNITS, PLENTY_UNITS_AT_LEAST = 100, 10
SOME_UNITS, SOME_UNITS_AT_LEAST = 30, 3
KOREAN_QUOTA_UNITS = 250


class Band(StrEnum):
    """How much is left of a slot."""

    PLENTY = "plenty"
    SOME = "some"
    FEW = "few"
    NONE = "none"


def band(left: int, quota: int) -> Band:
    """The band of a slot that has `left` units of `quota`."""
    if left <= 0:
        return Band.NONE
    if left >= _scaled(PLENTY_UNITS, quota, PLENTY_UNITS_AT_LEAST):
        return Band.PLENTY
    if left >= _scaled(SOME_UNITS, quota, SOME_UNITS_AT_LEAST):
        return Band.SOME
    return Band.FEW


def _scaled(units: int, quota: int, at_least: int) -> int:
    share = -(-units * quota // KOREAN_QUOTA_UNITS)  # rounded up
    return min(units, max(at_least, share))
