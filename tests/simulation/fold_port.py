"""What `services/state/library/fold.lua` does with a batch, in Python, around the reference model's `apply`.

The same protocol line by line: repeats, gaps, overlaps, early stops, recorded decisions, `published`, trimming. Rows
stand as bytes, as in Redis, so a row that a rule changes without putting it back is lost here as it is there.
`test_fold_port.py` holds this against the library in a real Valkey.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from services.domain.commands import Command
from services.domain.fold import apply, rules_asked_for
from services.domain.limits import MAX_ROWS_PER_CALL, MAX_TRIM_PER_CALL, RULES_VERSION
from services.domain.rows import HEAD, Facts, Head, State
from services.state.fold_call import Batch, Folded, LogIdentity
from services.state.keys import decisions_chunk, place_in_chunk
from services.state.readers import decode_row
from tests.contract.worlds import encode_row
from tests.simulation.protections import ALL, Protection

Rows = dict[str, bytes]
"""Logical key → row, as Redis has it."""


class Call(NamedTuple):
    """What a call carries; how it is written down between here and there is not simulated."""

    identity: LogIdentity
    batch: Batch
    published: int


@dataclass(frozen=True, slots=True)
class PortSettings:
    """Bounds of one call. Smaller ones than the library's make rare things frequent, and change no decision."""

    chunk_offsets: int = 64
    readable_ms: int = 60_000
    stop_after: Callable[[], int] = lambda: MAX_ROWS_PER_CALL
    """Commands after which this call stops early; at least 1."""
    protections: frozenset[Protection] = ALL


@dataclass(slots=True)
class Reply:
    """What the function answers, and what it did."""

    folded: Folded
    applied: dict[int, Facts] = field(default_factory=dict)
    """Decisions of this call, repeats excluded."""
    head: Head | None = None


class CallState(State):
    """The rows during one call: decoded when asked for, written together at the end."""

    def __init__(self, kept: Rows) -> None:
        super().__init__()
        self.rows = {}
        self.changed: dict[str, None] = {}
        self._kept = kept

    def get(self, key: str) -> Any:
        if key not in self.rows:
            self.rows[key] = decode_row(key, self._kept.get(key))
        return self.rows[key]

    def put(self, key: str, row: Any) -> None:
        self.rows[key] = row
        self.changed[key] = None

    def remove(self, key: str) -> None:
        self.put(key, None)


class FoldPort:
    """The function. Calls change `kept` at their end only, or not at all."""

    def __init__(self, settings: PortSettings) -> None:
        self._settings: Final = settings
        self._protections: Final = settings.protections

    def fold(self, kept: Rows, call: Call) -> Reply:
        """One call on the rows of one partition."""
        log, key_check = call.identity.log, call.identity.key_check
        start = call.batch.start
        state = CallState(kept)
        head = decode_row(HEAD, kept.get(HEAD)) or Head(log=log, key_check=key_check)
        state.rows[HEAD] = head
        is_compared = Protection.LOGS_ARE_COMPARED in self._protections
        if is_compared and head.position > 0 and head.log != log:
            return _nothing("other_log", head)
        if head.position > 0 and head.key_check != key_check:
            return _nothing("other_key", head)
        if head.rules > RULES_VERSION:
            return _nothing("rules_too_new", head)
        if start > head.position:
            if Protection.GAPS_ARE_NOT_APPLIED in self._protections:
                return _nothing("gap", head)
            head.position = start
        if start < head.position and Protection.REPEATS_ARE_NOT_APPLIED not in self._protections:
            head.position = start
        reply = self._apply(call, state, head)
        if state.changed or call.published > head.published:
            head.published = max(head.published, call.published)
            gone = self._trimmable(state, head)
            state.put(HEAD, head)
            removed = [key for key in state.changed if state.rows[key] is None]
            kept.update({key: encode_row(state.rows[key]) for key in state.changed if state.rows[key] is not None})
            for key in [*removed, *gone]:
                kept.pop(key, None)
        reply.head = head
        return reply

    def _apply(self, call: Call, state: CallState, head: Head) -> Reply:
        batch, status = call.batch, "ok"
        chunks: dict[str, list[Any]] = {}
        decisions: list[Facts | bool] = [
            _recorded(state, chunks, offset) for offset in range(batch.start, min(batch.end, head.position))
        ]
        applied: dict[int, Facts] = {}
        stop_after = self._settings.stop_after()
        for offset in range(head.position, batch.end):
            if len(state.changed) >= MAX_ROWS_PER_CALL or len(applied) >= stop_after:
                break
            at = offset - batch.start
            command: Command = batch.commands[at]
            if rules_asked_for(offset, command) > RULES_VERSION:
                status = "rules_too_new"
                break
            facts = apply(
                state, offset=offset, timestamp_ms=batch.timestamps_ms[at], digest=batch.digests[at], command=command
            )
            _record(state, chunks, offset, head.now_ms, facts)
            applied[offset] = facts
            decisions.append(facts)
        if Protection.POSITION_MOVES_WITH_THE_STATE not in self._protections:
            decisions += [False] * (batch.end - max(head.position, batch.start))
            head.position = max(head.position, batch.end)
        return Reply(Folded(status, head.position, decisions), applied)

    def _trimmable(self, state: CallState, head: Head) -> list[str]:
        """Chunks whose events are acknowledged and which have been readable long enough; moves `head.trimmed`."""
        names: list[str] = []
        size = self._settings.chunk_offsets
        published = head.published
        if Protection.ONLY_PUBLISHED_DECISIONS_ARE_TRIMMED not in self._protections:
            published = head.position
        while len(names) < MAX_TRIM_PER_CALL:
            end = (head.trimmed + 1) * size
            if end > published or end > head.position:
                break
            name = decisions_chunk(head.trimmed * size)
            chunk = _chunk(state, name)
            if chunk and chunk[0] + self._settings.readable_ms > head.now_ms:
                break
            names.append(name)
            head.trimmed += 1
        return names


def _nothing(status: str, head: Head) -> Reply:
    return Reply(Folded(status, head.position, []))


def _chunk(state: CallState, name: str) -> list[Any] | None:
    chunk: list[Any] | None = state.get(name)
    return chunk


def _record(state: CallState, chunks: dict[str, list[Any]], offset: int, now_ms: int, facts: Facts) -> None:
    name = decisions_chunk(offset)
    chunk = chunks.get(name)
    if chunk is None:
        chunk = chunks[name] = _chunk(state, name) or [0]
    chunk[0] = now_ms
    place = place_in_chunk(offset)
    chunk.extend([False] * (place + 1 - len(chunk)))  # only where a protection was taken away
    chunk[place] = facts
    state.put(name, chunk)


def _recorded(state: CallState, chunks: dict[str, list[Any]], offset: int) -> Facts | bool:
    name = decisions_chunk(offset)
    chunk = chunks.get(name)
    if chunk is None:
        found = _chunk(state, name)
        if found is None:
            return False
        chunk = chunks[name] = found
    place = place_in_chunk(offset)
    facts: Facts | bool = chunk[place] if place < len(chunk) else False
    return facts
