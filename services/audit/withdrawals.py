"""Slots that take back what they promised, and who lost a place over it, reckoned from events, without the model."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.audit.buckets import ASSISTED, PUBLIC, RESERVE, Bucket, Buckets
from services.domain.commands import MoveSlot, WithdrawSlot

_Slot = tuple[str, str]  # campaign, slot


@dataclass(slots=True)
class _UnderWay:
    """Units that people of a slot still have to give up, and where units are kept for them."""

    units: int
    to: str = ""
    kept: int = 0


class Withdrawals:
    """What stands of them. Memory: slots withdrawn, and people who lost a place to it."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._withdrawn: set[_Slot] = set()
        self._under_way: dict[_Slot, _UnderWay] = {}
        self._has_precedence: set[tuple[str, str]] = set()
        self._lost: dict[str, tuple[str, str]] = {}

    def begin(self, command: WithdrawSlot | MoveSlot, told: Sequence[int | str]) -> list[Bucket]:
        """Units cut of each share, units that people have to give up, where they move to. The buckets it changed."""
        *cut, units = [int(each) for each in told[:4]]
        changed = [self._buckets.of(command.campaign, command.slot, share) for share in (PUBLIC, ASSISTED, RESERVE)]
        for bucket, each in zip(changed, cut, strict=True):
            bucket.stock(-each)
        slot = (command.campaign, command.slot)
        if command.keep == 0:
            self._withdrawn.add(slot)
        if units > 0:
            self._under_way[slot] = _UnderWay(units)
        if units > 0 and isinstance(command, MoveSlot):
            self._under_way[slot] = _UnderWay(units, command.to, units)
            to = self._buckets.of(command.campaign, command.to, PUBLIC)
            to.take(units)
            changed.append(to)
        return changed

    def is_withdrawn(self, campaign: str, slot: str) -> bool:
        """Whether nobody can book there."""
        return (campaign, slot) in self._withdrawn

    def is_under_way(self, campaign: str, slot: str) -> bool:
        """Whether people of this slot still have to give up units."""
        under_way = self._under_way.get((campaign, slot))
        return under_way is not None and under_way.units > 0

    def absorbs(self, campaign: str, slot: str, units: int) -> int:
        """How many of these units, which came back to the slot, the pharmacy has not got."""
        under_way = self._under_way.get((campaign, slot))
        gone = 0 if under_way is None else min(units, under_way.units)
        if under_way is not None:
            under_way.units -= gone
        return units if self.is_withdrawn(campaign, slot) else gone

    def more_came(self, campaign: str, slot: str, change: int) -> int:
        """How many of these units, which came or went, leave people their places."""
        if change <= 0:
            return 0
        self._withdrawn.discard((campaign, slot))
        return self.absorbs(campaign, slot, change)

    def arrives(self, campaign: str, old_slot: str, units: int) -> int:
        """Somebody moves: how many of the units were kept for them."""
        under_way = self._under_way.get((campaign, old_slot))
        if under_way is None:
            return 0
        kept = min(units, under_way.kept)
        under_way.kept -= kept
        return kept

    def end(self, campaign: str, slot: str) -> None:
        """All are dealt with: what is still kept is for everybody."""
        under_way = self._under_way.pop((campaign, slot), None)
        if under_way is not None and under_way.kept > 0:
            self._buckets.of(campaign, under_way.to, PUBLIC).take(-under_way.kept)

    # ------------------------------------------------------------------------------------------------- precedence

    def lost(self, pass_no: str, campaign: str, resident: str) -> None:
        """Somebody lost a place."""
        self._has_precedence.add((campaign, resident))
        self._lost[pass_no] = (campaign, resident)

    def has_precedence(self, campaign: str, resident: str) -> bool:
        """Whether somebody may book from the reserve."""
        return (campaign, resident) in self._has_precedence

    def got_units(self, campaign: str, resident: str) -> None:
        """Somebody has a place."""
        self._has_precedence.discard((campaign, resident))

    def got_it_after_all(self, pass_no: str) -> None:
        """What was lost had been handed out, without a network."""
        self._has_precedence.discard(self._lost.get(pass_no, ("", "")))
