"""Those who look at everything from beside: `maskline rebuild` while allocators work, `maskline verify` afterwards."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from services.audit.rebuild import Target, rebuild
from services.audit.report import Report
from services.audit.rows_reader import RawReading
from services.audit.verify import Sources, VerifySettings, verify
from services.domain.rows import HEAD, Head
from services.platform.errors import MasklineError
from services.state.readers import decode_row
from services.stream.errors import LogUnavailable
from services.stream.topics import COMMANDS, EVENTS
from tests import builders as b
from tests.simulation.kafka_log import SimulatedLog, SimulatedReader
from tests.simulation.redis_server import SimulatedFoldCall, SimulatedRedis, SimulatedRedisClient
from tests.simulation.surroundings import Surroundings
from tests.simulation.virtual_loop import Process

FOLD_TIMEOUT_S: Final = 5.0
LOOK_AGAIN_S: Final = 1.0
VERIFY: Final = VerifySettings()


def begin_rebuild(around: Surroundings, log: SimulatedLog, redis: SimulatedRedis, process: Process) -> None:
    """Somebody rebuilds Redis while others fold into it. It may give up; it must do no harm."""
    client = SimulatedRedisClient(redis, process)

    async def read_head(partition: int) -> Head | None:
        (value,) = await client.mget([f"{{p{partition:02d}}}:{HEAD}"])
        head: Head | None = decode_row(HEAD, value)
        return head

    target = Target(
        read_head,
        lambda partition, start: SimulatedFoldCall(redis, process, FOLD_TIMEOUT_S, partition, start.identity),
        b.KEY_CHECK,
    )

    async def run() -> None:
        try:
            done = await rebuild(SimulatedReader(log, COMMANDS, process), target, around.partitions, lambda *_: None)
            told = "; ".join(map(str, done))
        except MasklineError as error:
            told = str(error)
        around.note(process.name, told)

    process.spawn(run(), "run")


class RowsAsTheyAre:
    """A `RowsReader` that never waits."""

    def __init__(self, redis: SimulatedRedis) -> None:
        self._redis = redis

    async def read(self, partition: int, keys: Sequence[str]) -> RawReading:
        """See RowsReader."""
        rows = self._redis.shards[partition].rows
        return RawReading(decode_row(HEAD, rows.get(HEAD)) or Head(), [rows.get(key) for key in keys])

    async def keys(self, partition: int) -> AsyncIterator[list[str]]:
        """See RowsReader."""
        yield list(self._redis.shards[partition].rows)


def begin_verify(
    around: Surroundings, log: SimulatedLog, redis: SimulatedRedis, process: Process
) -> "asyncio.Task[Report]":
    """What an operator runs after a bad night."""
    sources = Sources(
        SimulatedReader(log, COMMANDS, process),
        SimulatedReader(log, EVENTS, process),
        RowsAsTheyAre(redis),
        around.partitions,
    )

    async def run() -> Report:
        while True:
            try:
                return await verify(sources, VERIFY)
            except LogUnavailable:  # the last leader died just before the faults ended; its successor is being chosen
                await asyncio.sleep(LOOK_AGAIN_S)

    return process.spawn(run(), "run")
