"""`maskline trace` on a small system in memory: what is told of a command, and what never is."""

from collections.abc import Callable

import pytest

from services.audit.trace import NoPlace, NotInLog, Trace, place_in, trace
from services.audit.verify import Sources
from services.domain.limits import DECISIONS_PER_CHUNK
from services.platform.identities import RESERVATION_CHARACTERS
from services.sql.database import Database
from services.stream.fake import FakeReader
from services.stream.place import Offset, PartitionId, Place
from services.stream.topics import COMMANDS, EVENTS
from tests.unit.audit_world import FIRST, LOG_ID, NOW_MS, AuditWorld, command_id


@pytest.fixture
def world() -> AuditWorld:
    world = AuditWorld()
    world.campaign(slots={"s1": 3})
    return world


async def traced(world: AuditWorld, offset: int, ledger: Database | None = None) -> Trace:
    readers = FakeReader(world.log, COMMANDS), FakeReader(world.log, EVENTS)
    return await trace(Sources(*readers, world.rows, 1, ledger), Place(FIRST, Offset(offset)))


def told(found: Trace) -> list[str]:
    return [step.what for step in found.steps]


async def test_a_booking_is_followed_from_the_log_to_its_event(world: AuditWorld) -> None:
    offset = world.reserve("anna", "s1", 2)
    found = await traced(world, offset)
    assert told(found) == [
        "written: reserve, campaign masks, slot s1",
        "decided: confirmed, slot s1",
        f"published as event {offset}: confirmed, slot s1",
    ]
    assert (found.is_whole, found.steps[0].at_ms) == (True, NOW_MS)
    assert found.lines()[0] == f"0:{offset} of log {LOG_ID}"
    assert found.lines()[1].startswith("2020-02-01 12:00:00.000+00:00  written: reserve")


async def test_a_refusal_has_its_reason(world: AuditWorld) -> None:
    world.reserve("anna", "s1", 3)
    assert "decided: rejected, reason sold_out, slot s1" in told(await traced(world, world.reserve("ben", "s1", 1)))


async def test_what_is_not_decided_yet_has_so_many_before_it(world: AuditWorld) -> None:
    rows = dict(world.rows.values)
    world.reserve("anna", "s1", 1)
    offset = world.reserve("ben", "s1", 1)
    world.rows.values = rows
    found = await traced(world, offset)
    assert (told(found)[1], found.is_whole) == ("not decided yet: 1 stand before it", False)


async def test_what_is_not_published_yet_is_said(world: AuditWorld) -> None:
    world.publishes = False
    offset = world.reserve("anna", "s1", 1)
    found = await traced(world, offset)
    assert told(found)[-1] == f"not published yet: events are published up to offset {offset}"
    assert not found.is_whole


@pytest.mark.parametrize("again", [slice(10, 40), slice(10, 20)])  # by the next allocator; by one that woke up late
async def test_events_that_were_published_again_are_found(world: AuditWorld, again: slice) -> None:
    offsets = [world.reserve(f"p{number}", "s1", 1) for number in range(40)]
    committed = dict(world.log.committed)
    for offset in offsets[again]:
        world.publish(offset)
    world.log.committed.update(committed)
    later = [world.reserve(f"q{number}", "s1", 1) for number in range(40)]
    for offset in (*offsets, *later):
        assert (await traced(world, offset)).is_whole, offset


async def test_records_that_are_not_ours_among_the_events_stand_in_nobodys_way(world: AuditWorld) -> None:
    offsets = []
    for number in range(30):
        world.log.write(EVENTS, FIRST, [b"not an event"], NOW_MS)
        offsets.append(world.reserve(f"p{number}", "s1", 1))
    for offset in offsets:
        assert (await traced(world, offset)).is_whole


async def test_a_decision_that_is_recorded_no_more_is_told_by_its_event(world: AuditWorld) -> None:
    offset = world.reserve("anna", "s1", 2)
    del world.rows.values[f"d:{offset // DECISIONS_PER_CHUNK}"]
    assert told(await traced(world, offset))[1:] == [
        "decided; the decision is old, and its events tell what it was",
        f"published as event {offset}: confirmed, slot s1",
    ]


async def test_nothing_of_a_person_is_told(world: AuditWorld) -> None:
    found = await traced(world, world.reserve("anna", "s1", 2))
    assert not any(command_id(secret) in "\n".join(found.lines()) for secret in ("anna", "anna/p"))


def status_url(partition: int, offset: int) -> str:
    return f"https://city.example/v1/reservations/{partition:02d}{'r' * RESERVATION_CHARACTERS}?place={offset}.abcdefgh"


@pytest.mark.parametrize("text", ["3:1234", status_url(3, 1234), status_url(3, 1234).split("example")[1]])
def test_a_place_is_read_as_log_lines_have_it_and_from_a_status_url(text: str) -> None:
    assert place_in(text) == Place(PartitionId(3), Offset(1234))


@pytest.mark.parametrize("text", ["", "3", "3:", ":4", "a:b", "3:-1", "3:4:5", "/v1/reservations/x?place=4.abcdefgh"])
def test_what_is_no_place_is_told_with_how_one_looks(text: str) -> None:
    with pytest.raises(NoPlace, match="Write PARTITION:OFFSET"):
        place_in(text)


@pytest.mark.parametrize("place", [lambda end: Place(FIRST, Offset(end)), lambda _: Place(PartitionId(7), Offset(0))])
async def test_what_the_log_does_not_have_is_said(world: AuditWorld, place: Callable[[int], Place]) -> None:
    end = world.log.end(COMMANDS, FIRST)
    readers = FakeReader(world.log, COMMANDS), FakeReader(world.log, EVENTS)
    with pytest.raises(NotInLog, match=r"it has 1 partitions, and this one ends at"):
        await trace(Sources(*readers, world.rows, 1), place(end))
