"""Allocators that die, stop and come back late: nothing is decided twice, nothing is left out.

Commands pour into the log as a rush would write them, and allocators are killed, paused and resumed under it. `verify`
judges. The controls play the same stories with a fold that does not look at its position.
"""

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

import pytest

from infra.embedded.stores import running_stores
from infra.launcher.first_steps import prepare_log
from loadtests.proof import prove, settled
from services.audit.main import main as verify
from services.audit.report import Report
from services.audit.rows_reader import RedisRows
from services.audit.verify import VerifySettings
from services.domain.commands import encode
from services.state.redis_client import connect
from services.stream.log_producer import LogProducer, append
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.bench.folding import definition, reservations
from tests.integration.cli_system import ROOT, maskline, rush, small_campaign, up

pytestmark = [pytest.mark.embedded, pytest.mark.slow, pytest.mark.timeout(120)]

PRODUCT = "services.cli"
WITHOUT_CHECK = "tests.integration.allocator_without_position_check"
SLOTS, UNITS_A_SLOT = 40, 30
FIRST = PartitionId(0)
PAUSE_S = 10.0
SHORT_PAUSE_S = 2.0


@dataclass
class World:
    """A log, a Valkey, and as many allocators as a story starts. `program` is what an allocator runs."""

    settings: VerifySettings
    program: str
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def allocator(self) -> "subprocess.Popen[bytes]":
        """One more, for all partitions, beside those that run."""
        command = [sys.executable, "-m", self.program, "allocator", "--partitions", "all"]
        command += ["--kafka", self.settings.kafka, "--redis", self.settings.redis, "--data", str(self.settings.data)]
        output = (self.settings.data / f"allocator-{len(self.running)}.log").open("wb")
        with output:
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.running.append(process)
        return process

    @asynccontextmanager
    async def rush(self) -> AsyncIterator[None]:
        """2,500 bookings a second, far more than there are units, until the block ends."""
        producer = await LogProducer.start(self.settings)
        await self._write(producer, [encode(command) for command in definition(SLOTS, UNITS_A_SLOT)])
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

    async def judged(self) -> Report:
        """What verify says once everything is decided and everybody has stopped."""
        await settled(self.settings, FIRST)
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            await asyncio.to_thread(process.wait, 20)
        return await verify(self.settings)


Story = Callable[[World], Awaitable[None]]


async def killed_and_replaced(world: World) -> None:
    """Three times an allocator dies in mid-rush, and another one takes over."""
    async with world.rush():
        for _ in range(3):
            allocator = world.allocator()
            await position_moves(world)
            await asyncio.sleep(0.4)
            allocator.kill()
            await asyncio.to_thread(allocator.wait, 10)
        world.allocator()
        await position_moves(world)
        await asyncio.sleep(0.5)


def paused_resumed_and_killed(pause_s: float) -> Story:
    """One of three allocators sleeps through the rush and wakes as a zombie; another one is killed."""

    async def story(world: World) -> None:
        async with world.rush():
            sleeper, third = world.allocator(), world.allocator()
            world.allocator()
            await position_moves(world)
            await asyncio.sleep(1.0)
            sleeper.send_signal(signal.SIGSTOP)
            await asyncio.sleep(pause_s / 2)
            third.kill()
            await asyncio.sleep(pause_s / 2)
            sleeper.send_signal(signal.SIGCONT)
            await asyncio.sleep(1.0)

    return story


async def played(story: Story, program: str, folder: Path) -> Report:
    """What verify says of a story."""
    with running_stores(folder) as stores:
        data = folder / "data"
        data.mkdir(mode=0o700)
        world = World(VerifySettings(kafka=stores.kafka, redis=stores.redis, data=data), program)
        await prepare_log(world.settings, data, partitions=1, replicas=1)
        try:
            await story(world)
            return await world.judged()
        finally:
            for process in world.running:
                process.kill()
                process.wait(10)


async def position_moves(world: World) -> None:
    """Until somebody folds."""
    redis = connect(world.settings.redis, timeout_s=2.0)
    rows = RedisRows(redis)
    try:
        async with asyncio.timeout(20):
            before = (await rows.read(FIRST, [])).head.position
            while (await rows.read(FIRST, [])).head.position <= before:
                await asyncio.sleep(0.01)
    finally:
        await redis.aclose()


@pytest.mark.safety
async def test_allocators_killed_in_mid_rush_decide_everything_once(tmp_path: Path) -> None:
    report = await played(killed_and_replaced, PRODUCT, tmp_path)
    assert report.differences == []
    assert (report.oversold, report.lost, report.duplicates) == (0, 0, 0)
    assert report.records > 2_000


@pytest.mark.control
async def test_without_the_position_check_killed_allocators_decide_twice(tmp_path: Path) -> None:
    report = await played(killed_and_replaced, WITHOUT_CHECK, tmp_path)
    assert report.differing > 0


@pytest.mark.safety
async def test_a_zombie_allocator_cannot_decide_twice(tmp_path: Path) -> None:
    report = await played(paused_resumed_and_killed(PAUSE_S), PRODUCT, tmp_path)
    assert report.differences == []
    assert (report.oversold, report.lost, report.duplicates) == (0, 0, 0)
    assert report.records > 10_000


@pytest.mark.control
async def test_without_the_position_check_a_zombie_allocator_decides_twice(tmp_path: Path) -> None:
    report = await played(paused_resumed_and_killed(SHORT_PAUSE_S), WITHOUT_CHECK, tmp_path)
    assert report.differing > 0


@pytest.mark.safety
async def test_residents_lose_nothing_when_the_allocator_is_killed_under_their_rush(tmp_path: Path) -> None:
    """Through the front door: who was promised something has it, and everybody hears in the end."""
    with up(tmp_path / "data") as system:
        file = small_campaign(tmp_path / "campaign", units=400)
        applied = await asyncio.to_thread(maskline, "campaign", "apply", file, "--data", system.data)
        assert applied.code == 0, applied.err
        rushing = asyncio.create_task(rush(system, file, "small", 800, arrive_within_s=2.0))
        await asyncio.sleep(0.8)
        (victim,) = (each["pid"] for each in system.endpoints["processes"] if each["service"] == "allocator")
        os.kill(victim, signal.SIGKILL)
        tally = await rushing
        settings = VerifySettings(kafka=system.endpoints["kafka"], redis=system.endpoints["redis"], data=system.data)
        await settled(settings, 0)
        proof = await prove(settings, "small", tally)
        (successor,) = (each["pid"] for each in system.endpoints["processes"] if each["service"] == "allocator")
    assert successor != victim
    assert proof.report.differences == []
    assert (proof.oversold, proof.lost, proof.duplicates) == (0, 0, 0)
    assert (tally.unknown, tally.accepted) == (0, proof.confirmed + proof.rejected)
    assert proof.confirmed_units + proof.unused_units == 400
