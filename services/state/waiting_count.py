"""How many different residents are in a waiting room before its opening: a HyperLogLog of receipts, in Redis.

It is no part of the fold's state, and nothing is made of it but an estimate: every poll feeds it again, so an emptied
Redis has it back within the time between two polls, and what could not be written is simply written by the next poll.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Any, Final

from services.state.errors import StateUnavailableError
from services.state.keys import key
from services.state.redis_access import reason_of
from services.state.redis_client import RedisError
from services.state.store import Store, node_of

WRITE_EVERY_S: Final = 0.1
MAX_PER_WRITE: Final = 1_000
"""Receipts in one PFADD: 0.2 ms of Redis."""
MAX_WAITING: Final = 20_000
"""Receipts of a round that wait to be written; more are left to the next poll."""
KEPT_S: Final = 3 * 86_400
"""It is deleted so long after its last receipt."""

Round = tuple[int, int, int]
"""Partition, number of the campaign, round of its waiting room."""


def waiting_key(of: Round) -> str:
    """Where a round is counted."""
    partition, no, round_ = of
    return key(partition, f"waiting:{no}:{round_}")


class WaitingCount:
    """Feeds counts, whatever many people come within a tick together; and reads them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: defaultdict[Round, set[str]] = defaultdict(set)
        self._writer: asyncio.Task[None] | None = None

    def add(self, of: Round, receipt: str) -> None:
        """Somebody is there. Who is counted already counts once."""
        waiting = self._waiting[of]
        if len(waiting) < MAX_WAITING:
            waiting.add(receipt)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="waiting-count")

    async def count(self, of: Round) -> int:
        """About how many were added, 0.8 % more or less. Raises StateUnavailableError."""
        name = waiting_key(of)
        node = node_of(self._store, name)
        if node is None:
            raise StateUnavailableError(what="nobody is known to have the partition")
        try:
            counted: Any = await node.execute_command("PFCOUNT", name)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise StateUnavailableError(what=reason_of(error)) from error
        return int(counted)

    async def _write(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(WRITE_EVERY_S)
                waiting, self._waiting = self._waiting, defaultdict(set)
                for of, receipts in waiting.items():
                    with suppress(RedisError, OSError):
                        await self._add(of, list(receipts))
        finally:
            self._writer = None

    async def _add(self, of: Round, receipts: list[str]) -> None:
        name = waiting_key(of)
        node = node_of(self._store, name)
        if node is None:
            return
        for first in range(0, len(receipts), MAX_PER_WRITE):
            part = receipts[first : first + MAX_PER_WRITE]
            await node.execute_command("PFADD", name, *part)  # type: ignore[no-untyped-call]
        await node.execute_command("EXPIRE", name, KEPT_S)  # type: ignore[no-untyped-call]
