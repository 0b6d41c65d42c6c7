"""A Redis that comes from a snapshot and the rest of the log is the Redis that a replay of the whole log makes."""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from infra.embedded.stores import own_store
from services.audit import from_snapshot
from services.state.readers import read_head
from services.state.records import digest_of
from services.state.snapshots.file import Rows, open_snapshot, write_snapshot
from services.state.snapshots.loading import Loading, LoadingTakenOver, is_being_loaded
from services.stream.topics import COMMANDS
from tests import builders as b
from tests.contract.random_logs import random_log
from tests.contract.snapshot_world import P, SnapshotWorld, snapshot_world
from tests.contract.worlds import a_rush, at_noon

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]

LOGS = 12
STEPS = 120


@pytest.fixture(scope="session")
def own_url() -> Iterator[str]:
    """A store that nobody else knows."""
    with own_store() as url:
        yield url


@pytest.fixture
async def world(redis_url: str, own_url: str, tmp_path: Path) -> AsyncIterator[SnapshotWorld]:
    async with snapshot_world(redis_url, own_url, tmp_path / "snapshots") as world:
        yield world


async def says(path: Path, **changes: Any) -> None:
    """The snapshot says something else of itself, with a checksum that is right."""
    snapshot = open_snapshot(path)
    rows, description = list(snapshot.rows()), snapshot.description
    snapshot.close()

    async def pieces() -> AsyncIterator[Rows]:
        for piece in rows:
            yield piece

    await write_snapshot(path, msgspec.structs.replace(description, **changes), pieces())


async def rewritten(path: Path, **changes: Any) -> None:
    """Its head has other values."""
    snapshot = open_snapshot(path)
    snapshot.close()
    head = msgspec.structs.replace(snapshot.description.known, **changes)
    await says(path, head=msgspec.msgpack.encode(head))


