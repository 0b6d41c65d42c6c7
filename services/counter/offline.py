"""What terminals handed out while they had no network: told later, always accepted, each record as what it is.

A record's nonce is the `Idempotency-Key` that the terminal would have sent, and its command has the id of that pick-up:
what was tried before the network went and its record are one hand-out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET

from services.counter.contract import OfflineBatch, OfflineRecord, RecordsTold, RecordTold
from services.counter.records import campaign_time
from services.counter.showing import pick_up_id
from services.counter.terminals import Terminal
from services.domain.commands import RecordPickUp
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Fact as Values
from services.domain.rows import TerminalRow
from services.domain.rules.answers import Fact
from services.platform.identities import Identities
from services.platform.pass_keys import PassKeys
from services.platform.passes import PassInvalid
from services.platform.problems import Problem
from services.state.catalogue import Catalogue
from services.state.desk import Desk

RECORDS_AT_ONCE = 50
"""Of one batch in the log at a time: a till that was away for a day must not be in the way of those who hand out."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 4_102_444_800_000


class OfflineRecords:
    """Writes batches into the log."""

    def __init__(self, desk: Desk, catalogue: Catalogue, identities: Identities, pass_keys: PassKeys) -> None:
        self._desk = desk
        self._catalogue = catalogue
        self._identities = identities
        self._pass_keys = pass_keys

    async def take(self, terminal: Terminal, batch: OfflineBatch) -> RecordsTold:
        """Every record with what it is, in the batch's order. Raises Problem: what kept some from being
        decided; the whole batch may then be sent again."""
        commands = [self._command(terminal, record) for record in batch.records]
        answers: list[Values] = []
        for first in range(0, len(commands), RECORDS_AT_ONCE):
            answers += await self._decide(terminal, commands[first : first + RECORDS_AT_ONCE])
        where = await self._pharmacies(terminal, answers)
        told = [
            _told(self._catalogue, record.nonce, command.pass_no, answer, where)
            for record, command, answer in zip(batch.records, commands, answers, strict=True)
        ]
        return RecordsTold(records=told)

    def _command(self, terminal: Terminal, record: OfflineRecord) -> RecordPickUp:
        pass_no = ""
        if record.pass_ is not UNSET:
            with contextlib.suppress(PassInvalid):  # it proves nothing then, and is kept as what it is
                pass_no = self._pass_keys.verify(record.pass_).pass_no
        return RecordPickUp(
            id=pick_up_id(self._identities, terminal, pass_no, record.nonce),
            terminal=terminal.name,
            pass_no=pass_no,
            at_ms=_instant_ms(record.picked_up_at),
        )

    async def _decide(self, terminal: Terminal, commands: Sequence[RecordPickUp]) -> list[Values]:
        wishes = (self._desk.decide(terminal.partition, command) for command in commands)
        answers = await asyncio.gather(*wishes, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            if answer.refusal is not None:
                raise Problem(answer.refusal)
        return [answer.fact for answer in answers if not isinstance(answer, BaseException)]

    async def _pharmacies(self, terminal: Terminal, answers: Sequence[Values]) -> dict[str, str]:
        """Where the terminals stand that handed out before; nothing where that cannot be read: all is decided."""
        names = sorted({answer[5] for answer in answers if answer[0] == Fact.PICK_UP_CONFLICT})
        if not names:
            return {}
        try:
            rows: list[TerminalRow | None] = await self._desk.read(terminal.partition, [f"t:{name}" for name in names])
        except Problem as problem:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from problem
        return {name: row.pharmacy for name, row in zip(names, rows, strict=True) if row}


def _told(catalogue: Catalogue, nonce: str, pass_no: str, answer: Values, where: dict[str, str]) -> RecordTold:
    about: dict[str, Any] = {"nonce": nonce, "pass_no": pass_no}
    match answer:
        case [Fact.PICKED_UP, campaign, slot, units]:
            return RecordTold(state="picked_up", campaign=campaign, slot=slot, units=units, **about)
        case [Fact.PICKED_UP_LATE, campaign, slot, units, reason]:
            why = Reason(reason).word
            return RecordTold(state="picked_up_late", campaign=campaign, slot=slot, units=units, reason=why, **about)
        case [Fact.PICK_UP_CONFLICT, campaign, slot, units, at_ms, terminal]:
            return RecordTold(
                state="conflict",
                campaign=campaign,
                slot=slot,
                units=units,
                when=campaign_time(catalogue.get(campaign), at_ms),
                pharmacy=where.get(terminal, ""),
                terminal=terminal,
                **about,
            )
        case [Fact.PICK_UP_UNPROVED]:
            return RecordTold(state="unproved", **about)
    raise AssertionError("record_pick_up is one of four")


def _instant_ms(text: str) -> int:
    """By a clock that may be decades off, kept within what commands carry: the hand-out happened all the same."""
    try:
        seconds = (datetime.fromisoformat(text) - EPOCH).total_seconds()
    except (ValueError, OverflowError):  # 31 February; the year 0
        return 0
    return min(max(0, int(seconds * 1000)), LAST_MS)
