"""A cluster that several tests share: each begins with an empty log."""

import asyncio
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from msgspec import Struct

from services.platform.settings import AccessSettings
from services.stream.client import start_admin
from services.stream.topics import TOPICS

GONE_TIMEOUT_S: Final = 20.0
LOOK_S: Final = 0.02


class Kafka(Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    kafka_request_timeout_s: float = 4.0
    start_timeout_s: float = 20.0
    access: AccessSettings = AccessSettings()


async def cleared(addresses: str) -> None:
    """Delete our topics; with them go the offsets that were committed for them."""
    admin = await start_admin(Kafka(addresses))
    try:
        async with asyncio.timeout(GONE_TIMEOUT_S):
            while present := await _present(admin):
                await admin.delete_topics(present)
                await asyncio.sleep(LOOK_S)
    finally:
        await admin.close()


async def _present(admin: AIOKafkaAdminClient) -> list[str]:
    return [topic for topic in await admin.list_topics() if topic in TOPICS]
