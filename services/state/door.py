"""What every door stands on: it sends commands to the log and reads the state that the fold makes of them.

Front door, counter, console and clock are doors: none of them changes state but by a command.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from services.domain.commands import Command, Genesis, encode
from services.domain.reasons import DoorReason
from services.domain.rows import Facts
from services.platform.errors import MasklineError
from services.platform.lifecycle import TaskSet
from services.platform.metrics import ACK_SECONDS, BATCH_RECORDS, COMMANDS_OFFERED, IN_FLIGHT
from services.platform.problems import Problem
from services.platform.settings import ProcessSettings
from services.state.catalogue import Catalogue
from services.state.decisions import DecisionWaiter
from services.state.readers import StateReader
from services.state.recovery import GROUP
from services.state.redis_access import redis_address
from services.state.store import Store, be_let_in, open_store
from services.state.waiting_count import WaitingCount
from services.stream.errors import LogUnavailable, Overloaded, RecordTooLarge, StreamError
from services.stream.genesis import AnotherKey, read_genesis
from services.stream.group_commit import GroupCommit, GroupCommitSettings
from services.stream.log_producer import LogProducer
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId, Place
from services.stream.same_log import SameLog
from services.stream.topics import COMMANDS, count_partitions

REFRESH_S: Final = 0.8
"""What an operator turns at a campaign takes effect everywhere within a second."""
FIRST_REFRESH_S: Final = 0.1


class Door:
    """Commands out, state in. `partitions` is the number of partitions of the log."""

    def __init__(
        self, commit: GroupCommit, reader: StateReader, genesis: dict[PartitionId, Genesis], store: Store
    ) -> None:
        self.commit = commit
        self.reader = reader
        self.waiting_count = WaitingCount(store)
        self.genesis = genesis
        self.partitions = len(genesis)
        self.decisions = DecisionWaiter(reader)
        self.catalogue = Catalogue(reader, self.partitions)
        self._is_refreshed = False

    def offer(self, partition: int, command: Command) -> asyncio.Future[Place]:
        """The future of the command's place. Raises Overloaded or LogUnavailable before anything is kept; the future
        ends with LogUnavailable (surely not written) or UnknownOutcome."""
        return self.commit.offer(PartitionId(partition), encode(command))

    async def write(self, partition: int, command: Command) -> Place:
        """The command's place in the log. Raises Problem: `overloaded`, `log_unavailable` and `too_large` say that
        surely nothing was written, `unknown_outcome` that nobody can tell."""
        try:
            place = await self.offer(partition, command)
        except Overloaded as error:
            raise Problem(DoorReason.OVERLOADED) from error
        except LogUnavailable as error:
            raise Problem(DoorReason.LOG_UNAVAILABLE) from error
        except RecordTooLarge as error:
            raise Problem(DoorReason.TOO_LARGE) from error
        except StreamError as error:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from error
        COMMANDS_OFFERED.add(str(command.__struct_config__.tag), partition)
        return place

    async def decided(self, place: Place, timeout_s: float) -> Facts | None:
        """The facts at a place; None when it was not decided in time. Raises DecisionGoneError, CatchingUpError,
        StateUnavailableError."""
        return await self.decisions.decision(place.partition, place.offset, timeout_s)

    def deleted_on(self, partition: int) -> dict[str, Any]:
        """What to say beside that a reservation is not there: the day on which some were deleted last, if ever."""
        day = self.catalogue.last_deletion_day(partition, self.reader.now_ms(partition))
        return {} if day is None else {"deleted_on": day}

    async def refresh_catalogue(self) -> None:
        """Keep the catalogue fresh for ever; a failed refresh keeps what is known and tries again."""
        while True:
            await self.refresh_once()
            await asyncio.sleep(REFRESH_S if self.wrong() is None else FIRST_REFRESH_S)

    async def refresh_once(self) -> bool:
        """Whether the catalogue could be read."""
        try:
            await self.catalogue.refresh()
        except MasklineError:
            return False
        self._is_refreshed = True
        return True

    def wrong(self) -> str | None:
        """What keeps a process from serving: until the catalogue was read once, nobody knows what is on offer."""
        return None if self._is_refreshed else "Redis has not answered yet, or is still being filled"


@asynccontextmanager
async def open_door(
    settings: ProcessSettings,
    tasks: TaskSet,
    *,
    key_check: str,
    commit_settings: GroupCommitSettings | None = None,
) -> AsyncIterator[Door]:
    """A door that is connected, knows its log and its campaigns, and keeps them fresh until it is closed.

    Raises KafkaUnreachable, TopicMissing, GenesisMissing, AnotherKey where the log was made with other secrets, and
    what Kafka and Redis say to those whom they do not let in.
    """
    genesis, published = await _look_at_log(settings, key_check)
    redis = open_store(redis_address(settings), timeout_s=settings.redis_timeout_s)
    try:
        await be_let_in(redis, redis_address(settings))
    except BaseException:
        await redis.aclose()
        raise
    producer = await LogProducer.start(settings)
    looker = PartitionReader(settings, COMMANDS, looks_only=True)
    reader = StateReader(redis, published)
    check_log = SameLog(looker, genesis, reader.head).check
    commit = GroupCommit(producer, COMMANDS, genesis, commit_settings, on_batch=_note_batch, check_log=check_log)
    for partition in genesis:
        IN_FLIGHT.labels(partition).set_function(partial(commit.pending, partition))
    door = Door(commit, reader, genesis, redis)
    tasks.start(commit.run(), "group-commit")
    await door.refresh_once()
    tasks.start(door.refresh_catalogue(), "catalogue")
    try:
        yield door
    finally:
        await commit.stop()
        await producer.stop()
        await looker.stop()
        await redis.aclose()


def _note_batch(_: PartitionId, records: int, seconds: float) -> None:
    ACK_SECONDS.observe(seconds)
    BATCH_RECORDS.observe(records)


async def _look_at_log(
    settings: ProcessSettings, key_check: str
) -> tuple[dict[PartitionId, Genesis], dict[PartitionId, Offset]]:
    """Whose log it is, and below which offset everything is published: Redis has had that, and anybody may know it."""
    numbers = [PartitionId(number) for number in range(await count_partitions(settings))]
    reader = PartitionReader(settings, COMMANDS, looks_only=True)
    try:
        genesis = {partition: await read_genesis(reader, partition) for partition in numbers}
        published = {partition: await reader.committed(GROUP, partition) for partition in numbers}
    finally:
        await reader.stop()
    for partition, record in genesis.items():
        if record.key_check != key_check:
            raise AnotherKey(partition=partition)
    return genesis, published
