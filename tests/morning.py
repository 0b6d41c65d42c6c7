"""A time zone in which it is ten in the morning now.

Systems that are tested as processes live by the real clock, and what they test has days: a slot of today, a weekday's
turn. Where it is morning no day ends in the middle of a test, at whatever hour the tests are run.
"""

import time
from datetime import datetime
from zoneinfo import ZoneInfo

HOUR_OF_DAY = 10


def morning_zone(now_s: float) -> ZoneInfo:
    """One of the whole-hour zones, which have no summer time."""
    offset_h = (HOUR_OF_DAY - int(now_s // 3600) + 12) % 24 - 12
    return ZoneInfo(f"Etc/GMT{-offset_h:+d}")  # POSIX counts westwards


WHERE = morning_zone(time.time())
OFFSET = datetime.now(WHERE).isoformat()[-6:]
"""As it stands behind a time: +08:00."""
