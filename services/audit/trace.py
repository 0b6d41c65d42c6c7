"""`maskline trace`: the whole way of one command, by its place in the log: written, decided, published, in the ledger.

The place, PARTITION:OFFSET, is the id that follows a booking through all parts: front doors, allocators and the ledger
log it (--log-level debug; lines about trouble always have it), events have it in their ids, and the `status_url` that a
resident holds names it. It says nothing about a person, and nothing of what is told here does.
"""

import re
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from services.audit.verify import Sources
from services.domain.commands import Command, decode
from services.domain.events import Event, events_of, place_of
from services.domain.events import decode as decode_event
from services.platform.errors import MasklineError
from services.platform.identities import partition_of
from services.sql.watermarks import count_rows
from services.state.keys import decisions_chunk, facts_in
from services.state.readers import decode_row
from services.state.recovery import GROUP
from services.stream.genesis import read_genesis
from services.stream.partition_reader import record_at, records_between
from services.stream.place import Offset, PartitionId, Place

MAX_LOOKED_AT: Final = 64
"""Records of the topic: events of one place stand together, and what is not ours hardly ever between them."""
BEYOND_ALL: Final = 2**63
_PLACE: Final = re.compile(r"(\d{1,3}):(\d{1,18})")
_STATUS_URL: Final = re.compile(r".*/reservations/([A-Za-z0-9_-]+)\?(?:.*&)?place=(\d{1,18})\..*")


class NoPlace(MasklineError):
    """'{text}' is no place. Write PARTITION:OFFSET, as log lines have it, or a resident's status_url."""


class NotInLog(MasklineError):
    """The log has nothing at {partition}:{offset}: it has {partitions} partitions, and this one ends at {end}."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to the command; `is_done` False: it has not happened yet. `at_ms` 0: has no time."""

    what: str
    at_ms: int = 0
    is_done: bool = True

    def __str__(self) -> str:
        moment = datetime.fromtimestamp(self.at_ms / 1000, UTC).isoformat(" ", "milliseconds") if self.at_ms else ""
        return f"{moment:29}  {self.what}"


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A command's way so far."""

    place: str
    log: str
    steps: list[Step]

    @property
    def is_whole(self) -> bool:
        """Whether it has come to its end."""
        return all(step.is_done for step in self.steps)

    def lines(self) -> list[str]:
        """In words."""
        return [f"{self.place} of log {self.log}", *map(str, self.steps)]


def place_in(text: str) -> Place:
    """Of PARTITION:OFFSET, or of a reservation's status_url. Raises NoPlace."""
    if found := _PLACE.fullmatch(text):
        return Place(PartitionId(int(found[1])), Offset(int(found[2])))
    if (found := _STATUS_URL.fullmatch(text)) and (number := partition_of(found[1])) is not None:
        return Place(PartitionId(number), Offset(int(found[2])))
    raise NoPlace(text=text)


async def trace(sources: Sources, place: Place) -> Trace:
    """What became of the command there. Raises NotInLog, GenesisMissing, CouldNotLookError, LogUnavailable, and what
    the ledger's database raises."""
    partition, offset = place
    end = await sources.commands.log_end(partition) if partition < sources.partitions else 0
    if offset >= end:
        raise NotInLog(partition=partition, offset=offset, partitions=sources.partitions, end=end)
    genesis = await read_genesis(sources.commands, partition)
    record = await record_at(sources.commands, partition, offset)
    command = decode(record.value)
    steps = [Step(what=f"written: {_words_of_command(command)}", at_ms=record.timestamp)]
    reading = await sources.rows.read(partition, [decisions_chunk(offset)])
    if reading.head.position <= offset:
        steps.append(Step(what=f"not decided yet: {offset - reading.head.position} stand before it", is_done=False))
        return Trace(place=f"{partition}:{offset}", log=genesis.log, steps=steps)
    facts = facts_in(decode_row(decisions_chunk(offset), reading.values[0]), offset)
    if facts is None:
        steps.append(Step(what="decided; the decision is old, and its events tell what it was"))
    else:
        told = events_of(genesis.log, partition, offset, record.timestamp, command, facts)
        steps.append(Step(what="decided: " + "; ".join(map(_words_of_event, told))))
    done = max(reading.head.published, await sources.commands.committed(GROUP, partition))
    published = await _published(sources, genesis.log, place, must_be_there=offset < done)
    if not published:
        steps.append(Step(what=f"not published yet: events are published up to offset {done}", is_done=False))
    steps += published
    if sources.ledger is not None:
        rows = await sources.ledger.call(partial(count_rows, partition=partition, log_offset=offset))
        what = f"in the ledger: {rows} row{'s' * (rows > 1)}" if rows else "not in the ledger yet"
        steps.append(Step(what=what, is_done=bool(rows)))
    return Trace(place=f"{partition}:{offset}", log=genesis.log, steps=steps)


async def _published(sources: Sources, log: str, place: Place, *, must_be_there: bool) -> list[Step]:
    """The events of this place, as they stand behind one another in the topic."""
    await sources.events.assign([place.partition])
    end = int(await sources.events.log_end(place.partition))
    begin = await _first_not_before(sources, log, place, end)
    found = await _events_from(sources, log, place, begin, min(end, begin + MAX_LOOKED_AT))
    if not found and must_be_there:  # what somebody published again late stands where the search does not expect it
        found = await _events_from(sources, log, place, 0, end)
    return found


async def _first_not_before(sources: Sources, log: str, place: Place, end: int) -> int:
    """Where the first event stands that is not before this place in the log: events have the log's order, but for what
    an allocator published again after a crash, which then goes on from there."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        is_before = await _place_at(sources, log, place.partition, middle, end) < place.offset
        low, high = (middle + 1, high) if is_before else (low, middle)
    return low


async def _place_at(sources: Sources, log: str, partition: PartitionId, at: int, end: int) -> int:
    """Of the event at `at`, or of the first of ours behind it; beyond all where there is none."""
    for number in range(at, min(end, at + MAX_LOOKED_AT)):
        event = _event_in((await record_at(sources.events, partition, Offset(number))).value)
        if event is not None and place_of(event.id)[:2] == (log, partition):
            return place_of(event.id)[2]
    return BEYOND_ALL


async def _events_from(sources: Sources, log: str, place: Place, begin: int, end: int) -> list[Step]:
    steps: list[Step] = []
    async for records in records_between(sources.events, place.partition, begin, end):
        for record in records:
            event = _event_in(record.value)
            if event is not None and place_of(event.id)[:3] == (log, *place):
                what = f"published as event {record.offset}: {_words_of_event(event)}"
                steps.append(Step(what=what, at_ms=record.timestamp))
        if steps:
            break
    return steps


def _event_in(value: bytes | None) -> Event | None:
    try:
        event = decode_event(value or b"")
        place_of(event.id)
    except (msgspec.DecodeError, ValueError, TypeError):
        return None
    return event


def _words_of_command(command: Command) -> str:
    about = [f"{name} {value}" for name in ("campaign", "slot") if (value := getattr(command, name, ""))]
    return ", ".join([str(command.__struct_config__.tag), *about])


def _words_of_event(event: Event) -> str:
    about = [f"{name} {value}" for name in ("reason", "ordinal", "slot") if (value := getattr(event, name))]
    return ", ".join([event.type, *about])
