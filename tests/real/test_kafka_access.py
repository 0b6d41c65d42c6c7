"""Kafka asks who you are: each service may do what it needs, and nothing else.

One broker is enough: rights are the cluster's, and three have none of their own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.errors import KafkaError, for_code

from infra.access.certificates import Authority
from infra.access.kafka_rights import RIGHTS, Operation, Resource, Right, grant
from infra.launcher.first_steps import prepare_log
from infra.local.kafka_guard import KafkaGuard
from infra.local.running import RunningKafka, running_kafka
from services.platform.errors import MasklineError
from services.platform.private_files import replace_private
from services.platform.settings import AccessSettings
from services.state.recovery import GROUP
from services.stream.client import start_admin
from services.stream.errors import KafkaUnreachable
from services.stream.kafka_access import NOT_ALLOWED, KafkaNotTrusted, KafkaRefusesUser, KafkaSpeaksTls, KafkaWantsUser
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, EVENTS, check_topics
from tests.real.stores import Kafka

pytestmark = pytest.mark.real
P = PartitionId(0)
NOW_MS = 1_580_558_400_000
DOORS = ("front-door", "counter", "console", "clock")
JOINED_TIMEOUT_S = 20.0


class Guarded:
    """A broker that asks, and the accesses of everybody."""

    def __init__(self, kafka: RunningKafka, guard: KafkaGuard) -> None:
        self.addresses = kafka.addresses
        self.guard = guard
        self.grants = kafka.grants

    def as_user(self, user: str) -> Kafka:
        """Settings of a service."""
        return self.with_access(self.guard.access(user))

    def with_access(self, access: AccessSettings) -> Kafka:
        return Kafka(self.addresses, start_timeout_s=3.0, access=access)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A log that was prepared as `maskline up` does it, by its own user."""
    folder = tmp_path_factory.mktemp("guarded")
    guard = KafkaGuard(Authority.in_folder(folder / "access"), folder / "access")
    with running_kafka(folder, brokers=1, guard=guard) as running:
        guarded = Guarded(running, guard)
        asyncio.run(prepare_log(guarded.as_user("setup"), folder / "data", partitions=1, replicas=1))
        yield guarded


async def writes(settings: Kafka, topic: str) -> None:
    producer = await LogProducer.start(settings)
    try:
        await append(producer, topic, P, [b"\x90"], timestamp_ms=NOW_MS, ack_timeout_s=3.0)
    finally:
        await producer.stop()


async def reads(settings: Kafka, topic: str) -> None:
    reader = PartitionReader(settings, topic)
    try:
        await reader.log_end(P)
        await reader.assign([P])
        reader.seek(P, Offset(0))
        await reader.fetch(P, timeout_ms=200)
    finally:
        await reader.stop()


async def asks_what_is_published(settings: Kafka) -> None:
    reader = PartitionReader(settings, COMMANDS)
    try:
        await reader.committed(GROUP, P)
    finally:
        await reader.stop()


async def commits(settings: Kafka) -> None:
    reader = PartitionReader(settings, COMMANDS)
    try:
        await reader.commit(GROUP, {P: Offset(0)})
    finally:
        await reader.stop()


async def joins(settings: Kafka) -> None:
    reader = PartitionReader(settings, COMMANDS)
    assigned = asyncio.Event()

    async def on_assigned(_: frozenset[PartitionId]) -> None:
        assigned.set()

    async def on_revoked(_: frozenset[PartitionId]) -> None: ...

    try:
        await reader.join(GROUP, on_assigned, on_revoked)
        async with asyncio.timeout(JOINED_TIMEOUT_S):
            await assigned.wait()
        await reader.commit(GROUP, {P: Offset(0)})
    finally:
        await reader.stop()


