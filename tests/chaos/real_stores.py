"""Stores of the real tier for stories, empty at each beginning, whole again at each end."""

from typing import Final

from infra.local.running import RunningKafka
from services.state.store import open_store
from services.stream.client import start_admin
from services.stream.topics import COMMANDS
from tests.contract.worlds import emptied
from tests.real.topics import Kafka, cleared

REDIS_TIMEOUT_S: Final = 5.0


async def empty(kafka: RunningKafka, redis: str) -> None:
    """No topic, no key."""
    await cleared(kafka.addresses)
    await empty_redis(redis)


async def empty_redis(redis: str) -> None:
    """No key, no library."""
    store = open_store(redis, timeout_s=REDIS_TIMEOUT_S)
    await emptied(store)
    await store.aclose()


async def leader_of(kafka: RunningKafka, partition: int) -> str:
    """The broker that leads a partition of the commands."""
    admin = await start_admin(Kafka(kafka.addresses))
    try:
        (topic,) = await admin.describe_topics([COMMANDS])
        leaders = {each["partition"]: each["leader"] for each in topic["partitions"]}
        return f"kafka-{leaders[partition]}"
    finally:
        await admin.close()
