"""How many brokers have a partition, and how many of them are in step with its leader."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.stream.client import ANSWER_TIMEOUT_S, KafkaSettings, start_admin
from services.stream.errors import KafkaUnreachable, LogUnavailable
from services.stream.log_producer import reason_of
from services.stream.place import PartitionId


class Copies(NamedTuple):
    """Of one partition."""

    replicas: int
    in_sync: int


class LogCopies:
    """Asks about one topic over a connection of its own, which is made anew after whatever went wrong."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._admin: AIOKafkaAdminClient | None = None

    async def look(self) -> Mapping[PartitionId, Copies]:
        """Of each partition. Raises LogUnavailable. Not for more than one task at a time."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                if self._admin is None:
                    self._admin = await start_admin(self._kafka)
                (found,) = await self._admin.describe_topics([self._topic])
        except (KafkaError, KafkaUnreachable, OSError, TimeoutError) as error:
            await self.stop()
            raise LogUnavailable(why=reason_of(error)) from error
        return {
            PartitionId(each["partition"]): Copies(len(each["replicas"]), len(each["isr"]))
            for each in found["partitions"]
        }

    async def stop(self) -> None:
        """Disconnect."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()
