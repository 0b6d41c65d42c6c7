"""What campaigns there are. Pharmacies and slots are read once; phases and stock are read often.

A definition is read again when the campaign's revision is another one: its rules were changed. Who refreshes now and
then may tell the old ones that much longer than the fold, and what they publish as long again as it may be kept.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog

from services.domain.campaign import Definition
from services.domain.commands import MAX_CHUNK
from services.domain.days import UnknownZone, zone
from services.domain.rows import CampaignRow, PharmacyRow, Phase, RoomRow, SlotRow
from services.state.readers import MAX_KEYS_PER_READ, StateReader

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A sealed campaign: the definition of its file without the tables, its row and its waiting room as of the last
    refresh. `as_of_s` is the event loop's time before they were asked for: whatever was so then was so later too."""

    name: str
    partition: int
    row: CampaignRow
    definition: Definition = field(repr=False)
    pharmacies: dict[str, PharmacyRow] = field(repr=False)
    slots: dict[str, SlotRow] = field(repr=False)  # `taken` and `quota` are of the time of loading: see `stock`
    room: RoomRow | None = None
    as_of_s: float = 0.0

    @property
    def phase(self) -> Phase:
        """Where the campaign stands."""
        return Phase(self.row.phase)

    @property
    def where(self) -> ZoneInfo:
        """The zone in which the campaign tells times."""
        return zone(self.definition.timezone)

    @property
    def how_to_appeal(self) -> dict[str, str]:
        """Whom to ask when somebody is refused: what the file says of phone, place and hours."""
        contact: dict[str, str] = msgspec.structs.asdict(self.definition.appeal_contact)
        return {name: text for name, text in contact.items() if text}


