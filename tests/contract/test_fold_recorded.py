"""Recorded decisions: kept until they are published and have been readable for a minute of record time."""


from services.domain.commands import encode
from services.domain.limits import DECISIONS_PER_CHUNK, DECISIONS_READABLE_MS, MAX_TRIM_PER_CALL
from services.domain.rows import HEAD
from tests import builders as b
from tests.contract.worlds import LuaWorld, at_noon

CHUNK = DECISIONS_PER_CHUNK


async def chunks(lua: LuaWorld) -> list[int]:
    """Which chunks of recorded decisions are there."""
    return sorted(int(name[2:]) for name in await lua.values() if name.startswith("d:"))


async def folded_up_to(lua: LuaWorld, offset: int, published: int = 0) -> None:
    """Unremarkable records up to an offset."""
    log = at_noon(b.genesis(), *[b.tick(b.NOON_MS)] * (offset - 1))
    await lua.fold_batch(log[lua.position :], published=published)


async def a_minute_passes(lua: LuaWorld, ms: int = DECISIONS_READABLE_MS, published: int = 0) -> None:
    await lua.fold_batch([(encode(b.tick(b.NOON_MS + ms)), b.NOON_MS + ms)], published=published)


async def test_decisions_that_are_published_and_a_minute_old_are_trimmed(lua: LuaWorld) -> None:
    await folded_up_to(lua, 3 * CHUNK)
    await a_minute_passes(lua, published=2 * CHUNK)
    assert await chunks(lua) == [2, 3]
    assert (await lua.row(HEAD)).trimmed == 2


async def test_decisions_that_are_not_published_are_kept_however_old(lua: LuaWorld) -> None:
    await folded_up_to(lua, 3 * CHUNK)
    await a_minute_passes(lua, ms=2 * DECISIONS_READABLE_MS, published=2 * CHUNK - 1)
    assert await chunks(lua) == [1, 2, 3]
    folded = await lua.fold_batch([(b"", 0)] * CHUNK, start=CHUNK)
    assert folded.decisions == [[[21]]] * CHUNK


async def test_decisions_younger_than_a_minute_are_kept_although_published(lua: LuaWorld) -> None:
    await folded_up_to(lua, 3 * CHUNK)
    await a_minute_passes(lua, ms=DECISIONS_READABLE_MS - 1, published=3 * CHUNK)
    assert await chunks(lua) == [0, 1, 2, 3]


async def test_a_chunk_is_as_young_as_its_last_decision(lua: LuaWorld) -> None:
    await folded_up_to(lua, CHUNK - 1)
    await a_minute_passes(lua, ms=50_000)
    await a_minute_passes(lua, ms=100_000, published=CHUNK)
    assert await chunks(lua) == [0, 1]
    await a_minute_passes(lua, ms=110_000, published=CHUNK)
    assert await chunks(lua) == [1]


async def test_a_decision_that_was_trimmed_is_told_as_gone(lua: LuaWorld) -> None:
    await folded_up_to(lua, 2 * CHUNK)
    await a_minute_passes(lua, published=CHUNK)
    folded = await lua.fold_batch([(b"", 0)] * 3, start=CHUNK - 2)
    assert folded.decisions == [False, False, [[21]]]


async def test_trimming_is_bounded_and_goes_on_with_the_next_call(lua: LuaWorld) -> None:
    more = MAX_TRIM_PER_CALL + 3
    while lua.position < more * CHUNK:
        await folded_up_to(lua, min(more * CHUNK, lua.position + 500))
    await a_minute_passes(lua, published=more * CHUNK)
    assert await chunks(lua) == [*range(MAX_TRIM_PER_CALL, more + 1)]
    await a_minute_passes(lua)
    assert await chunks(lua) == [more]


async def test_the_open_chunk_is_never_trimmed(lua: LuaWorld) -> None:
    await folded_up_to(lua, CHUNK // 2)
    await a_minute_passes(lua, ms=2 * DECISIONS_READABLE_MS, published=CHUNK // 2)
    await a_minute_passes(lua, ms=2 * DECISIONS_READABLE_MS, published=10**9)
    assert await chunks(lua) == [0]
