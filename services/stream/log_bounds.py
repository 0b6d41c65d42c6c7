"""Where a partition of the log begins and ends, truly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from services.stream.client import ANSWER_TIMEOUT_S, KafkaSettings, start_consumer
from services.stream.errors import LogUnavailable
from services.stream.kafka_access import not_shown
from services.stream.log_producer import reason_of
from services.stream.place import Offset, PartitionId

FETCH_MAX_WAIT_MS: Final = 20
FETCH_TIMEOUT_MS: Final = 100


class LogBounds:
    """Start and end of a topic's partitions, asked with a consumer of its own: it must not move anybody's reading."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._consumer: AIOKafkaConsumer | None = None
        self._one_at_a_time = asyncio.Lock()

    async def start(self, partition: PartitionId) -> Offset:
        """Offset of the first record. Raises LogUnavailable."""
        tp = TopicPartition(self._topic, partition)
        async with self._asking() as consumer:
            return Offset((await consumer.beginning_offsets([tp]))[tp])

    async def end(self, partition: PartitionId) -> Offset:
        """One past the last record. Raises LogUnavailable."""
        tp = TopicPartition(self._topic, partition)
        async with self._asking() as consumer:
            latest = (await consumer.end_offsets([tp]))[tp]
            if latest == (await consumer.beginning_offsets([tp]))[tp]:
                return Offset(latest)
            # Tansu calls the first offset of the last batch + 1 the latest (5 records in one batch: 1). What both
            # brokers tell truly is the high watermark of a fetch, so the last batch is fetched.
            consumer.assign([tp])
            consumer.seek(tp, latest - 1)
            while not await consumer.getmany(tp, timeout_ms=FETCH_TIMEOUT_MS, max_records=1):
                pass
            consumer.pause(tp)
            return Offset(consumer.highwater(tp))

    async def stop(self) -> None:
        """Disconnect."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.stop()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    if self._consumer is None:
                        self._consumer = await start_consumer(
                            self._kafka, group=None, fetch_max_wait_ms=FETCH_MAX_WAIT_MS, max_poll_records=1
                        )
                    yield self._consumer
            except (TimeoutError, KafkaError) as error:
                why = not_shown(self._consumer._client, self._topic) if self._consumer is not None else None
                raise LogUnavailable(why=why or reason_of(error)) from error
