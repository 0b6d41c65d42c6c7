"""The promises of SCENARIOS.md, walked over the published events alone: the model has no say here.

Quotas come from the definition's commands, everything else from events. So a mistake that the model and the Lua share
is still found: units beyond a quota (I1), a second live reservation (I2), a pick-up that happens twice (I6), somebody
served before another who was refused for lack of stock (I7), and a refusal that was not true.
"""

from dataclasses import dataclass
from typing import Any

from services.audit.report import Kind, Report
from services.domain.commands import AddSlots, Command
from services.domain.events import Event


@dataclass(slots=True)
class _Bucket:
    """A slot's units. `refused` is the smallest wish refused for lack of stock since units last came free."""

    quota: int
    taken: int = 0
    refused: int | None = None


@dataclass(slots=True)
class _Held:
    """A live reservation."""

    campaign: str
    slot: str
    resident: str
    units: int
    is_picked_up: bool = False


class Walk:
    """Takes each event once, in order, with the command at its offset. Memory: slots and live reservations."""

    def __init__(self, partition: int, report: Report) -> None:
        self._partition = partition
        self._report = report
        self._drafts: dict[str, dict[str, int]] = {}
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._left: dict[str, int] = {}
        self._live: dict[tuple[str, str], str] = {}
        self._held: dict[str, _Held] = {}

    def step(self, offset: int, command: Command, event: Event) -> None:
        """Take the next event."""
        match event.type:
            case "confirmed":
                self._confirmed(offset, event)
            case "rejected":
                self._rejected(offset, event)
            case "cancelled":
                self._cancelled(offset, event)
            case "picked_up" | "pick_up_undone":
                self._picked_up(offset, event, is_done=event.type == "picked_up")
            case "quota_changed":
                self._quota_changed(event)
            case "defined":
                self._drafts[event.campaign] = {}
            case "slots_added" if isinstance(command, AddSlots):
                self._drafts.setdefault(event.campaign, {}).update({slot.id: slot.units for slot in command.slots})
            case "sealed":
                units = self._drafts.pop(event.campaign, {})
                self._left[event.campaign] = sum(units.values())
                self._buckets |= {(event.campaign, slot): _Bucket(quota) for slot, quota in units.items()}

    def _confirmed(self, offset: int, event: Event) -> None:
        bucket = self._bucket(event)
        if bucket.refused is not None and event.units >= bucket.refused:
            self._report.out_of_turn += 1
            what = f"somebody before was refused {bucket.refused} units for lack of stock, and nothing came free since"
            self._add(Kind.OUT_OF_TURN, offset, event, what, found=f"confirmed {event.units} units")
        before = max(0, bucket.taken - bucket.quota)
        bucket.taken += event.units
        self._left[event.campaign] = self._left.get(event.campaign, 0) - event.units
        over = max(0, bucket.taken - bucket.quota)
        if over > before:
            self._report.oversold += over - before
            self._add(
                Kind.OVERSOLD, offset, event, "more was given out than the slot has",
                expected=f"at most {bucket.quota} units", found=f"{bucket.taken} units",
            )  # fmt: skip
        person = (event.campaign, event.resident)
        other = self._live.get(person)
        if other is not None and other != event.pass_no:
            self._report.duplicates += 1
            self._add(Kind.TWO_LIVE, offset, event, "a second live reservation of one resident", found=f"also {other}")
        self._live[person] = event.pass_no
        self._held[event.pass_no] = _Held(event.campaign, event.slot, event.resident, event.units)

    def _rejected(self, offset: int, event: Event) -> None:
        if event.reason not in {"slot_full", "sold_out"}:
            return
        bucket = self._bucket(event)
        left = bucket.quota - bucket.taken
        is_true = left == event.left < event.units if event.reason == "slot_full" else not self._left[event.campaign]
        if not is_true:
            self._add(
                Kind.UNTRUE_REFUSAL, offset, event, f"refused {event.units} units as {event.reason}",
                expected=f"{left} units left in the slot, {self._left[event.campaign]} in the campaign",
                found=f"{event.left} units left",
            )  # fmt: skip
        bucket.refused = event.units if bucket.refused is None else min(bucket.refused, event.units)

    def _cancelled(self, offset: int, event: Event) -> None:
        held = self._held.pop(event.pass_no, None)
        if held is None:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} was cancelled and nobody had it")
            return
        if self._live.get((held.campaign, held.resident)) == event.pass_no:
            del self._live[held.campaign, held.resident]
        bucket = self._bucket(event)
        bucket.taken -= held.units
        bucket.refused = None
        self._left[held.campaign] = self._left.get(held.campaign, 0) + held.units

    def _picked_up(self, offset: int, event: Event, *, is_done: bool) -> None:
        held = self._held.get(event.pass_no)
        if held is None:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} was picked up and nobody had it")
        elif is_done and held.is_picked_up:
            self._report.picked_up_twice += 1
            self._add(Kind.PICKED_UP_TWICE, offset, event, f"{event.pass_no} was picked up twice")
        else:
            held.is_picked_up = is_done

    def _quota_changed(self, event: Event) -> None:
        bucket = self._bucket(event)
        bucket.quota += event.change
        self._left[event.campaign] = self._left.get(event.campaign, 0) + event.change
        if event.change > 0:
            bucket.refused = None

    def _bucket(self, event: Event) -> _Bucket:
        """A slot that was never defined has nothing to give."""
        self._left.setdefault(event.campaign, 0)
        return self._buckets.setdefault((event.campaign, event.slot), _Bucket(0))

    def _add(self, kind: Kind, offset: int, event: Event, what: str, **about: Any) -> None:
        resident = event.resident or (held.resident if (held := self._held.get(event.pass_no)) else "")
        self._report.add(kind, self._partition, what, offset=offset, resident=resident, slot=event.slot, **about)
