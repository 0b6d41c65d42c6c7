"""Whether a partition is still the log that this process writes to: a 202 is a promise in that one, not in another.

Asked before anything is written over a new connection (`GroupCommit`), so it costs nothing while all is well.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from services.domain.commands import Genesis
from services.domain.rows import Head
from services.stream.errors import LogReplaced
from services.stream.genesis import GenesisMissing, read_genesis
from services.stream.partition_reader import LogReader, record_at
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS


class Written(NamedTuple):
    """A record that the log had: this process has an acknowledgement for it, or the fold has applied it."""

    offset: Offset
    digest: int
    """CRC-32 of its value."""

    @classmethod
    def of(cls, offset: Offset, value: bytes) -> "Written":
        """This record."""
        return cls(offset, zlib.crc32(value))


class SameLog:
    """Compares with the genesis that was found at the start, with what was written last, and with what was folded last.

    `applied` reads the fold's head as it is now. A door that has written nothing for a while, or never, could not tell
    a log that was cut behind its last record from its own.
    """

    def __init__(
        self,
        reader: LogReader,
        genesis: Mapping[PartitionId, Genesis],
        applied: Callable[[PartitionId], Awaitable[Head | None]] | None = None,
    ) -> None:
        self._reader: Final = reader
        self._genesis: Final = genesis
        self._applied: Final = applied
        self._one_at_a_time: Final = asyncio.Lock()

    async def check(self, partition: PartitionId, last: Written | None) -> None:
        """Raises LogReplaced, or LogUnavailable where it cannot be seen."""
        async with self._one_at_a_time:
            what = await self._difference(partition, last)
        if what:
            raise LogReplaced(partition=partition, topic=COMMANDS, what=what)

    async def _difference(self, partition: PartitionId, last: Written | None) -> str:
        try:
            found = await read_genesis(self._reader, partition)
        except GenesisMissing as error:
            return str(error.values["why"])
        if found != self._genesis[partition]:
            return f"it is log {found.log}, and was {self._genesis[partition].log}"
        head = None if self._applied is None else await self._applied(partition)
        folded = None
        if head is not None and head.position > 0 and head.log == found.log:
            folded = Written(Offset(head.position - 1), head.digest)
        for known in (last, folded):
            if known is not None and (what := await self._misses(partition, known)):
                return what
        return ""

    async def _misses(self, partition: PartitionId, last: Written) -> str:
        end = await self._reader.log_end(partition)
        if end <= last.offset:
            return f"it ends at {end}, and had a record at {last.offset}"
        record = await record_at(self._reader, partition, last.offset)
        if Written.of(last.offset, record.value or b"") != last:
            return f"another record stands at {last.offset}"
        return ""
