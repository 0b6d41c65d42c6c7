"""`maskline prepare`: what has to be there before the first service, made once, on an empty Kafka."""

from pathlib import Path

from infra.launcher.first_steps import ADMIN_TOKEN
from infra.local.guards import variables
from services.audit.verify import VerifySettings
from services.stream.genesis import read_genesis
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.integration.cli_system import Ran, maskline
from tests.integration.tiers import Stores, Tier, reached

PARTITIONS = 3


def prepared(stores: Stores, data: Path, partitions: int = PARTITIONS) -> Ran:
    return maskline(
        "prepare", "--kafka", stores.kafka, "--redis", stores.redis, "--data", data,
        "--log-partitions", str(partitions), "--replicas", str(stores.replicas),
        env=variables(stores.access("setup")),
    )  # fmt: skip


async def logs(settings: VerifySettings) -> list[str]:
    """The log's name, as each partition's first record says it."""
    reader = PartitionReader(settings, COMMANDS)
    try:
        return [(await read_genesis(reader, PartitionId(number))).log for number in range(PARTITIONS)]
    finally:
        await reader.stop()


async def test_it_makes_what_is_missing_and_a_second_time_nothing(tier: Tier, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with tier.stores(tmp_path / "stores") as stores:
        settings = VerifySettings(**reached(stores, "audit"), data=data)
        told = prepared(stores, data)
        assert (told.code, "The log has 3 partitions." in told.out) == (0, True), told.err
        before, token = await logs(settings), (data / ADMIN_TOKEN).read_bytes()
        assert token.strip().decode() not in told.out + told.err
        assert (await logs(settings), len(set(before))) == (before, 1)

        assert prepared(stores, data).code == 0
        assert (await logs(settings), (data / ADMIN_TOKEN).read_bytes()) == (before, token)


def test_a_log_does_not_change_its_partitions(tier: Tier, tmp_path: Path) -> None:
    with tier.stores(tmp_path / "stores") as stores:
        assert prepared(stores, tmp_path / "data").code == 0
        told = prepared(stores, tmp_path / "data", partitions=5)
    assert told.code == 2
    assert "3" in told.err
    assert "5" in told.err


def test_other_secrets_than_the_logs_are_refused(tier: Tier, tmp_path: Path) -> None:
    with tier.stores(tmp_path / "stores") as stores:
        assert prepared(stores, tmp_path / "data").code == 0
        told = prepared(stores, tmp_path / "other")
    assert told.code == 2
    assert not (tmp_path / "other" / "secrets").exists()
