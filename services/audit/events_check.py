"""The topic `events`, held against what the model decided: every decision told once, in order, and told right.

A repeat (published again after a crash) is no fault, but it has to say what the first one said. How the first ones read
is remembered for the last REMEMBERED_OFFSETS; repeats from farther back are compared by reading the topic again.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from aiokafka import ConsumerRecord

from services.audit.errors import CouldNotLookError
from services.audit.invariants import Walk
from services.audit.replay import FETCH_TIMEOUT_MS, MAX_EMPTY_FETCHES, RECORDS_PER_FETCH, Decided
from services.audit.report import Kind, Report, shortened
from services.domain.commands import Command
from services.domain.events import Event, decode, encode, events_of, place_of
from services.stream.partition_reader import LogReader
from services.stream.place import Offset, PartitionId

REMEMBERED_OFFSETS = 65_536
MAX_FAR_REPEATS = 1_000_000
UNTOLD_FIELDS = frozenset({"contact", "phone_pseudonym"})

Place = tuple[int, int]  # offset, index


class _Expected(NamedTuple):
    place: Place
    value: bytes
    command: Command


class _Parsed(NamedTuple):
    log: str
    partition: int
    place: Place
    event: Event


class EventsCheck:
    """Of one partition: `begin`, then `follow` the replay, then `finish`."""

    def __init__(self, reader: LogReader, partition: PartitionId, log: str, report: Report) -> None:
        self._reader = reader
        self._partition = partition
        self._log = log
        self._report = report
        self._walk = Walk(partition, report)
        self._end = 0
        self._log_end = 0
        self._next = 0  # of the topic
        self._ahead: deque[ConsumerRecord] = deque()
        self._expected: deque[_Expected] = deque()
        self._remembered: list[tuple[int, tuple[int, ...]]] = [(-1, ())] * REMEMBERED_OFFSETS
        self._replayed = 0  # offsets below it are decided by the model: a second event of one is a repeat
        self._far: dict[Place, int] = {}  # hash of a repeat whose first is not remembered

    async def begin(self, end: int, log_end: int) -> None:
        """Go to the topic's beginning. It is read up to `end`; `log_end` is the log's end, asked for after that."""
        self._end, self._log_end = end, log_end
        start = await self._reader.log_start(self._partition)
        if start > 0:
            self._report.add(
                Kind.LOG, self._partition, f"the topic of events begins at {start}: earlier ones were deleted"
            )
        await self._rewind(start)

    async def follow(self, decided: Sequence[Decided]) -> None:
        """Compare the events of these decisions, as far as they were published."""
        for each in decided:
            events = events_of(self._log, self._partition, each.offset, each.timestamp_ms, each.command, each.facts)
            values = [encode(event) for event in events]
            self._replayed = each.offset + 1
            self._remembered[each.offset % REMEMBERED_OFFSETS] = (each.offset, tuple(map(hash, values)))
            self._expected.extend(
                _Expected((each.offset, index), value, each.command) for index, value in enumerate(values)
            )
        while self._expected and (record := await self._peek()) is not None:
            first = self._expected[0]
            if record.value == first.value:
                self._matched(first, decode(first.value))
            elif not self._unexpected(record, first):
                return

    async def finish(self, published: int) -> None:
        """Everything was replayed: what was published and is not there, and what is there beyond it."""
        self._missing([each.place[0] for each in self._expected if each.place[0] < published])
        self._expected.clear()
        while (record := await self._peek()) is not None:
            found = self._read(record)
            if found is not None and found[0][0] < self._replayed:
                self._repeated(*found)
            self._take()
        if self._far:
            await self._compare_far()

    # ------------------------------------------------------------------------------------------- one record at a time

    def _matched(self, expected: _Expected, event: Event) -> None:
        self._expected.popleft()
        self._take()
        self._report.events += 1
        self._walk.step(expected.place[0], expected.command, event)

    def _unexpected(self, record: ConsumerRecord, first: _Expected) -> bool:
        """Anything but the very next event. False where the record has to wait for the replay."""
        found = self._read(record)
        if found is None:
            self._take()
            return True
        place, event = found
        if place < first.place:
            self._repeated(place, event)
            self._take()
            return True
        if place == first.place:
            self._compare(first, event)
            self._matched(first, event)
            return True
        skipped = []
        while self._expected and self._expected[0].place < place:
            skipped.append(self._expected.popleft().place[0])
        self._missing(skipped)
        return bool(self._expected)

    def _read(self, record: ConsumerRecord) -> tuple[Place, Event] | None:
        """Place and event of a record; None, with a difference, where it is none of this log."""
        parsed = _parsed(record)
        if parsed is None:
            self._foreign(record, "a record that is no event")
            return None
        if parsed.log != self._log or parsed.partition != self._partition:
            self._foreign(record, f"an event of log {parsed.log}, partition {parsed.partition}")
            return None
        offset, index = parsed.place
        if offset >= self._log_end or offset < 0 or index < 0:
            self._report.unasked += 1
            self._foreign(record, f"an event of offset {offset}, where the log has no command")
            return None
        return parsed.place, parsed.event

    def _foreign(self, record: ConsumerRecord, what: str) -> None:
        self._report.add(Kind.EVENT_FOREIGN, self._partition, f"{what} (at {record.offset} in the topic)")

    def _compare(self, expected: _Expected, event: Event) -> None:
        """Same place, other bytes: another version may have written the same event otherwise, so fields decide."""
        wanted = decode(expected.value)
        if wanted == event:
            return
        differing = [name for name in Event.__struct_fields__ if getattr(wanted, name) != getattr(event, name)]
        told = [name for name in differing if name not in UNTOLD_FIELDS]
        self._report.duplicates += 1
        self._report.add(
            Kind.EVENT_DIFFERS,
            self._partition,
            f"the event says something else than the decision: {', '.join(differing)}",
            offset=expected.place[0],
            resident=wanted.resident,
            slot=wanted.slot,
            expected=shortened(", ".join(f"{name} {getattr(wanted, name)}" for name in told)),
            found=shortened(", ".join(f"{name} {getattr(event, name)}" for name in told)),
        )

    def _missing(self, offsets: list[int]) -> None:
        offsets = sorted(set(offsets))
        self._report.lost += len(offsets)
        if offsets:
            what = f"{len(offsets)} decisions up to offset {offsets[-1]} have no event"
            self._report.add(Kind.EVENT_MISSING, self._partition, what, offset=offsets[0])

    # ------------------------------------------------------------------------------------------------------- repeats

    def _repeated(self, place: Place, event: Event) -> None:
        self._report.repeated_events += 1
        offset, hashes = self._remembered[place[0] % REMEMBERED_OFFSETS]
        digest = hash(encode(event))
        if offset == place[0]:
            if place[1] >= len(hashes) or digest != hashes[place[1]]:
                self._another_content(place, event)
        elif len(self._far) < MAX_FAR_REPEATS:
            self._far[place] = digest
        else:
            why = f"more than {MAX_FAR_REPEATS} events are repeats of old ones"
            raise CouldNotLookError(partition=self._partition, why=why)

    def _another_content(self, place: Place, event: Event) -> None:
        self._report.duplicates += 1
        what = f"an event came again with another content ({event.type})"
        self._report.add(
            Kind.EVENT_REPEATED, self._partition, what, offset=place[0], resident=event.resident, slot=event.slot
        )

    async def _compare_far(self) -> None:
        """Second reading, for repeats whose first is not remembered: the first one found in the topic is it."""
        await self._rewind(await self._reader.log_start(self._partition))
        while self._far and (record := await self._peek()) is not None:
            self._take()
            parsed = _parsed(record)
            if parsed is not None and parsed.log == self._log:
                digest = self._far.pop(parsed.place, None)
                if digest is not None and digest != hash(encode(parsed.event)):
                    self._another_content(parsed.place, parsed.event)

    # ------------------------------------------------------------------------------------------------------- reading

    async def _rewind(self, to: int) -> None:
        self._ahead.clear()
        self._next = to
        await self._reader.assign([self._partition])
        self._reader.seek(self._partition, Offset(to))

    async def _peek(self) -> ConsumerRecord | None:
        """The next record of the topic; None at its end."""
        empty = 0
        while not self._ahead and self._next < self._end:
            wanted = min(RECORDS_PER_FETCH, self._end - self._next)
            records = await self._reader.fetch(self._partition, wanted, FETCH_TIMEOUT_MS)
            self._ahead.extend(records)
            self._next += len(records)
            empty += not records
            if empty >= MAX_EMPTY_FETCHES:
                why = f"the topic of events has {self._end} records, but does not give {self._next}"
                raise CouldNotLookError(partition=self._partition, why=why)
        return self._ahead[0] if self._ahead else None

    def _take(self) -> None:
        self._ahead.popleft()


def _parsed(record: ConsumerRecord) -> _Parsed | None:
    try:
        event = decode(record.value)
        log, partition, offset, index = place_of(event.id)
    except (msgspec.DecodeError, ValueError, TypeError):
        return None
    return _Parsed(log, partition, (offset, index), event)
