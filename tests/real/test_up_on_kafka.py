"""`maskline up` on three brokers of Apache Kafka: topics with three copies, allocators in a group, Kafka's own time."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.running import RunningKafka
from services.audit.main import main as verify
from services.audit.verify import VerifySettings
from services.stream.client import start_admin
from services.stream.partition_reader import PartitionReader
from services.stream.place import Offset, PartitionId
from services.stream.topics import COMMANDS, check_topics
from tests.integration.cli_system import Up, maskline, rush, small_campaign, up
from tests.real.stores import Kafka, empty

pytestmark = pytest.mark.real
RESIDENTS = 300
NEAR_S = 120


@pytest.fixture(scope="module")
def system(
    tmp_path_factory: pytest.TempPathFactory, three_brokers: RunningKafka, valkey: str
) -> Iterator[tuple[Up, Path]]:
    """Two front doors, two allocators that share the partitions by their group, a campaign on which people rushed."""
    asyncio.run(empty(three_brokers.addresses, valkey))
    file = small_campaign(tmp_path_factory.mktemp("campaign"))
    where = ("--kafka", three_brokers.addresses, "--redis", valkey, "--replicas", "3")
    with up(tmp_path_factory.mktemp("system") / "data", *where, "--front-doors", "2", "--allocators", "2") as running:
        applied = maskline("campaign", "apply", file, "--data", running.data)
        assert applied.code == 0, applied.err
        tally = asyncio.run(rush(running, file, "small", RESIDENTS))
        assert (tally.gone, tally.unknown) == (RESIDENTS, 0), tally
        yield running, file


def settings_of(system: Up) -> VerifySettings:
    return VerifySettings(kafka=system.endpoints["kafka"], redis=system.endpoints["redis"], data=system.data)


async def test_after_a_rush_nothing_differs(system: tuple[Up, Path]) -> None:
    report = await verify(settings_of(system[0]))
    assert report.differences == []
    assert report.records > RESIDENTS / 2  # who came when all was gone was refused without a record


async def test_the_topics_have_three_copies_and_keep_everything(system: tuple[Up, Path]) -> None:
    admin = await start_admin(Kafka(system[0].endpoints["kafka"]))
    try:
        assert await check_topics(admin, replicas=3) == []
        for topic in await admin.describe_topics([COMMANDS, "events"]):
            assert [len(partition["replicas"]) for partition in topic["partitions"]] == [3] * 4
    finally:
        await admin.close()


async def test_records_carry_kafkas_time(system: tuple[Up, Path]) -> None:
    reader = PartitionReader(Kafka(system[0].endpoints["kafka"]), COMMANDS)
    await reader.assign([PartitionId(0)])
    reader.seek(PartitionId(0), Offset(0))
    records = await reader.fetch(PartitionId(0), timeout_ms=5_000)
    await reader.stop()
    assert {record.timestamp_type for record in records} == {1}  # LogAppendTime
    assert abs(records[-1].timestamp / 1000 - time.time()) < NEAR_S


def test_the_doctor_finds_nothing_wrong(system: tuple[Up, Path]) -> None:
    looked = maskline("doctor", "--data", system[0].data)
    assert looked.code == 0, looked.out
