"""One call of the fold: what it does with a batch that comes late, early, twice, or half."""

from typing import Any

import msgspec
import pytest
from redis.exceptions import ResponseError

from services.domain import limits
from services.domain.commands import encode
from services.domain.rows import HEAD, Head
from services.domain.rules.answers import Fact
from services.state.fold_call import MAX_COMMANDS_PER_CALL, LogIdentity
from services.state.keys import key
from services.state.library import build
from tests import builders as b
from tests.contract.worlds import (
    LuaWorld,
    a_rush,
    at_noon,
    batch_of,
    decided_by_the_model,
    differences,
)


async def test_a_batch_moves_the_position_and_answers_every_offset(lua: LuaWorld) -> None:
    log = a_rush()
    model, facts = await decided_by_the_model(log)
    folded = await lua.fold_batch(log)
    assert (folded.status, folded.position, folded.decisions) == ("ok", len(log), facts)
    assert differences(await model.rows(), await lua.rows()) == []


async def test_a_batch_that_was_applied_before_gets_its_recorded_decisions_and_writes_nothing(lua: LuaWorld) -> None:
    log = a_rush()
    first = await lua.fold_batch(log)
    before = await lua.values()
    again = await lua.fold_batch(log[3:9], start=3)
    assert (again.status, again.position, again.decisions) == ("ok", len(log), first.decisions[3:9])
    assert await lua.values() == before


async def test_a_batch_that_overlaps_is_answered_and_continued(lua: LuaWorld) -> None:
    log = a_rush()
    model, facts = await decided_by_the_model(log)
    await lua.fold_batch(log[:20])
    folded = await lua.fold_batch(log[10:], start=10)
    assert (folded.status, folded.position, folded.decisions) == ("ok", len(log), facts[10:])
    assert differences(await model.rows(), await lua.rows()) == []


async def test_a_batch_behind_a_gap_is_not_applied(lua: LuaWorld) -> None:
    log = a_rush()
    await lua.fold_batch(log[:20])
    before = await lua.values()
    folded = await lua.fold_batch(log[21:], start=21)
    assert (folded.status, folded.position, folded.decisions) == ("gap", 20, [])
    assert await lua.values() == before


async def test_an_empty_redis_has_a_gap_before_everything_but_the_beginning(lua: LuaWorld) -> None:
    folded = await lua.fold_batch(a_rush()[5:], start=5)
    assert (folded.status, folded.position) == ("gap", 0)
    assert await lua.values() == {}


async def test_an_empty_batch_asks_where_the_fold_is(lua: LuaWorld) -> None:
    await lua.fold_batch(a_rush()[:7])
    folded = await lua.fold_batch([], start=0)
    assert (folded.status, folded.position, folded.decisions) == ("ok", 7, [])


@pytest.mark.parametrize(
    ("identity", "status"),
    [
        (LogIdentity("another-log-here", b.KEY_CHECK), "other_log"),
        (LogIdentity(b.LOG, "other-keys-here!"), "other_key"),
    ],
)
async def test_another_log_or_one_made_with_other_keys_is_refused(
    lua: LuaWorld, identity: LogIdentity, status: str
) -> None:
    log = a_rush()
    await lua.fold_batch(log[:20])
    before = await lua.values()
    stranger = lua.another_call(identity=identity)
    answers = [await stranger.fold(batch_of(start, log[start:]), published=20) for start in (0, 20, 25)]
    await stranger.drop()
    for folded in answers:
        assert (folded.status, folded.position, folded.decisions) == (status, 20, [])
    assert await lua.values() == before


async def test_a_call_with_very_much_to_write_stops_early_and_the_rest_goes_on_from_there(lua: LuaWorld) -> None:
    slots = [b.slot(f"s-{n:04}", 1) for n in range(4_000)]
    log = at_noon(b.genesis(), *b.definition(slots), b.open_(), b.reserve("anna", "s-3999"))
    model, facts = await decided_by_the_model(log)
    first = await lua.fold_batch(log)
    assert first.status == "ok"
    assert 10 <= first.position < 15
    assert first.decisions == facts[: first.position]
    calls = 1
    while lua.position < len(log):
        await lua.fold_batch(log[lua.position :])
        calls += 1
    assert calls == 2 or calls == 3
    assert differences(await model.rows(), await lua.rows()) == []