@pytest.fixture(autouse=True)
def every_snapshot_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of a test are short, and make more rows than they have records."""
    monkeypatch.setattr(from_snapshot, "is_worth_it", lambda records, _rows: records > 0)


# ------------------------------------------------------------------------------------------------- equal to a replay


async def one_log(world: SnapshotWorld, seed: int) -> tuple[dict[str, bytes], dict[str, bytes], int]:
    """Every row after a replay, and after snapshot and rest; the position of the snapshot that was loaded."""
    chance = random.Random(seed)
    log = random_log(seed, STEPS)
    cuts = sorted(chance.sample(range(1, len(log) + 1), 2))
    begin = 0
    for cut in cuts:  # the second snapshot begins with the first
        world.write(log[begin:cut])
        taken = await world.snapshot()
        assert (taken.why, taken.position, taken.began_with) == ("", cut, begin)
        begin = cut
    world.write(log[begin:])
    replayed = await world.replayed()
    await world.empty()
    rebuilt = await world.rebuild()
    assert (rebuilt.why, rebuilt.position) == ("", len(log))
    return replayed, await world.lua.values(), rebuilt.snapshot


@pytest.mark.safety
@pytest.mark.parametrize("seed", range(LOGS))
async def test_a_rebuild_from_a_snapshot_is_a_full_replay_byte_for_byte(world: SnapshotWorld, seed: int) -> None:
    replayed, rebuilt, position = await one_log(world, seed)
    assert position > 0
    assert rebuilt == replayed


@pytest.mark.control
async def test_a_snapshot_that_is_one_off_does_not_come_out_even(world: SnapshotWorld) -> None:
    """It says that one record more is applied than is. It is refused, unless it lies about that record as well."""
    log = random_log(1, STEPS)
    world.write(log[:-30])
    taken = await world.snapshot()
    world.write(log[-30:])
    replayed = await world.replayed()
    path = world.folder.name(P, taken.position)

    await rewritten(path, position=taken.position + 1)
    await world.empty()
    rebuilt = await world.rebuild()
    assert (rebuilt.snapshot, len(rebuilt.passed_over)) == (0, 1)
    assert "is another one in this log" in rebuilt.passed_over[0]
    assert await world.lua.values() == replayed

    await rewritten(path, digest=digest_of(log[taken.position][0]))
    await world.empty()
    assert (await world.rebuild()).snapshot == taken.position + 1
    assert await world.lua.values() != replayed


@pytest.mark.parametrize("off_by", [-1, 1])
async def test_where_nobody_compares_a_snapshot_with_the_log_the_rebuild_stops_behind_it(
    world: SnapshotWorld, monkeypatch: pytest.MonkeyPatch, off_by: int
) -> None:
    log = random_log(1, STEPS)
    world.write(log[:-30])
    taken = await world.snapshot()
    world.write(log[-30:])
    await rewritten(world.folder.name(P, taken.position), position=taken.position + off_by)
    monkeypatch.setattr(from_snapshot, "why_unfit", fits)
    rebuilt = await world.rebuild()
    assert "is not the one that Redis has applied" in rebuilt.why


async def fits(*_: object) -> str:
    """Whatever it is."""
    return ""


async def test_a_snapshot_is_what_redis_had_recorded_decisions_included(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    replayed = await world.replayed()
    await world.empty()
    rebuilt = await world.rebuild()
    assert (rebuilt.snapshot, rebuilt.position, rebuilt.rows) == (taken.position, taken.position, len(replayed) - 1)
    assert await world.lua.values() == replayed
    assert await world.lua.recorded(taken.position - 1) is not None
    told = str(rebuilt)
    assert f"{rebuilt.rows} rows loaded from the snapshot of position {taken.position}" in told
    assert f"{taken.position} were never published: the next allocator does it." in told


async def test_what_is_published_is_never_less_than_anybody_knows(world: SnapshotWorld) -> None:
    log = a_rush()
    world.write(log)
    world.published(5)
    await world.snapshot()
    for committed, in_redis, kept in ((0, 0, 5), (9, 0, 9), (7, 8, 8)):
        world.published(committed)
        await world.empty()
        await world.lua.fold_batch(log[:10], 0, published=in_redis)
        assert (await world.rebuild()).snapshot == len(log)
        head = await read_head(world.store, P)
        assert head is not None
        assert head.published == kept


# --------------------------------------------------------------------------------------------------- when it is used


async def test_redis_that_lacks_less_than_loading_costs_is_replayed(
    world: SnapshotWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    log = a_rush(300)
    world.write(log)
    rows = (await world.snapshot()).rows
    saved = rows // from_snapshot.ROWS_PER_RECORD
    await world.lua.fold_batch(log[: len(log) - saved])
    assert (await world.rebuild()).snapshot == 0
    await world.empty()
    world.lua.position = 0
    await world.lua.fold_batch(log[: len(log) - saved - 1])
    assert (await world.rebuild()).snapshot == len(log)


async def test_a_redis_that_is_further_is_left_as_it_is(world: SnapshotWorld) -> None:
    log = a_rush()
    world.write(log[:-1])
    await world.snapshot()
    world.write(log[-1:])
    replayed = await world.replayed()
    rebuilt = await world.rebuild()
    assert (rebuilt.snapshot, rebuilt.before) == (0, len(log))
    assert await world.lua.values() == replayed


# ---------------------------------------------------------------------------------------------------------- refused


async def passed_over(world: SnapshotWorld) -> str:
    """Why none was taken; what came out is a replay of the log."""
    replayed = await world.replayed()
    await world.empty()
    rebuilt = await world.rebuild()
    assert (rebuilt.snapshot, rebuilt.why) == (0, "")
    assert await world.lua.values() == replayed
    (why,) = rebuilt.passed_over
    return why


async def test_a_snapshot_of_another_log_is_not_taken(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    await rewritten(world.folder.name(P, taken.position), log="another")
    assert "it is one of log another, and this is log" in await passed_over(world)


async def test_a_snapshot_of_other_keys_is_not_taken(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    await rewritten(world.folder.name(P, taken.position), key_check="another")
    assert "another pepper or id key" in await passed_over(world)


async def test_a_snapshot_by_newer_rules_is_not_taken(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    await rewritten(world.folder.name(P, taken.position), rules=2)
    assert "decided by version 2 of the rules; this program knows 1" in await passed_over(world)


async def test_a_snapshot_past_the_logs_end_is_not_taken(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    del world.log.records[COMMANDS, P][-2:]
    assert f"but the log ends at {taken.position - 2}" in await passed_over(world)


async def test_a_snapshot_of_a_log_that_was_cut_and_has_grown_again_is_not_taken(world: SnapshotWorld) -> None:
    world.write(a_rush())
    await world.snapshot()
    del world.log.records[COMMANDS, P][-2:]
    world.write(at_noon(b.reserve("somebody else", "noon"), b.reserve("one more", "noon"), b.reserve("third", "noon")))
    assert "was cut and has grown again" in await passed_over(world)


async def test_a_snapshot_of_another_partition_is_not_taken(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    await says(world.folder.name(P, taken.position), partition=7)
    assert "it is one of partition 7" in await passed_over(world)


async def test_where_the_newest_is_torn_the_one_before_it_is_taken(world: SnapshotWorld) -> None:
    log = a_rush()
    world.write(log[:-3])
    first = await world.snapshot()
    world.write(log[-3:])
    second = await world.snapshot()
    path = world.folder.name(P, second.position)
    path.write_bytes(path.read_bytes()[:-100])
    replayed = await world.replayed()
    await world.empty()
    rebuilt = await world.rebuild()
    assert rebuilt.snapshot == first.position
    assert "is no whole snapshot: " in rebuilt.passed_over[0]
    assert await world.lua.values() == replayed


async def test_a_snapshot_that_others_could_read_is_not_taken(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    world.folder.name(P, taken.position).chmod(0o644)
    assert "chmod 600" in await passed_over(world)


async def test_a_snapshot_is_made_again_from_the_beginning_where_another_library_made_the_last(
    world: SnapshotWorld,
) -> None:
    log = a_rush()
    world.write(log[:-3])
    first = await world.snapshot()
    await says(world.folder.name(P, first.position), library="maskline_older")
    world.write(log[-3:])
    assert (await world.snapshot()).began_with == 0
    assert [path.stat().st_mode & 0o777 for path in world.folder.newest_first(P)] == [0o600, 0o600]


# -------------------------------------------------------------------------------------------- a load that does not end


async def test_a_load_that_died_stops_the_partition_and_the_next_one_does_it_anew(world: SnapshotWorld) -> None:
    world.write(a_rush())
    taken = await world.snapshot()
    replayed = await world.replayed()
    await world.empty()
    await (await half_a_load(world, taken.position)).drop()

    head = await read_head(world.store, P)
    assert is_being_loaded(head)
    folded = await world.lua.fold_batch(a_rush()[:5], 0)
    assert folded.status == "other_log"
    with_none = await world.rebuild(from_snapshots=False)
    assert (with_none.why, await world.lua.values()) == ("", replayed)

    await world.empty()
    await (await half_a_load(world, taken.position)).drop()
    again = await world.rebuild()
    assert (again.why, again.before, again.snapshot) == ("", 0, taken.position)
    assert await world.lua.values() == replayed


async def half_a_load(world: SnapshotWorld, position: int) -> Loading:
    """Its first rows are there, and some that belong to nothing."""
    loading = Loading(world.connection(P), P)
    await loading.take(lambda _: True)
    snapshot = open_snapshot(world.folder.name(P, position))
    await loading.put([*next(snapshot.rows())[:7], ("r:nobody", b"\x90")])
    snapshot.close()
    return loading


@pytest.mark.safety
async def test_of_two_loads_the_one_that_was_overtaken_writes_nothing_more(world: SnapshotWorld) -> None:
    assert await overtaken(world) == ""


@pytest.mark.control
async def test_without_a_look_at_the_head_an_overtaken_load_goes_on_writing(
    world: SnapshotWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unguarded(self: Loading, *command: str | bytes) -> None:
        await self._ask(command)

    monkeypatch.setattr(Loading, "_while_mine", unguarded)
    assert await overtaken(world) == "it wrote"


async def overtaken(world: SnapshotWorld) -> str:
    """A load stands still, another one is begun and ended, the first one goes on."""
    world.write(a_rush())
    taken = await world.snapshot()
    replayed = await world.replayed()
    await world.empty()
    first = await half_a_load(world, taken.position)
    assert (await world.rebuild()).snapshot == taken.position
    assert await world.lua.values() == replayed
    try:
        await first.put([("r:nobody", b"\x90")])
    except LoadingTakenOver:
        return "" if await world.lua.values() == replayed else "it wrote, and said that it did not"
    finally:
        await first.drop()
    return "it wrote"
