"""What is promised, checked while it happens and again at the end, against the model's replay of the log as it is.

The model knows nothing of allocators, batches and faults: it reads the log from its beginning. Everything that a
consumer, a resident or a reader of Redis sees is compared with it.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiokafka import ConsumerRecord

from services.audit.invariants import Walk
from services.audit.report import Report
from services.domain.commands import Command, Reserve, decode
from services.domain.events import Event, encode, events_of, place_of
from services.domain.events import decode as decode_event
from services.domain.fold import apply
from services.domain.rows import HEAD, Facts, Head, State
from services.domain.rules.answers import Fact
from services.state.keys import decisions_chunk, place_in_chunk
from services.state.readers import decode_row
from services.stream.place import Place
from services.stream.topics import COMMANDS, EVENTS
from tests import builders as b
from tests.contract.worlds import encode_row
from tests.simulation.fold_port import Reply, Rows
from tests.simulation.protections import Protection
from tests.simulation.surroundings import Surroundings

if TYPE_CHECKING:
    from tests.simulation.kafka_log import SimulatedLog

WITHOUT_EFFECT: Final = {Fact.REFUSED, Fact.REPEATED, Fact.TICKED}


class Model:
    """One partition's log, replayed once, as far as somebody asks."""

    def __init__(self, records: Sequence[ConsumerRecord], partition: int) -> None:
        self.facts: list[Facts] = []
        self.commands: list[Command] = []
        self.events: list[list[bytes]] = []
        self._records: Final = records
        self._partition: Final = partition
        self._state = State()

    def advance(self, to: int) -> None:
        """Decide every record before offset `to`, where the log has it."""
        for record in self._records[len(self.facts) : to]:
            command = decode(record.value)
            facts = _decided(self._state, record, command)
            self.facts.append(facts)
            self.commands.append(command)
            events = events_of(b.LOG, self._partition, record.offset, record.timestamp, command, facts)
            self.events.append([encode(event) for event in events])

    def rows(self, position: int) -> dict[str, Any]:
        """The rows when everything before `position` is decided."""
        self.advance(position)
        if position == len(self.facts):
            state = self._state
        else:
            state = State()
            for record, command in zip(self._records[:position], self.commands, strict=False):
                _decided(state, record, command)
        return state.rows


