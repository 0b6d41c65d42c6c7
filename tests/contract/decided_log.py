"""A log with what the model makes of it: read, decided and told once, compared with as often as somebody likes."""

import zlib
from collections.abc import Sequence
from typing import Any

from services.domain.commands import Command, decode
from services.domain.events import encode, events_of
from services.domain.fold import apply
from services.domain.rows import Facts, State
from services.state.fold_call import Batch
from tests import builders as b
from tests.contract.random_campaigns import Record

PARTITION = 0


class DecidedLog:
    """The records of one partition, their decisions, their events, and the rows at the end."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.commands: list[Command] = [decode(record.value) for record in records]
        self.facts: list[Facts] = []
        self._digests = [zlib.crc32(record.value) for record in records]
        self._timestamps_ms = [record.at_ms for record in records]
        self._events: dict[int, list[bytes]] = {}
        state = State()
        for offset, command in enumerate(self.commands):
            at_ms, digest = self._timestamps_ms[offset], self._digests[offset]
            self.facts.append(apply(state, offset=offset, timestamp_ms=at_ms, digest=digest, command=command))
        self.rows: dict[str, Any] = state.rows

    def __len__(self) -> int:
        return len(self.records)

    def batch(self, start: int, end: int) -> Batch:
        """The records from `start` to before `end`, as an allocator brings them to the fold."""
        part = slice(start, end)
        return Batch(start, self._timestamps_ms[part], self._digests[part], self.commands[part])

    def events(self, offset: int) -> list[bytes]:
        """What has to be published for an offset, byte by byte."""
        if offset not in self._events:
            at_ms, command, facts = self._timestamps_ms[offset], self.commands[offset], self.facts[offset]
            events = events_of(b.LOG, PARTITION, offset, at_ms, command, facts)
            self._events[offset] = [encode(event) for event in events]
        return self._events[offset]

    def told(self, around: int) -> str:
        """A few records before and at an offset, for a person who has to understand a failure."""
        first = max(0, around - 9)
        return "\n".join(f"{at}: {self.records[at]} -> {self.facts[at]}" for at in range(first, around + 1))
