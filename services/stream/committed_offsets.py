"""Committed offsets of a group that nobody has joined: readable and writable without the five seconds of a join."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.stream.client import KafkaSettings, start_consumer
from services.stream.errors import CommitRefused, LogUnavailable
from services.stream.group_membership import hold
from services.stream.log_producer import reason_of
from services.stream.place import Offset, PartitionId


class CommittedOffsets:
    """One group's committed offsets in one topic.

    `member` is the consumer of a reader that has joined the group: Kafka then takes commits from members only. Without
    one, a consumer is made that reads nothing.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        group: str,
        timeout_s: float,
        member: AIOKafkaConsumer | None = None,
    ) -> None:
        self._kafka = kafka
        self._topic = topic
        self._group = group
        self._timeout_s = timeout_s
        self._member = member
        self._own: AIOKafkaConsumer | None = None
        self._one_at_a_time = asyncio.Lock()

    async def read(self, partition: PartitionId) -> Offset:
        """0 where there is none. Raises LogUnavailable."""
        try:
            async with self._one_at_a_time, asyncio.timeout(self._timeout_s):
                consumer = await self._consumer()
                return Offset(await consumer.committed(TopicPartition(self._topic, partition)) or 0)
        except (KafkaError, TimeoutError) as error:
            raise LogUnavailable(why=reason_of(error)) from error

    async def write(self, offsets: Mapping[PartitionId, Offset]) -> None:
        """Raises CommitRefused; without the time-out aiokafka would try for ever."""
        wanted = {TopicPartition(self._topic, p): offset for p, offset in offsets.items()}
        try:
            async with self._one_at_a_time, asyncio.timeout(self._timeout_s):
                consumer = await self._consumer()
                if self._member is None and not wanted.keys() <= consumer.assignment():
                    # aiokafka commits only for what is assigned.
                    assigned = consumer.assignment() | wanted.keys()
                    consumer.assign(list(assigned))
                    hold(consumer, assigned)
                await consumer.commit(wanted)
        except (KafkaError, TimeoutError) as error:
            raise CommitRefused(offsets=dict(offsets), group=self._group, why=reason_of(error)) from error

    async def stop(self) -> None:
        """Disconnect; a member is its reader's to stop."""
        if self._own is not None:
            consumer, self._own = self._own, None
            await consumer.stop()

    async def _consumer(self) -> AIOKafkaConsumer:
        if self._member is not None:
            return self._member
        if self._own is None:
            self._own = await start_consumer(
                self._kafka, group=self._group, fetch_max_wait_ms=1_000, max_poll_records=1
            )
        return self._own
