"""Publishes the events of one partition, in order, one Kafka batch in flight, repeated until acknowledged.

Only then does `published` move. What stands in the queue here is folded already: if this process dies, its successor
publishes the same events again from the recorded decisions, under the same ids, and consumers drop the repeats.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import structlog

from services.domain.commands import Command
from services.domain.events import encode, events_of
from services.domain.rows import Facts
from services.platform.telemetry import tells_ways
from services.stream.errors import LogReconnected, LogUnavailable, UnknownOutcome
from services.stream.log_producer import BatchProducer, append
from services.stream.place import PartitionId
from services.stream.rounds import Rounds
from services.stream.topics import EVENTS

MAX_QUEUED_BATCHES: Final = 64
MAX_EVENTS_AT_ONCE: Final = 2_000
RETRY_PAUSE_S: Final = 0.1
MAX_RETRY_PAUSE_S: Final = 2.0

log = structlog.get_logger(__name__)


class Decided(NamedTuple):
    """Consecutive decisions that are folded and wait to be published. Facts are False where they are gone."""

    start: int
    timestamps_ms: list[int]
    commands: list[Command]
    decisions: list[Facts | bool]


class Publisher:
    """One partition's events. `published` is the offset below which all of them are acknowledged."""

    def __init__(
        self,
        producer: BatchProducer,
        partition: PartitionId,
        log_id: str,
        published: int,
        *,
        ack_timeout_s: float,
        now_ms: Callable[[], int],
        rounds: Rounds | None = None,
    ) -> None:
        """`rounds` are those of all publishers of a process."""
        self.published = published
        self._producer = producer
        self._partition = partition
        self._log_id = log_id
        self._ack_timeout_s = ack_timeout_s
        self._now_ms = now_ms
        self._rounds = rounds or Rounds()
        self._queue: asyncio.Queue[Decided] = asyncio.Queue(MAX_QUEUED_BATCHES)

    async def publish(self, decided: Decided) -> None:
        """Queue decisions; waits while the queue is full, so that folding cannot run away from publishing."""
        await self._queue.put(decided)

    async def finish(self) -> None:
        """Until everything that is queued is acknowledged."""
        await self._queue.join()

    async def run(self) -> None:
        """Publish what is queued, for ever. Whoever waits to queue something is let go when this ends."""
        try:
            while True:
                await self._publish_next()
        finally:
            while not self._queue.empty():
                self._queue.get_nowait()

    async def _publish_next(self) -> None:
        first = await self._queue.get()
        await self._rounds.turn()
        values, end = self._events(first)
        taken = 1
        while not self._queue.empty() and len(values) < MAX_EVENTS_AT_ONCE:
            more, end = self._events(self._queue.get_nowait())
            values += more
            taken += 1
        if values:
            await self._until_acknowledged(values)
            if tells_ways():
                log.debug("Published", action="published", partition=self._partition, offset=self.published, to=end - 1)
        self.published = max(self.published, end)
        for _ in range(taken):
            self._queue.task_done()

    def _events(self, decided: Decided) -> tuple[list[bytes], int]:
        """The events of what is not published yet, and the offset behind them."""
        values: list[bytes] = []
        rows: Any = zip(decided.timestamps_ms, decided.commands, decided.decisions, strict=True)
        for offset, (timestamp_ms, command, facts) in enumerate(rows, start=decided.start):
            # A recorded decision that is gone was published by somebody, or it would have been kept.
            if offset < self.published or not facts:
                continue
            values += map(encode, events_of(self._log_id, self._partition, offset, timestamp_ms, command, facts))
        return values, decided.start + len(decided.decisions)

    async def _until_acknowledged(self, values: list[bytes]) -> None:
        pause_s = RETRY_PAUSE_S
        while True:
            try:
                await append(
                    self._producer,
                    EVENTS,
                    self._partition,
                    values,
                    timestamp_ms=self._now_ms(),
                    ack_timeout_s=self._ack_timeout_s,
                )
            except LogReconnected:  # whether it is still the same log is seen at the next start
                raise
            except (LogUnavailable, UnknownOutcome) as error:
                log.warning("Events wait", action="publish_retry", partition=self._partition, why=str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, MAX_RETRY_PAUSE_S)
            else:
                return
