"""How a process begins and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.platform.lifecycle import PARENT_VARIABLE, ProcessFailed, Stop, TaskSet, end_tasks

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys
from services.platform.lifecycle import TaskSet, run, settle_memory
from services.platform.telemetry import configure_logging

async def endless():
    await asyncio.sleep(3600)

async def main(stop):
    async with TaskSet(stop) as tasks:
        tasks.start(endless(), "endless")
        settle_memory()
        print("ready", flush=True)
        await stop.wait()
    print("ended in order", flush=True)

configure_logging("program")
run(main)
"""


def start(program: str = PROGRAM, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_in_order(number: signal.Signals) -> None:
    with start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "ended in order\n"), err
    assert f"signal {number.name}" in err


def test_a_process_ends_when_its_launcher_is_killed() -> None:
    launcher = f"""
import os, subprocess, sys, time
environment = {{**os.environ, {PARENT_VARIABLE!r}: str(os.getpid())}}
child = subprocess.Popen([sys.executable, "-c", {PROGRAM!r}], env=environment)
print(child.pid, flush=True)
time.sleep(60)
"""
    with start(launcher) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert process.stdout.readline() == "ready\n"
        process.kill()
        assert process.stdout.readline() == "ended in order\n"
    assert gone(child)


def test_a_process_whose_launcher_died_before_it_looked_does_not_start() -> None:
    with start(**{PARENT_VARIABLE: "1"}) as process:
        out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")


def gone(pid: int, within_s: float = 5.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


async def test_a_task_that_raises_ends_the_process_with_its_error() -> None:
    async def fails() -> None:
        raise ValueError("11010519491231002X")

    stop = Stop()
    async with TaskSet(stop) as tasks:
        tasks.start(fails(), "fold")
        await asyncio.wait_for(stop.wait(), 1)
    assert isinstance(stop.failure, ProcessFailed)
    assert "fold failed" in str(stop.failure)
    assert "11010519491231002X" not in str(stop.failure)


async def test_a_task_that_ends_by_itself_ends_nothing_else() -> None:
    async def short() -> None: ...

    stop = Stop()
    async with TaskSet(stop) as tasks:
        await tasks.start(short(), "short")
        await asyncio.sleep(0)
    assert not stop.requested


async def test_the_end_of_the_set_cancels_what_still_runs() -> None:
    stop = Stop()
    async with TaskSet(stop) as tasks:
        task = tasks.start(asyncio.sleep(3600), "endless")
    assert task.cancelled()
    assert stop.failure is None


async def test_a_task_that_forgets_a_cancellation_is_cancelled_again() -> None:
    """As `asyncio.wait_for` lets redis-py do before Python 3.12: a task that would then run for ever."""
    forgotten = 0

    async def forgetful() -> None:
        nonlocal forgotten
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                forgotten += 1
                if forgotten > 1:
                    raise

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await end_tasks([task])
    assert task.cancelled()
    assert forgotten == 2


async def test_the_first_failure_is_the_one_that_is_told() -> None:
    stop = Stop()
    stop.fail(ProcessFailed(task="first", why="x"))
    stop.fail(ProcessFailed(task="second", why="y"))
    assert stop.failure is not None
    assert "first" in str(stop.failure)