async def test_what_was_sent_behind_a_call_that_stopped_early_is_a_gap(lua: LuaWorld) -> None:
    slots = [b.slot(f"s-{n:04}", 1) for n in range(4_000)]
    log = at_noon(b.genesis(), *b.definition(slots), b.open_(), b.reserve("anna", "s-3999"))
    await lua.call.send(batch_of(0, log[:-2]), published=0)
    await lua.call.send(batch_of(len(log) - 2, log[-2:]), published=0)
    first, second = await lua.call.receive(), await lua.call.receive()
    assert (second.status, second.position) == ("gap", first.position)


async def test_rules_that_are_too_new_stop_the_call_behind_what_came_before(lua: LuaWorld) -> None:
    log = a_rush(people=5)
    model, facts = await decided_by_the_model(log)
    new = at_noon(b.adopt_rules(2), b.reserve("late"))
    folded = await lua.fold_batch([*log, *new])
    assert (folded.status, folded.position, folded.decisions) == ("rules_too_new", len(log), facts)
    assert differences(await model.rows(), await lua.rows()) == []
    before = await lua.values()
    again = await lua.fold_batch([*log[-2:], *new], start=len(log) - 2)
    assert (again.status, again.position, again.decisions) == ("rules_too_new", len(log), facts[-2:])
    assert await lua.values() == before


