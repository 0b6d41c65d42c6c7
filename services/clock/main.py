"""The clock's process."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Annotated

import structlog
from msgspec import Meta

from services.clock.erasure import LOOK_S, Erasure
from services.clock.purging import LOOK_S as PURGE_S
from services.clock.purging import Purging
from services.clock.schedule import Schedule
from services.clock.waiting_rooms import BEAT_S, WaitingRooms
from services.clock.watching import COPIES_LOOK_S, CopiesWatch, Watch
from services.clock.watching import LOOK_S as LOOK_AT_FOLD_S
from services.platform.admin import AdminServer
from services.platform.contact import ContactKeys
from services.platform.health import Health
from services.platform.identities import Identities
from services.platform.lifecycle import Stop, TaskSet, settle_memory
from services.platform.lifecycle import run as run_process
from services.platform.secrets import SECRETS, Secrets
from services.platform.settings import ProcessSettings
from services.platform.telemetry import configure_logging
from services.platform.waiting_seeds import WaitingSeeds
from services.state.door import open_door
from services.stream.copies import LogCopies
from services.stream.topics import COMMANDS

log = structlog.get_logger(__name__)


class ClockSettings(ProcessSettings, frozen=True, kw_only=True):
    """How the clock ticks."""

    tick_s: Annotated[float, Meta(description="Seconds between two ticks.", gt=0, le=60)] = 1.0
    resend_after_s: Annotated[
        float, Meta(description="Seconds for the fold to decide an opening or closing before it is sent again.", gt=0)
    ] = 15.0


async def tick(schedule: Schedule, tick_s: float) -> None:
    """Beat for ever, `tick_s` apart; a beat that took longer is followed by the next one, not by those it missed."""
    loop = asyncio.get_running_loop()
    next_s = loop.time()
    while True:
        await schedule.beat()
        next_s = max(next_s + tick_s, loop.time())
        await asyncio.sleep(next_s - loop.time())


async def erase(erasure: Erasure) -> None:
    """Look for ever for contact keys whose day has come."""
    while True:
        await erasure.look(time.time_ns() // 1_000_000)
        await asyncio.sleep(LOOK_S)


async def watch(watch: Watch) -> None:
    """Look for ever at what has to be decided."""
    while True:
        watch.look()
        await asyncio.sleep(LOOK_AT_FOLD_S)


async def watch_copies(watch: CopiesWatch) -> None:
    """Look for ever at the copies of the log."""
    while True:
        await watch.look()
        await asyncio.sleep(COPIES_LOOK_S)


async def purge(purging: Purging) -> None:
    """Look for ever for what is to be deleted; a piece that takes long delays the next one, and no tick."""
    while True:
        await purging.look()
        await asyncio.sleep(PURGE_S)


async def let_in(rooms: WaitingRooms) -> None:
    """Look after the waiting rooms for ever."""
    while True:
        await rooms.beat()
        await asyncio.sleep(BEAT_S)


async def main(settings: ClockSettings, stop: Stop) -> None:
    """One clock, until it is asked to stop. Two of them do no harm."""
    configure_logging("clock", settings.log_level)
    log.info("Starting", action="starting", settings=settings.lines())
    secrets = Secrets.load(settings.data / SECRETS, settings.secret_files)
    health = Health()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(AdminServer(settings.host, settings.admin_port, health))
        tasks = await stack.enter_async_context(TaskSet(stop))
        door = await stack.enter_async_context(open_door(settings, tasks, key_check=secrets.key_check()))
        schedule = Schedule(door, Identities(secrets), resend_after_s=settings.resend_after_s)
        erasure = Erasure(door, ContactKeys(secrets.contact_folder))
        tasks.start(tick(schedule, settings.tick_s), "tick")
        tasks.start(erase(erasure), "erase")
        tasks.start(watch(Watch(door.reader, door.partitions, schedule.last_tick)), "watch")
        copies = LogCopies(settings, COMMANDS)
        stack.push_async_callback(copies.stop)
        tasks.start(watch_copies(CopiesWatch(copies, door.partitions)), "copies")
        purging = Purging(door)
        tasks.start(purge(purging), "purge")
        rooms = WaitingRooms(door, Identities(secrets), WaitingSeeds(secrets.ticket_key))
        tasks.start(let_in(rooms), "waiting-rooms")
        health.add("waiting rooms", lambda: rooms.wrong)
        health.add("clock", lambda: schedule.wrong)
        health.add("erasure", lambda: erasure.wrong)
        health.add("purging", lambda: purging.wrong)
        health.started()
        settle_memory()
        await stop.wait()


def run(settings: ClockSettings) -> None:
    """The command `maskline clock`."""
    run_process(lambda stop: main(settings, stop))
