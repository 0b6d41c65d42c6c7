"""The reference model, moved along one partition's log, as far as somebody needs it and never back."""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from services.audit.errors import CouldNotLookError
from services.domain.commands import Command, decode
from services.domain.fold import RulesTooNewError, apply
from services.domain.rows import Facts, State
from services.stream.partition_reader import LogReader
from services.stream.place import Offset, PartitionId

RECORDS_PER_FETCH = 2_000
FETCH_TIMEOUT_MS = 1_000
MAX_EMPTY_FETCHES = 5


class Decided(NamedTuple):
    """One record of the log and what the model decided of it."""

    offset: int
    timestamp_ms: int
    command: Command
    facts: Facts


class TracedState(State):
    """Rows that know the offset which changed them last, so that a difference can name it."""

    def __init__(self) -> None:
        super().__init__()
        self.changed_at: dict[str, int] = {}

    def put(self, key: str, row: Any) -> None:
        """Keep the row. While a record is decided the position is still its own offset."""
        self.rows[key] = row
        self.changed_at[key] = self.head.position

    def remove(self, key: str) -> None:
        """Forget the row, not when it went."""
        super().remove(key)
        self.changed_at[key] = self.head.position


class Replay:
    """The rows of one partition after `position` records. Memory: these rows, and the facts from `keep_from` on."""

    def __init__(self, reader: LogReader, partition: PartitionId, keep_from: int) -> None:
        self.state = TracedState()
        self.facts: dict[int, Facts] = {}
        """Of each offset from `keep_from` on: what recorded decisions are compared with."""
        self._reader = reader
        self._partition = partition
        self._keep_from = keep_from

    @property
    def position(self) -> int:
        """The next offset that the model has not applied."""
        return self.state.head.position

    async def begin(self) -> None:
        """Go to the log's beginning."""
        await self._reader.assign([self._partition])
        self._reader.seek(self._partition, Offset(0))

    async def advance(self, to: int, on_decided: Callable[[Sequence[Decided]], Awaitable[None]] | None = None) -> None:
        """Apply every record before offset `to`, handing each piece on. Raises what reading the log raises."""
        empty = 0
        while self.position < to:
            records = await self._reader.fetch(
                self._partition, min(RECORDS_PER_FETCH, to - self.position), FETCH_TIMEOUT_MS
            )
            if not records:
                empty += 1
                if empty >= MAX_EMPTY_FETCHES:
                    why = f"Redis has applied everything before offset {to}, but the log does not give {self.position}"
                    raise CouldNotLookError(partition=self._partition, why=why)
                continue
            empty = 0
            decided = [self._apply(record) for record in records]
            if on_decided is not None:
                await on_decided(decided)

    def _apply(self, record: Any) -> Decided:
        command = decode(record.value)
        digest = zlib.crc32(record.value or b"")
        try:
            facts = apply(
                self.state, offset=record.offset, timestamp_ms=record.timestamp, digest=digest, command=command
            )
        except RulesTooNewError as error:
            why = f"its log asks for version {error} of the rules at offset {record.offset}; this program is older"
            raise CouldNotLookError(partition=self._partition, why=why) from error
        if record.offset >= self._keep_from:
            self.facts[record.offset] = facts
        return Decided(record.offset, record.timestamp, command, facts)
