"""The campaigns on offer, each as this door needs it: found by one look-up, made once for each revision."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from services.domain.campaign import Definition
from services.domain.campaign_times import next_day
from services.domain.days import rfc3339
from services.domain.documents import DocumentType
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import PharmacyRow, Phase, SlotRow
from services.platform.contact import ContactKey, ContactKeys
from services.platform.errors import MasklineError
from services.platform.problems import Problem
from services.state.catalogue import CampaignView, Catalogue
from services.state.errors import CatchingUpError, StateUnavailableError

LEAST_REFRESH_PAUSE_S: Final = 0.05
"""Between two looks for campaigns that are not known: invented names must not cost a read each."""
CONTACT_KEY_PAUSE_S: Final = 1.0
"""Between two looks for a contact key that was not there."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """A sealed campaign. Its phase and counts are not here: they change, and the catalogue knows them."""

    name: str
    no: int
    revision: str
    partition: int
    definition: Definition
    where: ZoneInfo
    document_types: frozenset[DocumentType]
    how_to_appeal: dict[str, str]
    pharmacies: dict[str, PharmacyRow]
    slots: dict[str, SlotRow]

    @classmethod
    def of(cls, view: CampaignView) -> "Offered":
        """From what the catalogue has read."""
        definition = view.definition
        return cls(
            name=view.name,
            no=view.row.no,
            revision=view.row.revision,
            partition=view.partition,
            definition=definition,
            where=view.where,
            document_types=frozenset(definition.rules.document_types),
            how_to_appeal=view.how_to_appeal,
            pharmacies=view.pharmacies,
            slots=view.slots,
        )

    def time(self, at_ms: int) -> str:
        """An instant as people of the campaign's zone write it."""
        return rfc3339(at_ms, self.where)

    def day(self, at_ms: int) -> str:
        """The day of an instant in the campaign's zone, as YYYY-MM-DD."""
        return self.time(at_ms)[:10]

    def next_turn(self, digit: int, now_ms: int) -> str | None:
        """The next day, as YYYY-MM-DD, on which somebody with this digit may book; None where there is none."""
        stagger = self.definition.rules.stagger
        if stagger is None:
            return None
        day = next_day(stagger, self.definition.windows, self.where, digit, now_ms)
        return None if day is None else self.day(day.from_ms)

    def next_opening(self, now_ms: int) -> str | None:
        """When booking opens next, where that is known."""
        for window in self.definition.windows:
            if window.opens_ms > now_ms:
                return self.time(window.opens_ms)
        return None


class Campaigns:
    """Finds campaigns by name or number, and the keys of their residents' phones."""

    def __init__(self, catalogue: Catalogue, contact_keys: ContactKeys) -> None:
        self._catalogue = catalogue
        self._contact_keys = contact_keys
        self._offered: dict[str, Offered] = {}
        self._keys: dict[tuple[str, str], ContactKey] = {}  # by campaign and deletion day, as the files are
        self._no_key_until_s: dict[str, float] = {}
        self._next_refresh_s = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Offered]:
        """Those that are listed, which rehearsals are not: those that may be booked first, the newest among equals."""
        order = {Phase.OPEN: 0, Phase.PAUSED: 1, Phase.SCHEDULED: 2, Phase.CLOSED: 3}
        listed = [view for view in self._catalogue if not view.definition.rehearsal]
        views = sorted(listed, key=lambda view: (order[view.phase], -view.row.no, view.name))
        return iter([offered for view in views if (offered := self.get(view.name)) is not None])

    def get(self, name: str) -> Offered | None:
        """The campaign, if this process knows it."""
        view = self._catalogue.get(name)
        if view is None:
            return None
        offered = self._offered.get(name)
        if offered is None or (offered.no, offered.revision) != (view.row.no, view.row.revision):
            offered = self._offered[name] = Offered.of(view)
        return offered

    async def find(self, name: str) -> Offered:
        """The campaign, looked for once more where it is not known. Raises Problem `unknown_campaign`."""
        offered = self.get(name)
        if offered is None:
            await self._refresh()
            offered = self.get(name)
        if offered is None:
            raise Problem(Reason.UNKNOWN_CAMPAIGN)
        return offered

    async def numbered(self, partition: int, no: int) -> Offered | None:
        """The campaign that rows call by this number."""
        view = self._catalogue.by_no(partition, no)
        if view is None:
            await self._refresh()
            view = self._catalogue.by_no(partition, no)
        return None if view is None else self.get(view.name)

    def phase(self, offered: Offered) -> Phase:
        """Where a campaign stands, as of the last refresh."""
        view = self._catalogue.get(offered.name)
        return Phase.CLOSED if view is None else view.phase

    def has_somebody_first(self, offered: Offered) -> bool:
        """Whether somebody lost a place in it and has got no other, as of the last refresh."""
        view = self._catalogue.get(offered.name)
        return view is not None and view.row.precedence > 0

    def contact_key(self, offered: Offered) -> ContactKey:
        """The key that a phone is encrypted with. Raises Problem 503 where this process does not have it."""
        day = offered.definition.deletion_day
        key = self._keys.get((offered.name, day))
        if key is not None:
            return key
        now_s = time.monotonic()
        if now_s < self._no_key_until_s.get(offered.name, 0.0):
            raise Problem(DoorReason.CATCHING_UP)
        try:
            key = self._contact_keys.load(offered.name, date.fromisoformat(day))
        except (MasklineError, ValueError) as error:
            self._no_key_until_s[offered.name] = now_s + CONTACT_KEY_PAUSE_S
            log.error("No contact key", action="contact_key_missing", campaign=offered.name, why=str(error))
            raise Problem(DoorReason.CATCHING_UP) from error
        self._keys[offered.name, day] = key
        return key

    async def _refresh(self) -> None:
        """One look for all who miss something now, begun after they asked. Raises Problem 503 where Redis is away."""
        before = self._refreshing
        if before is not None:  # it may have looked before the campaign was there
            await asyncio.wait({before})
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh_once(), name="look for a campaign")
        task = self._refreshing
        await asyncio.wait({task})
        error = task.exception()
        if isinstance(error, CatchingUpError | StateUnavailableError):
            raise Problem(DoorReason.CATCHING_UP) from error
        if error is not None:
            raise error

    async def _refresh_once(self) -> None:
        try:
            await asyncio.sleep(max(0.0, self._next_refresh_s - time.monotonic()))
            self._next_refresh_s = time.monotonic() + LEAST_REFRESH_PAUSE_S
            await self._catalogue.refresh()
        finally:
            self._refreshing = None
