"""The promises of SCENARIOS.md, walked over the published events alone: the model has no say here.

Quotas come from the definition's commands, everything else from events. So a mistake that the model and the Lua share
is still found: units beyond the quota of a share (I1), a second live reservation (I2), a pick-up that happens twice
(I6), somebody served before another who was refused for lack of stock or waits (I7), and a refusal that was not true.
What a withdrawal does to units and people is followed in `withdrawals.py`.
"""

from typing import Any

from services.audit.buckets import PUBLIC, RESERVE, Bucket, Buckets
from services.audit.report import Kind, Report
from services.audit.waiting_rooms import WaitingRooms
from services.audit.withdrawals import Withdrawals
from services.domain.commands import AddSlots, Command, DefineCampaign, MoveSlot, WithdrawSlot
from services.domain.events import Event


class Walk:
    """Takes each event once, in order, with the command at its offset. Memory: slots and live reservations."""

    def __init__(self, partition: int, report: Report) -> None:
        self._partition = partition
        self._report = report
        self._buckets = Buckets()
        self._live: dict[tuple[str, str], str] = {}
        self._held: dict[str, _Held] = {}
        self._handed_out_late: set[str] = set()
        self._withdrawals = Withdrawals(self._buckets)
        self._rooms = WaitingRooms()
        self._steps = {
            "confirmed": self._confirmed,
            "rejected": self._rejected,
            "waitlisted": self._waitlisted,
            "promoted": self._promoted,
            "waiting_ended": self._ended,
            "cancelled": self._ended,
            "expired": self._ended,
            "slot_changed": self._slot_changed,
            "picked_up": self._picked_up,
            "picked_up_late": self._picked_up_late,
            "pick_up_undone": self._undone,
            "pick_up_conflict": self._conflict,
            "pick_up_unproved": self._unproved,
            "quota_changed": self._quota_changed,
            "units_released": self._released,
            "withdrawn": self._withdrawn,
            "moved": self._moved,
            "withdrawal_done": self._withdrawal_done,
        }

    def step(self, offset: int, command: Command, event: Event) -> None:
        """Take the next event."""
        for what in self._rooms.step(command, event):
            self._add(Kind.UNFAIR, offset, event, what)
        step = self._steps.get(event.type)
        if step is not None:
            step(offset, event)
        elif event.type == "defined" and isinstance(command, DefineCampaign):
            self._buckets.define(event.campaign, command.rules)
        elif event.type == "slots_added" and isinstance(command, AddSlots):
            self._buckets.add(event.campaign, command.slots)
        elif event.type == "sealed":
            self._buckets.seal(event.campaign)
        elif event.type == "slot_withdrawn" and isinstance(command, WithdrawSlot | MoveSlot):
            self._slot_withdrawn(offset, command, event)

    # ------------------------------------------------------------------------------------------------ getting units

    def _confirmed(self, offset: int, event: Event) -> None:
        if event.share == RESERVE and not self._withdrawals.has_precedence(event.campaign, event.resident):
            what = "the reserve is for those with precedence"
            self._out_of_turn(offset, event, what, f"confirmed {event.units} units")
        self._gets(offset, event, self._bucket(event), event.units)
        self._withdrawals.got_units(event.campaign, event.resident)
        self._holds(offset, event, _Held(event.campaign, event.slot, event.share, event.resident, event.units))

    def _waitlisted(self, offset: int, event: Event) -> None:
        held = _Held(event.campaign, event.slot, event.share, event.resident, event.units, is_waiting=True)
        self._holds(offset, event, held)
        self._bucket(event).waiting[event.pass_no] = event.units

    def _promoted(self, offset: int, event: Event) -> None:
        held = self._held.get(event.pass_no)
        if held is None or not held.is_waiting:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} was promoted and did not wait")
            return
        bucket = self._bucket(event)
        first = next(iter(bucket.waiting), event.pass_no)
        if first != event.pass_no:
            self._out_of_turn(offset, event, f"{first} had waited longer", f"promoted {event.pass_no}")
        bucket.waiting.pop(event.pass_no, None)
        held.is_waiting = False
        self._withdrawals.got_units(held.campaign, held.resident)
        self._takes(offset, event, bucket, held.units)

    def _slot_changed(self, offset: int, event: Event) -> None:
        held = self._held.get(event.pass_no)
        if held is None:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} changed its slot and nobody had it")
            return
        self._gives_back(event.pass_no, held)
        self._withdrawals.got_units(held.campaign, held.resident)
        held.slot, held.is_waiting = event.slot, False
        self._gets(offset, event, self._buckets.of(held.campaign, held.slot, held.share), held.units)

    def _gets(self, offset: int, event: Event, bucket: Bucket, units: int) -> None:
        """Units for somebody who asks now."""
        if bucket.refused is not None and units >= bucket.refused:
            what = f"somebody before was refused {bucket.refused} units for lack of stock, and nothing came free since"
            self._out_of_turn(offset, event, what, f"confirmed {units} units")
        elif bucket.waiting:
            who = next(iter(bucket.waiting))
            self._out_of_turn(offset, event, f"{who} waits for units", f"confirmed {units} units")
        self._takes(offset, event, bucket, units)

    def _takes(self, offset: int, event: Event, bucket: Bucket, units: int) -> None:
        before = max(0, -bucket.left)
        bucket.take(units)
        over = max(0, -bucket.left)
        if over > before:
            self._report.oversold += over - before
            self._add(
                Kind.OVERSOLD, offset, event, "more was given out than the share of the slot has",
                expected=f"at most {bucket.quota} units", found=f"{bucket.taken} units",
            )  # fmt: skip

    def _holds(self, offset: int, event: Event, held: "_Held") -> None:
        person = (event.campaign, event.resident)
        other = self._live.get(person)
        if other is not None and other != event.pass_no:
            self._report.duplicates += 1
            self._add(Kind.TWO_LIVE, offset, event, "a second live reservation of one resident", found=f"also {other}")
        self._live[person] = event.pass_no
        self._held[event.pass_no] = held

    def _rejected(self, offset: int, event: Event) -> None:
        if event.reason == "slot_withdrawn" and not self._withdrawals.is_withdrawn(event.campaign, event.slot):
            self._add(Kind.UNTRUE_REFUSAL, offset, event, "refused as slot_withdrawn and the slot was not")
        if event.reason not in {"slot_full", "sold_out"}:
            return
        bucket = self._bucket(event)
        left, in_campaign = 0 if bucket.waiting else bucket.left, bucket.total.left
        is_true = left == event.left < event.units if event.reason == "slot_full" else not in_campaign
        if not is_true:
            self._add(
                Kind.UNTRUE_REFUSAL, offset, event, f"refused {event.units} units as {event.reason}",
                expected=f"{left} units left in the slot, {in_campaign} in the campaign",
                found=f"{event.left} units left",
            )  # fmt: skip
        bucket.refused = event.units if bucket.refused is None else min(bucket.refused, event.units)

    # ----------------------------------------------------------------------------------------------- losing units

    def _ended(self, offset: int, event: Event) -> None:
        """Cancelled, not come for, or waited for in vain."""
        held = self._held.pop(event.pass_no, None)
        if held is None:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} was {event.type} and nobody had it")
            return
        if held.is_picked_up:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} was {event.type} after it was picked up")
        if self._live.get((held.campaign, held.resident)) == event.pass_no:
            del self._live[held.campaign, held.resident]
        self._gives_back(event.pass_no, held)

    def _gives_back(self, pass_no: str, held: "_Held") -> None:
        bucket = self._buckets.of(held.campaign, held.slot, held.share)
        if held.is_waiting:
            bucket.waiting.pop(pass_no, None)
            bucket.refused = None  # what was kept for this one may be had by others now
        else:
            bucket.give_back(held.units, self._withdrawals.absorbs(held.campaign, held.slot, held.units))

    def _quota_changed(self, _offset: int, event: Event) -> None:
        self._bucket(event).stock(event.change - self._withdrawals.more_came(event.campaign, event.slot, event.change))

    def _released(self, offset: int, event: Event) -> None:
        assisted = self._buckets.of(event.campaign, event.slot, "assisted")
        assisted.stock(-event.units)
        if assisted.left < 0:
            self._add(
                Kind.OVERSOLD, offset, event, "more was released than the desks had left",
                expected=f"at least {assisted.taken} units", found=f"{assisted.quota} units",
            )  # fmt: skip
        self._buckets.of(event.campaign, event.slot, "public").stock(event.units)

    # ------------------------------------------------------------------------------------------------ withdrawals

    def _slot_withdrawn(self, offset: int, command: WithdrawSlot | MoveSlot, event: Event) -> None:
        for bucket in self._withdrawals.begin(command, event.values):
            if bucket.left < 0:
                self._add(
                    Kind.OVERSOLD, offset, event, "more was cut, or kept for people who move, than nobody had",
                    expected=f"at least {bucket.taken} units", found=f"{bucket.quota} units",
                )  # fmt: skip

    def _withdrawn(self, offset: int, event: Event) -> None:
        held = self._held.get(event.pass_no)
        self._has_to_go(offset, event, event.slot)
        self._ended(offset, event)
        if held is not None:
            self._withdrawals.lost(event.pass_no, held.campaign, held.resident)

    def _moved(self, offset: int, event: Event) -> None:
        held = self._held.get(event.pass_no)
        if held is None or held.is_waiting or held.is_picked_up:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} was moved and nobody was to come for it")
            return
        self._has_to_go(offset, event, event.old_slot)
        self._gives_back(event.pass_no, held)
        kept = self._withdrawals.arrives(event.campaign, event.old_slot, held.units)
        held.slot, held.share = event.slot, PUBLIC
        if kept < held.units:
            self._gets(offset, event, self._buckets.of(held.campaign, held.slot, held.share), held.units - kept)

    def _has_to_go(self, offset: int, event: Event, slot: str) -> None:
        if event.pass_no in self._held and not self._withdrawals.is_under_way(event.campaign, slot):
            self._out_of_turn(offset, event, "the slot could keep this place", f"{event.type} {event.pass_no}")

    def _withdrawal_done(self, _offset: int, event: Event) -> None:
        self._withdrawals.end(event.campaign, event.slot)

    # ------------------------------------------------------------------------------------------------- handing out

    def _picked_up(self, offset: int, event: Event) -> None:
        held = self._held.get(event.pass_no)
        if held is None or held.is_waiting:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} was picked up and nobody had it")
        elif held.is_picked_up:
            self._twice(offset, event)
        else:
            held.is_picked_up = True

    def _picked_up_late(self, offset: int, event: Event) -> None:
        """Of what had gone back it changes nothing but that it happened, once."""
        self._report.picked_up_late += 1
        held = self._held.get(event.pass_no)
        if (held is not None and held.is_picked_up) or event.pass_no in self._handed_out_late:
            self._twice(offset, event)
        elif held is not None:
            held.is_picked_up = True
        else:
            self._handed_out_late.add(event.pass_no)
            self._withdrawals.got_it_after_all(event.pass_no)

    def _undone(self, offset: int, event: Event) -> None:
        held = self._held.get(event.pass_no)
        if held is None or not held.is_picked_up:
            self._add(Kind.NOT_HELD, offset, event, f"a pick-up of {event.pass_no} was taken back that was none")
        else:
            held.is_picked_up = False

    def _conflict(self, offset: int, event: Event) -> None:
        """Two terminals without a network: found, and counted."""
        self._report.conflicts += 1
        held = self._held.get(event.pass_no)
        if not (held is not None and held.is_picked_up) and event.pass_no not in self._handed_out_late:
            self._add(Kind.NOT_HELD, offset, event, f"{event.pass_no} conflicts with a hand-out that never was")

    def _unproved(self, _offset: int, _event: Event) -> None:
        self._report.unproved += 1

    def _twice(self, offset: int, event: Event) -> None:
        self._report.picked_up_twice += 1
        self._add(Kind.PICKED_UP_TWICE, offset, event, f"{event.pass_no} was picked up twice")

    # --------------------------------------------------------------------------------------------------------------

    def _bucket(self, event: Event) -> Bucket:
        return self._buckets.of(event.campaign, event.slot, event.share)

    def _out_of_turn(self, offset: int, event: Event, what: str, found: str) -> None:
        self._report.out_of_turn += 1
        self._add(Kind.OUT_OF_TURN, offset, event, what, found=found)

    def _add(self, kind: Kind, offset: int, event: Event, what: str, **about: Any) -> None:
        resident = event.resident or (held.resident if (held := self._held.get(event.pass_no)) else "")
        self._report.add(kind, self._partition, what, offset=offset, resident=resident, slot=event.slot, **about)


class _Held:
    """A live reservation, or somebody who waits for one."""

    __slots__ = ("campaign", "is_picked_up", "is_waiting", "resident", "share", "slot", "units")

    def __init__(
        self, campaign: str, slot: str, share: str, resident: str, units: int, *, is_waiting: bool = False
    ) -> None:
        self.campaign = campaign
        self.slot = slot
        self.share = share
        self.resident = resident
        self.units = units
        self.is_waiting = is_waiting
        self.is_picked_up = False
