"""F5: Redis is emptied, comes back with an old copy, or with its last part missing: it is replayed from the log."""

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from tests.chaos.city import City, Plan, altered, tell
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]

BETWEEN_S = 2.0
AFTER_S = 4.0
AWAY_S = 3.0
LEFT_OF_THE_AOF = 0.7


async def emptied(city: City) -> None:
    """F5: FLUSHALL, twice; the second time without a function library, while the allocator is away and a door is new"""
    async with city.redis() as redis:
        tell("FLUSHALL")
        await redis.flushall()
        await asyncio.sleep(AFTER_S)
        tell("FLUSHALL and FUNCTION FLUSH; the allocator sleeps, and a front door is killed")
        city.send("allocator", signal.SIGSTOP)
        await redis.flushall()
        await redis.function_flush()
        city.send("front-door-0", signal.SIGKILL)
        await asyncio.sleep(AWAY_S)
        city.send("allocator", signal.SIGCONT)
    await asyncio.sleep(AFTER_S)


async def restored_from_an_old_copy(city: City) -> None:
    """F5: Redis killed, and started again with the files of some seconds ago"""
    copy = city.embedded / "copy"
    shutil.copytree(city.valkey_folder, copy)
    await asyncio.sleep(BETWEEN_S)
    await city.kill_store("valkey")
    shutil.rmtree(city.valkey_folder)
    shutil.copytree(copy, city.valkey_folder)
    tell("Valkey has its old files")
    await city.start_store("valkey")
    await asyncio.sleep(AFTER_S)


async def cut(city: City) -> None:
    """F5: Redis killed, and the end of its AOF cut off in the middle of a call"""
    await asyncio.sleep(BETWEEN_S)
    await city.kill_store("valkey")
    (aof,) = (city.valkey_folder / "appendonlydir").glob("*.incr.aof")
    size = aof.stat().st_size
    with aof.open("r+b") as file:
        file.truncate(int(size * LEFT_OF_THE_AOF) + 1)
    tell(f"{size - aof.stat().st_size} of {size} bytes of its AOF are gone")
    await city.start_store("valkey")
    await asyncio.sleep(AFTER_S)


LOSSES = [emptied, restored_from_an_old_copy, cut]


@pytest.mark.safety
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss.__name__))
async def test_a_redis_that_lost_something_is_whole_again_and_nobody_hears_a_step_back(
    loss: Fault, tmp_path: Path
) -> None:
    verdict = await played(loss, Plan(), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300


@pytest.mark.control
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: str(loss.__name__))
async def test_without_the_gap_check_what_was_lost_stays_lost(loss: Fault, tmp_path: Path) -> None:
    plan = Plan(programs={"allocator": altered("gap_check")})
    verdict = await played(loss, plan, tmp_path, gives_up_after_s=3.0, settle_timeout_s=5.0)
    assert verdict.differing > 0
