"""How fast a waiting room lets people in, as it was seen lately: what an estimated time is made of."""

from collections import deque
from typing import Final

from services.state.catalogue import CampaignView

LOOK_BACK_S: Final = 30.0
LEAST_S: Final = 3.0
"""Over a shorter time nothing can be said."""
MAX_SEEN: Final = 100


class Outflow:
    """Remembers of each round how far it was let in, refresh by refresh."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[int, deque[tuple[float, int]]]] = {}

    def people_per_s(self, view: CampaignView, now_s: float) -> float | None:
        """None where nothing tells it (yet). What the valve is set to counts until people have been let in."""
        room = view.room
        if room is None:
            return None
        key = (view.partition, view.row.no)
        round_, seen = self._seen.get(key, (-1, deque[tuple[float, int]]()))
        if round_ != room.round:
            seen = deque(maxlen=MAX_SEEN)
            self._seen[key] = (room.round, seen)
        if not seen or seen[-1][0] < view.as_of_s:
            seen.append((view.as_of_s, room.serving))
        while len(seen) > 1 and seen[0][0] < now_s - LOOK_BACK_S:
            seen.popleft()
        (since_s, served), (until_s, serving) = seen[0], seen[-1]
        if until_s - since_s >= LEAST_S and serving > served:
            return (serving - served) / (until_s - since_s)
        return float(room.outflow_per_s) or None
