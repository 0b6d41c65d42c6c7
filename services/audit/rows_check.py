"""Redis, held against the model row by row, on a system that moves.

Each piece of rows is read together with its position in one atomic step, and the model is moved to exactly that
position before the piece is compared. So a difference is never a matter of timing, however fast the log grows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from services.audit.errors import MovedBackError
from services.audit.replay import Replay
from services.audit.report import Kind, Report, shortened
from services.audit.rows_reader import RawReading, RowsReader
from services.domain.limits import DECISIONS_PER_CHUNK
from services.domain.reasons import Reason
from services.domain.rows import HEAD, Phase, ReservationRow, ReservationState, Share, SlotRow, TerminalState
from services.domain.rules.buckets import units_left, units_taken
from services.state.keys import facts_in
from services.state.readers import decode_row
from services.stream.place import PartitionId

KEYS_PER_READ = 500
CHUNKS_PER_READ = 32
MAX_UNKNOWN_KEYS = 10_000
NOT_OF_THE_FOLD = ("d:", "waiting:")
"""Recorded decisions are compared apart; the waiting room's keys are written by front doors."""
BOOKKEEPING = frozenset({"published", "trimmed"})
"""Fields of the head that the allocator keeps for itself; the model does not have them."""
_WORDS: dict[tuple[str, str], Any] = {
    ("r", "state"): ReservationState,
    ("r", "reason"): Reason,
    ("c", "phase"): Phase,
    ("t", "state"): TerminalState,
}


class RowsCheck:
    """Of one partition. The model must not be ahead of Redis when a check begins. Raises MovedBackError."""

    def __init__(self, rows: RowsReader, partition: PartitionId, replay: Replay, report: Report) -> None:
        self._rows = rows
        self._partition = partition
        self._replay = replay
        self._report = report
        self.oversold = 0
        """Units beyond the quotas of slots, as Redis has them."""

    async def compare_rows(self) -> None:
        """Every row that the model has now."""
        for keys in _pieces(list(self._replay.state.rows), KEYS_PER_READ):
            head, values = await self._read(keys)
            for key, value in zip(keys, values, strict=True):
                if key != HEAD:
                    self._compare_row(key, value)
            self._compare_fields(HEAD, self._replay.state.head, head)
            self._report.rows += len(keys)

    async def compare_decisions(self) -> None:
        """Every recorded decision that has to be readable."""
        position = self._replay.position
        first = (await self._read([])).head.trimmed
        chunks = range(first, -(-position // DECISIONS_PER_CHUNK))
        for piece in _pieces(chunks, CHUNKS_PER_READ):
            head, values = await self._read([f"d:{chunk}" for chunk in piece])
            for chunk, value in zip(piece, values, strict=True):
                if chunk >= head.trimmed:
                    self._compare_chunk(chunk, value, position)

    async def find_foreign_keys(self) -> None:
        """Keys that no command made. What the model did not know when it was seen, it knows at the position after the
        scan, or a command has removed it since."""
        unknown: set[str] = set()
        async for keys in self._rows.keys(self._partition):
            unknown.update(
                key for key in keys if key not in self._replay.state.rows and not key.startswith(NOT_OF_THE_FOLD)
            )
            if len(unknown) > MAX_UNKNOWN_KEYS:
                await self._read([])
                unknown = {key for key in unknown if key not in self._replay.state.rows}
                if len(unknown) > MAX_UNKNOWN_KEYS:
                    break
        for piece in _pieces(sorted(unknown), KEYS_PER_READ):
            _, values = await self._read(piece)
            for key, value in zip(piece, values, strict=True):
                if value is not None and key not in self._replay.state.rows:
                    self._report.add(Kind.FOREIGN_KEY, self._partition, "Redis has a key that no command made", key=key)

    async def _read(self, keys: Sequence[str]) -> RawReading:
        """Values, with the model moved to their position."""
        reading = await self._rows.read(self._partition, keys)
        if reading.head.position < self._replay.position:
            raise MovedBackError(partition=self._partition, before=self._replay.position, now=reading.head.position)
        await self._replay.advance(reading.head.position)
        return reading

    # ------------------------------------------------------------------------------------------------------ comparing

    def _compare_row(self, key: str, value: bytes | None) -> None:
        expected = self._replay.state.rows.get(key)
        if expected is None:  # a command removed it since the list of keys was made
            if value is not None:
                self._differs(key, None, "Redis still has this row", expected="no row")
            return
        if value is None:
            self._differs(key, expected, "Redis does not have this row", expected=shortened(expected))
            return
        try:
            found = decode_row(key, value)
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
            self._differs(key, expected, "the row cannot be read", expected=shortened(expected))
            return
        for share in Share if isinstance(found, SlotRow) else ():
            left, taken = units_left(found, share), units_taken(found, share)
            if left < 0:
                self.oversold -= left
                self._differs(
                    key, expected, f"Redis says that more was given out than the slot's {share.name.lower()} share has",
                    expected=f"at most {left + taken} units", found=f"{taken} units",
                )  # fmt: skip
        if found != expected:
            self._compare_fields(key, expected, found)

    def _compare_fields(self, key: str, expected: Any, found: Any) -> None:
        if not isinstance(expected, msgspec.Struct):
            self._differs(key, expected, "the row differs", expected=shortened(expected), found=shortened(found))
            return
        differing = [
            name
            for name in expected.__struct_fields__
            if name not in BOOKKEEPING and getattr(expected, name) != getattr(found, name)
        ]
        if differing:
            self._differs(
                key,
                expected,
                f"{', '.join(differing)} differ{'s' if len(differing) == 1 else ''}",
                expected=shortened(", ".join(_told(key, name, getattr(expected, name)) for name in differing)),
                found=shortened(", ".join(_told(key, name, getattr(found, name)) for name in differing)),
            )

    def _compare_chunk(self, chunk: int, value: bytes | None, position: int) -> None:
        offsets = range(chunk * DECISIONS_PER_CHUNK, min((chunk + 1) * DECISIONS_PER_CHUNK, position))
        try:
            found = decode_row(f"d:{chunk}", value) or []
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = []
        for offset in offsets:
            expected = self._replay.facts.get(offset)
            recorded = facts_in(found, offset)
            self._report.decisions += 1
            if expected is not None and recorded != expected:
                self._report.add(
                    Kind.DECISION,
                    self._partition,
                    "the recorded decision differs" if recorded else "the recorded decision is gone too early",
                    offset=offset,
                    key=f"d:{chunk}",
                    expected=shortened(expected),
                    found=shortened(recorded or ""),
                )

    def _differs(self, key: str, row: Any, what: str, **about: str) -> None:
        parts = key.split(":")
        resident = slot = ""
        if isinstance(row, ReservationRow):
            resident, slot = row.resident, row.slot
        elif parts[0] == "p":
            resident = parts[2]
        elif parts[0] == "s":
            slot = parts[2]
        changed_at = self._replay.state.changed_at.get(key)
        self._report.add(
            Kind.ROW, self._partition, what, offset=changed_at, key=key, resident=resident, slot=slot, **about
        )


def _told(key: str, name: str, value: Any) -> str:
    words = _WORDS.get((key.partition(":")[0], name))
    if words is not None and value in list(words):
        return f"{name} {words(value).name.lower()}"
    return f"{name} {shortened(value)}"


def _pieces(items: Sequence[Any], size: int) -> Iterator[Any]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
