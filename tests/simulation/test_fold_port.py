"""The fold of the simulation is the library's: same answers, same rows, same recorded decisions, whatever is called."""

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import msgspec
import pytest

from services.domain.commands import encode
from services.domain.limits import RULES_VERSION
from services.domain.rows import HEAD, Head
from services.state.fold_call import Batch
from services.state.readers import decode_row
from tests import builders as b
from tests.contract.random_campaigns import Record
from tests.contract.random_logs import random_log
from tests.contract.worlds import IDENTITY, LuaWorld, batch_of, encode_row, lua_world
from tests.simulation.fold_port import Call, FoldPort, PortSettings, Rows

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]

LOGS = 25
CALLS = 60


@pytest.fixture
async def lua(valkey: str) -> AsyncIterator[LuaWorld]:
    async with lua_world(valkey) as world:
        yield world


def decoded(rows: dict[str, bytes]) -> dict[str, Any]:
    return {name: decode_row(name, value) for name, value in rows.items()}


class BothFolds:
    """Every call goes to both; they must answer alike and leave the same rows."""

    def __init__(self, lua: LuaWorld) -> None:
        self.rows: Rows = {}
        self.history: list[dict[str, bytes]] = []
        self._lua = lua
        self._port = FoldPort(PortSettings())

    @property
    def position(self) -> int:
        head: Head = decode_row(HEAD, self.rows.get(HEAD)) or Head()
        return head.position

    async def fold(self, batch: Batch, published: int) -> tuple[str, int, int]:
        """Status, position and number of decisions, once both agree."""
        wanted = await self._lua.call.fold(batch, published)
        found = self._port.fold(self.rows, Call(IDENTITY, batch, published)).folded
        assert found == wanted
        values = await self._lua.values()
        assert decoded(self.rows) == decoded(values)
        self.history.append(values)
        return found.status, found.position, len(found.decisions)

    async def put_back(self, rows: dict[str, bytes]) -> None:
        """Both are as they were."""
        await self._lua.put_back(rows)
        self.rows = dict(rows)


def a_call(chance: Random, log: list[Record], position: int, published: int) -> tuple[Batch, int]:
    """At the position, before it, around it, and now and then past it."""
    start = max(0, min(len(log) - 1, position + chance.choice((0, 0, 0, 0, -1, -7, -70, -200, 1, 5))))
    records = log[start : start + chance.choice((1, 2, 10, 60, 200))]
    return batch_of(start, records), min(published, position)


@pytest.mark.parametrize("seed", range(LOGS))
async def test_the_port_answers_as_the_library_does_to_repeats_gaps_overlaps_and_old_states(
    lua: LuaWorld, seed: int
) -> None:
    chance = Random(seed)
    both, log, published = BothFolds(lua), random_log(seed, 120), 0
    seen = set()
    for _ in range(CALLS):
        if both.history and chance.random() < 0.1:
            await both.put_back(chance.choice([{}, *both.history]))
        batch, published = a_call(chance, log, both.position, max(published, chance.randint(0, len(log))))
        status, _, _ = await both.fold(batch, published)
        seen.add(status)
    assert "ok" in seen
    assert both.history


async def test_both_stop_early_where_a_call_has_changed_enough_rows(lua: LuaWorld) -> None:
    both = BothFolds(lua)
    beginning = [b.genesis(), *b.definition(b.slots_of({"noon": 5_000})), b.open_()]
    crowd = [b.reserve(f"somebody {n}") for n in range(1_000 - len(beginning))]
    records = [(encode(command), b.NOON_MS) for command in [*beginning, *crowd]]
    status, position, decisions = await both.fold(batch_of(0, records), 0)
    assert status == "ok"
    assert len(beginning) < position == decisions < len(records)


@pytest.mark.parametrize("start", [0, 2, 3, 5])
async def test_both_leave_a_state_alone_that_newer_rules_have_decided(lua: LuaWorld, start: int) -> None:
    both = BothFolds(lua)
    records = [Record(encode(command), b.NOON_MS) for command in (b.genesis(), b.tick(b.NOON_MS), b.adopt_rules(1))]
    await both.fold(batch_of(0, records), 0)
    head: Head = decode_row(HEAD, both.rows[HEAD])
    await both.put_back({**both.rows, HEAD: encode_row(msgspec.structs.replace(head, rules=RULES_VERSION + 1))})
    before = dict(both.rows)
    assert await both.fold(batch_of(start, records), 3) == ("rules_too_new", 3, 0)
    assert both.rows == before
