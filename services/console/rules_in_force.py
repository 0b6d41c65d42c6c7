"""By which version of the rules each partition decides, and how a newer one is put in force: a command in each.

It is given when every allocator is new. One that does not know the version stops there, and its partition waits.
"""

from __future__ import annotations

import asyncio
from typing import Final

from services.console.contract import PartitionRules, RulesInForce
from services.console.desk import OpsDesk
from services.domain.commands import AdoptRules
from services.domain.limits import RULES_VERSION
from services.platform.http_requests import malformed
from services.platform.identities import Identities
from services.platform.problems import Problem, word_of
from services.state.errors import CatchingUpError, StateUnavailableError

KNOWN: Final = RULES_VERSION
"""The newest rules that this console knows."""


class Rules:
    """Looks and acts through the desk, in all partitions at once."""

    def __init__(self, desk: OpsDesk, identities: Identities) -> None:
        self._desk = desk
        self._identities = identities

    async def now(self) -> RulesInForce:
        """What is in force. A partition that cannot be looked at has none."""
        return RulesInForce(known=KNOWN, partitions=await self._all({}))

    async def adopt(self, version: int, *, actor: str, why: str, key: str) -> RulesInForce:
        """Puts a version in force; one below that in force changes nothing, for rules are never taken back.

        Raises Problem: 400 for a version that is not known here; where a partition did not decide, what that one heard,
        with all of them under `partitions`. The same key goes on where it stopped.
        """
        if version > KNOWN:
            raise malformed("version", f"at most {KNOWN}, the newest that this console knows; start a newer one first")
        command = AdoptRules(
            id=self._identities.command_id(actor, f"rules|{version}", key), version=version, actor=actor, why=why
        )
        partitions = range(self._desk.door.partitions)
        heard = await asyncio.gather(
            *(self._desk.decide(partition, command) for partition in partitions), return_exceptions=True
        )
        failed: dict[int, Problem] = {}
        for partition, answer in zip(partitions, heard, strict=True):
            if isinstance(answer, Problem):
                failed[partition] = answer
            elif isinstance(answer, BaseException):
                raise answer
        found = await self._all(failed)
        for problem in failed.values():
            raise Problem(problem.reason, partitions=found)
        return RulesInForce(known=KNOWN, partitions=found)

    async def _all(self, failed: dict[int, Problem]) -> list[PartitionRules]:
        partitions = range(self._desk.door.partitions)
        versions = await asyncio.gather(*map(self._version, partitions))
        return [
            PartitionRules(
                partition=partition,
                version=version,
                reason=word_of(failed[partition].reason) if partition in failed else "",
            )
            for partition, version in zip(partitions, versions, strict=True)
        ]

    async def _version(self, partition: int) -> int | None:
        try:
            return (await self._desk.door.reader.read(partition, [])).head.rules
        except (CatchingUpError, StateUnavailableError):
            return None
