"""Appending to the log in whole batches: the thin layer over aiokafka that knows what was surely not sent."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from services.stream.client import MAX_BATCH_BYTES, KafkaSettings, start_producer
from services.stream.connections import Connections
from services.stream.errors import LogReconnected, LogUnavailable, RecordTooLarge, UnknownOutcome
from services.stream.kafka_access import not_shown, words_for
from services.stream.place import Offset, PartitionId, Place

STOP_TIMEOUT_S: Final = 5.0
PROBE_TIMEOUT_S: Final = 1.0


class Acknowledged(Protocol):
    """What Kafka answers once all replicas have a batch."""

    @property
    def offset(self) -> Offset:
        """Of the batch's first record."""


class AcknowledgedAnew(KafkaConnectionError):  # type: ignore[misc]  # aiokafka ships no types
    """A batch went out over one connection and was acknowledged over another, as having its first record at `offset`.

    Its partition has another leader, or it is another log: who cannot look does not know what became of the batch.
    """

    def __init__(self, offset: Offset) -> None:
        super().__init__("it was acknowledged over a new connection")
        self.offset = offset


class BatchProducer(Protocol):
    """What `GroupCommit`, genesis and the publisher of events stand on; `LogProducer` and the fake have it."""

    async def submit(
        self, topic: str, partition: PartitionId, values: Sequence[bytes], timestamp_ms: int
    ) -> "tuple[int, asyncio.Future[Acknowledged]]":
        """Hand over one batch: how many of `values` fitted, and a future of its acknowledgement.

        Raises LogUnavailable where surely nothing was sent, LogReconnected where that is because the log may have
        become another one. Whatever the future raises leaves the outcome unknown; AcknowledgedAnew tells where to look.
        """

    async def probe(self, topic: str, partition: PartitionId) -> bool:
        """Whether the leader of the partition answers a question now, and with it most of its replicas."""


