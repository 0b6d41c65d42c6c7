"""The units of every share of every slot, reckoned from definitions and events, without the model."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.domain.commands import CampaignRules, Slot

PUBLIC, ASSISTED, RESERVE = "public", "assisted", "reserve"


@dataclass(slots=True)
class _Total:
    """Units left in a share over all slots of a campaign."""

    left: int = 0


@dataclass(slots=True)
class Bucket:
    """A share of a slot. `refused` is the smallest wish refused for lack of stock since units last came free;
    `waiting` are the pass numbers of those who wait, in order, with their units."""

    total: _Total
    quota: int = 0
    taken: int = 0
    refused: int | None = None
    waiting: dict[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """Units that may still be given out."""
        return self.quota - self.taken

    def take(self, units: int) -> None:
        """Units are given out, or come back."""
        self.taken += units
        self.total.left -= units
        if units < 0:
            self.refused = None

    def give_back(self, units: int, gone: int) -> None:
        """Units come back, and some of them are gone at once: the pharmacy has not got them."""
        refused = self.refused
        self.take(-units)
        self.stock(-gone)
        if gone == units:
            self.refused = refused  # nobody can have them

    def stock(self, units: int) -> None:
        """There is more, or less, to give out."""
        self.quota += units
        self.total.left += units
        if units > 0:
            self.refused = None


class Buckets:
    """By campaign, slot and share. What was never defined has nothing to give."""

    def __init__(self) -> None:
        self._drafts: dict[str, _Draft] = {}
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._totals: dict[tuple[str, str], _Total] = {}

    def define(self, campaign: str, rules: CampaignRules) -> None:
        """A definition begins; a draft before it is left behind."""
        self._drafts[campaign] = _Draft(rules)

    def add(self, campaign: str, slots: Iterable[Slot]) -> None:
        """Slots of a draft."""
        self._drafts.setdefault(campaign, _Draft(CampaignRules())).units |= {slot.id: slot.units for slot in slots}

    def seal(self, campaign: str) -> None:
        """From here on there is something to give: shares per mille, rounded down, and the rest public."""
        draft = self._drafts.pop(campaign, _Draft(CampaignRules()))
        for slot, units in draft.units.items():
            assisted = units * draft.rules.assisted_per_mille // 1_000
            reserve = units * draft.rules.reserve_per_mille // 1_000
            for share, quota in ((PUBLIC, units - assisted - reserve), (ASSISTED, assisted), (RESERVE, reserve)):
                if quota > 0:
                    self.of(campaign, slot, share).stock(quota)

    def of(self, campaign: str, slot: str, share: str) -> Bucket:
        """The bucket, to be changed in place."""
        bucket = self._buckets.get((campaign, slot, share))
        if bucket is None:
            total = self._totals.setdefault((campaign, share), _Total())
            bucket = self._buckets[campaign, slot, share] = Bucket(total)
        return bucket


@dataclass(slots=True)
class _Draft:
    rules: CampaignRules
    units: dict[str, int] = field(default_factory=dict)