class Catalogue:
    """All sealed campaigns of all partitions, as of the last `refresh`."""

    def __init__(self, reader: StateReader, partitions: int) -> None:
        self._reader = reader
        self._partitions = partitions
        self._campaigns: dict[str, CampaignView] = {}
        self._by_no: dict[tuple[int, int], CampaignView] = {}
        self.partitions_with_campaigns: set[int] = set()
        self.some_wait = False
        """Whether any campaign has a waiting room with people in it."""
        self._misplaced: set[tuple[int, str]] = set()
        self._unreadable: dict[tuple[int, str], str] = {}  # the revision whose definition cannot be read

    def __iter__(self) -> Iterator[CampaignView]:
        return iter(list(self._campaigns.values()))

    def get(self, name: str) -> CampaignView | None:
        """The campaign of that name."""
        return self._campaigns.get(name)

    @property
    def unreadable(self) -> list[str]:
        """Campaigns whose definition, as it stands in the log, cannot be read by this version."""
        return sorted(name for _, name in self._unreadable)

    def by_no(self, partition: int, no: int) -> CampaignView | None:
        """The campaign that rows call by its number."""
        return self._by_no.get((partition, no))

    def last_deletion_day(self, partition: int, now_ms: int) -> str | None:
        """The latest deletion day, YYYY-MM-DD, that has come to a campaign of the partition; None where none has."""
        over = [view for view in self if view.partition == partition and 0 < view.row.delete_ms <= now_ms]
        return max((view.definition.deletion_day for view in over), default=None)

    async def refresh(self) -> None:
        """Read phases anew, and definitions that are new or changed. Raises what the reader raises; then it keeps what
        it had."""
        await asyncio.gather(*(self._refresh_partition(p) for p in range(self._partitions)))
        self.some_wait = any(view.room is not None and view.room.active == 1 for view in self._campaigns.values())

    async def learn(self, partition: int) -> None:
        """Load what was sealed since the last refresh: who is about to say "there is none" must know. Raises what the
        reader raises."""
        names = await self._names(partition)
        aside = self._misplaced | self._unreadable.keys()
        if not all(name in self._campaigns or (partition, name) in aside for name in names):
            await self._refresh_partition(partition)

    async def _names(self, partition: int) -> list[str]:
        return (await self._reader.read(partition, ["cat"])).rows[0] or []

    async def _refresh_partition(self, partition: int) -> None:
        names = await self._names(partition)
        as_of_s = asyncio.get_running_loop().time()
        rows, rooms = await self._rows_and_rooms(partition, names)
        for name, row in zip(names, rows, strict=True):
            known = self._campaigns.get(name)
            if known is not None and known.row.no == row.no and known.partition == partition:
                view: CampaignView | None = await self._now(known, row, rooms.get(row.no), as_of_s)
            elif (partition, name) in self._misplaced or self._unreadable.get((partition, name)) == row.revision:
                continue
            elif await self._lives_in(partition, name, row.region):
                view = await self._load(partition, name, row)
            else:
                continue
            if view is not None:
                self._campaigns[name] = view
                self._by_no[partition, row.no] = view
                self.partitions_with_campaigns.add(partition)

    async def _rows_and_rooms(
        self, partition: int, names: list[str]
    ) -> tuple[list[CampaignRow], dict[int, RoomRow | None]]:
        """The rows of these campaigns, and by number the waiting rooms of those that are known."""
        known = [view.row.no for name in names if (view := self._campaigns.get(name)) and view.partition == partition]
        found = await self._many(partition, [*(f"c:{name}" for name in names), *(f"q:{no}" for no in known)])
        return found[: len(names)], dict(zip(known, found[len(names) :], strict=True))

    async def _lives_in(self, partition: int, name: str, region: str) -> bool:
        """Whether partition 0 gave the campaign's region this partition, or none yet. A definition that somebody wrote
        elsewhere is another order, with a second "one per person": it is offered to nobody."""
        (home,) = (await self._reader.read(0, [f"g:{region}"])).rows
        if home in (None, partition):
            return True
        self._misplaced.add((partition, name))
        log.error(
            "A campaign stands in a partition that is not its region's, and is not offered there",
            action="campaign_misplaced", campaign=name, region=region, partition=partition, home=home,
        )  # fmt: skip
        return False

    async def _load(self, partition: int, name: str, row: CampaignRow) -> CampaignView | None:
        prefix = f"x:{row.no}"
        as_of_s = asyncio.get_running_loop().time()
        text, row, room = await self._many(partition, [prefix, f"c:{name}", f"q:{row.no}"])
        if (definition := self._definition(partition, name, row, text)) is None:
            return None
        chunks = await self._many(partition, [f"{prefix}:p:{first}" for first in range(0, row.pharmacies, MAX_CHUNK)])
        pharmacies = {pharmacy.id: pharmacy for chunk in chunks for pharmacy in chunk}
        chunks = await self._many(partition, [f"{prefix}:s:{first}" for first in range(0, row.slots, MAX_CHUNK)])
        ids = [slot for chunk in chunks for slot in chunk]
        slots = await self._many(partition, [f"s:{row.no}:{slot}" for slot in ids])
        by_id = dict(zip(ids, slots, strict=True))
        return CampaignView(name, partition, row, definition, pharmacies, by_id, room, as_of_s)

    async def _now(
        self, known: CampaignView, row: CampaignRow, room: RoomRow | None, as_of_s: float
    ) -> CampaignView:
        """The same campaign as of its row of now. Where its rules were changed, definition and row are read together,
        so that they are of the same revision; the last definition that could be read stays."""
        now = replace(known, row=row, room=room, as_of_s=as_of_s)
        if known.row.revision == row.revision:
            return now
        keys = [f"c:{known.name}", f"x:{row.no}"]
        row, text = (await self._reader.read(known.partition, keys)).rows
        definition = self._definition(known.partition, known.name, row, text)
        return replace(now, row=row, definition=definition or known.definition)

    def _definition(self, partition: int, name: str, row: CampaignRow, text: str) -> Definition | None:
        """The definition, or None where somebody wrote one into the log that says nothing to us. The fold takes any
        text; one campaign that cannot be told keeps no other from anybody."""
        try:
            definition = msgspec.json.decode(text, type=Definition)
            zone(definition.timezone)
        except (msgspec.DecodeError, UnknownZone) as error:
            self._unreadable[partition, name] = row.revision
            log.error(
                "The definition of a campaign cannot be read, and is not told to anybody",
                action="campaign_unreadable", campaign=name, partition=partition, revision=row.revision, why=str(error),
            )  # fmt: skip
            return None
        self._unreadable.pop((partition, name), None)
        return definition

    async def stock(self, campaign: CampaignView) -> dict[str, SlotRow]:
        """Every slot of a campaign with its quota and what is taken, now."""
        ids = list(campaign.slots)
        rows = await self._many(campaign.partition, [f"s:{campaign.row.no}:{slot}" for slot in ids])
        return dict(zip(ids, rows, strict=True))

    async def _many(self, partition: int, keys: list[str]) -> list[Any]:
        """Rows of many keys, in pieces that never hold Redis for long."""
        rows: list[Any] = []
        for i in range(0, len(keys), MAX_KEYS_PER_READ):
            rows += (await self._reader.read(partition, keys[i : i + MAX_KEYS_PER_READ])).rows
        return rows
