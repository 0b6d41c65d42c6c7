"""What happened in a campaign, from the ledger: all that the console reads in SQL, where it never writes.

A report of a large campaign is work for the database: one is made at a time, and whoever asks waits for a bounded time.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
import structlog
from msgspec.structs import asdict

from services.console.campaigns import Campaigns
from services.console.desk import OpsDesk
from services.console.report_contract import (
    AttendanceReported,
    CampaignReport,
    ChannelReported,
    RefusalsReported,
    SlotReported,
    WaitsReported,
)
from services.domain.days import rfc3339, zone
from services.domain.reasons import DoorReason
from services.platform.problems import Problem
from services.sql import reports as sql
from services.sql.database import Database
from services.sql.errors import DatabaseUnavailableError, SchemaMissingError, SchemaTooNewError
from services.sql.schema import check
from services.state.errors import CatchingUpError, StateUnavailableError

UTC: Final = zone("UTC")

log = structlog.get_logger(__name__)


class _Found(NamedTuple):
    """One moment of the ledger."""

    as_of: tuple[int, int] | None
    slots: list[sql.SlotReport]
    channels: list[sql.Channel]
    refusals: dict[str, int]
    waits: sql.Waits
    attendance: sql.Attendance


class Reports:
    """Reads the ledger; None where this console has none."""

    def __init__(self, desk: OpsDesk, campaigns: Campaigns, ledger: Database | None, *, timeout_s: float) -> None:
        self._desk = desk
        self._campaigns = campaigns
        self._ledger = ledger
        self._timeout_s = timeout_s
        self._one_at_a_time = asyncio.Lock()

    async def report(self, name: str) -> CampaignReport:
        """Raises Problem `unknown_campaign`, `no_ledger`, `ledger_unavailable`."""
        if self._ledger is None:
            raise Problem(DoorReason.NO_LEDGER)
        view = await self._campaigns.view(name)
        work = partial(_read, partition=view.partition, campaign=name)
        try:
            async with asyncio.timeout(self._timeout_s), self._one_at_a_time:
                found = await self._ledger.call(work)
        except (DatabaseUnavailableError, SchemaMissingError, SchemaTooNewError, TimeoutError) as error:
            log.warning("No report", action="report_failed", campaign=name, why=str(error) or type(error).__name__)
            raise Problem(DoorReason.LEDGER_UNAVAILABLE) from error
        return CampaignReport(
            campaign=name,
            as_of=None if found.as_of is None else _time(found.as_of[1]),
            behind=await self._behind(view.partition, -1 if found.as_of is None else found.as_of[0]),
            slots=[_slot(each) for each in found.slots],
            channels=[ChannelReported(**asdict(each)) for each in found.channels],
            refusals=[RefusalsReported(reason=reason, bookings=count) for reason, count in found.refusals.items()],
            waits=_waits(found.waits),
            attendance=AttendanceReported(**asdict(found.attendance), pick_up_rate=found.attendance.pick_up_rate),
        )

    async def _behind(self, partition: int, last_offset: int) -> int | None:
        """Records that are decided and have no rows yet; None where the state does not say."""
        try:
            head = (await self._desk.door.reader.read(partition, [])).head
        except (CatchingUpError, StateUnavailableError):
            return None
        return max(0, head.position - 1 - last_offset)


def _read(connection: sa.Connection, partition: int, campaign: str) -> _Found:
    """All of it in one transaction. Raises SchemaMissingError, SchemaTooNewError."""
    check(connection)
    return _Found(
        as_of=sql.as_of(connection, partition),
        slots=sql.slots(connection, campaign),
        channels=sql.channels(connection, campaign),
        refusals=sql.refusals(connection, campaign),
        waits=sql.waits(connection, campaign),
        attendance=sql.attendance(connection, campaign),
    )


def _slot(told: sql.SlotReport) -> SlotReported:
    fields: dict[str, Any] = asdict(told)
    first_ms, sold_out_ms = fields.pop("first_booked_ms"), fields.pop("sold_out_ms")
    return SlotReported(first_booked_at=_time(first_ms), sold_out_at=_time(sold_out_ms), **fields)


def _waits(told: sql.Waits) -> WaitsReported:
    return WaitsReported(
        waitlisted=told.waitlisted,
        promoted=told.promoted,
        ended=told.ended,
        half_within_s=_seconds(told.half_within_ms),
        nine_in_ten_within_s=_seconds(told.nine_in_ten_within_ms),
        longest_s=_seconds(told.longest_ms),
    )


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms, UTC)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
