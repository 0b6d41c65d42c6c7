"""`maskline ledger rebuild` on a real log: killed in the middle it goes on where it was, and each event has one row."""

import asyncio
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.embedded.stores import running_broker
from infra.launcher.first_steps import prepare_log
from services.domain.commands import Command, Genesis, encode
from services.domain.events import encode as encode_event
from services.domain.events import events_of
from services.domain.fold import apply
from services.domain.rows import State
from services.stream.genesis import read_genesis
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, EVENTS
from tests.bench.all_rules import definition, reservations
from tests.integration.cli_system import ROOT
from tests.integration.front_door_system import Kafka

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(120)]

FIRST = PartitionId(0)
BOOKINGS = 6_000
BATCH = 20
"""So small that there is time to kill it in the middle."""
NOW_MS = 1_580_558_400_000
ENDS_WITHIN_S = 60
NOWHERE = "redis://127.0.0.1:1/0"
"""A ledger never asks Redis."""


@dataclass
class Book:
    """A log with events, and the file of its ledger."""

    kafka: str
    data: Path
    places: list[tuple[int, int]]

    @property
    def file(self) -> Path:
        return self.data / "ledger.sqlite"

    def rebuild(self, *options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "services.cli", "ledger", "rebuild", *options, "--batch-records", str(BATCH)]
        command += ["--kafka", self.kafka, "--redis", NOWHERE, "--data", str(self.data), "--ledger", f"sqlite:///{self.file}"]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def told(self, *options: str) -> str:
        """What it says; it ends with 0."""
        process = self.rebuild(*options)
        said, errors = process.communicate(timeout=ENDS_WITHIN_S)
        assert process.returncode == 0, said + errors
        return said

    def done(self) -> int:
        """Records of the topic that have their rows; 0 where there is nothing to be looked at yet."""
        try:
            with closing(sqlite3.connect(self.file)) as connection:
                return int(connection.execute("SELECT next_record FROM watermarks").fetchone()[0])
        except (sqlite3.OperationalError, TypeError):
            return 0

    def rows(self) -> list[tuple[int, int]]:
        with closing(sqlite3.connect(self.file)) as connection:
            query = "SELECT log_offset, event_index FROM events ORDER BY log_offset, event_index"
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    folder = tmp_path_factory.mktemp("rebuild")
    data = folder / "data"
    data.mkdir(mode=0o700)
    with running_broker(folder) as kafka:
        yield Book(kafka, data, asyncio.run(_write(kafka, data)))


async def _write(kafka: str, data: Path) -> list[tuple[int, int]]:
    """The events of a rush, as an allocator would publish them; their places."""
    settings = Kafka(kafka)
    await prepare_log(settings, data, partitions=1, replicas=1)
    reader = PartitionReader(settings, COMMANDS)
    genesis = await read_genesis(reader, FIRST)
    await reader.stop()
    commands: list[Command] = [Genesis(log=genesis.log, key_check=genesis.key_check, rules=genesis.rules)]
    commands += [*definition(40, 30, BOOKINGS), *reservations(BOOKINGS, 40)]
    state, values, places = State(), [], []
    for offset, command in enumerate(commands):
        digest = zlib.crc32(encode(command))
        facts = apply(state, offset=offset, timestamp_ms=NOW_MS, digest=digest, command=command)
        events = events_of(genesis.log, FIRST, offset, NOW_MS, command, facts)
        values += [encode_event(event) for event in events]
        places += [(offset, index) for index in range(len(events))]
    producer = await LogProducer.start(settings)
    for first in range(0, len(values), 500):
        batch = values[first : first + 500]
        await append(producer, EVENTS, FIRST, batch, timestamp_ms=NOW_MS, ack_timeout_s=10.0)
    await producer.stop()
    return places


def killed_in_the_middle(book: Book) -> int:
    """How far it had come."""
    for file in book.data.glob("ledger.sqlite*"):
        file.unlink()
    process = book.rebuild()
    while book.done() == 0:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.kill()
    process.communicate()
    return book.done()


def test_a_rebuild_that_was_killed_goes_on_where_it_was_and_says_so(book: Book) -> None:
    assert f"The ledger is empty now, and is made of {len(book.places):,} events." in book.told()
    done = killed_in_the_middle(book)
    assert 0 < done < len(book.places)
    assert len(book.rows()) == done
    told = book.told()
    assert f"A rebuild was interrupted: going on at {done:,} of {len(book.places):,} events. --anew" in told
    assert "The ledger has all events of the log." in told
    assert book.rows() == book.places


def test_a_rebuild_that_was_killed_starts_over_where_somebody_says_so(book: Book) -> None:
    killed_in_the_middle(book)
    assert "The ledger is empty now" in book.told("--anew")
    assert book.rows() == book.places
