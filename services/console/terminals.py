"""Terminals of pharmacies: invited with a pairing code that is shown once, listed, and revoked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from services.console.contract import Invitation, Invited, TerminalList, TerminalNumbers
from services.console.desk import OpsDesk
from services.domain.campaign_tables import NAME
from services.domain.commands import InviteTerminal, RevokeTerminal
from services.domain.days import rfc3339, zone
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import CodeRow, TerminalRow, TerminalState
from services.platform.http_requests import malformed
from services.platform.identities import Identities
from services.platform.pairing_codes import new_pairing_code, pairing_code_digest
from services.platform.problems import Problem

READ_AT_ONCE: Final = 500
NAME_CHARACTERS: Final = 6
UTC: Final = zone("UTC")


class Terminals:
    """Looks and acts through the desk."""

    def __init__(
        self,
        desk: OpsDesk,
        identities: Identities,
        *,
        code_valid_s: float,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._desk = desk
        self._identities = identities
        self._code_valid_ms = int(code_valid_s * 1000)
        self._now_ms = now_ms

    async def all(self) -> TerminalList:
        """All terminals of all partitions."""
        found = await asyncio.gather(*(self._of_partition(p) for p in range(self._desk.door.partitions)))
        return TerminalList(terminals=[terminal for terminals in found for terminal in terminals])

    async def _of_partition(self, partition: int) -> list[TerminalNumbers]:
        names = (await self._desk.read(partition, ["tl"]))[0] or []
        terminals = []
        for first in range(0, len(names), READ_AT_ONCE):
            some = names[first : first + READ_AT_ONCE]
            rows = await self._desk.read(partition, [f"t:{name}" for name in some])
            terminals += [_numbers(name, partition, row) for name, row in zip(some, rows, strict=True)]
        return terminals

    async def invite(self, wish: Invitation, *, actor: str, key: str) -> Invited:
        """Expect a terminal, and the code to read out to the pharmacy.

        Raises Problem: `terminal_exists`; 404 for a pharmacy that no campaign has; 400 where two regions have it.
        """
        region, partition = await self._home_of(wish)
        command_id = self._identities.command_id(actor, f"invite|{wish.pharmacy}|{wish.terminal or ''}", key)
        name = wish.terminal or f"{wish.pharmacy[:20].replace('.', '-')}-{_suffix(command_id)}"
        if wish.terminal is not None and await self._stands_elsewhere(name, partition):
            raise Problem(Reason.TERMINAL_EXISTS)
        code = new_pairing_code(self._identities, partition, command_id)
        digest = pairing_code_digest(self._identities, code)
        command = InviteTerminal(
            id=command_id,
            terminal=name,
            region=region,
            pharmacy=wish.pharmacy,
            code_digest=digest,
            expires_ms=self._now_ms() + self._code_valid_ms,
            actor=actor,
            why=wish.why,
        )
        await self._desk.done(partition, command)
        (row,) = await self._desk.read(partition, [f"tc:{digest}"])
        if not isinstance(row, CodeRow):
            raise Problem(DoorReason.CATCHING_UP)
        return Invited(
            terminal=name,
            pharmacy=wish.pharmacy,
            partition=partition,
            pairing_code=code,
            expires_at=rfc3339(row.expires_ms, UTC),  # that of the first time, where this is a repeat
        )

    async def revoke(self, terminal: str, *, actor: str, why: str, key: str) -> TerminalNumbers:
        """Its token and its pairing code are worth nothing from here on. Raises Problem 404."""
        if not NAME.fullmatch(terminal):
            raise Problem(DoorReason.NOT_FOUND)
        everywhere = await asyncio.gather(
            *(self._desk.read(partition, [f"t:{terminal}"]) for partition in range(self._desk.door.partitions))
        )
        found = [partition for partition, rows in enumerate(everywhere) if rows[0] is not None]
        if not found:
            raise Problem(DoorReason.NOT_FOUND)
        command = RevokeTerminal(
            id=self._identities.command_id(actor, f"revoke|{terminal}", key), terminal=terminal, actor=actor, why=why
        )
        # Names are unique unless two were invited at the same instant; then both go: a stolen one must not stay.
        for partition in found:
            await self._desk.done(partition, command)
        (row,) = await self._desk.read(found[0], [f"t:{terminal}"])
        return _numbers(terminal, found[0], row)

    async def _home_of(self, wish: Invitation) -> tuple[str, int]:
        """Where the pharmacy's region lives. A campaign that is new is looked for once more."""
        regions = self._regions_of(wish)
        if not regions and await self._desk.door.refresh_once():
            regions = self._regions_of(wish)
        if not regions:
            raise Problem(DoorReason.NOT_FOUND, field="pharmacy", expected="a pharmacy of a campaign that was applied")
        if len(regions) > 1:
            raise malformed("region", f"one of {', '.join(sorted(regions))}, which all have this pharmacy")
        return next(iter(regions.items()))

    def _regions_of(self, wish: Invitation) -> dict[str, int]:
        """Regions with a pharmacy of this id, and their partitions."""
        return {
            view.row.region: view.partition
            for view in self._desk.door.catalogue
            if wish.pharmacy in view.pharmacies and wish.region in (None, view.row.region)
        }

    async def _stands_elsewhere(self, name: str, partition: int) -> bool:
        """Whether another partition has a terminal of this name; its own is the fold's to tell."""
        others = [p for p in range(self._desk.door.partitions) if p != partition]
        rows = await asyncio.gather(*(self._desk.read(p, [f"t:{name}"]) for p in others))
        return any(row[0] is not None for row in rows)


def _suffix(command_id: str) -> str:
    """A few characters that make a name of its own for each invitation, and the same for a repeated one."""
    letters = command_id.lower().replace("_", "").replace("-", "")
    return letters[:NAME_CHARACTERS] or "0"


def _numbers(name: str, partition: int, row: TerminalRow) -> TerminalNumbers:
    return TerminalNumbers(
        terminal=name,
        pharmacy=row.pharmacy,
        partition=partition,
        state=TerminalState(row.state).name.lower(),  # type: ignore[arg-type]
        since=rfc3339(row.since_ms, UTC),
    )
