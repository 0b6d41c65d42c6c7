"""The two topics, with the settings that make them the truth: created if absent, compared by the doctor.

Never ask a broker about a topic by name before `list_topics` has shown it: Tansu creates a topic that is asked about,
with four partitions and default settings, and Kafka does so by default as well.
"""

import asyncio
import time
from typing import Final

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from services.stream.client import KafkaSettings, start_admin
from services.stream.errors import LogUnavailable, StreamError
from services.stream.log_producer import reason_of

COMMANDS: Final = "commands"
EVENTS: Final = "events"
TOPICS: Final = (COMMANDS, EVENTS)
MAX_MESSAGE_BYTES: Final = 1024 * 1024
KEEPS_TIME: Final = "CreateTime"
GIVES_TIME: Final = "LogAppendTime"
LEADERS_TIMEOUT_S: Final = 15.0
LEADERS_PAUSE_S: Final = 0.05

log = structlog.get_logger(__name__)


class TopicMissing(StreamError):
    """Kafka has no topic '{topic}', or does not show it to this user: `maskline up` creates it; start that first."""


class TopicRefused(StreamError):
    """Kafka did not create the topic '{topic}': {why}."""


class PartitionsDiffer(StreamError):
    """Topic '{topic}' has {found} partitions, but {asked} were asked for.

    The number is fixed when a log is created: regions belong to partitions. Ask for {found}, or start a new log.
    """


def topic_settings(topic: str, replicas: int, *, takes_copies: bool = False) -> dict[str, str]:
    """What Kafka is told about a topic. Its default of seven days would delete the truth.

    One that `takes_copies` keeps the time of each record that is written, until `finish_copy`.
    """
    settings = {
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }
    if topic == COMMANDS:
        # The broker's time decides, not a front door's.
        settings["message.timestamp.type"] = KEEPS_TIME if takes_copies else GIVES_TIME
    if replicas > 1:
        settings["min.insync.replicas"] = str(replicas // 2 + 1)
    return settings


async def ensure_topics(
    admin: AIOKafkaAdminClient, partitions: int, replicas: int, *, takes_copies: bool = False
) -> None:
    """Create what is absent and wait for leaders. Raises PartitionsDiffer, TopicRefused, LogUnavailable."""
    deadline_s = time.monotonic() + LEADERS_TIMEOUT_S
    while True:
        try:
            return await _ensure(admin, partitions, replicas, takes_copies=takes_copies)
        except KafkaError as error:  # a question goes to any broker, also to one that has just died
            if time.monotonic() > deadline_s:
                raise LogUnavailable(why=reason_of(error)) from error
        await asyncio.sleep(LEADERS_PAUSE_S)


async def _ensure(admin: AIOKafkaAdminClient, partitions: int, replicas: int, *, takes_copies: bool) -> None:
    existing = set(await admin.list_topics())
    for topic in TOPICS:
        if topic not in existing:
            await _create(
                admin, topic, partitions, topic_settings(topic, replicas, takes_copies=takes_copies), replicas
            )
    await _wait_until_known_everywhere(admin)
    for topic in TOPICS:
        found = await partition_count(admin, topic)
        if found != partitions:
            raise PartitionsDiffer(topic=topic, found=found, asked=partitions)


async def count_partitions(settings: KafkaSettings) -> int:
    """How many partitions the log has, for who asks nothing else. Raises TopicMissing, KafkaUnreachable."""
    admin = await start_admin(settings)
    try:
        return await partition_count(admin)
    finally:
        await admin.close()


async def partition_count(admin: AIOKafkaAdminClient, topic: str = COMMANDS) -> int:
    """How many partitions the log has. Raises TopicMissing; creates nothing."""
    if topic not in await admin.list_topics():
        raise TopicMissing(topic=topic)
    (description,) = await admin.describe_topics([topic])
    return len(description["partitions"])


async def whose_time(admin: AIOKafkaAdminClient) -> str | None:
    """Whether the log's records have the time of whoever writes (KEEPS_TIME) or Kafka's (GIVES_TIME).

    None where there is no log, or its broker does not say: the embedded one keeps times always.
    """
    if COMMANDS not in await admin.list_topics():
        return None
    return (await _settings_of(admin, COMMANDS)).get("message.timestamp.type")


async def finish_copy(admin: AIOKafkaAdminClient, replicas: int) -> None:
    """From now on a record has the time at which Kafka took it. Raises TopicRefused."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, COMMANDS, configs=topic_settings(COMMANDS, replicas))
    try:
        answers = await admin.alter_configs([wanted])
    except IncompatibleBrokerVersion:  # the embedded broker has one way only
        return
    for answer in answers:
        for code, text, *_ in answer.resources:
            if code:
                raise TopicRefused(topic=COMMANDS, why=text or for_code(code).__name__)


async def check_topics(admin: AIOKafkaAdminClient, replicas: int) -> list[str]:
    """For the doctor: what differs from how the topics must be, in words; nothing where all is well."""
    differences = []
    existing = set(await admin.list_topics())
    for topic in TOPICS:
        if topic not in existing:
            differences.append(f"there is no topic '{topic}'; `maskline up` creates it")
            continue
        found = await _settings_of(admin, topic)
        differences += [
            f"topic '{topic}': {name} is {found.get(name, 'not set')}, must be {wanted}"
            for name, wanted in topic_settings(topic, replicas).items()
            if found.get(name) != wanted
        ]
    if existing.issuperset(TOPICS):
        counts = [await partition_count(admin, topic) for topic in TOPICS]
        if counts[0] != counts[1]:
            differences.append(f"'{COMMANDS}' has {counts[0]} partitions and '{EVENTS}' {counts[1]}; must be the same")
    return differences


async def _create(
    admin: AIOKafkaAdminClient, topic: str, partitions: int, settings: dict[str, str], replicas: int
) -> None:
    answer = await admin.create_topics([NewTopic(topic, partitions, replicas, topic_configs=settings)])
    for _, code, *text in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another process may be creating it as well
            raise TopicRefused(topic=topic, why=(text and text[0]) or error.__name__)
        log.info("topic created", action="topic_created", topic=topic, partitions=partitions, replicas=replicas)


async def _wait_until_known_everywhere(admin: AIOKafkaAdminClient) -> None:
    """Kafka answers a creation before every broker knows of it, and clients ask any of them."""
    deadline_s = time.monotonic() + LEADERS_TIMEOUT_S
    while True:
        if set(await admin.list_topics()).issuperset(TOPICS) and await _have_leaders_everywhere(admin):
            return
        if time.monotonic() > deadline_s:
            raise LogUnavailable(why=f"no leader for every partition within {LEADERS_TIMEOUT_S:g} s")
        await asyncio.sleep(LEADERS_PAUSE_S)


async def _have_leaders_everywhere(admin: AIOKafkaAdminClient) -> bool:
    client = admin._client  # the admin's own questions go to any one broker
    await client.force_metadata_update()
    asked = {broker.nodeId for broker in client.cluster.brokers()}
    for broker in asked:
        answer = (await client.send(broker, MetadataRequest(list(TOPICS)))).to_object()
        leaders = [[partition["leader"] for partition in topic["partitions"]] for topic in answer["topics"]]
        knows = {each["node_id"] for each in answer["brokers"]}
        if knows != asked or not all(of_topic and set(of_topic) <= knows for of_topic in leaders):
            return False
    return True


async def _settings_of(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]}
