"""The worlds that contract tests of the fold run in, and the databases that those of the ledger run on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.sql.database import Database
from tests.contract.ledger_world import TIMEOUT_S, Connect, database_at, emptied
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


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: a file of SQLite, or the one of a PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    return emptied(request.getfixturevalue("postgres").url)


@pytest.fixture
def connect(ledger_url: str) -> Iterator[Connect]:
    """One more connection to it: somebody else's."""
    made: list[Database] = []

    def one_more(timeout_s: float = TIMEOUT_S) -> Database:
        made.append(database_at(ledger_url, timeout_s))
        return made[-1]

    yield one_more
    for each in made:
        each.close()


@pytest.fixture
def database(connect: Connect) -> Database:
    """Empty; no ledger has written to it."""
    return connect()
