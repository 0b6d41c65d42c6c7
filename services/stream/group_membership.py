"""Being one of several readers of a consumer group: whose turn it is, told to us by Kafka.

Never rely on it for safety: rebalances are eager, there is no "lost" callback, and a paused process hears "revoked"
after others own its partitions. What keeps decisions single is the fold, which refuses what is applied.
"""

from collections.abc import Awaitable, Callable, MutableMapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from services.stream.place import Offset, PartitionId

Callback = Callable[[frozenset[PartitionId]], Awaitable[None]]


class GroupMembership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Holds each partition that is assigned (paused) until its owner has sought the place to start at."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        next_offsets: MutableMapping[PartitionId, Offset],
        on_assigned: Callback,
        on_revoked: Callback,
    ) -> None:
        self._consumer = consumer
        self._next = next_offsets
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._failure: Exception | None = None

    def raise_failure(self) -> None:
        """aiokafka logs and forgets what a callback raises; the reader's next fetch raises it instead."""
        if self._failure is not None:
            raise self._failure

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        hold(self._consumer, assigned)
        await self._tell(self._on_assigned, assigned)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        for tp in revoked:
            self._next.pop(PartitionId(tp.partition), None)
        await self._tell(self._on_revoked, revoked)

    async def _tell(self, callback: Callback, partitions: set[TopicPartition]) -> None:
        try:
            await callback(frozenset(PartitionId(tp.partition) for tp in partitions))
        except Exception as error:
            self._failure = error
            raise


def hold(consumer: AIOKafkaConsumer, partitions: set[TopicPartition]) -> None:
    """Pause partitions that nobody has sought yet; the place is a placeholder, or aiokafka would choose one."""
    for tp in partitions:
        consumer.pause(tp)
        consumer.seek(tp, 0)
