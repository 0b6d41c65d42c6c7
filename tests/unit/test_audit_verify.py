"""Verify: a true system is found true while it moves, and each kind of lie is found and told in words."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from services.audit import rows_check
from services.audit.errors import CouldNotLookError
from services.audit.replay import Replay
from services.audit.report import Kind, Report
from services.domain import commands as c
from services.domain.events import encode
from services.domain.rows import HEAD
from services.domain.rules.answers import Fact
from services.state.readers import decode_row
from services.stream.fake import FakeLog, FakeReader
from services.stream.place import Offset
from services.stream.topics import COMMANDS, EVENTS
from tests.unit.audit_world import FIRST, NOW_MS, AuditWorld, command_id, pack


@pytest.fixture
def world() -> AuditWorld:
    """A campaign of two slots; anna has 3 units, ben 5, carl was refused, anna picked hers up."""
    made = AuditWorld()
    made.campaign({"s1": 8, "s2": 50})
    made.reserve("anna", "s1", 3)
    made.reserve("ben", "s1", 5)
    made.reserve("carl", "s1", 1)
    made.pair_terminal()
    made.pick_up("anna")
    return made


def kinds(report: Report) -> set[Kind]:
    return {difference.kind for difference in report.differences}


def only(report: Report) -> str:
    """The one difference, in words."""
    assert report.differing == 1, [str(each) for each in report.differences]
    assert report.exit_code == 1
    return str(report.differences[0])


async def test_a_true_system_has_no_differences(world: AuditWorld) -> None:
    report = await world.verify()
    assert report.differences == []
    assert (report.verify, report.exit_code) == ("ok", 0)
    assert report.records == report.events == report.decisions == len(world.decisions)
    assert report.rows == len(world.state.rows)
    assert report.lines()[-1] == "Nothing differs."


async def test_an_empty_system_has_no_differences() -> None:
    assert (await AuditWorld().verify()).verify == "ok"


async def test_records_nobody_can_read_are_decided_and_compared_like_others(world: AuditWorld) -> None:
    world.write(b"\x00 not json")
    world.write(b'{"type":"reserve"}')
    assert (await world.verify()).verify == "ok"


async def test_commands_not_decided_yet_are_told_and_are_no_difference(world: AuditWorld) -> None:
    world.log.write(COMMANDS, FIRST, [b"{}", b"{}"], NOW_MS)
    report = await world.verify()
    assert (report.verify, report.behind) == ("ok", 2)


# ---------------------------------------------------------------------------------------------------------------- rows


@pytest.mark.safety
async def test_a_reservation_that_differs_in_redis_is_told_with_who_where_and_what(world: AuditWorld) -> None:
    world.set_row(f"r:{command_id('ben/p')}", state=3)
    told = only(await world.verify())
    assert "offset 7" in told
    assert f"resident {command_id('ben')}" in told
    assert "slot s1" in told
    assert "expected state confirmed" in told
    assert "found    state cancelled" in told


@pytest.mark.control
async def test_without_the_tampering_the_same_look_finds_nothing(world: AuditWorld) -> None:
    world.set_row(f"r:{command_id('ben/p')}", state=1)
    assert (await world.verify()).verify == "ok"


async def test_a_row_that_is_gone_from_redis_is_found(world: AuditWorld) -> None:
    del world.rows.values[f"p:here:{command_id('anna')}"]
    assert "Redis does not have this row" in only(await world.verify())


async def test_a_row_that_cannot_be_read_is_found(world: AuditWorld) -> None:
    world.rows.values["c:masks"] = b"\xc1"
    assert "cannot be read" in only(await world.verify())


async def test_a_slot_that_gave_out_too_much_in_redis_counts_as_oversold(world: AuditWorld) -> None:
    world.set_row("s:1:s1", taken=11)
    report = await world.verify()
    assert report.oversold == 3
    assert "at most 8 units" in "".join(report.lines())


async def test_a_key_that_no_command_made_is_found(world: AuditWorld) -> None:
    world.rows.values[f"r:{command_id('nobody')}"] = pack([1, 1, "s1", 5, NOW_MS, "d" * 8])
    assert "a key that no command made" in only(await world.verify())


async def test_keys_of_the_waiting_room_and_recorded_decisions_are_no_foreign_keys(world: AuditWorld) -> None:
    world.rows.values["waiting:masks"] = b"x"
    assert (await world.verify()).verify == "ok"


async def test_a_wrong_digest_of_the_last_record_is_found(world: AuditWorld) -> None:
    world.set_row(HEAD, digest=1)
    assert "digest differs" in only(await world.verify())


async def test_the_allocators_own_bookkeeping_is_not_compared(world: AuditWorld) -> None:
    world.set_row(HEAD, published=3)
    assert (await world.verify()).verify == "ok"


# ------------------------------------------------------------------------------------------------- recorded decisions


async def test_a_recorded_decision_that_differs_is_found(world: AuditWorld) -> None:
    chunk = decode_row("d:0", world.rows.values["d:0"])
    chunk[8] = [[2, 2, 3]]
    world.rows.values["d:0"] = pack(chunk)
    told = only(await world.verify())
    assert "offset 7" in told
    assert "recorded decision differs" in told


async def test_recorded_decisions_that_are_gone_too_early_are_found(world: AuditWorld) -> None:
    del world.rows.values["d:0"]
    report = await world.verify()
    assert kinds(report) == {Kind.DECISION}
    assert report.differing == len(world.decisions)


async def test_recorded_decisions_that_were_trimmed_are_not_missed(world: AuditWorld) -> None:
    for number in range(130):
        world.reserve(f"r{number}", "s2", 1)
    del world.rows.values["d:0"]
    world.set_row(HEAD, trimmed=1)
    assert (await world.verify()).verify == "ok"


# -------------------------------------------------------------------------------------------------------------- events


async def test_an_event_that_was_never_published_is_a_lost_decision(world: AuditWorld) -> None:
    del world.log.records[EVENTS, FIRST][7:9]
    renumber(world)
    report = await world.verify()
    assert report.lost == 2
    assert "2 decisions up to offset 8 have no event" in str(report.differences[0])


async def test_missing_events_at_the_end_are_lost_only_below_what_was_published(world: AuditWorld) -> None:
    end = len(world.decisions)
    del world.log.records[EVENTS, FIRST][-2:]
    assert (await world.verify()).lost == 2
    world.log.committed["allocator", COMMANDS, FIRST] = Offset(end - 2)
    assert (await world.verify()).verify == "ok"


async def test_events_published_again_are_no_difference(world: AuditWorld) -> None:
    for offset in (9, 10):
        world.publish(offset)
    world.reserve("dora", "s2", 1)
    for offset in range(11):
        world.publish(offset)
    world.log.committed["allocator", COMMANDS, FIRST] = Offset(len(world.decisions))
    report = await world.verify()
    assert (report.verify, report.repeated_events) == ("ok", 13)


async def test_an_event_repeated_with_another_content_is_found(world: AuditWorld) -> None:
    world.publish(7, units=4)
    world.log.committed["allocator", COMMANDS, FIRST] = Offset(len(world.decisions))
    report = await world.verify()
    assert report.duplicates == 1
    assert "came again with another content" in only(report)


async def test_repeats_from_far_back_are_compared_by_reading_the_topic_again(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit.events_check.REMEMBERED_OFFSETS", 4)
    world.publish(1)
    world.publish(2, units=4)
    world.log.committed["allocator", COMMANDS, FIRST] = Offset(len(world.decisions))
    report = await world.verify()
    assert report.repeated_events == 2
    told = only(report)
    assert "offset 2" in told
    assert "came again with another content" in told


async def test_an_event_that_says_something_else_than_the_decision_is_found(world: AuditWorld) -> None:
    tamper_event(world, 7, units=4)
    report = await world.verify()
    assert Kind.EVENT_DIFFERS in kinds(report)
    told = next(str(each) for each in report.differences if each.kind == Kind.EVENT_DIFFERS)
    assert "expected units 5" in told
    assert "found    units 4" in told


async def test_an_event_of_a_command_that_nobody_sent_is_found(world: AuditWorld) -> None:
    invented = msgspec.structs.replace(world.events(7)[0], id="log-of-this-test:0:99:0")
    world.log.write(EVENTS, FIRST, [encode(invented)], NOW_MS)
    report = await world.verify()
    assert report.unasked == 1
    assert "where the log has no command" in only(report)


async def test_an_event_of_another_log_and_a_record_that_is_no_event_are_found(world: AuditWorld) -> None:
    other = msgspec.structs.replace(world.events(7)[0], id="another-log:0:7:0")
    world.log.write(EVENTS, FIRST, [encode(other), b"garbage"], NOW_MS)
    assert kinds(await world.verify()) == {Kind.EVENT_FOREIGN}


# ----------------------------------------------------------------------------------------------------- log and Redis


async def test_redis_with_the_state_of_another_log_is_found(world: AuditWorld) -> None:
    world.set_row(HEAD, log="m" * 16)
    assert "another log" in only(await world.verify())


async def test_redis_ahead_of_the_log_is_found(world: AuditWorld) -> None:
    del world.log.records[COMMANDS, FIRST][-1]
    assert Kind.LOG in kinds(await world.verify())


async def test_redis_that_lost_what_was_published_is_found(world: AuditWorld) -> None:
    lost = AuditWorld()
    lost.campaign({"s1": 8})
    world.rows.values = lost.rows.values
    assert "behind what was published" in str((await world.verify()).differences[0])


async def test_a_hole_in_the_log_is_told(world: AuditWorld) -> None:
    del world.log.records[COMMANDS, FIRST][3]
    assert "goes from offset 3 to 4" in only(await world.verify())


async def test_a_log_that_needs_newer_rules_cannot_be_looked_at(world: AuditWorld) -> None:
    world.log.write(COMMANDS, FIRST, [c.encode(c.AdoptRules(id="i" * 16, version=999))], NOW_MS)
    world.set_row(HEAD, position=len(world.decisions) + 1)
    with pytest.raises(CouldNotLookError, match="version 999"):
        await world.verify()


# ------------------------------------------------------------------------------------------------------ while it moves


async def test_a_system_that_moves_between_two_readings_has_no_differences(world: AuditWorld) -> None:
    def somebody_books() -> None:
        if world.rows.reads < 20:
            world.reserve(f"late{world.rows.reads}", "s2", 1)
            world.cancel(f"late{world.rows.reads}")

    world.rows.before_read = somebody_books  # type: ignore[method-assign]
    report = await world.verify()
    assert report.differences == []


def over(people: int) -> AuditWorld:
    """A campaign whose deletion day has come before anything went; what people had in it they gave back."""
    world = AuditWorld()
    world.campaign(slots={"s1": 10}, delete_ms=NOW_MS + 1)
    for number in range(people):
        world.reserve(f"p{number}", "s1", 1)
        world.cancel(f"p{number}")
    for _ in range(2):
        world.write(c.Tick(at_ms=NOW_MS + 1), at_ms=NOW_MS + 1)
    return world


async def test_a_system_from_which_everything_was_purged_has_no_differences() -> None:
    world = over(people=3)
    told = world.purges("p0", "p1", "p2")
    assert world.decisions[told] == [[Fact.PURGED, 3, 3, 0, 0, 1, 0]]
    report = await world.verify()
    assert (report.verify, report.lost, report.differences) == ("ok", 0, [])


async def test_rows_that_are_purged_between_two_readings_are_no_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_check, "KEYS_PER_READ", 5)
    world = over(people=20)

    def the_clock_purges() -> None:
        if 2 < world.rows.reads < 30:
            world.purges(f"p{world.rows.reads - 3}")

    world.rows.before_read = the_clock_purges  # type: ignore[method-assign]
    report = await world.verify()
    assert report.differences == []
    assert len([key for key in world.rows.values if key.startswith("r:")]) < 15


async def test_a_row_that_redis_keeps_although_it_was_purged_is_found() -> None:
    kept = over(people=1)
    row = kept.rows.values[f"r:{command_id('p0/p')}"]
    kept.purges("p0")
    kept.rows.values[f"r:{command_id('p0/p')}"] = row
    assert "a key that no command made" in only(await kept.verify())


async def test_a_row_that_is_made_and_removed_while_redis_is_scanned_is_no_foreign_key(world: AuditWorld) -> None:
    """What stands in the queue of unfinished work comes and goes with one record."""
    whole = dict(world.rows.values)
    scanned: dict[str, bytes] = {**whole, "work:0": pack([1, "s1"])}
    keys = world.rows.keys

    async def as_it_was(partition: int) -> AsyncIterator[list[str]]:
        world.rows.values = scanned
        async for piece in keys(partition):
            yield piece
        world.rows.values = whole

    world.rows.keys = as_it_was  # type: ignore[method-assign]
    assert (await world.verify()).differences == []


async def test_a_difference_is_found_while_the_system_moves(world: AuditWorld) -> None:
    def somebody_books() -> None:
        if world.rows.reads < 20:
            world.reserve(f"late{world.rows.reads}", "s2", 1)
        world.set_row("s:1:s1", taken=1)

    world.rows.before_read = somebody_books  # type: ignore[method-assign]
    assert "expected taken 8" in only(await world.verify())


async def test_a_rebuild_in_the_middle_is_waited_for(world: AuditWorld) -> None:
    full = dict(world.rows.values)
    began = AuditWorld()

    def rebuilding() -> None:
        world.rows.values = began.rows.values if world.rows.reads == 1 else full

    world.rows.before_read = rebuilding  # type: ignore[method-assign]
    assert (await world.verify()).verify == "ok"


async def test_redis_that_goes_back_again_and_again_cannot_be_looked_at(world: AuditWorld) -> None:
    full, began = dict(world.rows.values), AuditWorld()

    def flapping() -> None:
        world.rows.values = began.rows.values if world.rows.reads % 2 else full

    world.rows.before_read = flapping  # type: ignore[method-assign]
    with pytest.raises(CouldNotLookError, match="went back"):
        await world.verify()


def renumber(world: AuditWorld) -> None:
    """A topic without holes again, after records were taken out of it."""
    values = [record.value for record in world.log.records[EVENTS, FIRST]]
    world.log.records[EVENTS, FIRST].clear()
    world.log.write(EVENTS, FIRST, values, NOW_MS)


def tamper_event(world: AuditWorld, offset: int, **changed: object) -> None:
    """The topic with one event that was always wrong."""
    world.log.records[EVENTS, FIRST].clear()
    for at in range(len(world.decisions)):
        world.publish(at, **(changed if at == offset else {}))


# --------------------------------------------------------------------------------------------------------------- memory


async def test_memory_grows_with_rows_and_with_decisions_still_readable_but_not_with_commands() -> None:
    log = FakeLog(partitions=1)
    log.write(COMMANDS, FIRST, [c.encode(c.Genesis(log="log-of-this-test", key_check="k" * 16, rules=1))], NOW_MS)
    log.write(COMMANDS, FIRST, [c.encode(c.Tick(at_ms=NOW_MS))] * 5_000 + [b"unreadable"] * 5_000, NOW_MS)
    replay = Replay(FakeReader(log, COMMANDS), FIRST, keep_from=9_900)
    await replay.begin()
    await replay.advance(10_001)
    assert replay.position == 10_001
    assert list(replay.state.rows) == [HEAD]
    assert sorted(replay.facts) == list(range(9_900, 10_001))
