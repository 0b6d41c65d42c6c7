"""Figures of the fold, all rules on: how fast a full log is folded by one allocator, and what Redis keeps."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from infra.embedded.commands import FETCH_MAX_WAIT_MS
from infra.embedded.stores import RunningStores, running_stores
from infra.launcher.first_steps import prepare_log
from services.domain.commands import Command, encode
from services.domain.rows import CampaignRow
from services.platform.settings import ProcessSettings
from services.state.fold_call import COMMANDS_PER_CALL
from services.state.readers import StateReader
from services.state.recovery import GROUP
from services.state.redis_client import connect
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS
from tests.bench.all_rules import definition, reservations
from tests.bench.figure import Figure, figure
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.integration.cli_system import ROOT

REPEATS = 5
REPLAYED = 120_000
REPLAYED_SLOTS = {WIDE_SLOTS: PLENTY, 1: 2 * REPLAYED}  # units in each: enough for everybody
LOOK_EVERY_S = 0.01
KEPT = 60_000  # as many rows as there are, or more: how tables grow is in it, wherever they stand
BATCH = COMMANDS_PER_CALL
FIRST = PartitionId(0)
FOLD_TIMEOUT_S = 120.0
WRITE_AT_ONCE = 5_000


T = TypeVar("T")


@dataclass(frozen=True)
class Stores:
    """Broker, Valkey and a data folder with secrets; no service runs."""

    settings: ProcessSettings

    async def write(self, commands: Sequence[Command]) -> None:
        """Straight into the log."""
        producer = await LogProducer.start(self.settings)
        values = [encode(command) for command in commands]
        for at in range(0, len(values), WRITE_AT_ONCE):
            piece = values[at : at + WRITE_AT_ONCE]
            await append(producer, COMMANDS, FIRST, piece, timestamp_ms=int(time.time() * 1000), ack_timeout_s=20.0)
        await producer.stop()

    async def position(self) -> int:
        """What the fold has applied."""
        redis = connect(self.settings.redis, timeout_s=5.0)
        position = (await StateReader(redis).read(FIRST, [])).head.position
        await redis.aclose()
        return position

    async def given_out(self) -> int:
        """Units of the campaign `fold` that somebody has: a figure of refusals would be another one."""
        redis = connect(self.settings.redis, timeout_s=5.0)
        row: CampaignRow = (await StateReader(redis).read(FIRST, ["c:fold"])).rows[0]
        await redis.aclose()
        return row.quota - row.left - row.assisted_left - row.reserve_left

    async def used_memory(self) -> int:
        """Bytes, as Redis counts them."""
        redis = connect(self.settings.redis, timeout_s=5.0)
        info: dict[str, Any] = await redis.info("memory")
        await redis.aclose()
        return int(info["used_memory"])

    async def mark_published(self) -> int:
        """Everything in the log counts as published; the log's end."""
        end = await self.end()
        reader = PartitionReader(self.settings, COMMANDS)
        await reader.commit(GROUP, {FIRST: Offset(end)})
        await reader.stop()
        return end

    async def end(self) -> int:
        """The log's end."""
        reader = PartitionReader(self.settings, COMMANDS)
        end = await reader.log_end(FIRST)
        await reader.stop()
        return int(end)

    async def _folded_past(self, reader: StateReader, offset: int) -> int:
        while (position := (await reader.read(FIRST, [])).head.position) <= offset:
            await asyncio.sleep(LOOK_EVERY_S)
        return position

    async def fold_all(self, end: int, count: int) -> float:
        """The last `count` records before `end`, a second of one allocator process."""
        command = [sys.executable, "-m", "services.cli", "allocator", "--partitions", "0"]
        command += ["--fetch-max-wait-ms", str(FETCH_MAX_WAIT_MS)]
        command += ["--kafka", self.settings.kafka, "--redis", self.settings.redis, "--data", str(self.settings.data)]
        allocator = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        redis = connect(self.settings.redis, timeout_s=5.0)
        reader = StateReader(redis)
        try:
            async with asyncio.timeout(FOLD_TIMEOUT_S):
                # What comes before them is a campaign: a record of its list is five hundred people, not one.
                began = await self._folded_past(reader, end - count)
                began_s = time.perf_counter()
                await self._folded_past(reader, end - 1)
                return (end - began) / (time.perf_counter() - began_s)
        finally:
            allocator.terminate()
            allocator.wait(20)
            await redis.aclose()