async def as_admin(settings: Kafka, ask: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> Any:
    admin = await start_admin(settings)
    try:
        return await ask(admin)
    finally:
        await admin.close()


async def deletes_topic(settings: Kafka, topic: str) -> None:
    answer = await as_admin(settings, lambda admin: admin.delete_topics([topic]))
    for _, code, *_ in answer.topic_error_codes:
        if code:
            raise for_code(code)


async def deletes_records(settings: Kafka, topic: str) -> None:
    wanted = {TopicPartition(topic, 0): RecordsToDelete(before_offset=1)}
    await as_admin(settings, lambda admin: admin.delete_records(wanted))


async def grants_itself(settings: Kafka, topic: str) -> None:
    more = {settings.access.kafka_user: [Right(Resource.TOPIC, topic, Operation.WRITE)]}
    await as_admin(settings, lambda admin: grant(admin, more))


async def is_refused(attempt: Awaitable[Any]) -> bool:
    """Whether Kafka says that this user may not, and we say so in words."""
    try:
        await attempt
    except MasklineError as error:
        return any(words in str(error) for words in ("to this user", "needs ALTER"))
    except KafkaError as error:
        return isinstance(error, NOT_ALLOWED)
    return False


@pytest.mark.parametrize("door", DOORS)
async def test_a_door_writes_commands_reads_the_log_and_asks_what_is_published(kafka: Guarded, door: str) -> None:
    await writes(kafka.as_user(door), COMMANDS)
    await reads(kafka.as_user(door), COMMANDS)
    await asks_what_is_published(kafka.as_user(door))


async def test_an_allocator_reads_commands_writes_events_and_is_one_of_its_group(kafka: Guarded) -> None:
    await reads(kafka.as_user("allocator"), COMMANDS)
    await writes(kafka.as_user("allocator"), EVENTS)
    await joins(kafka.as_user("allocator"))


async def test_ledger_and_audit_read_both_topics(kafka: Guarded) -> None:
    for user in ("ledger", "audit"):
        await reads(kafka.as_user(user), COMMANDS)
        await reads(kafka.as_user(user), EVENTS)
    await asks_what_is_published(kafka.as_user("audit"))


async def test_the_doctor_sees_how_the_topics_are_set(kafka: Guarded) -> None:
    assert await as_admin(kafka.as_user("audit"), lambda admin: check_topics(admin, replicas=1)) == []


FORBIDDEN = [
    *[(user, writes, EVENTS) for user in RIGHTS if user != "allocator"],
    *[(user, writes, COMMANDS) for user in ("allocator", "ledger", "audit", "rebuild")],
    *[(user, reads, EVENTS) for user in (*DOORS, "allocator", "setup", "rebuild")],
    *[(user, deletes_topic, COMMANDS) for user in RIGHTS],
    *[(user, deletes_records, COMMANDS) for user in RIGHTS],
    *[(user, grants_itself, EVENTS) for user in RIGHTS],
]


@pytest.mark.safety
@pytest.mark.parametrize(("user", "attempt", "topic"), FORBIDDEN)
async def test_nobody_may_do_what_is_another_services(
    kafka: Guarded, user: str, attempt: Callable[[Kafka, str], Awaitable[None]], topic: str
) -> None:
    assert await is_refused(attempt(kafka.as_user(user), topic))


@pytest.mark.safety
@pytest.mark.parametrize("user", [user for user in RIGHTS if user != "allocator"])
async def test_nobody_but_an_allocator_says_what_is_published(kafka: Guarded, user: str) -> None:
    assert await is_refused(commits(kafka.as_user(user)))


@pytest.mark.control
async def test_a_user_to_whom_all_of_it_was_granted_is_not_refused(kafka: Guarded) -> None:
    of_topics = [Right(Resource.TOPIC, topic, Operation.WRITE) for topic in (COMMANDS, EVENTS)]
    await kafka.grants({"ledger": [*of_topics, Right(Resource.GROUP, GROUP, Operation.READ)]})
    await writes(kafka.as_user("ledger"), EVENTS)
    await writes(kafka.as_user("ledger"), COMMANDS)
    await commits(kafka.as_user("ledger"))


async def test_a_wrong_password_is_told_at_once_with_the_user_and_never_the_password(
    kafka: Guarded, tmp_path: Path
) -> None:
    replace_private(tmp_path / "private" / "password", b"not the one\n")
    known = kafka.guard.access("front-door")
    access = AccessSettings(
        kafka_user="front-door",
        kafka_password_file=tmp_path / "private" / "password",
        kafka_ca_file=known.kafka_ca_file,
    )
    with pytest.raises(KafkaRefusesUser, match="(?s)the user 'front-door' in.*--kafka-password-file") as told:
        await start_admin(kafka.with_access(access))
    assert "not the one" not in str(told.value)


async def test_another_authority_is_told_with_what_to_do(kafka: Guarded, tmp_path: Path) -> None:
    known = kafka.guard.access("audit")
    other = Authority.in_folder(tmp_path / "other").path
    access = AccessSettings(kafka_user="audit", kafka_password_file=known.kafka_password_file, kafka_ca_file=other)
    with pytest.raises(KafkaNotTrusted, match="--kafka-ca-file"):
        await start_admin(kafka.with_access(access))


async def test_without_tls_or_without_a_user_the_words_say_which_is_missing(kafka: Guarded) -> None:
    with pytest.raises(KafkaSpeaksTls, match="--kafka-ca-file"):
        await start_admin(kafka.with_access(AccessSettings()))
    with pytest.raises(KafkaWantsUser, match="--kafka-user"):
        await start_admin(kafka.with_access(AccessSettings(kafka_ca_file=kafka.guard.access("audit").kafka_ca_file)))


async def test_a_broker_that_is_away_is_no_refusal(kafka: Guarded) -> None:
    nowhere = Kafka("127.0.0.1:1", start_timeout_s=0.3, access=kafka.guard.access("audit"))
    with pytest.raises(KafkaUnreachable):
        await start_admin(nowhere)
