"""The function library alone, for whoever changes it: `python -m tests.bench.fold_alone [--instructions]`.

Prints decisions a second over 9,000 slots and over one, 80 bookings a call, two calls in flight. On a busy machine
that says little: `--instructions` counts, with valgrind, what Valkey executes for one booking, which no neighbour
disturbs (within 1 %; it does not see the memory, which is half of the time over many slots).
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from infra.embedded.commands import LOOPBACK, store_answers, store_command
from infra.embedded.stores import running_stores
from infra.launcher.ports import free_ports
from services.domain.commands import Command, Genesis
from services.state.fold_call import Batch, FoldCall, LogIdentity
from services.state.library import build
from services.state.redis_client import connect, dedicated
from tests.bench.all_rules import definition, reservations
from tests.bench.folding import BATCH

SLOTS: Final = {9_000: 20, 300: 600, 1: 200_000}  # units in each: enough, as a confirmed booking costs most
TIMED: Final = (9_000, 1)
COUNTED_OVER: Final = (300, 1)  # so few that the bookings counted fill their sheets, as 100,000 over 9,000 do
FOLDED, COUNTED, WARM_UP = 100_000, 3_000, 1_000
NOW_MS: Final = 1_580_529_600_000
IN_FLIGHT = 2
TIMEOUT_S = 120.0
IDENTITY = LogIdentity("l" * 16, "k" * 16)


async def fold(url: str, slots: int, count: int, people: int) -> float:
    """Folds a campaign for so many people, and bookings of `count` of them; seconds that the bookings took."""
    genesis: list[Command] = [Genesis(log=IDENTITY.log, key_check=IDENTITY.key_check, rules=1)]
    beginning = genesis + definition(slots, SLOTS[slots], people)
    wishes = reservations(count, slots)
    call = FoldCall(dedicated(url, timeout_s=TIMEOUT_S), build(), 0, IDENTITY)
    await call.load_library()
    position = 0
    while position < len(beginning):
        position = (await call.fold(_batch(position, beginning[position : position + 10]), 0)).position
    began_s = time.perf_counter()
    for at in range(0, count, BATCH):
        await call.send(_batch(position + at, wishes[at : at + BATCH]), 0)
        if call.in_flight == IN_FLIGHT:
            await call.receive()
    while call.in_flight:
        await call.receive()
    took_s = time.perf_counter() - began_s
    await call.drop()
    return took_s


def _batch(start: int, commands: list[Command]) -> Batch:
    return Batch(start, [NOW_MS + start + i for i in range(len(commands))], [1] * len(commands), commands)


async def _fold_in_an_empty_store(url: str, slots: int, count: int, people: int) -> float:
    redis = connect(url, timeout_s=TIMEOUT_S)
    await redis.flushall()
    await redis.aclose()
    return await fold(url, slots, count, people)


@contextmanager
def _counted(folder: Path) -> Iterator[tuple[str, list[int]]]:
    """A Valkey under callgrind; how many instructions it executed is in the list afterwards."""
    (port,) = free_ports(1)
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind.out'}"]
    store = subprocess.Popen(
        [*command, *store_command(port, folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    instructions: list[int] = []
    try:
        while not asyncio.run(store_answers(port)):
            pass
        yield f"redis://{LOOPBACK}:{port}/0", instructions
    finally:
        store.terminate()
        found = re.search(r"Collected : (\d+)", store.communicate(timeout=TIMEOUT_S)[1])
        instructions.append(int(found.group(1)) if found else 0)


def instructions(slots: int, count: int) -> int:
    """What Valkey executes from its start to its end, with `count` bookings in between."""
    with tempfile.TemporaryDirectory() as folder, _counted(Path(folder)) as (url, counted):
        asyncio.run(_fold_in_an_empty_store(url, slots, count, WARM_UP + COUNTED))
    return counted[0]


def main() -> None:
    """One line for each number of slots."""
    counts = "--instructions" in sys.argv
    for slots in COUNTED_OVER if counts else TIMED:
        if counts:
            each = (instructions(slots, WARM_UP + COUNTED) - instructions(slots, WARM_UP)) / COUNTED
            sys.stdout.write(f"{slots} slots: {each:,.0f} instructions a booking\n")
        else:
            with tempfile.TemporaryDirectory() as folder, running_stores(Path(folder)) as stores:
                took_s = asyncio.run(_fold_in_an_empty_store(stores.redis, slots, FOLDED, FOLDED))
            sys.stdout.write(f"{slots} slots: {FOLDED / took_s:,.0f} decisions a second\n")


if __name__ == "__main__":
    main()
