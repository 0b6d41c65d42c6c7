"""A Redis that would throw away or forget what was promised, and a function library that somebody replaced."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from infra.embedded.stores import running_stores
from services.audit.report import Report
from services.domain.reasons import Reason
from services.state.library import Library, build
from services.state.readers import read_head
from services.state.redis_client import Redis, connect
from services.state.store_check import LibraryReplaced, check_library, check_store
from tests.integration.rushed_log import FIRST, PRODUCT, World, played, position_moves
from tests.integration.tiers import EmbeddedTier

pytestmark = [pytest.mark.embedded, pytest.mark.slow, pytest.mark.timeout(120)]

WITHOUT_GUARD = "tests.integration.allocator_without_store_guard"
LOOK_INTERVAL_S = "0.3"
A_RULE = "then return reserve(command) end\n"


@asynccontextmanager
async def redis_of(world: World) -> AsyncIterator[Redis]:
    redis = connect(world.settings.redis, timeout_s=5.0)
    try:
        yield redis
    finally:
        await redis.aclose()


async def ended(process: "subprocess.Popen[bytes]", world: World) -> tuple[int, str]:
    """Exit code and last words of an allocator that does not start."""
    code = await asyncio.to_thread(process.wait, 20)
    index = world.running.index(process)
    return code, (world.settings.data / f"allocator-{index}.log").read_text().rpartition("maskline: ")[2]


def log_lines(world: World, index: int = 0) -> list[dict[str, str]]:
    text = (world.settings.data / f"allocator-{index}.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def stands_still(world: World) -> bool:
    """Whether nothing is decided for a second."""
    async with redis_of(world) as redis:
        before = await read_head(redis, FIRST)
        await asyncio.sleep(1.0)
        return before == await read_head(redis, FIRST)


def another_library() -> Library:
    """Somebody's text under our name: it refuses every booking."""
    ours = build()
    assert ours.text.count(A_RULE) == 1, f"the library no longer has: {A_RULE}"
    nobody = f"then return refused({int(Reason.MALFORMED)}) end\n"
    return Library(name=ours.name, text=ours.text.replace(A_RULE, nobody))


async def library_replaced_before_the_start(world: World) -> None:
    """The library under our name is another one before the first allocator comes."""
    async with redis_of(world) as redis:
        await redis.function_load(another_library().text)
        async with world.rush():
            first = world.allocator()
            if world.program == PRODUCT:
                assert (await ended(first, world))[0] == 2
                await asyncio.sleep(0.5)  # so that there is something to decide
                assert await read_head(redis, FIRST) is None
            else:
                await position_moves(world)
                await asyncio.sleep(1.0)
        await redis.function_delete(build().name)
        world.allocator()  # without the other text it starts, and decides everything


@pytest.mark.safety
async def test_a_replaced_function_library_decides_nothing(tmp_path: Path) -> None:
    report = await played(library_replaced_before_the_start, PRODUCT, EmbeddedTier(), tmp_path)
    assert report.differences == []
    assert report.records > 1_000


@pytest.mark.control
async def test_without_the_look_a_replaced_function_library_decides_otherwise(tmp_path: Path) -> None:
    report: Report = await played(library_replaced_before_the_start, WITHOUT_GUARD, EmbeddedTier(), tmp_path)
    assert report.differing > 0


