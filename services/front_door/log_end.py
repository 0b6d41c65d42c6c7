"""How far the log reached when somebody asked: what tells "there is no such reservation" from "not folded yet"."""

import asyncio
from typing import Protocol

from services.stream.errors import StreamError
from services.stream.place import Offset, PartitionId


class EndOfLog(Protocol):
    """What a partition reader tells."""

    async def log_end(self, partition: PartitionId) -> Offset:
        """One past the last record. Raises LogUnavailable."""


class LogEnds:
    """The ends of partitions. One look is under way a partition; all who ask meanwhile share the next one."""

    def __init__(self, log: EndOfLog) -> None:
        self._log = log
        self._asking: dict[int, list[asyncio.Future[int]]] = {}
        self._lookers: dict[int, asyncio.Task[None]] = {}

    async def end(self, partition: int) -> int:
        """One past the last record, by a look that began after this call. Raises LogUnavailable."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asking.setdefault(partition, []).append(answer)
        if partition not in self._lookers:
            self._lookers[partition] = asyncio.create_task(self._look(partition), name=f"log-end-{partition}")
        return await answer

    async def _look(self, partition: int) -> None:
        try:
            while asking := self._asking.pop(partition, None):
                try:
                    end = await self._log.log_end(PartitionId(partition))
                except StreamError as error:
                    for answer in asking:
                        if not answer.done():
                            answer.set_exception(error)
                else:
                    for answer in asking:
                        if not answer.done():
                            answer.set_result(end)
        finally:
            del self._lookers[partition]