async def test_a_library_that_is_older_than_the_rules_in_force_decides_nothing_and_tells_nothing(
    lua: LuaWorld, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when an allocator of before comes back: the record that brought the rules lies behind it."""
    monkeypatch.setattr(limits, "RULES_VERSION", 2)
    newer = LuaWorld(redis_url, lua.redis, build(), store=lua.store)
    monkeypatch.undo()
    await newer.call.load_library()
    log = [*a_rush(people=5), *at_noon(b.adopt_rules(2))]
    await newer.fold_batch(log)
    await newer.call.drop()
    before = await lua.values()
    for batch, start in ((at_noon(b.reserve("late")), len(log)), (log[-3:], len(log) - 3), ([], len(log))):
        folded = await lua.fold_batch(batch, start=start)
        assert (folded.status, folded.position, folded.decisions) == ("rules_too_new", len(log), [])
    assert await lua.values() == before


async def test_a_log_that_begins_with_rules_that_are_too_new_is_not_begun(lua: LuaWorld) -> None:
    folded = await lua.fold_batch(at_noon(b.genesis(rules=2)))
    assert (folded.status, folded.position) == ("rules_too_new", 0)
    assert await lua.values() == {}


async def test_published_is_remembered_and_never_taken_back(lua: LuaWorld) -> None:
    log = a_rush()
    await lua.fold_batch(log[:20])
    await lua.fold_batch([], start=20, published=20)
    await lua.fold_batch(log[20:], published=5)
    head: Head = await lua.row(HEAD)
    assert (head.published, head.position) == (20, len(log))


async def test_a_call_holds_a_bounded_number_of_commands(lua: LuaWorld) -> None:
    too_many = at_noon(*[b.reserve("anna")] * (MAX_COMMANDS_PER_CALL + 1))
    with pytest.raises(ValueError, match="1000 is the bound"):
        await lua.fold_batch(too_many)
    as_many_as_it_holds = at_noon(b.genesis(), *[b.cancel(b.reserve(f"{n}"), terminal="t") for n in range(999)])
    folded = await lua.fold_batch(as_many_as_it_holds)
    assert folded.position == MAX_COMMANDS_PER_CALL


async def test_a_row_that_cannot_be_read_stops_the_call_and_writes_nothing(lua: LuaWorld) -> None:
    log = a_rush()
    await lua.fold_batch(log[:10])
    await lua.redis.set(key(0, "s:1:noon"), b"\xc1 is never used in msgpack")
    before = await lua.values()
    with pytest.raises(ResponseError):
        await lua.fold_batch(log[10:])
    assert await lua.values() == before


async def test_a_call_reads_in_few_mgets_however_many_commands_it_holds(lua: LuaWorld) -> None:
    beginning, rush = a_rush(people=0), a_rush(people=200)
    await lua.fold_batch(beginning)
    await lua.redis.config_resetstat()
    await lua.fold_batch(rush[len(beginning) :])
    stats: dict[str, Any] = await lua.redis.info("commandstats")
    calls = {name: stats[name]["calls"] for name in stats if name in {"cmdstat_mget", "cmdstat_get", "cmdstat_mset"}}
    assert calls == {"cmdstat_mget": 3, "cmdstat_mset": 1}


async def test_what_happens_to_reservations_is_read_ahead_as_well(lua: LuaWorld) -> None:
    bookings = [b.reserve(f"resident {n}") for n in range(50)]
    slots = b.slots_of({"noon": 50})
    await lua.fold_batch(at_noon(b.genesis(), *b.definition(slots), b.open_(), b.invite(), b.pair(), *bookings))
    await lua.redis.config_resetstat()
    commands = [b.pick_up(booking) if n % 2 else b.cancel(booking) for n, booking in enumerate(bookings)]
    await lua.fold_batch(at_noon(*commands))
    stats: dict[str, Any] = await lua.redis.info("commandstats")
    assert stats["cmdstat_mget"]["calls"] == 4, "two more: a campaign by its number, a person by its region"


async def test_what_the_rules_of_a_campaign_ask_is_read_ahead_as_well(lua: LuaWorld) -> None:
    people = [f"resident {n}" for n in range(40)]
    slots = [b.slot(f"slot-{n}", 40, pharmacy=f"pharmacy-{n}") for n in range(4)]
    definition = b.definition(slots, entitled=people, household_max=2, cool_down=True)
    await lua.fold_batch(at_noon(b.genesis(), *definition, b.open_()))
    await lua.redis.config_resetstat()
    bookings = [b.reserve(who, f"slot-{at % 4}", phone=f"family {at // 2}") for at, who in enumerate(people)]
    folded = await lua.fold_batch(at_noon(*bookings))
    assert [facts[0][0] for facts in folded.decisions if isinstance(facts, list)] == [Fact.CONFIRMED] * 40
    stats: dict[str, Any] = await lua.redis.info("commandstats")
    assert stats["cmdstat_mget"]["calls"] == 3


async def test_what_a_batch_changed_is_not_read_again_by_what_comes_behind_it(lua: LuaWorld) -> None:
    """Rules that name many rows read them in one go, of which some are those that were changed just now."""
    slots = [b.slot("noon", 10, release_ms=b.NOON_MS), b.slot("evening", 10, hour=18, release_ms=b.NOON_MS)]
    beginning = at_noon(b.genesis(), *b.definition(slots, assisted_per_mille=500), b.open_())
    batch = at_noon(b.reserve("anna", units=5), b.reserve("ben", "evening"), b.release("noon", "evening"))
    model, facts = await decided_by_the_model([*beginning, *batch])
    await lua.fold_batch(beginning)
    assert (await lua.fold_batch(batch)).decisions == facts[-3:]
    assert differences(await model.rows(), await lua.rows()) == []


async def test_a_row_of_a_slot_ends_where_the_zeros_begin_whoever_looked_at_it(lua: LuaWorld) -> None:
    await lua.fold_batch(at_noon(b.genesis(), *b.definition(b.slots_of({"noon": 10})), b.open_()))
    before = (await lua.values())["s:1:noon"]
    assert msgspec.msgpack.decode(before)[-2:] == [0, ""], "nothing stands behind what is written on its sheet"
    await lua.fold_batch(at_noon(b.change_quota(+5), b.change_quota(-5, key="2")))
    assert (await lua.values())["s:1:noon"] == before


async def test_every_read_asks_for_a_key_that_never_exists(lua: LuaWorld) -> None:
    """While a cluster's hash slot migrates, a read of one moved key would find it missing; this one is refused."""
    rush = a_rush(people=3)
    async with lua.redis.monitor() as monitor:
        await lua.fold_batch(rush)
        await lua.fold_batch(rush[3:], start=3)
        await lua.fold_batch([(encode(b.pair("unknown")), b.NOON_MS)])
        await lua.redis.echo("the end")
        seen = []
        while "the end" not in (command := (await monitor.next_command())["command"]):
            seen.append(command.split(" "))
    reads = [words for words in seen if words[0] not in {"FCALL", "MSET", "HELLO", "CLIENT"}]
    assert len(reads) >= 5
    assert [words for words in reads if words[:2] != ["MGET", "{p00}:never"]] == []
    assert [words for words in seen if words[0] == "MSET" and "{p00}:never" in words] == []


async def test_every_answer_is_more_than_nothing(lua: LuaWorld) -> None:
    """A cluster pipeline of redis-py sends again what answered with a falsy value."""
    for start in (0, 5):
        await lua.call.send(batch_of(start, []), 0)
        reply = await lua.call._connection.read_response(disable_decoding=True)
        assert msgspec.msgpack.decode(reply)
