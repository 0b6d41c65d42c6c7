"""How long an emptied Redis takes to be whole again, by `maskline rebuild` alone."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from typing import Any

import msgspec

from services.state.redis_client import connect
from tests.bench.all_rules import definition, reservations
from tests.bench.figure import Figure, figure
from tests.bench.folding import REPLAYED, Stores, with_stores
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.integration.cli_system import ROOT

REPEATS = 5
MILLION = 1_000_000


def rebuilding() -> list[Figure]:
    """Seconds that the command takes for a million records, were there as many."""
    values = asyncio.run(with_stores(_each_time_from_nothing))
    against = f"{REPLAYED} bookings over {WIDE_SLOTS} slots, looks at log and Redis included"
    return [figure("rebuild_s_per_million", values, "s", against)]


async def _each_time_from_nothing(stores: Stores) -> list[float]:
    await stores.write([*definition(WIDE_SLOTS, PLENTY, REPLAYED), *reservations(REPLAYED, WIDE_SLOTS)])
    end = await stores.mark_published()
    return [await _emptied_and_rebuilt(stores, end) for _ in range(REPEATS)]


async def _emptied_and_rebuilt(stores: Stores, end: int) -> float:
    redis = connect(stores.settings.redis, timeout_s=20.0)
    await redis.flushall()
    await redis.function_flush()
    await redis.aclose()
    told = await _rebuild(stores)
    assert (told["rebuild"], await stores.position()) == ("whole", end), told
    return float(told["seconds"]) * MILLION / end


async def _rebuild(stores: Stores) -> dict[str, Any]:
    where = ("--kafka", stores.settings.kafka, "--redis", stores.settings.redis, "--data", str(stores.settings.data))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "rebuild", "--json", *where, cwd=ROOT, stdout=PIPE
    )
    told, _ = await process.communicate()
    last: dict[str, Any] = msgspec.json.decode(told.splitlines()[-1])
    return last
