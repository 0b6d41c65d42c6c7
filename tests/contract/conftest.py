"""The worlds that contract tests of the fold run in."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.watched_world import WatchedWorld
from tests.contract.worlds import LuaWorld, World, begin, lua_world


@pytest.fixture
async def lua(redis_url: str) -> AsyncIterator[LuaWorld]:
    """The function library in an empty Redis, before the first record."""
    async with lua_world(redis_url) as world:
        yield world


@pytest.fixture(
    params=[
        "model",
        pytest.param("lua", marks=pytest.mark.embedded),
        pytest.param("cluster", marks=pytest.mark.real),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A partition that has its genesis record, folded by the model or by the library, in one Valkey or a cluster."""
    if request.param == "model":
        model = WatchedWorld()
        await begin(model)
        yield model
        return
    # Asked for here: the model needs neither.
    url = request.getfixturevalue("valkey") if request.param == "lua" else request.getfixturevalue("redis_cluster").url
    async with lua_world(url) as lua:
        await begin(lua)
        yield lua