class Promises:
    """All that is promised in one world. A broken promise ends the schedule.

    `looks_inside` also checks what only the allocators see (`published` in Redis and in Kafka), which shows a mistake
    before it does harm. Controls do without: they wait for the harm that a consumer, a resident or a reader sees.
    """

    def __init__(self, around: Surroundings, *, looks_inside: bool) -> None:
        self.published: Final = [0] * around.partitions
        """Per partition, the offset below which all events are in the log of events."""
        self.acknowledged: Final[list[set[int]]] = [set() for _ in range(around.partitions)]
        """Per partition, the offsets of commands that somebody was told the log has."""
        self.forgotten = 0
        """How often Kafka or Redis forgot what was published."""
        self.models: list[Model] = []
        self._around: Final = around
        self._looks_inside: Final = looks_inside
        self._log: SimulatedLog | None = None
        self._next_index: Final = [0] * around.partitions
        self._decided: Final = [0] * around.partitions
        self._maybe_written: Final[Counter[tuple[int, bytes]]] = Counter()
        self._reports: Final = [Report() for _ in range(around.partitions)]
        self._walks: Final = [Walk(p, report) for p, report in enumerate(self._reports)]

    def watch(self, log: "SimulatedLog") -> None:
        """The log that everything is compared with."""
        self._log = log
        self.models = [Model(log.records[COMMANDS, p], p) for p in range(self._around.partitions)]

    # -- while it happens -------------------------------------------------------------------------------------------

    def folded(self, partition: int, reply: Reply) -> None:
        """Redis decided something: the same as the model, at the same place."""
        model = self.models[partition]
        model.advance(max(reply.applied, default=-1) + 1)
        self._decided[partition] = max(self._decided[partition], reply.folded.position)
        for offset, facts in reply.applied.items():
            if offset >= len(model.facts):
                self._break(partition, f"offset {offset} was decided and is not in the log: nobody asked for it")
            elif facts != model.facts[offset]:
                self._break(partition, f"offset {offset} was decided as {facts}; the log says {model.facts[offset]}")
        if self._looks_inside and reply.head is not None and reply.head.published > self.published[partition]:
            self._break(
                partition,
                f"Redis takes everything below {reply.head.published} as published; events end at "
                f"{self.published[partition]}",
            )

    def started(self, partition: int, published: int, known: int) -> None:
        """An allocator begins to publish at `published`; Kafka or Redis knew all the time that `known` is published."""
        if published < known:
            self._break(partition, f"everything from {published} on is published again; {known} was known to be")

    def folded_into_another_log(self, partition: int) -> None:
        """Redis held the state of another log for a while, and somebody has changed it."""
        self._break(partition, "something was folded into the state of another log")

    def committed(self, partition: int, offset: int) -> None:
        """Somebody committed `published`."""
        if self._looks_inside and offset > self.published[partition]:
            self._break(partition, f"{offset} was committed; events end at {self.published[partition]}")

    def event_written(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Consumers keep a watermark: the very next event is new, one from before is a repeat, all else is a gap."""
        model = self.models[partition]
        drops_repeats = self._around.has(Protection.REPEATED_EVENTS_ARE_DROPPED)
        for record in records:
            event = decode_event(record.value)
            _, _, offset, index = place_of(event.id)
            model.advance(offset + 1)
            if offset >= len(model.events) or index >= len(model.events[offset]):
                self._break(partition, f"an event of {offset}:{index}, where nobody asked for anything")
                return
            if record.value != model.events[offset][index]:
                self._break(partition, f"the event of {offset}:{index} says {record.value!r}, {_told(model, offset)}")
                return
            mark = (self.published[partition], self._next_index[partition])
            if (offset, index) == mark:
                self._consume(partition, event)
            elif (offset, index) > mark:
                self._break(partition, f"a gap in the events: {mark[0]}:{mark[1]} was next, {offset}:{index} came")
                return
            elif not drops_repeats:
                self._break(partition, f"the event of {offset}:{index} was seen twice")
                return

    def _consume(self, partition: int, event: Event) -> None:
        model = self.models[partition]
        offset = self.published[partition]
        report = self._reports[partition]
        self._walks[partition].step(offset, model.commands[offset], event)
        if report.differences:
            self._break(partition, str(report.differences[0]))
        self._next_index[partition] += 1
        if self._next_index[partition] == len(model.events[offset]):
            self.published[partition], self._next_index[partition] = offset + 1, 0

    def check_publishers(self, running: Iterable[tuple[str, str]]) -> None:
        """Names of a process and of a publisher's task: an allocator has one a partition, and leaves none behind."""
        for (process, task), count in Counter(running).items():
            if count > 1:
                self._around.break_promise(f"{process} has {count} tasks {task}")

    # -- what people hear -------------------------------------------------------------------------------------------

    def may_be_written(self, partition: int, value: bytes) -> None:
        """Somebody offered a command, and was not told that it was surely not written."""
        self._maybe_written[partition, value] += 1

    def surely_not_written(self, partition: int, value: bytes) -> None:
        """Somebody was told so."""
        self._maybe_written[partition, value] -= 1

    def was_acknowledged(self, place: Place, value: bytes) -> None:
        """Somebody was told that the log has a command, and where."""
        assert self._log is not None
        records = self._log.records[COMMANDS, place.partition]
        if place.offset >= len(records) or records[place.offset].value != value:
            self._break(place.partition, f"a command was acknowledged at {place.offset}, and does not stand there")
        if place.offset in self.acknowledged[place.partition]:
            self._break(place.partition, f"two commands were acknowledged at {place.offset}")
        self.acknowledged[place.partition].add(place.offset)

    def was_told(self, place: Place, facts: Facts) -> None:
        """Somebody heard the decision on a command."""
        model = self.models[place.partition]
        model.advance(place.offset + 1)
        if model.facts[place.offset] != facts:
            self._break(place.partition, f"at {place.offset} somebody was told {facts}; {_told(model, place.offset)}")

    def was_gone(self, place: Place) -> None:
        """Somebody heard that a place was decided, and its recorded decision readable for its time and gone."""
        if place.offset >= self._decided[place.partition]:
            self._break(place.partition, f"{place.offset} was told as decided long ago, and it never was")

    def stepped_back(self, place: Place, position: int) -> None:
        """A door that had told a decision showed a state from before it."""
        self._break(place.partition, f"{place.offset} was told as decided; then the same door read position {position}")

    # -- afterwards -------------------------------------------------------------------------------------------------

    def check_rows(self, partition: int, rows: Rows) -> None:
        """Redis equals the replay to its position; recorded decisions that are there are the right ones."""
        head = decode_row(HEAD, rows.get(HEAD)) or Head()
        model = self.models[partition]
        wanted = model.rows(head.position)
        found = {key: decode_row(key, value) for key, value in rows.items()}
        found.setdefault(HEAD, Head())
        for key in sorted(wanted.keys() | {key for key in found if not key.startswith("d:")}):
            if not _same(key, wanted.get(key), found.get(key)):
                is_there, should_be = found.get(key), wanted.get(key)
                self._break(partition, f"row {key} at {head.position}: {is_there}, the log says {should_be}")
                return
        self._check_recorded(partition, head, found)

    def check_everything_asked_and_decided(self) -> None:
        """Nothing in the log that nobody offered or everybody was refused; each command took effect once."""
        assert self._log is not None
        for partition, model in enumerate(self.models):
            records = self._log.records[COMMANDS, partition]
            model.advance(len(records))
            effects: Counter[str] = Counter()
            for record, command, facts in zip(records, model.commands, model.facts, strict=True):
                if self._maybe_written[partition, record.value] <= 0:
                    self._break(partition, f"{record.offset} is in the log; who offered it was told it surely is not")
                if facts[0][0] not in WITHOUT_EFFECT:
                    effects[_identity(command)] += 1
            if twice := [identity for identity, count in effects.items() if identity and count > 1]:
                self._break(partition, f"took effect twice: {twice}")

    def is_finished(self, partition: int, rows: Rows) -> bool:
        """Whether everything in the log is decided in Redis, published, and committed."""
        assert self._log is not None
        end = self._log.end(COMMANDS, partition)
        head = decode_row(HEAD, rows.get(HEAD))
        return (
            head is not None
            and head.position == self.published[partition] == end
            and (self._log.committed.get(partition, 0) == end or self._log.commits_expired)
        )

    def unfinished(self, rows: Mapping[int, Rows]) -> str:
        """What is not finished, in words."""
        assert self._log is not None
        told = []
        for partition, of_partition in rows.items():
            if not self.is_finished(partition, of_partition):
                head = decode_row(HEAD, of_partition.get(HEAD)) or Head()
                told.append(
                    f"partition {partition}: the log ends at {self._log.end(COMMANDS, partition)}, position "
                    f"{head.position}, events end at {self.published[partition]} of {self._log.end(EVENTS, partition)} "
                    f"records, committed {self._log.committed.get(partition, 0)}"
                )
        return "; ".join(told)

    def _check_recorded(self, partition: int, head: Head, found: dict[str, Any]) -> None:
        model = self.models[partition]
        for offset in range(head.position):
            chunk = found.get(decisions_chunk(offset))
            if chunk is None:
                if offset >= head.published:
                    self._break(partition, f"the recorded decision of {offset} is gone; published is {head.published}")
                    return
                continue
            place = place_in_chunk(offset)
            if place >= len(chunk) or chunk[place] != model.facts[offset]:
                self._break(partition, f"recorded at {offset}: {chunk[place : place + 1]}, {_told(model, offset)}")
                return

    def _break(self, partition: int, what: str) -> None:
        self._around.break_promise(f"partition {partition}: {what}")


def _decided(state: State, record: ConsumerRecord, command: Command) -> Facts:
    return apply(
        state, offset=record.offset, timestamp_ms=record.timestamp, digest=zlib.crc32(record.value), command=command
    )


def _same(key: str, wanted: Any, found: Any) -> bool:
    """What the allocator keeps in the head is no decision; other rows are compared as Redis writes them."""
    if key == HEAD:
        wanted, found = (msgspec.structs.replace(head or Head(), published=0, trimmed=0) for head in (wanted, found))
    return wanted == found or encode_row(wanted) == encode_row(found)


def _told(model: Model, offset: int) -> str:
    return f"the log says {model.facts[offset]} to {model.commands[offset]}"


def _identity(command: Command) -> str:
    """What makes two records the same wish."""
    if isinstance(command, Reserve):
        return f"reserve {command.pass_no}"
    return str(getattr(command, "id", ""))
