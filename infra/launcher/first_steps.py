"""What has to be there before the first service starts: topics, secrets, the log's identity, the console's token."""

import secrets
import time
from pathlib import Path
from typing import Final

from services.platform.errors import MasklineError
from services.platform.private_files import create_private, read_private
from services.platform.secrets import NONE_NAMED, SECRETS, Secrets
from services.platform.settings import SecretFiles
from services.stream.client import KafkaSettings, start_admin
from services.stream.genesis import ensure_genesis
from services.stream.log_producer import LogProducer
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, KEEPS_TIME, TopicMissing, ensure_topics, partition_count, whose_time

ADMIN_TOKEN: Final = "admin-token"
DEFAULT_PARTITIONS: Final = 4


class RestoreUnfinished(MasklineError):
    """The log is one that is being brought back: its topic 'commands' keeps the times of what is written, and whatever
    is written now would stand between the records of the copy. Run `maskline restore` again until it says that the log
    is back. Nothing was written.
    """


async def prepare_log(
    kafka: KafkaSettings,
    data: Path,
    *,
    partitions: int | None,
    replicas: int,
    secret_files: SecretFiles = NONE_NAMED,
) -> int:
    """Topics, secrets and genesis records; how many partitions there are. A second time it changes nothing.

    `partitions` None takes what the log has, or DEFAULT_PARTITIONS for a new one. Secrets are made only while the log
    is empty: with others everybody in it would be a new person. Raises what the pieces raise, in words.
    """
    admin = await start_admin(kafka)
    try:
        if partitions is None:
            try:
                partitions = await partition_count(admin)
            except TopicMissing:
                partitions = DEFAULT_PARTITIONS
        if await whose_time(admin) == KEEPS_TIME:
            raise RestoreUnfinished
        await ensure_topics(admin, partitions, replicas)
    finally:
        await admin.close()
    numbers = [PartitionId(number) for number in range(partitions)]
    reader = PartitionReader(kafka, COMMANDS)
    producer = await LogProducer.start(kafka)
    try:
        is_new = not any([await reader.log_end(number) for number in numbers])
        keys = (Secrets.create if is_new else Secrets.load)(data / SECRETS, secret_files)
        await ensure_genesis(producer, reader, numbers, keys.key_check(), int(time.time() * 1000))
    finally:
        await producer.stop()
        await reader.stop()
    return partitions


def ensure_admin_token(data: Path) -> None:
    """A bearer token for the console, made on the first start and kept. Raises OthersCanRead."""
    path = data / ADMIN_TOKEN
    if not path.exists():
        create_private(path, secrets.token_urlsafe(32).encode() + b"\n")
    read_private(path)
