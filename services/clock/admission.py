"""How many more may come in from a waiting room: as fast as they are served, and not many more than there is stock for.

Two bounds, both looked at anew at each beat. The rate is what the ops team has set, or follows how late decisions are
(additive increase, multiplicative decrease). The stock: people who were let in and have not booked yet, for so long as
they may still do so, are at most what is left times the campaign's factor.
"""

from collections import deque
from typing import Final, NamedTuple

from services.domain.rows import CampaignRow, RoomRow

LATE_S: Final = 0.1
"""A decision that takes longer is late: front doors begin to refuse people when the line is so long."""
FIRST_PER_S: Final = 20.0
LEAST_PER_S: Final = 2.0
MOST_PER_S: Final = 3_000.0
MORE_PER_S: Final = 20.0
"""So much is added to the rate in each second in which decisions are not late and the whole rate was used."""
GROWTH: Final = 0.25
"""And this part of what it is: from 20 to 1,000 people a second in a quarter of a minute."""
CUT: Final = 0.5
BOOKS_WITHIN_S: Final = 120.0
"""Who has not booked so long after being let in is not waited for; they may still come, and find what there is."""


class _Seen(NamedTuple):
    at_s: float
    serving: int
    finished: int


class Admission:
    """Of one round. A clock that starts anew has seen nobody come in: it may let in the campaign's factor once more."""

    def __init__(self) -> None:
        self._rate = FIRST_PER_S
        self._seen: deque[_Seen] = deque()
        self._carried = 0.0

    def places(self, room: RoomRow, campaign: CampaignRow, *, late_s: float | None, now_s: float) -> int:
        """How many places more may come in now. `late_s` is how long the last decision took, None where it did not
        come; `now_s` only grows."""
        since_s = min(now_s - self._seen[-1].at_s, 2.0) if self._seen else 0.0
        self._see(_Seen(now_s, room.serving, finished(campaign)))
        wanted = room.early + room.late - room.serving
        rate = float(room.outflow_per_s) or self._adapted(late_s, since_s, is_used=wanted > self._rate * since_s)
        self._carried += rate * since_s
        allowed = min(int(self._carried), wanted, self._for_stock(room, campaign))
        self._carried = min(self._carried - max(allowed, 0), max(rate, 1.0))
        return max(allowed, 0)

    def _adapted(self, late_s: float | None, since_s: float, *, is_used: bool) -> float:
        if late_s is None or late_s > LATE_S:
            self._rate = max(self._rate * CUT**since_s, LEAST_PER_S)
        elif is_used:
            self._rate = min(self._rate + (MORE_PER_S + self._rate * GROWTH) * since_s, MOST_PER_S)
        return self._rate

    def _for_stock(self, room: RoomRow, campaign: CampaignRow) -> int:
        before, now = self._seen[0], self._seen[-1]
        still_book = max(0, (now.serving - before.serving) - (now.finished - before.finished))
        return int(people_left(campaign) * room.factor_per_mille / 1_000) - still_book

    def _see(self, now: _Seen) -> None:
        self._seen.append(now)
        while self._seen[0].at_s < now.at_s - BOOKS_WITHIN_S:
            self._seen.popleft()


def finished(campaign: CampaignRow) -> int:
    """Reservations that were decided, ever."""
    return campaign.confirmed + campaign.rejected + campaign.waitlisted


def people_left(campaign: CampaignRow) -> float:
    """For how many people something is left, in slots or on their waiting lists, if they book as those before them."""
    taken = campaign.quota - campaign.left
    units_each = max(1.0, taken / campaign.confirmed) if campaign.confirmed else 1.0
    may_wait = campaign.quota * campaign.waiting_per_mille / 1_000
    wait = (campaign.waitlisted - campaign.promoted) * units_each
    return (max(campaign.left, 0) + max(may_wait - wait, 0.0)) / units_each
