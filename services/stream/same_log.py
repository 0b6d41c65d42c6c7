"""Whether a partition is still the log that this process writes to: a 202 is a promise in that one, not in another.

Asked before anything is written over a new connection (`GroupCommit`), so it costs nothing while all is well.
"""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from services.domain.commands import Genesis
from services.stream.errors import LogReplaced, LogUnavailable
from services.stream.genesis import GenesisMissing, read_genesis
from services.stream.partition_reader import LogReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS

READ_TIMEOUT_MS: Final = 4_000


class Written(NamedTuple):
    """The last record that this process has an acknowledgement for."""

    offset: Offset
    digest: int
    """CRC-32 of its value."""

    @classmethod
    def of(cls, offset: Offset, value: bytes) -> "Written":
        """This record."""
        return cls(offset, zlib.crc32(value))


class SameLog:
    """Compares with the genesis that was found at the start, and with what was written last."""

    def __init__(self, reader: LogReader, genesis: Mapping[PartitionId, Genesis]) -> None:
        self._reader: Final = reader
        self._genesis: Final = genesis
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
        if last is None:
            return ""
        end = await self._reader.log_end(partition)
        if end <= last.offset:
            return f"it ends at {end}, and had a record at {last.offset}"
        self._reader.seek(partition, last.offset)
        records = await self._reader.fetch(partition, max_records=1, timeout_ms=READ_TIMEOUT_MS)
        if not records:
            raise LogUnavailable(why=f"offset {last.offset} of partition {partition} was not read in time")
        if Written.of(last.offset, records[0].value or b"") != last:
            return f"another record stands at {last.offset}"
        return ""
