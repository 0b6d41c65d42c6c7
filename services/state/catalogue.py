"""What campaigns there are. Pharmacies and slots are read once; phases and stock are read often.

A definition is read again when the campaign's revision is another one: its rules were changed. Who refreshes once a
second may tell the old ones that much longer than the fold, and what they publish as long again as it may be kept.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from services.domain.commands import MAX_CHUNK
from services.domain.rows import CampaignRow, PharmacyRow, Phase, SlotRow
from services.state.readers import MAX_KEYS_PER_READ, StateReader

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A sealed campaign: the definition as the file had it, and its row as of the last refresh."""

    name: str
    partition: int
    row: CampaignRow
    definition: dict[str, Any] = field(repr=False)
    pharmacies: dict[str, PharmacyRow] = field(repr=False)
    slots: dict[str, SlotRow] = field(repr=False)  # `taken` and `quota` are of the time of loading: see `stock`

    @property
    def phase(self) -> Phase:
        """Where the campaign stands."""
        return Phase(self.row.phase)


class Catalogue:
    """All sealed campaigns of all partitions, as of the last `refresh`."""

    def __init__(self, reader: StateReader, partitions: int) -> None:
        self._reader = reader
        self._partitions = partitions
        self._campaigns: dict[str, CampaignView] = {}
        self._by_no: dict[tuple[int, int], CampaignView] = {}
        self._misplaced: set[tuple[int, str]] = set()

    def __iter__(self) -> Iterator[CampaignView]:
        return iter(list(self._campaigns.values()))

    def get(self, name: str) -> CampaignView | None:
        """The campaign of that name."""
        return self._campaigns.get(name)

    def by_no(self, partition: int, no: int) -> CampaignView | None:
        """The campaign that rows call by its number."""
        return self._by_no.get((partition, no))

    def last_deletion_day(self, partition: int, now_ms: int) -> str | None:
        """The latest deletion day, YYYY-MM-DD, that has come to a campaign of the partition; None where none has."""
        over = [view for view in self if view.partition == partition and 0 < view.row.delete_ms <= now_ms]
        return max((str(view.definition["deletion_day"]) for view in over), default=None)

    async def refresh(self) -> None:
        """Read phases anew, and definitions that are new or changed. Raises what the reader raises; then it keeps what
        it had."""
        await asyncio.gather(*(self._refresh_partition(p) for p in range(self._partitions)))

    async def learn(self, partition: int) -> None:
        """Load what was sealed since the last refresh: who is about to say "there is none" must know. Raises what the
        reader raises."""
        names = await self._names(partition)
        if not all(name in self._campaigns or (partition, name) in self._misplaced for name in names):
            await self._refresh_partition(partition)

    async def _names(self, partition: int) -> list[str]:
        return (await self._reader.read(partition, ["cat"])).rows[0] or []

    async def _refresh_partition(self, partition: int) -> None:
        names = await self._names(partition)
        rows: list[CampaignRow] = await self._many(partition, [f"c:{name}" for name in names])
        for name, row in zip(names, rows, strict=True):
            if (partition, name) in self._misplaced:
                continue
            known = self._campaigns.get(name)
            if known is None or known.row.no != row.no or known.partition != partition:
                if not await self._lives_in(partition, name, row.region):
                    continue
                view = await self._load(partition, name, row)
            elif known.row.revision != row.revision:
                view = await self._read_definition(known)
            else:
                view = CampaignView(name, partition, row, known.definition, known.pharmacies, known.slots)
            self._campaigns[name] = view
            self._by_no[partition, row.no] = view

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

    async def _load(self, partition: int, name: str, row: CampaignRow) -> CampaignView:
        prefix = f"x:{row.no}"
        definition, *_ = await self._many(partition, [prefix])
        chunks = await self._many(partition, [f"{prefix}:p:{first}" for first in range(0, row.pharmacies, MAX_CHUNK)])
        pharmacies = {pharmacy.id: pharmacy for chunk in chunks for pharmacy in chunk}
        chunks = await self._many(partition, [f"{prefix}:s:{first}" for first in range(0, row.slots, MAX_CHUNK)])
        ids = [slot for chunk in chunks for slot in chunk]
        slots = await self._many(partition, [f"s:{row.no}:{slot}" for slot in ids])
        return CampaignView(
            name, partition, row, msgspec.json.decode(definition), pharmacies, dict(zip(ids, slots, strict=True))
        )

    async def _read_definition(self, known: CampaignView) -> CampaignView:
        """A campaign whose rules were changed; the definition and the row of the same revision."""
        keys = [f"c:{known.name}", f"x:{known.row.no}"]
        row, definition = (await self._reader.read(known.partition, keys)).rows
        decoded = msgspec.json.decode(definition)
        return CampaignView(known.name, known.partition, row, decoded, known.pharmacies, known.slots)

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
