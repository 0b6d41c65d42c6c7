"""A Kafka and a Redis Cluster that several tests share: each begins with an empty log and without a key."""

import asyncio
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from msgspec import Struct

from infra.local.running import RunningKafka
from services.platform.settings import AccessSettings
from services.state.keys import head_key
from services.state.redis_cluster import RedisCluster
from services.state.store import open_store
from services.stream.client import start_admin
from services.stream.topics import COMMANDS, TOPICS
from tests.contract.worlds import emptied, everybody

GONE_TIMEOUT_S: Final = 20.0
LOOK_S: Final = 0.02
REDIS_TIMEOUT_S: Final = 5.0


class Kafka(Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    kafka_request_timeout_s: float = 2.0
    start_timeout_s: float = 20.0
    access: AccessSettings = AccessSettings()


async def empty(kafka: str, redis: str) -> None:
    """No topic, no key, no library; addresses as `maskline up` takes them."""
    await cleared(kafka)
    await empty_redis(redis)


async def cleared(addresses: str) -> None:
    """Delete our topics, where nobody is asked who they are."""
    admin = await start_admin(Kafka(addresses))
    try:
        await delete_topics(admin)
    finally:
        await admin.close()


async def delete_topics(admin: AIOKafkaAdminClient) -> None:
    """All of ours; with them go the offsets that were committed for them."""
    async with asyncio.timeout(GONE_TIMEOUT_S):
        while present := await _present(admin):
            await admin.delete_topics(present)
            await asyncio.sleep(LOOK_S)


async def _present(admin: AIOKafkaAdminClient) -> list[str]:
    return [topic for topic in await admin.list_topics() if topic in TOPICS]


async def empty_redis(redis: str) -> None:
    """No key, no library, in whatever node."""
    store = open_store(redis, timeout_s=REDIS_TIMEOUT_S)
    try:
        await emptied(store)
    finally:
        await store.aclose()


async def everything_in(redis: str) -> dict[bytes, bytes]:
    """Every key with its value, in whatever node."""
    store, found = open_store(redis, timeout_s=REDIS_TIMEOUT_S), dict[bytes, bytes]()
    try:
        for client in await everybody(store):
            keys: Any = [name async for name in client.scan_iter(count=1_000)]
            asked = client.pipeline(transaction=False)
            for name in keys:
                asked.get(name)
            values: Any = await asked.execute()
            found |= {name: value for name, value in zip(keys, values, strict=True) if value is not None}
    finally:
        await store.aclose()
    return found


async def url_of(redis: str, partition: int) -> str:
    """The address of whoever has a partition now, as of one alone."""
    store = open_store(redis, timeout_s=REDIS_TIMEOUT_S)
    try:
        if not isinstance(store, RedisCluster):
            return redis
        await store.nodes()
        return store.url_of(head_key(partition))
    finally:
        await store.aclose()


async def leader_of(kafka: RunningKafka, partition: int) -> str:
    """The broker that leads a partition of the commands."""
    admin = await start_admin(Kafka(kafka.addresses))
    try:
        (topic,) = await admin.describe_topics([COMMANDS])
        (leader,) = [each["leader"] for each in topic["partitions"] if each["partition"] == partition]
        return f"kafka-{leader}"
    finally:
        await admin.close()
