"""Where snapshots are made: once by a command, or every hour by a process of its own."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta

from services.audit import progress
from services.audit.rebuild import Progress
from services.audit.snapshot import OwnStore, Studio, Taken, take_all
from services.platform.admin import AdminServer
from services.platform.errors import MasklineError
from services.platform.health import Health
from services.platform.lifecycle import Stop, TaskSet, fast_loop
from services.platform.lifecycle import run as run_process
from services.platform.metrics import SNAPSHOT_MADE_AT
from services.platform.secrets import SECRETS, Secrets
from services.platform.settings import ProcessSettings
from services.platform.telemetry import configure_command_logging, configure_logging
from services.state.library import build
from services.state.snapshots.folder import SNAPSHOTS, SnapshotFolder
from services.stream.partition_reader import PartitionReader
from services.stream.topics import COMMANDS, count_partitions

TRY_AGAIN_S: Final = 60.0
LATE_AFTER_INTERVALS: Final = 3
"""One that failed is tried again after a minute; after that many intervals without any somebody has to look."""

log = structlog.get_logger(__name__)


class SnapshotSettings(ProcessSettings, frozen=True, kw_only=True):
    """What is kept of snapshots, and how often one is made."""

    every_s: Annotated[
        float, Meta(description="Seconds between two snapshots, for a process that stays; 0: one, and it ends.", ge=0)
    ] = 0.0
    snapshots: Annotated[Path | None, Meta(description="Folder of the snapshots, if not DATA/snapshots.")] = None
    keep_snapshots: Annotated[int, Meta(description="Snapshots of a partition that are kept.", ge=1)] = 3
    snapshot_max_age_h: Annotated[
        float, Meta(description="Hours after which a snapshot is deleted, also the last: it has people in it.", gt=0)
    ] = 72.0


async def take_now(settings: SnapshotSettings, own_store: OwnStore, on_progress: Progress) -> list[Taken]:
    """A snapshot of each partition.

    Raises LogUnavailable, SnapshotFailed, and what keeps it from Kafka, the secrets, the folder, or a store of its own.
    """
    key_check = Secrets.load(settings.data / SECRETS, settings.secret_files).key_check()
    partitions = await count_partitions(settings)
    commands = PartitionReader(settings, COMMANDS)
    studio = Studio(
        log=commands,
        folder=_folder(settings),
        own_store=own_store,
        library=build(),
        key_check=key_check,
        keep=settings.keep_snapshots,
        max_age_s=settings.snapshot_max_age_h * 3_600,
    )
    try:
        return await take_all(studio, partitions, on_progress)
    finally:
        await commands.stop()


def run_once(
    settings_of: Callable[[], SnapshotSettings], own_store: OwnStore, tell: Callable[[str], None], *, as_json: bool
) -> int:
    """The command `maskline snapshot`: 0 where every partition has one, 1 where one must not be touched. Raises, in
    words, what kept it from its work."""
    settings = settings_of()
    configure_command_logging("snapshot", settings.log_level)
    showing = progress.lines(tell) if as_json else progress.bars()
    with showing as on_progress, asyncio.Runner(loop_factory=fast_loop()) as runner:
        done = runner.run(take_now(settings, own_store, on_progress))
    if as_json:
        tell(msgspec.json.encode({"snapshots": done}).decode())
    else:
        for each in done:
            tell(str(each))
    return 1 if any(each.why for each in done) else 0


class Hourly:
    """Makes snapshots for ever, and knows how old they are."""

    def __init__(self, settings: SnapshotSettings, own_store: OwnStore) -> None:
        self.wrong: str | None = None
        self._settings: Final = settings
        self._own_store: Final = own_store
        self._made_s = time.monotonic()

    async def run(self) -> None:
        """One every `every_s`; what fails is tried again after TRY_AGAIN_S, and told."""
        while True:
            began_s = time.monotonic()
            is_done = await self.once()
            pause_s = self._settings.every_s if is_done else min(TRY_AGAIN_S, self._settings.every_s)
            await asyncio.sleep(max(0.0, began_s + pause_s - time.monotonic()))

    async def once(self) -> bool:
        """Whether every partition has one now."""
        try:
            done = await take_now(self._settings, self._own_store, lambda *_: None)
        except MasklineError as error:
            self._failed(str(error))
            return False
        for taken in done:
            if taken.why:
                self._failed(taken.why)
            else:
                SNAPSHOT_MADE_AT.labels(taken.partition).set(time.time())
                log.info(
                    "Snapshot", action="snapshot_made", partition=taken.partition, position=taken.position,
                    rows=taken.rows, seconds=taken.seconds,
                )  # fmt: skip
        if any(taken.why for taken in done):
            return False
        self._made_s, self.wrong = time.monotonic(), None
        return True

    def _failed(self, why: str) -> None:
        log.error("No snapshot", action="snapshot_failed", why=why)
        if time.monotonic() - self._made_s > LATE_AFTER_INTERVALS * self._settings.every_s:
            self.wrong = why


async def main(settings: SnapshotSettings, own_store: OwnStore, stop: Stop) -> None:
    """The process, until it is asked to stop. Two of them do no harm."""
    configure_logging("snapshot", settings.log_level)
    log.info("Starting", action="starting", settings=settings.lines())
    health = Health()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(AdminServer(settings.host, settings.admin_port, health))
        tasks = await stack.enter_async_context(TaskSet(stop))
        hourly = Hourly(settings, own_store)
        tasks.start(hourly.run(), "hourly")
        health.add("snapshots", lambda: hourly.wrong)
        health.started()
        await stop.wait()


def run(settings: SnapshotSettings, own_store: OwnStore) -> None:
    """The command `maskline snapshot --every-s 3600`."""
    run_process(lambda stop: main(settings, own_store, stop))


def _folder(settings: SnapshotSettings) -> SnapshotFolder:
    return SnapshotFolder(settings.snapshots or settings.data / SNAPSHOTS)
