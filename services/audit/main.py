"""Where verify is put together."""

from collections.abc import Callable

from services.audit.report import Report
from services.audit.rows_reader import RedisRows
from services.audit.verify import Sources, VerifySettings, verify
from services.state.redis_client import connect
from services.stream.client import start_admin
from services.stream.partition_reader import PartitionReader
from services.stream.topics import COMMANDS, EVENTS, partition_count


async def main(settings: VerifySettings, on_partition: Callable[[int, Report], None] | None = None) -> Report:
    """The report on the whole system. Raises CouldNotLookError, KafkaUnreachable, TopicMissing, LogUnavailable."""
    admin = await start_admin(settings)
    try:
        partitions = await partition_count(admin)
    finally:
        await admin.close()
    commands, events = PartitionReader(settings, COMMANDS), PartitionReader(settings, EVENTS)
    redis = connect(settings.redis, timeout_s=settings.redis_timeout_s)
    try:
        return await verify(Sources(commands, events, RedisRows(redis), partitions), settings, on_partition)
    finally:
        await commands.stop()
        await events.stop()
        await redis.aclose()