class LogProducer:
    """One connected producer. Batches of one partition are written in the order of `submit`."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._connections = Connections(producer.client)

    @classmethod
    async def start(cls, settings: KafkaSettings) -> "LogProducer":
        """Connect. Raises KafkaUnreachable."""
        return cls(await start_producer(settings))

    async def stop(self) -> None:
        """Wait (bounded) for what is in flight, then disconnect."""
        try:
            await asyncio.wait_for(self._producer.stop(), STOP_TIMEOUT_S)
        except TimeoutError:
            await self._producer.client.close()

    async def submit(
        self, topic: str, partition: PartitionId, values: Sequence[bytes], timestamp_ms: int
    ) -> "tuple[int, asyncio.Future[Acknowledged]]":
        client = self._producer.client
        where = TopicPartition(topic, partition)
        leader = await self._leader(where)
        if leader in (None, -1):
            client.force_metadata_update()
            raise LogUnavailable(why=not_shown(client, topic) or f"partition {partition} of '{topic}' has no leader")
        if not await client.ready(leader):
            raise LogUnavailable(why=f"the leader of partition {partition} of '{topic}' cannot be connected to")
        if not self._connections.is_same(where):
            self._connections.get_to_know(where)
            raise LogReconnected(topic=topic, partitions=[partition])
        batch = self._producer.create_batch()
        taken = 0
        for value in values:
            if batch.append(timestamp=timestamp_ms, key=None, value=value) is None:
                break
            taken += 1
        batch.close()
        try:
            acknowledgement = await self._producer.send_batch(batch, topic, partition=partition)
        except KafkaError as error:  # it was never queued
            raise LogUnavailable(why=reason_of(error)) from error
        return taken, self._over_the_same_connection(where, acknowledgement)

    async def _leader(self, where: TopicPartition) -> int | None:
        client = self._producer.client
        leader: int | None = client.cluster.leader_for_partition(where)
        if leader is None:  # this producer's first batch for the topic
            await client.add_topic(where.topic)
            leader = client.cluster.leader_for_partition(where)
        if leader is None:  # that was the answer to a question asked before
            await client.force_metadata_update()
            leader = client.cluster.leader_for_partition(where)
        return leader

    def _over_the_same_connection(
        self, where: TopicPartition, acknowledgement: "asyncio.Future[Acknowledged]"
    ) -> "asyncio.Future[Acknowledged]":
        """aiokafka connects again and sends again by itself: what then acknowledges may be another log."""
        checked: asyncio.Future[Acknowledged] = asyncio.get_running_loop().create_future()

        def heard(done: "asyncio.Future[Acknowledged]") -> None:
            if checked.done():
                return
            if done.cancelled():
                checked.cancel()
            elif (error := done.exception()) is not None:
                checked.set_exception(error)
            elif not self._connections.is_same(where):
                checked.set_exception(AcknowledgedAnew(done.result().offset))
            else:
                checked.set_result(done.result())

        acknowledgement.add_done_callback(heard)
        return checked

    async def probe(self, topic: str, partition: PartitionId) -> bool:
        client = self._producer.client
        where = TopicPartition(topic, partition)
        try:
            await client.force_metadata_update()
        except (KafkaError, OSError):
            return False
        leader = client.cluster.leader_for_partition(where)
        if leader in (None, -1):
            return False
        # A leader whose replicas are gone answers, takes a batch, and never acknowledges it.
        replicas = {leader, *client.cluster._partitions[topic][partition].replicas}
        answered = await asyncio.gather(*[self._answers(replica) for replica in replicas])
        return dict(zip(replicas, answered, strict=True))[leader] and sum(answered) > len(replicas) // 2

    async def _answers(self, broker: int) -> bool:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                # Names no topic: a question about one that is gone would create it (Tansu always, Kafka by default).
                await self._producer.client.send(broker, MetadataRequest([]))
            return True
        return False


async def append(
    producer: BatchProducer,
    topic: str,
    partition: PartitionId,
    values: Sequence[bytes],
    *,
    timestamp_ms: int,
    ack_timeout_s: float,
) -> Place:
    """Append `values` in order, in as few batches as they need, one in flight; the place of the first.

    Raises RecordTooLarge and LogUnavailable (nothing was written), UnknownOutcome (some or all may be written).
    """
    for value in values:
        if len(value) > MAX_BATCH_BYTES:
            raise RecordTooLarge(size_bytes=len(value), limit_bytes=MAX_BATCH_BYTES)
    first: Offset | None = None
    done = 0
    while done < len(values):
        try:
            async with asyncio.timeout(ack_timeout_s):
                taken, acknowledgement = await producer.submit(topic, partition, values[done:], timestamp_ms)
        except TimeoutError as error:
            why = f"no connection within {ack_timeout_s:g} s"
            raise LogUnavailable(why=why) if first is None else UnknownOutcome(why=why) from error
        except LogUnavailable as error:
            if first is None:
                raise
            raise UnknownOutcome(why=str(error)) from error
        try:
            offset = (await answer_within(ack_timeout_s, acknowledgement)).offset
        except (KafkaError, TimeoutError) as error:
            raise UnknownOutcome(why=reason_of(error)) from error
        first = offset if first is None else first
        done += taken
    if first is None:
        raise ValueError("nothing to append")
    return Place(partition, first)


async def answer_within(timeout_s: float, acknowledgement: "asyncio.Future[Acknowledged]") -> Acknowledged:
    """The acknowledgement. Raises TimeoutError, and then lets it come when it likes.

    It is not cancelled: aiokafka would log the late failure of a batch that nobody listens to any more.
    """
    try:
        await asyncio.wait([acknowledgement], timeout=timeout_s)
    finally:
        if not acknowledgement.done():
            acknowledgement.add_done_callback(_heard)
    if not acknowledgement.done():
        raise TimeoutError(f"no acknowledgement within {timeout_s:g} s")
    return acknowledgement.result()


def _heard(late: "asyncio.Future[Acknowledged]") -> None:
    if not late.cancelled():
        late.exception()


def reason_of(error: BaseException) -> str:
    """An exception in a few words; some of aiokafka's have no text of their own."""
    return words_for(error) or str(error) or type(error).__name__
