"""Systems of stand-in services for the launcher's tests, in this process or as a program that can be killed."""

import asyncio
import os
import platform
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from infra.launcher.endpoints import Endpoints, read_endpoints
from infra.launcher.launcher import LauncherSettings
from infra.launcher.system import System, UpSettings, running_system
from tests.integration.launcher_program import stand_ins

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("launcher_program.py")
GONE_WITHIN_S = 5.0


@asynccontextmanager
async def system_in(
    data: Path, behaviour: str = "", ready_timeout_s: float = 20.0, stop_timeout_s: float = 5.0, ports_from: int = 0
) -> AsyncIterator[tuple[System, list[str]]]:
    told: list[str] = []
    settings = UpSettings(
        data=data,
        ports_from=ports_from,
        processes=LauncherSettings(ready_timeout_s=ready_timeout_s, stop_timeout_s=stop_timeout_s),
    )
    async with running_system(settings, told.append, specs_of=stand_ins(behaviour)) as system:
        yield system, told


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


def pid_of(endpoints: Endpoints, service: str) -> int:
    return next(each.pid for each in [*endpoints.processes, *endpoints.stores] if each.service == service)


def all_pids(endpoints: Endpoints) -> list[int]:
    return [each.pid for each in [*endpoints.processes, *endpoints.stores]]


def lives(pid: int) -> bool:
    """Whether the process is there and not merely waiting to be buried by its new parent."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@asynccontextmanager
async def started_program(data: Path, *arguments: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A launcher as a process of its own. Whatever it has started and left behind is ended after the test."""
    started: set[int] = set()
    with program(data, *arguments) as launcher:
        watching = asyncio.create_task(note_children(launcher.pid, started))
        try:
            yield launcher
        finally:
            watching.cancel()
            for pid in [launcher.pid, *filter(lives, started)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def program(data: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PROGRAM), str(data), *arguments]
    with output_of(data).open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def output_of(data: Path) -> Path:
    return data.with_suffix(".output")


async def note_children(parent: int, started: set[int]) -> None:
    while True:
        started.update(children_of(parent))
        await asyncio.sleep(0.05)


def children_of(parent: int) -> list[int]:
    """On Linux without any tool: a fresh machine may have no pgrep."""
    with suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    if platform.system() == "Linux":
        return []  # it has ended
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, check=False).stdout
    return [int(pid) for pid in listed.split()]


@asynccontextmanager
async def launcher_program(data: Path, *arguments: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """One that is ready, and the pids of all it started."""
    async with started_program(data, *arguments) as launcher:
        await until(lambda: (data / "endpoints.json").exists() or launcher.poll() is not None, within_s=30.0)
        assert launcher.poll() is None, output_of(data).read_text()
        yield launcher, all_pids(read_endpoints(data))


async def left_after(launcher: subprocess.Popen[bytes], pids: list[int], within_s: float = GONE_WITHIN_S) -> list[int]:
    """The processes that outlive the launcher for longer than they may."""
    await until(lambda: launcher.poll() is not None, within_s=15.0)
    with suppress(TimeoutError):
        await until(lambda: not any(map(lives, pids)), within_s=within_s)
    return [pid for pid in pids if lives(pid)]
