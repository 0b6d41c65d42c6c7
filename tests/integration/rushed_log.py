"""A log into which bookings pour as a rush would write them, a Redis, and as many allocators as a story starts."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from infra.launcher.first_steps import prepare_log
from infra.local.guards import variables
from services.audit.main import main as verify
from services.audit.report import Report
from services.audit.rows_reader import RedisRows
from services.audit.verify import VerifySettings
from services.domain.commands import encode
from services.state.readers import read_head
from services.state.redis_client import Redis
from services.state.store import Store, open_store
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.bench.all_rules import definition, reservations
from tests.contract.worlds import everybody
from tests.integration.cli_system import ROOT
from tests.integration.tiers import Stores, Tier, reached

PRODUCT = "services.cli"
WITHOUT_CHECK = "tests.integration.allocator_without_position_check"
SLOTS, UNITS_A_SLOT, ENTITLED = 40, 30, 3_000
FIRST = PartitionId(0)
DECIDED_WITHIN_S = 60.0
REDIS_TIMEOUT_S = 5.0


@dataclass
class World:
    """A log, a Redis, and as many allocators as a story starts. `program` is what an allocator runs."""

    stores: Stores
    settings: VerifySettings
    program: str
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def allocator(self, *options: str) -> "subprocess.Popen[bytes]":
        """One more, for all partitions, beside those that run."""
        command = [sys.executable, "-m", self.program, "allocator", "--partitions", "all", *options]
        command += ["--kafka", self.settings.kafka, "--redis", self.settings.redis, "--data", str(self.settings.data)]
        output = (self.settings.data / f"allocator-{len(self.running)}.log").open("wb")
        with output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.as_user("allocator"), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.running.append(process)
        return process

    def as_user(self, user: str) -> dict[str, str]:
        """The environment of a process that comes as somebody."""
        return {**os.environ, **variables(self.stores.access(user))}

    @classmethod
    def at(cls, stores: Stores, data: Path, program: str = PRODUCT) -> "World":
        """Where whoever looks comes as verify does."""
        return cls(stores, VerifySettings(**reached(stores, "audit"), data=data), program)

    async def prepare(self, partitions: int) -> None:
        """Topics, and the first record of each partition."""
        settings = replace(self.settings, access=self.stores.access("setup"))
        await prepare_log(settings, settings.data, partitions=partitions, replicas=self.stores.replicas)

    @asynccontextmanager
    async def rush(self) -> AsyncIterator[None]:
        """2,500 bookings a second, far more than there are units, until the block ends."""
        producer = await LogProducer.start(replace(self.settings, access=self.stores.access("front-door")))
        await self._write(producer, [encode(command) for command in definition(SLOTS, UNITS_A_SLOT, ENTITLED)])
        writing = asyncio.create_task(self._keep_writing(producer))
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await producer.stop()

    async def _keep_writing(self, producer: LogProducer) -> None:
        number = 0
        while True:
            began_s = time.monotonic()
            await self._write(producer, [encode(command) for command in reservations(50, SLOTS, first=number)])
            number += 50
            await asyncio.sleep(max(0.0, began_s + 0.02 - time.monotonic()))

    async def _write(self, producer: LogProducer, values: list[bytes]) -> None:
        now_ms = int(time.time() * 1000)
        await append(producer, COMMANDS, FIRST, values, timestamp_ms=now_ms, ack_timeout_s=10.0)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """Redis, for whoever may do everything."""
        store = open_store(self.stores.root, timeout_s=REDIS_TIMEOUT_S)
        try:
            yield store
        finally:
            await store.aclose()

    @asynccontextmanager
    async def node(self) -> AsyncIterator[Redis]:
        """Whoever has the partition in Redis."""
        async with self.store() as store:
            yield (await everybody(store))[0]

    async def judged(self) -> Report:
        """What verify says once everything is decided and everybody has stopped."""
        await self._until_decided()
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            await asyncio.to_thread(process.wait, 20)
        return await verify(self.settings)

    async def _until_decided(self) -> None:
        """Until Redis is at the log's end; in a control two allocators may have thrown each other back on the way."""
        log = PartitionReader(self.settings, COMMANDS)
        try:
            end = await log.log_end(FIRST)
            async with self.store() as store, asyncio.timeout(DECIDED_WITHIN_S):
                while (head := await read_head(store, FIRST)) is None or head.position < end:
                    await asyncio.sleep(0.02)
        finally:
            await log.stop()


Story = Callable[[World], Awaitable[None]]


async def played(story: Story, program: str, tier: Tier, folder: Path) -> Report:
    """What verify says of a story."""
    with tier.stores(folder) as stores:
        data = folder / "data"
        data.mkdir(mode=0o700)
        world = World.at(stores, data, program)
        await world.prepare(partitions=1)
        try:
            await story(world)
            return await world.judged()
        finally:
            for process in world.running:
                process.kill()
                process.wait(10)


async def position_moves(world: World) -> None:
    """Until somebody folds."""
    async with world.store() as store, asyncio.timeout(20):
        rows = RedisRows(store)
        before = (await rows.read(FIRST, [])).head.position
        while (await rows.read(FIRST, [])).head.position <= before:
            await asyncio.sleep(0.01)
