"""One random log, checked: the library decides as the model does, and neither cuts nor accidents change a byte of it.

A log is its seed. What fails is brought down to the few records that still fail.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final
from unittest.mock import patch

import msgspec

from services.domain import limits
from services.domain.rows import HEAD
from services.state.fold_call import MAX_COMMANDS_PER_CALL
from services.state.readers import decode_row
from tests.contract import patched_library as patched
from tests.contract.decided_log import DecidedLog
from tests.contract.random_campaigns import Record
from tests.contract.random_logs import random_log
from tests.contract.rough_handling import BrokenPromiseError, RoughNight
from tests.contract.worlds import LuaWorld, differences, lua_world

STEPS: Final = (10, 20, 30, 40, 60, 120)
ROWS_OF_AN_EARLY_STOP: Final = 60
"""Instead of thousands: so calls stop early often."""
MAX_TRIES_TO_SHORTEN: Final = 600


def log_of(seed: int) -> list[Record]:
    """The random log of a seed, of any length. The model goes along: what it raises is raised with the seed."""
    try:
        return random_log(seed, Random(f"steps {seed}").choice(STEPS))
    except Exception as error:
        error.add_note(again(seed))
        raise


def again(seed: int) -> str:
    """How to see a log again."""
    return f"The same again: LOG_SEED={seed} make test ARGS=tests/contract/test_random_logs.py"


class Checker:
    """Two partitions of one Valkey: in the first a log is ill-treated, in the second it is folded in one piece."""

    def __init__(self, rough: LuaWorld, plain: LuaWorld) -> None:
        self._rough = rough
        self._plain = plain

    async def check(self, records: list[Record], seed: int) -> DecidedLog:
        """Raises BrokenPromiseError."""
        for world in (self._rough, self._plain):
            await world.put_back({})
            world.position = 0
        log = DecidedLog(records)
        values = await self._in_one_piece(log)
        night = RoughNight(self._rough, log, seed)
        await night.fold_it_all()
        await night.tell_everything_again()
        _expect_same_bytes(values, await self._rough.values())
        return log

    async def why_it_fails(self, records: list[Record], seed: int) -> str:
        """In words; empty where nothing is wrong. An error of the model or of the library is a failure as well."""
        try:
            await self.check(records, seed)
        except BrokenPromiseError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  # it is told, with the seed that brings it back
            for world in (self._rough, self._plain):
                await world.call.drop()
            return f"{type(error).__name__}: {error}"
        return ""

    async def stores_cpu_s(self) -> float:
        """What Valkey has used since it began."""
        about = await self._plain.redis.info("cpu")
        return float(about["used_cpu_user"]) + float(about["used_cpu_sys"])

    async def _in_one_piece(self, log: DecidedLog) -> dict[str, bytes]:
        position = 0
        while position < len(log):
            folded = await self._plain.call.fold(log.batch(position, position + MAX_COMMANDS_PER_CALL), 0)
            if folded.status != "ok" or folded.position <= position:
                raise BrokenPromiseError(f"at {position}: {folded.status}, {folded.position}")
            for offset, decision in enumerate(folded.decisions, position):
                if decision != log.facts[offset]:
                    raise BrokenPromiseError(f"at {offset} the library decides {decision}:\n{log.told(offset)}")
            position = folded.position
        values = await self._plain.values()
        rows = {name: decode_row(name, value) for name, value in values.items() if not name.startswith("d:")}
        if wrong := differences(log.rows, rows):
            raise BrokenPromiseError("\n".join(wrong[:5]))
        return values


@asynccontextmanager
async def checking(url: str, *without: tuple[tuple[str, str], ...]) -> AsyncIterator[Checker]:
    """An empty Valkey with the library, or with one that lacks what is named."""
    library = patched.without(*[change for changes in without for change in changes])
    with patch.object(limits, "MAX_ROWS_PER_CALL", ROWS_OF_AN_EARLY_STOP):
        hasty = patched.without(*[change for changes in without for change in changes])
    async with lua_world(url, hasty) as rough:
        plain = LuaWorld(url, rough.redis, library, partition=1)
        await plain.call.load_library()
        try:
            yield Checker(rough, plain)
        finally:
            await plain.call.drop()


async def told(checker: Checker, seed: int) -> str:
    """A failure for a person who has to understand it: the fewest records, what is wrong there, how to repeat it."""

    async def fails(records: list[Record]) -> bool:
        return bool(await checker.why_it_fails(records, seed))

    records = log_of(seed)
    few = await shortened(records, fails)
    return "\n".join(
        [
            f"Log {seed}: {await checker.why_it_fails(records, seed)}",
            f"Of its {len(records)} records these are enough:",
            *(f"  {record}" for record in few),
            f"  {await checker.why_it_fails(few, seed)}",
            again(seed),
        ]
    )


async def shortened(records: Sequence[Record], fails: Callable[[list[Record]], Awaitable[bool]]) -> list[Record]:
    """A few of the records that still fail: pieces are left out, smaller and smaller ones. The first record stays."""
    kept, tries = list(records), 0
    size = len(kept) // 2
    while size > 0 and tries < MAX_TRIES_TO_SHORTEN:
        at = len(kept) - size
        while at > 0 and tries < MAX_TRIES_TO_SHORTEN:
            without = kept[:at] + kept[at + size :]
            tries += 1
            if await fails(without):
                kept = without
            at -= size
        size //= 2
    return kept


def _expect_same_bytes(plain: dict[str, bytes], rough: dict[str, bytes]) -> None:
    """Recorded decisions are left out (they are gone sooner or later), and what the allocator keeps in the head."""
    plain, rough = (
        {name: value for name, value in values.items() if not name.startswith("d:")} for values in (plain, rough)
    )
    heads = [decode_row(HEAD, values.pop(HEAD)) for values in (plain, rough)]
    wanted, found = (msgspec.structs.replace(head, published=0, trimmed=0) for head in heads)
    if wanted != found:
        raise BrokenPromiseError(f"the head is {found}; folded in one piece {wanted}")
    for name in sorted(plain.keys() | rough.keys()):
        if plain.get(name) != rough.get(name):
            raise BrokenPromiseError(f"{name} is {rough.get(name)!r}; folded in one piece {plain.get(name)!r}")
