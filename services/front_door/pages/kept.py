"""Pages that everybody gets alike, made once for as long as nothing in them changes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from services.front_door.pages.visit import POLICY, Visit
from services.front_door.published import Published
from services.platform.http_answers import HTML

MAX_AGE_S: Final = 5
MAX_KEPT: Final = 300
"""Pages of different addresses and languages; a page has some 20 KB."""


class KeptPages:
    """The pages made last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[Hashable, Published]] = OrderedDict()

    def page(self, visit: Visit, version: Hashable, make: Callable[[], bytes]) -> Published:
        """The page of this address in this language; made anew where `version` is another one."""
        address = (visit.address, visit.spoken)
        kept = self._kept.get(address)
        if kept is None or kept[0] != version:
            kept = self._kept[address] = (version, Published(make(), HTML, MAX_AGE_S, POLICY))
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(address)
        return kept[1]
