"""One Valkey for all contract tests of the fold, emptied before each; how many random logs were folded is told."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from infra.embedded.stores import running_stores
from tests.contract.worlds import LuaWorld, ModelWorld, World, begin, lua_world


@dataclass
class LogCount:
    """Random logs that were checked, and what that took."""

    logs: int = 0
    records: int = 0
    cpu_s: float = 0.0


_LOG_COUNT: pytest.StashKey[LogCount] = pytest.StashKey()


@pytest.fixture
def log_count(request: pytest.FixtureRequest) -> LogCount:
    """Told in the summary."""
    return request.config.stash.setdefault(_LOG_COUNT, LogCount())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count = config.stash.get(_LOG_COUNT, LogCount())
    if count.logs:
        told = f"random logs: {count.logs:,} of {count.records:,} records, {count.cpu_s:.0f} s of CPU with Valkey's"
        terminalreporter.write_line(told)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_stores(tmp_path_factory.mktemp("stores")) as stores:
        yield stores.redis


@pytest.fixture
async def lua(redis_url: str) -> AsyncIterator[LuaWorld]:
    """The function library in an empty Valkey, before the first record."""
    async with lua_world(redis_url) as world:
        yield world


@pytest.fixture(params=["model", pytest.param("lua", marks=pytest.mark.embedded)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A partition that has its genesis record, folded by the model or by the library."""
    if request.param == "model":
        model = ModelWorld()
        await begin(model)
        yield model
        return
    async with lua_world(request.getfixturevalue("redis_url")) as lua:  # asked for here: the model needs no Valkey
        await begin(lua)
        yield lua
