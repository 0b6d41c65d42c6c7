"""How a process begins and ends: uvloop, signals, supervised tasks, and no life after the launcher's death.

async def main(stop: Stop) -> None:
    async with TaskSet(stop) as tasks:
        tasks.start(loop.run(), "fold")
        settle_memory()
        await stop.wait()

run(main)
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Self

import structlog

from services.platform.errors import MasklineError

PARENT_VARIABLE = "MASKLINE_PARENT_PID"
PARENT_LOOK_S = 0.5
STOP_TIMEOUT_S = 15.0
"""From the wish to stop to the end. A process that needs longer is stuck; what it had acknowledged is in the log."""
TASK_STOP_TIMEOUT_S = 5.0
CANCEL_AGAIN_S = 0.1
OPEN_FILES = 65_536
"""Each connection is one; the usual soft limit of 1,024 would refuse residents long before the CPU is busy."""

_PR_SET_PDEATHSIG = 1
_log = structlog.get_logger()


class ProcessFailed(MasklineError):
    """{task} failed, so the process stopped: {why}. The log lines above say more."""

    exit_code = 1


class Stop:
    """The wish to end, from a signal, a failed task, or the death of the launcher."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.failure: MasklineError | None = None

    def request(self, why: str) -> None:
        """Asks the process to end; asking twice is asking once."""
        if not self._event.is_set():
            _log.info("Stopping", action="stop_requested", why=why)
            self._event.set()

    def fail(self, failure: MasklineError) -> None:
        """Asks the process to end with an error."""
        self.failure = self.failure or failure
        self.request(str(failure))

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()


class TaskSet:
    """Tasks that live as long as the process. One that raises ends the process, with a log line; none fails unseen."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def cancel(self) -> None:
        """Cancels what still runs and waits for it, at most TASK_STOP_TIMEOUT_S."""
        await end_tasks(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("A task failed", action="task_failed", task=task.get_name(), exc_info=error)
        known = error if isinstance(error, MasklineError) else None
        self._stop.fail(known or ProcessFailed(task=task.get_name(), why=type(error).__name__))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cancel()


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks until they have ended, at most TASK_STOP_TIMEOUT_S; one that does not end is logged.

    Once is not always enough: `asyncio.wait_for`, which redis-py writes with, forgets a cancellation that comes in the
    same moment as what it waits for (before Python 3.12).
    """
    running = {task for task in tasks if not task.done()}
    deadline_s = asyncio.get_running_loop().time() + TASK_STOP_TIMEOUT_S
    while running and asyncio.get_running_loop().time() < deadline_s:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
    for task in running:
        _log.error("A task does not end", action="task_stuck", task=task.get_name())


def run(main: Callable[[Stop], Awaitable[None]]) -> None:
    """Runs a process to its end. Raises the MasklineError that ended it, if one did."""
    _die_with_launcher()
    _allow_open_files()
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(_supervised(main))


def settle_memory() -> None:
    """After start: what is there stays, so the collector need not walk it (15–20 % of CPU at 512 connections)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _supervised(main: Callable[[Stop], Awaitable[None]]) -> None:
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.request, f"signal {number.name}")
    watcher = asyncio.ensure_future(_watch_launcher(stop))
    work = asyncio.ensure_future(_completed(main, stop))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=STOP_TIMEOUT_S)
        if not work.done():
            _log.error("The process does not end by itself", action="stop_timed_out", after_s=STOP_TIMEOUT_S)
            work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    finally:
        watcher.cancel()
        stopping.cancel()
    if stop.failure is not None:
        raise stop.failure


async def _completed(main: Callable[[Stop], Awaitable[None]], stop: Stop) -> None:
    await main(stop)


async def _watch_launcher(stop: Stop) -> None:
    """Where the kernel does not tell (PR_SET_PDEATHSIG is Linux), we look."""
    launcher = os.environ.get(PARENT_VARIABLE)
    if launcher is None:
        return
    while os.getppid() == int(launcher):  # nothing announces a parent's death
        await asyncio.sleep(PARENT_LOOK_S)
    stop.request("the launcher is gone")


def _die_with_launcher() -> None:
    launcher = os.environ.get(PARENT_VARIABLE)
    if launcher is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(launcher):  # it died before we asked the kernel to tell us
        raise SystemExit(0)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the loop that a program runs on."""
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: asyncio serves, at two thirds of the speed
        return asyncio.new_event_loop
    return uvloop.new_event_loop
