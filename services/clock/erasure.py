"""Contact keys go on the day that residents were told: with its key, a campaign's phones are gone everywhere at once.

A key cannot be made again, so two times have to agree that the day has begun where the campaign is: that of this
machine and that of the fold, which no single wrong clock can put forward. A campaign that no log here knows (an earlier
one of the embedded tier) has its day when it has begun everywhere.
"""

from __future__ import annotations

from datetime import date, timedelta, timezone, tzinfo
from typing import Final

import structlog

from services.domain.days import begins_ms
from services.platform.contact import ContactKeys
from services.platform.errors import MasklineError
from services.state.door import Door

LAST_TO_BEGIN: Final = timezone(timedelta(hours=-12))
LOOK_S: Final = 60.0

log = structlog.get_logger(__name__)


class Erasure:
    """Looks through the folder of contact keys. `wrong` is what keeps it from its work, in words."""

    def __init__(self, door: Door, keys: ContactKeys) -> None:
        self.wrong: str | None = None
        self._door = door
        self._keys = keys
        if not keys.folder.is_dir():  # another clock may have it; that none has is told by `maskline doctor`
            log.warning("There are no contact keys here to delete", action="no_contact_keys", folder=str(keys.folder))

    async def look(self, now_ms: int) -> None:
        """Delete what is due. What fails is tried again at the next look."""
        wrong = None
        for campaign, day in self._keys.kept():
            try:
                day_ms = begins_ms(day, self._zone(campaign))
                if day_ms <= now_ms and day_ms <= await self._fold_ms(campaign):
                    self._delete(campaign, day)
            except (MasklineError, OSError) as error:
                wrong = f"the contact key of campaign {campaign} cannot be deleted on its day, {day}: {error}"
                log.error("A key is not deleted", action="contact_key_not_deleted", campaign=campaign, why=str(error))
        self.wrong = wrong

    def _delete(self, campaign: str, day: date) -> None:
        if self._keys.delete(campaign, day):
            log.info("The phones are erased", action="contact_key_deleted", campaign=campaign, day=day.isoformat())

    def _zone(self, campaign: str) -> tzinfo:
        view = self._door.catalogue.get(campaign)
        return LAST_TO_BEGIN if view is None else view.where

    async def _fold_ms(self, campaign: str) -> int:
        """The fold's time where the campaign lives; for one that is not known, the earliest of all partitions."""
        view = self._door.catalogue.get(campaign)
        partitions = range(self._door.partitions) if view is None else [view.partition]
        return min([(await self._door.reader.read(partition, [])).head.now_ms for partition in partitions])
