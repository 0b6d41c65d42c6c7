"""What is done to a reservation at the counter: handed out, taken back, cancelled. One command each, and its answer.

The fold decides; what it refuses is told with what a person at the counter needs next: when and where it was picked up,
which pharmacy it belongs to, at what time to come back.
"""

from __future__ import annotations

import re
from typing import Any

from services.counter.contract import DocumentShown, PassShown, Reservation, ShortCodeShown
from services.counter.records import Record, Records, describe
from services.counter.showing import Showing, Shown, pick_up_id
from services.counter.terminals import Terminal
from services.domain.commands import Cancel, PickUp, UndoPickUp
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import ReservationState, TerminalRow
from services.domain.rules.answers import Fact
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.state.desk import Desk

_PASS_NO = re.compile(r"[A-Za-z0-9_-]{16}", re.ASCII)


class PickUps:
    """Hands out, takes back, cancels."""

    def __init__(self, desk: Desk, records: Records, showing: Showing, identities: Identities) -> None:
        self._desk = desk
        self._records = records
        self._showing = showing
        self._identities = identities

    async def pick_up(
        self, terminal: Terminal, shown: PassShown | ShortCodeShown | DocumentShown, key: str
    ) -> Reservation:
        """Hand the units out. Raises Problem: what `Showing.find` raises, and what the fold refuses."""
        found = await self._showing.find(terminal, shown, key)
        command = PickUp(
            id=pick_up_id(self._identities, terminal, found.pass_no, key),
            pass_no=found.pass_no,
            terminal=terminal.name,
            shown=found.how,
        )
        return await self._done(terminal, command, found)

    async def undo(self, terminal: Terminal, pass_no: str, why: str, key: str) -> Reservation:
        """Take a pick-up back: the same terminal, within five minutes. Raises Problem."""
        command = UndoPickUp(
            id=self._identities.command_id(terminal.name, f"undo|{pass_no}", key),
            pass_no=_readable(pass_no),
            terminal=terminal.name,
            why=why,
        )
        return await self._done(terminal, command)

    async def cancel(self, terminal: Terminal, pass_no: str, why: str, key: str) -> Reservation:
        """Cancel for somebody who is present with the document, also what an impostor booked. Raises Problem."""
        await self._check_region(terminal, pass_no)
        command = Cancel(
            id=self._identities.command_id(terminal.name, f"cancel|{pass_no}", key),
            pass_no=_readable(pass_no),
            terminal=terminal.name,
            why=why,
        )
        return await self._done(terminal, command)

    async def _check_region(self, terminal: Terminal, pass_no: str) -> None:
        """Raises Problem `unknown_reservation` for one of another city: a partition may hold several."""
        record = await self._records.one(terminal.partition, _readable(pass_no))
        if record is not None and record.campaign is not None and record.campaign.row.region != terminal.region:
            raise Problem(Reason.UNKNOWN_RESERVATION)

    async def _done(
        self, terminal: Terminal, command: PickUp | UndoPickUp | Cancel, shown: Shown | None = None
    ) -> Reservation:
        decision = await self._desk.decide(terminal.partition, command)
        try:
            record = await self._records.one(terminal.partition, command.pass_no)
        except Problem as problem:
            # It is decided, and only the answer's details could not be read: the same key asks for them again.
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from problem
        if decision.refusal is not None:
            raise await self._refusal(terminal, decision.refusal, record, shown)
        if record is None:
            raise Problem(DoorReason.UNKNOWN_OUTCOME)
        told = describe(record)
        # As decided, not as of now: a repeat is answered as the first time.
        return _with_state(told, _STATE_AFTER[Fact(decision.fact[0])])

    async def _refusal(
        self, terminal: Terminal, reason: Reason, record: Record | None, shown: Shown | None
    ) -> Problem:
        if record is None:
            return self._unknown(terminal, reason, shown)
        slot, pharmacy, members = record.slot, record.pharmacy, dict[str, Any](pass_no=record.pass_no)
        if reason == Reason.ALREADY_PICKED_UP and (pick_up := record.last_pick_up):
            where = await self._pharmacy_of(terminal.partition, pick_up.actor)
            members |= {"when": record.time(pick_up.at_ms), "pharmacy": where, "terminal": pick_up.actor}
        elif reason == Reason.OTHER_PHARMACY and slot:
            members |= {"pharmacy": slot.pharmacy}
            members |= {"pharmacy_name": pharmacy.name, "pharmacy_address": pharmacy.address} if pharmacy else {}
        elif reason == Reason.WRONG_TIME and slot:
            members |= {"starts_at": record.time(slot.starts_ms), "ends_at": record.time(slot.ends_ms)}
        elif reason in (Reason.CANCELLED, Reason.SLOT_WITHDRAWN) and (cancel := record.cancel):
            members |= {"when": record.time(cancel.at_ms)}
        elif reason == Reason.NOT_CONFIRMED:
            members |= {"state": ReservationState(record.row.state).word}
        return Problem(reason, how_to_appeal=record.how_to_appeal, **members)

    def _unknown(self, terminal: Terminal, reason: Reason, shown: Shown | None) -> Problem:
        """There is no such reservation in this region; a genuine pass may still say which pharmacy it is for."""
        if reason != Reason.UNKNOWN_RESERVATION:
            return Problem(reason)
        deleted = self._desk.door.deleted_on(terminal.partition)
        if shown is None:
            return Problem(reason, **deleted)
        if shown.pharmacy not in ("", terminal.pharmacy):
            return Problem(Reason.OTHER_PHARMACY, pharmacy=shown.pharmacy)
        return Problem(DoorReason.UNKNOWN_PASS, **deleted)

    async def _pharmacy_of(self, partition: int, terminal: str) -> str:
        row: TerminalRow | None = (await self._desk.read(partition, [f"t:{terminal}"]))[0] if terminal else None
        return row.pharmacy if row else ""


_STATE_AFTER = {
    Fact.PICKED_UP: ReservationState.PICKED_UP,
    Fact.PICK_UP_UNDONE: ReservationState.CONFIRMED,
    Fact.CANCELLED: ReservationState.CANCELLED,
}


def _readable(pass_no: str) -> str:
    """Raises Problem `unknown_reservation` for what cannot be a pass number: the log takes nothing else."""
    if not _PASS_NO.fullmatch(pass_no):
        raise Problem(Reason.UNKNOWN_RESERVATION)
    return pass_no


def _with_state(told: Reservation, state: ReservationState) -> Reservation:
    if told.state == state.word:
        return told
    told_before = {name: getattr(told, name) for name in told.__struct_fields__}
    return Reservation(**(told_before | {"state": state.word}))