def replay() -> list[Figure]:
    """One allocator folding a full log in which everything was published: over many slots and on a hot one, in turn."""
    values: dict[int, list[float]] = {slots: [] for slots in REPLAYED_SLOTS}
    for _ in range(REPEATS):
        for slots, units in REPLAYED_SLOTS.items():
            values[slots].append(asyncio.run(with_stores(partial(_replay_once, slots, units))))
    names = {WIDE_SLOTS: "replay_per_s", 1: "replay_per_s_hot"}
    return [
        figure(names[slots], found, "1/s", f"{REPLAYED} bookings over {slots} slots, all rules on, batches of {BATCH}")
        for slots, found in values.items()
    ]


async def _replay_once(slots: int, units: int, stores: Stores) -> float:
    await stores.write([*definition(slots, units, REPLAYED), *reservations(REPLAYED, slots)])
    per_s = await stores.fold_all(await stores.mark_published(), REPLAYED)
    assert await stores.given_out() == REPLAYED
    return per_s


def catching_up() -> list[Figure]:
    """One allocator deciding and publishing a full log: what one partition can do at most."""
    values = [asyncio.run(with_stores(_caught_up_once)) for _ in range(REPEATS)]
    against = f"{REPLAYED} bookings over {WIDE_SLOTS} slots, all rules on, every event published"
    return [figure("caught_up_per_s", values, "1/s", against)]


async def _caught_up_once(stores: Stores) -> float:
    await stores.write([*definition(WIDE_SLOTS, PLENTY, REPLAYED), *reservations(REPLAYED, WIDE_SLOTS)])
    return await stores.fold_all(await stores.end(), REPLAYED)


def memory() -> list[Figure]:
    """Growth of used_memory for a confirmed reservation and for a refused one, recorded decisions included."""
    names = {"redis_bytes_per_confirmed": KEPT, "redis_bytes_per_refused": 0}
    found = []
    for name, stock in names.items():
        value = asyncio.run(with_stores(_bytes_each_refused if not stock else _bytes_each_confirmed))
        found.append(figure(name, [value], "B", f"{KEPT} reservations over {WIDE_SLOTS} slots, all rules on"))
    return found


async def _bytes_each_confirmed(stores: Stores) -> float:
    return await _bytes_each(stores, units_a_slot=PLENTY, taken=[])


async def _bytes_each_refused(stores: Stores) -> float:
    return await _bytes_each(stores, units_a_slot=1, taken=reservations(WIDE_SLOTS, WIDE_SLOTS, first=KEPT))


async def _bytes_each(stores: Stores, units_a_slot: int, taken: list[Command]) -> float:
    await stores.write([*definition(WIDE_SLOTS, units_a_slot, KEPT + len(taken)), *taken])
    await stores.fold_all(end := await stores.mark_published(), end)
    before = await stores.used_memory()
    await stores.write(reservations(KEPT, WIDE_SLOTS))
    await stores.fold_all(await stores.mark_published(), KEPT)
    assert await stores.given_out() == (len(taken) or KEPT)
    return (await stores.used_memory() - before) / KEPT


async def with_stores(measure: Callable[[Stores], Awaitable[T]]) -> T:
    """What is measured on a log and a store of its own."""
    with tempfile.TemporaryDirectory(prefix="maskline-bench-") as folder, running_stores(Path(folder)) as addresses:
        stores = Stores(_settings(addresses, Path(folder) / "data"))
        (Path(folder) / "data").mkdir(mode=0o700)
        await prepare_log(stores.settings, stores.settings.data, partitions=1, replicas=1)
        return await measure(stores)


def _settings(addresses: RunningStores, data: Path) -> ProcessSettings:
    return ProcessSettings(kafka=addresses.kafka, redis=addresses.redis, data=data, kafka_request_timeout_s=20.0)
