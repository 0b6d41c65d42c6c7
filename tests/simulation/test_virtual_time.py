"""The simulation itself: the same seed is the same schedule, and processes pause and die as real ones do."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from tests.simulation.schedules import Mode, run_schedule
from tests.simulation.virtual_loop import Process, VirtualLoop

ROOT = Path(__file__).resolve().parents[2]
TOLD = "import sys; from tests.simulation.schedules import *; print(*run_schedule(7, is_traced=True).trace, sep='\\n')"


def new_loop() -> VirtualLoop:
    return VirtualLoop(Random(1))


async def count(said: list[str], name: str, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        said.append(f"{name} {asyncio.get_running_loop().time():g}")


def test_a_seed_is_one_schedule_to_the_last_line() -> None:
    for mode in Mode:
        first, second = (run_schedule(7, mode, is_traced=True) for _ in range(2))
        assert first.trace == second.trace
        assert len(first.trace) > 100
        assert run_schedule(7, mode).steps == first.steps


def test_a_seed_is_the_same_schedule_in_another_process_with_other_hashes() -> None:
    here = run_schedule(7, is_traced=True).trace
    other_hashes = {**os.environ, "PYTHONHASHSEED": "5"}
    command = [sys.executable, "-c", TOLD]
    there = subprocess.run(command, cwd=ROOT, env=other_hashes, capture_output=True, check=True)
    assert tuple(there.stdout.decode().splitlines()) == here


def test_time_jumps_and_nobody_sleeps() -> None:
    loop = new_loop()
    said: list[str] = []
    Process(loop, "a").spawn(count(said, "a", 1_000.0), "count")
    loop.run_until_s(3_500.0)
    assert said == ["a 1000", "a 2000", "a 3000"]
    assert loop.now_s == 3_500.0
    loop.clean_up()


def test_a_paused_process_does_nothing_and_then_finds_that_time_has_passed() -> None:
    loop = new_loop()
    said: list[str] = []
    zombie = Process(loop, "zombie")
    zombie.spawn(count(said, "zombie", 1.0), "count")
    loop.run_until_s(1.5)
    zombie.pause()
    loop.run_until_s(9.5)
    assert said == ["zombie 1"]
    zombie.resume()
    loop.run_until_s(10.6)
    assert said == ["zombie 1", "zombie 9.5", "zombie 10.5"]
    loop.clean_up()


def test_a_killed_process_is_gone_without_a_last_word() -> None:
    loop = new_loop()
    said: list[str] = []

    async def with_last_words() -> None:
        try:
            await asyncio.sleep(5)
        finally:
            said.append("last words")

    victim = Process(loop, "victim")
    victim.spawn(with_last_words(), "speak")
    loop.run_until_s(1.0)
    victim.kill()
    loop.run_until_s(10.0)
    assert said == []
    loop.clean_up()


def test_callbacks_of_one_process_never_overtake_each_other_and_processes_do() -> None:
    orders = set()
    for seed in range(20):
        loop = VirtualLoop(Random(seed))
        said: list[str] = []
        for name in "ab":
            process = Process(loop, name)
            for number in range(3):
                process.after(1.0, said.append, f"{name}{number}")
        loop.run_until_s(2.0)
        loop.clean_up()
        for name in "ab":
            assert [word for word in said if word[0] == name] == [f"{name}{number}" for number in range(3)]
        orders.add("".join(said))
    assert len(orders) > 5