async def test_an_allocator_does_not_start_on_a_redis_that_would_throw_away_or_forget(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with redis_of(world) as redis:
            await redis.config_set("maxmemory-policy", "allkeys-lru")
            code, words = await ended(world.allocator(), world)
            assert code == 2
            assert "maxmemory-policy is allkeys-lru" in words
            assert "CONFIG SET maxmemory-policy noeviction" in words
            await redis.config_set("maxmemory-policy", "noeviction")

            await redis.config_set("appendonly", "no")
            code, words = await ended(world.allocator(), world)
            assert code == 2
            assert "neither appendonly nor save is set" in words
            assert "CONFIG SET appendonly yes" in words
            await redis.config_set("appendonly", "yes")

            await redis.function_load(another_library().text)
            code, words = await ended(world.allocator(), world)
            assert (code, f"FUNCTION DELETE {build().name}" in words) == (2, True)
            await redis.function_delete(build().name)
        world.allocator()

    assert (await played(story, PRODUCT, EmbeddedTier(), tmp_path)).differences == []


async def test_a_redis_that_is_set_wrongly_later_stops_the_partition_until_it_is_set_right(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with world.rush():
            world.allocator("--look-interval-s", LOOK_INTERVAL_S)
            await position_moves(world)
            async with redis_of(world) as redis:
                await redis.config_set("maxmemory-policy", "volatile-ttl")
                await until(lambda: any(line["action"] == "partition_stopped" for line in log_lines(world)))
                assert await stands_still(world)
                await redis.config_set("maxmemory-policy", "noeviction")
            await position_moves(world)

    assert (await played(story, PRODUCT, EmbeddedTier(), tmp_path)).differences == []


async def test_where_config_is_not_allowed_it_is_said_and_the_allocator_works(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with redis_of(world) as redis:
            await hosted(redis, "-config", "-info", "-function|list")
        world.settings = msgspec.structs.replace(world.settings, redis=as_hosted(world.settings.redis))
        async with world.rush():
            world.allocator()
            await position_moves(world)
        told = [line["what"] for line in log_lines(world) if line["action"] == "store_unchecked"]
        assert ["could not be checked" in line for line in told] == [True, True]

    assert (await played(story, PRODUCT, EmbeddedTier(), tmp_path)).differences == []


async def hosted(redis: Redis, *forbidden: str) -> None:
    """A user as hosting companies give it out."""
    words: list[str] = ["ACL", "SETUSER", "hosted", "on", ">word", "~*", "+@all", *forbidden]
    await redis.execute_command(*words)  # type: ignore[no-untyped-call]


def as_hosted(url: str) -> str:
    return url.replace("//", "//hosted:word@")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_stores(tmp_path_factory.mktemp("stores")) as stores:
        yield stores.redis


@pytest.mark.parametrize(
    ("set_to", "forbidden", "good", "notes", "wrong"),
    [
        ({"appendonly": "yes"}, [], ["policy is noev", "appendonly is on"], [], []),
        ({"appendonly": "no", "save": "60 1000"}, [], ["policy is noev"], ["save is '60 1000'"], []),
        ({"appendonly": "no"}, [], ["policy is noev"], [], ["CONFIG SET appendonly yes"]),
        ({"appendonly": "yes"}, ["-config"], ["policy is noev", "appendonly is on"], [], []),
        ({"appendonly": "no"}, ["-config"], ["policy is noev"], ["persistence is on could not be checked"], []),
        ({"maxmemory-policy": "allkeys-lfu"}, ["-config"], ["appendonly is on"], [], ["policy is allkeys-lfu"]),
        ({}, ["-config", "-info"], [], ["neither CONFIG GET nor INFO"], []),
    ],
)
async def test_what_is_known_of_a_redis_is_told(
    url: str, set_to: dict[str, str], forbidden: list[str], good: list[str], notes: list[str], wrong: list[str]
) -> None:
    admin, client = connect(url, timeout_s=5.0), connect(as_hosted(url), timeout_s=5.0)
    for name, value in ({"appendonly": "yes", "save": "", "maxmemory-policy": "noeviction"} | set_to).items():
        await admin.config_set(name, value)
    await hosted(admin, *forbidden)
    found = await check_store(client)
    for told, expected in zip((found.good, found.notes, found.wrong), (good, notes, wrong), strict=True):
        assert len(told) == len(expected), found
        assert all(words in line for line, words in zip(told, expected, strict=True)), found
    await client.aclose()
    await admin.aclose()


async def test_a_library_is_ours_or_absent_or_replaced(url: str) -> None:
    redis = connect(url, timeout_s=5.0)
    assert not await check_library(redis, build())
    await redis.function_load(build().text)
    assert await check_library(redis, build())
    await redis.function_load(another_library().text, replace=True)
    with pytest.raises(LibraryReplaced, match="FUNCTION DELETE"):
        await check_library(redis, build())
    await redis.aclose()
