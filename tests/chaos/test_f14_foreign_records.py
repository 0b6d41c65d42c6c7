"""F14: records in the topic that nobody of ours wrote: malformed, oversized, foreign, and one from the year 2100."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.domain import commands as c
from services.domain.limits import AHEAD_OF_TICK_MS
from tests.chaos.city import CAMPAIGN, City, Plan, altered, tell
from tests.chaos.log_copy import written
from tests.chaos.story import SETTLE_TIMEOUT_S, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

IN_2100_MS = 4_102_444_800_000
ROUNDS = 5
BETWEEN_S = 1.0
MINUTE_MS = 60_000


def a_booking() -> dict[str, object]:
    """One that could be decided; what stands beside it spoils it."""
    booking = c.Reserve(
        campaign=CAMPAIGN, slot="s", units=1, resident="f" * 16, pass_no="f" * 16, digest="f" * 8, last4_hash="f" * 8
    )
    spoiled: dict[str, object] = json.loads(c.encode(booking))
    return spoiled


def foreign_values() -> Iterator[bytes | None]:
    """What may stand in a topic that others can write to."""
    yield None
    yield b""
    yield b"\x00\xff\xfe garbage \x80"
    yield b'{"type":"reserve"'
    yield b"[" * 10_000
    yield b'"reserve"'
    yield b"x" * (900 * 1024)
    yield json.dumps({"type": "reserve", "campaign": "x" * 300_000}).encode()
    yield json.dumps({"type": "a_command_of_tomorrow", "id": "f" * 16}).encode()
    for field, value in {
        "units": "0x10", "slot": "s\n", "resident": "é" * 16, "a_field_of_tomorrow": 1, "campaign": None,
    }.items():  # fmt: skip
        yield json.dumps(a_booking() | {field: value}).encode()
    for number in (b"1e400", b"nan", b"-1", b"9007199254740993", b"1.5", b"true"):
        yield json.dumps(a_booking() | {"units": "UNITS"}).encode().replace(b'"UNITS"', number)
    yield c.encode(c.Genesis(log="f" * 16, key_check="f" * 16, rules=999))
    yield c.encode(c.AssignRegion(id="f" * 16, region="nowhere", campaign="elsewhere", partitions=100))


async def foreign_records(city: City) -> None:
    """F14: malformed, oversized and foreign records in the topic, and one dated 2100"""
    for number in range(ROUNDS):
        now_ms = int(time.time() * 1000)
        await written(city.settings, list(foreign_values()), now_ms - number * MINUTE_MS)
        await asyncio.sleep(BETWEEN_S)
    tell("a record of the year 2100")
    await written(city.settings, [b"{}", c.encode(c.Genesis(log="g" * 16, key_check="g" * 16, rules=1))], IN_2100_MS)
    await asyncio.sleep(BETWEEN_S)
    ahead_ms = (await city.head()).now_ms - int(time.time() * 1000)
    tell(f"the fold's time is {ahead_ms / 1000:+.0f} s from ours")


@pytest.mark.safety
async def test_foreign_records_are_refused_and_one_from_2100_moves_time_by_two_minutes(tmp_path: Path) -> None:
    heads = []

    async def fault(city: City) -> None:
        """F14: malformed, oversized and foreign records in the topic, and one dated 2100"""
        await foreign_records(city)
        heads.append(await city.head())

    verdict = await played(fault, Plan(), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 200
    assert heads[0].now_ms <= time.time() * 1000 + AHEAD_OF_TICK_MS


@pytest.mark.control
async def test_without_the_bound_on_time_a_record_from_2100_ends_all_deadlines(tmp_path: Path) -> None:
    verdict = await played(foreign_records, Plan(programs={"allocator": altered("time_bound")}), tmp_path)
    assert verdict.differing > 0


@pytest.mark.control
async def test_where_a_record_that_cannot_be_read_is_an_error_nothing_is_decided_behind_it(tmp_path: Path) -> None:
    plan = Plan(programs={"allocator": altered("poison_check")})
    verdict = await played(foreign_records, plan, tmp_path, gives_up_after_s=3.0, settle_timeout_s=SETTLE_TIMEOUT_S / 6)
    assert verdict.tally.unknown > 100
    assert verdict.faults
