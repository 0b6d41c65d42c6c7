"""`maskline backup` and `maskline restore`: a log that was lost comes back, and a replay decides as it did before."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.launcher.first_steps import RestoreUnfinished, prepare_log
from services.audit.backup import restore as restoring
from services.audit.backup.main import RestoreSettings, restore
from services.audit.backup.pieces import Record
from services.audit.report import Report
from tests.integration.cli_system import ROOT, Ran
from tests.integration.rushed_log import PRODUCT, World
from tests.integration.tiers import Stores, Tier, without_users
from tests.real.stores import everything_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), without_users]  # restore needs Kafka's administrator

PARTITIONS = 2
RUSH_S = 0.6
COMMAND_TIMEOUT_S = 60
HOUR_MS = 3_600_000


async def ran(world: World, *words: str) -> Ran:
    """A command beside the world's stores."""
    command = [sys.executable, "-m", PRODUCT, *words, "--data", str(world.settings.data)]
    command += ["--kafka", world.settings.kafka, "--redis", world.settings.redis]
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


@asynccontextmanager
async def installation(stores: Stores, folder: Path) -> AsyncIterator[World]:
    """A data folder, and whoever runs ends."""
    data = folder / "data"
    data.mkdir(mode=0o700, parents=True)
    world = World.at(stores, data)
    try:
        yield world
    finally:
        for process in world.running:
            process.kill()
            process.wait(10)


async def copied(tier: Tier, folder: Path) -> dict[bytes, bytes]:
    """A copy of a rush in `folder`/copy, taken in two pieces, the first in the middle; what a replay makes of it."""
    with tier.stores(folder / "before") as stores:
        async with installation(stores, folder / "before") as world:
            await world.prepare(PARTITIONS)
            async with world.rush():
                await asyncio.sleep(RUSH_S)
                told = await ran(world, "backup", str(folder / "copy"), "--with-secrets", "--json")
                assert told.code == 0, told.err
                first = json.loads(told.out.splitlines()[-1])["partitions"][0]
                assert (first["start"], first["end"] > 500) == (0, True)
            told = await ran(world, "backup", str(folder / "copy"))
            assert f"Partition 0: records {first['end']} to " in told.out, told.err
            assert "Partition 1: nothing has come since the last copy; it has 1 records." in told.out
            assert "The secrets were not copied" in told.out
            assert (await ran(world, "rebuild")).code == 0
            return await everything_in(world.settings.redis)


@asynccontextmanager
async def elsewhere(tier: Tier, folder: Path) -> AsyncIterator[tuple[World, RestoreSettings]]:
    """Empty stores and an empty data folder, and what restore is told of them."""
    with tier.stores(folder / "after") as stores:
        async with installation(stores, folder / "after") as world:
            where = world.settings
            yield (
                world,
                RestoreSettings(kafka=where.kafka, redis=where.redis, data=where.data, replicas=stores.replicas),
            )


def quiet(*_: int) -> None:
    """Nobody looks on."""


@pytest.mark.safety
async def test_a_log_that_was_lost_comes_back_and_a_replay_decides_as_before(tier: Tier, tmp_path: Path) -> None:
    before = await copied(tier, tmp_path)
    async with elsewhere(tier, tmp_path) as (world, settings):
        told = await ran(world, "restore", str(tmp_path / "copy"), "--replicas", str(settings.replicas))
        assert told.code == 0, told.err
        assert "records, each as in the copy, in" in told.out
        assert (await ran(world, "rebuild")).code == 0
        assert await everything_in(world.settings.redis) == before
        world.allocator()  # it publishes every event again
        async with world.rush():  # and the city goes on
            await asyncio.sleep(0.2)
        sound(await world.judged())


def sound(report: Report) -> None:
    assert report.differences == []
    assert (report.oversold, report.lost, report.duplicates) == (0, 0, 0)
    assert report.records > 1_000


@pytest.mark.control
async def test_with_other_times_a_replay_decides_otherwise(
    tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protection taken away: each record gets the time at which it is brought back, an hour later."""
    as_they_were = restoring.Copy.records

    def later(copy: restoring.Copy, start: int = 0) -> Iterator[Record]:
        return ((timestamp_ms + HOUR_MS, value) for timestamp_ms, value in as_they_were(copy, start))

    before = await copied(tier, tmp_path)
    async with elsewhere(tier, tmp_path) as (world, settings):
        (tmp_path / "copy" / "secrets").rename(settings.data / "secrets")
        monkeypatch.setattr(restoring.Copy, "records", later)
        await restore(settings, tmp_path / "copy", quiet)
        assert (await ran(world, "rebuild")).code == 0
        assert await everything_in(world.settings.redis) != before


class Interrupted(Exception):
    """Somebody pulls the plug."""


async def test_a_restore_that_was_interrupted_goes_on_and_one_into_a_log_that_lives_is_refused(
    tier: Tier, tmp_path: Path
) -> None:
    def interrupting(_: int, done: int, of: int) -> None:
        if done > of // 4:
            raise Interrupted

    await copied(tier, tmp_path)
    async with elsewhere(tier, tmp_path) as (world, settings):
        (tmp_path / "copy" / "secrets").rename(settings.data / "secrets")
        with pytest.raises(Interrupted):
            await restore(settings, tmp_path / "copy", interrupting)
        if settings.replicas > 1:  # the embedded broker does not say whose times it keeps
            with pytest.raises(RestoreUnfinished, match="Nothing was written"):
                await prepare_log(world.settings, settings.data, partitions=None, replicas=settings.replicas)
        (first, _), _ = await restore(settings, tmp_path / "copy", quiet)
        assert 0 < first.before < first.records
        assert (await ran(world, "rebuild")).code == 0
        told = await ran(world, "restore", str(tmp_path / "copy"))
        assert told.code == 2
        assert f"Redis has rows of a log: partition 0 stands at position {first.records}." in told.err
