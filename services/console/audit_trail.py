"""The audit trail: what people changed, read from the log itself, for there is no other store.

It is read backwards in pieces, newest first. Between two console commands there may be a million bookings, so one
answer looks at a bounded number of records and says where the next one goes on.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka import ConsumerRecord
from msgspec.structs import replace

from services.console.contract import AuditEntry, AuditTrail
from services.console.desk import OpsDesk
from services.domain import commands as c
from services.domain.days import rfc3339, zone
from services.domain.reasons import DoorReason, Reason
from services.domain.rules.answers import Fact
from services.platform.http_requests import malformed
from services.platform.problems import Problem
from services.stream.errors import StreamError
from services.stream.partition_reader import LogReader
from services.stream.place import Offset, PartitionId

RECORDS_A_PIECE: Final = 2_000
MAX_PIECES: Final = 25
MAX_ENTRIES: Final = 500
READ_TIMEOUT_S: Final = 8.0
FETCH_TIMEOUT_MS: Final = 1_000
UTC: Final = zone("UTC")
REPEATED: Final = Fact.REPEATED.name.lower()

AUDITED: Final = (
    c.AssignRegion, c.DefineCampaign, c.SealDefinition, c.ChangeRules, c.Open, c.Pause, c.Resume, c.Close,
    c.ChangeQuota, c.WithdrawSlot, c.MoveSlot, c.InviteTerminal, c.PairTerminal, c.RevokeTerminal, c.AdoptRules,
    c.SetValve,
)  # fmt: skip
_TOLD: Final = (
    "actor", "why", "campaign", "region", "slot", "terminal", "pharmacy", "revision", "change", "to", "keep", "version",
    "valve", "outflow_per_s", "factor_per_mille",
)  # fmt: skip


class Trail:
    """Reads the log with a reader of its own."""

    def __init__(self, desk: OpsDesk, log: LogReader) -> None:
        self._desk = desk
        self._log = log
        self._one_at_a_time = asyncio.Lock()

    async def read(self, partition: int, limit: int, before: int | None) -> AuditTrail:
        """The newest `limit` entries in front of offset `before` (None: the log's end).

        Raises Problem: 400 for a partition that is not there, `log_unavailable`, `catching_up`.
        """
        if partition >= self._desk.door.partitions:
            raise malformed("partition", f"a number from 0 to {self._desk.door.partitions - 1}")
        try:
            async with self._one_at_a_time, asyncio.timeout(READ_TIMEOUT_S):
                found, looked_from = await self._search(PartitionId(partition), limit, before)
        except (StreamError, TimeoutError) as error:
            raise Problem(DoorReason.LOG_UNAVAILABLE) from error
        entries = await self._with_outcomes(partition, found)
        return AuditTrail(partition=partition, entries=entries, before=looked_from or None)

    async def _search(
        self, partition: PartitionId, limit: int, before: int | None
    ) -> tuple[list[tuple[ConsumerRecord, c.Command]], int]:
        """Records with their commands, newest first, and the offset in front of which nobody has looked."""
        end = await self._log.log_end(partition)
        to = end if before is None else min(before, end)
        start = await self._log.log_start(partition)
        await self._log.assign([partition])
        found: list[tuple[ConsumerRecord, c.Command]] = []
        for _ in range(MAX_PIECES):
            if to <= start:
                return found, 0
            first = max(start, to - RECORDS_A_PIECE)
            for record in reversed(await self._piece(partition, first, to)):
                command = c.decode(record.value)
                if isinstance(command, AUDITED):
                    found.append((record, command))
                    if len(found) == limit:
                        return found, record.offset if record.offset > start else 0
            to = first
        return found, to if to > start else 0

    async def _piece(self, partition: PartitionId, first: int, to: int) -> list[ConsumerRecord]:
        """The records from `first` up to, and not including, `to`."""
        self._log.seek(partition, Offset(first))
        records: list[ConsumerRecord] = []
        while len(records) < to - first:
            records += await self._log.fetch(partition, to - first - len(records), FETCH_TIMEOUT_MS)
        return records[: to - first]

    async def _with_outcomes(self, partition: int, found: list[tuple[ConsumerRecord, c.Command]]) -> list[AuditEntry]:
        """The first answer to each command stands in the state under its id; what was sent again did nothing.

        A repeat is known by the same command further down, so one whose first lies on a later page is told like that.
        """
        ids: list[str] = [command.id for _, command in found]  # type: ignore[attr-defined]
        rows = await self._desk.read(partition, [f"o:{command_id}" for command_id in ids])
        entries = [_entry(record, command, answers) for (record, command), answers in zip(found, rows, strict=True)]
        return [
            replace(entry, outcome=REPEATED) if ids[at] in ids[at + 1 :] else entry for at, entry in enumerate(entries)
        ]


def _entry(record: ConsumerRecord, command: c.Command, answers: list[Any] | None) -> AuditEntry:
    fact = answers[0] if answers else None
    told = {name: getattr(command, name) for name in _TOLD if hasattr(command, name)}
    if isinstance(command, c.PairTerminal) and fact is not None and fact[0] == Fact.TERMINAL_PAIRED:
        told |= {"terminal": fact[1], "pharmacy": fact[2]}
    if isinstance(command, c.ChangeQuota) and command.terminal and not command.actor:
        told["actor"] = f"terminal:{command.terminal}"
    refused = fact is not None and fact[0] == Fact.REFUSED
    return AuditEntry(
        partition=record.partition,
        offset=record.offset,
        at=rfc3339(record.timestamp, UTC),
        command=str(command.__struct_config__.tag),
        outcome=Fact(fact[0]).name.lower() if fact is not None else "",
        reason=Reason(fact[1]).word if fact is not None and refused else "",
        **told,
    )
