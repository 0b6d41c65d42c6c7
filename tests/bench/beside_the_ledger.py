"""Whether the ledger slows bookings: the same rush while it sleeps, keeps up, and catches up with what it missed.

In turn on one system, so that what else the machine does falls on all three.
"""

import asyncio
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Final

from infra.local.running import running_postgres
from services.sql.database import Database, DatabaseSettings
from services.sql.watermarks import read_watermarks
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import EVENTS
from tests.bench.figure import Figure, figure
from tests.bench.running import Bench, running, running_for_real
from tests.bench.rush import rush
from tests.bench.through_the_door import BOOKINGS, CONNECTIONS, PLENTY, WIDE_SLOTS
from tests.bench.wishes import Wish, wide_campaign, wishes

PAIRS: Final = 5
FIRST: Final = PartitionId(0)
DATABASE_TIMEOUT_S: Final = 5.0
CAUGHT_UP_WITHIN_S: Final = 60.0
LOOK_S: Final = 0.05


def beside_sqlite() -> list[Figure]:
    """On the embedded tier."""
    with running() as bench:
        return asyncio.run(_in_turn(bench, bench.ledger))


def beside_postgresql() -> list[Figure]:
    """On one broker of Apache Kafka, with the database on the same cores. Raises PartMissing."""
    with (
        tempfile.TemporaryDirectory(prefix="maskline-bench-sql-") as folder,
        running_postgres(Path(folder)) as postgres,
        running_for_real(1, env={"MASKLINE_LEDGER": postgres.url}) as bench,
    ):
        return asyncio.run(_in_turn(bench, postgres.url))


async def _in_turn(bench: Bench, ledger: str) -> list[Figure]:
    campaign = wide_campaign("beside-the-ledger", WIDE_SLOTS, PLENTY)
    await bench.apply(campaign)
    sleeping, keeping_up, catching_up = [], [], []
    numbers = iter(range(1, 3 * PAIRS + 4))
    for _ in range(PAIRS + 1):
        await _caught_up(bench, ledger)
        keeping_up.append(await _decided_per_s(bench, wishes(campaign, BOOKINGS, next(numbers))))
        await _caught_up(bench, ledger)
        os.kill(bench.pids["ledger"], signal.SIGSTOP)
        try:
            sleeping.append(await _decided_per_s(bench, wishes(campaign, BOOKINGS, next(numbers))))
        finally:
            os.kill(bench.pids["ledger"], signal.SIGCONT)
        catching_up.append(await _decided_per_s(bench, wishes(campaign, BOOKINGS, next(numbers))))
    against = f"{round(sorted(sleeping)[len(sleeping) // 2])} decided a second while the ledger sleeps, in turn"
    return [
        figure(name, [beside / alone for beside, alone in zip(values, sleeping, strict=True)][1:], "1", against)
        for name, values in (("decided_beside_ledger", keeping_up), ("decided_beside_ledger_catching_up", catching_up))
    ]


async def _decided_per_s(bench: Bench, wanted: list[Wish]) -> float:
    client = bench.client(CONNECTIONS)
    began_s = time.perf_counter()
    heard = await rush(client, wanted, CONNECTIONS)
    await bench.decided()
    took_s = time.perf_counter() - began_s
    client.close()
    return heard.statuses[202] / took_s


async def _caught_up(bench: Bench, ledger: str) -> None:
    """Wait until every event that is published has its row."""
    database = Database(DatabaseSettings(ledger=ledger, ledger_timeout_s=DATABASE_TIMEOUT_S))
    reader = PartitionReader(bench.settings, EVENTS)
    try:
        end = await reader.log_end(FIRST)
        deadline_s = time.monotonic() + CAUGHT_UP_WITHIN_S
        while (await database.call(read_watermarks))[FIRST].next_record < end:
            assert time.monotonic() < deadline_s, "the ledger does not catch up"
            await asyncio.sleep(LOOK_S)
    finally:
        await reader.stop()
        database.close()
