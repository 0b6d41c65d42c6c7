"""Where verify is put together, as a command and as a call."""

import asyncio
from collections.abc import Callable

import msgspec

from services.audit.report import Report
from services.audit.rows_reader import RedisRows
from services.audit.verify import Sources, VerifySettings, verify
from services.platform.errors import MasklineError
from services.platform.telemetry import configure_logging
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


def run(settings_of: Callable[[], VerifySettings], tell: Callable[[str], None], *, as_json: bool) -> int:
    """The command `maskline verify`: its exit code. Raises, in words, what kept it from looking."""
    try:
        settings = settings_of()
        configure_logging("verify", settings.log_level if settings.log_level != "info" else "warning")
        report = asyncio.run(main(settings))
    except MasklineError as error:
        if as_json:
            tell(msgspec.json.encode({"verify": "could not look", "why": str(error)}).decode())
        raise
    if as_json:
        tell(msgspec.json.encode(report).decode())
    else:
        for line in report.lines():
            tell(line)
    return report.exit_code
