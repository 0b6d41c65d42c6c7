"""What the real tier needs before a broker starts: Java, jars, and a data folder that is the right one."""

import asyncio
import hashlib
from pathlib import Path

import msgspec
import pytest

from infra.local import kafka_jars
from infra.local.java import find_java, major_version
from infra.local.kafka import ClusterRecord, KafkaCluster, KafkaDataRefused, new_cluster_id
from infra.local.kafka_jars import KAFKA_VERSION, JarsDiffer, JarsNotFetched
from infra.local.kafka_settings import BrokerPorts, server_properties
from infra.local.missing import PartMissing

PORTS = [BrokerPorts(9092 + at, 9192 + at) for at in range(3)]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which stands nothing but what a test puts there, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def put(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)


def silent(_: str) -> None:
    """Nobody listens."""


def test_without_java_the_command_that_installs_it_is_named(programs: Path) -> None:
    with pytest.raises(PartMissing, match="Java 17 is missing: there is no `java`.*apt-get install openjdk-17"):
        find_java()


@pytest.mark.parametrize(
    ("told", "why"),
    [('openjdk version "11.0.22" 2024-01-16', "is Java 11, too old"), ("Segmentation fault", "does not tell")],
)
def test_a_java_that_is_too_old_or_broken_counts_as_missing(programs: Path, told: str, why: str) -> None:
    put(programs, "java", f"echo '{told}' >&2")
    with pytest.raises(PartMissing, match=why):
        find_java()


def test_a_java_of_seventeen_or_newer_is_taken(programs: Path) -> None:
    put(programs, "java", "echo 'openjdk version \"21\" 2023-09-19' >&2")
    assert find_java() == programs / "java"


@pytest.mark.parametrize(
    ("told", "version"),
    [('java version "1.8.0_292"', 8), ('openjdk version "17.0.15" 2025-04-15', 17), ("openjdk 17", None)],
)
def test_versions_are_read_as_java_tells_them(told: str, version: int | None) -> None:
    assert major_version(told) == version


async def test_without_maven_the_command_that_installs_it_is_named(programs: Path) -> None:
    with pytest.raises(PartMissing, match="Maven is missing.*apt-get install maven"):
        await kafka_jars.kafka_jars(silent)


async def test_a_maven_that_fails_is_quoted_and_leaves_nothing_behind(programs: Path, tmp_path: Path) -> None:
    put(programs, "mvn", "echo '[ERROR] Unknown host'; exit 1")
    with pytest.raises(JarsNotFetched, match="Unknown host"):
        await kafka_jars.kafka_jars(silent)
    assert list((tmp_path / "cache" / "maskline").iterdir()) == []


async def test_other_jars_than_those_that_were_tested_are_refused_and_not_kept(programs: Path, tmp_path: Path) -> None:
    put(programs, "mvn", 'for last; do :; done; /bin/mkdir "${last#*=}"; echo evil > "${last#*=}/kafka_2.13-4.3.0.jar"')
    with pytest.raises(JarsDiffer, match=r"kafka_2\.13-4\.3\.0\.jar"):
        await kafka_jars.kafka_jars(silent)
    assert list((tmp_path / "cache" / "maskline").iterdir()) == []


async def test_jars_are_fetched_once_and_an_interrupted_copy_is_begun_again(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = tmp_path / "digests"
    digests.write_text(f"{hashlib.sha256(b'jar').hexdigest()}  a.jar\n", "ascii")
    monkeypatch.setattr(kafka_jars, "DIGESTS", digests)
    begin = f'echo run >> {tmp_path}/runs; for last; do :; done; jars="${{last#*=}}"; /bin/mkdir "$jars"'
    put(programs, "mvn", f"{begin}; exec /bin/sleep 30")
    interrupted = asyncio.create_task(kafka_jars.kafka_jars(silent))
    while not (tmp_path / "runs").exists():
        await asyncio.sleep(0.01)
    interrupted.cancel()
    await asyncio.gather(interrupted, return_exceptions=True)
    put(programs, "mvn", f'{begin}; printf jar > "$jars/a.jar"')
    folder = await kafka_jars.kafka_jars(silent)
    assert [path.name for path in folder.iterdir()] == ["a.jar"]
    assert await kafka_jars.kafka_jars(silent) == folder
    assert (tmp_path / "runs").read_text().count("run") == 2


def test_the_digests_are_those_of_the_version_in_the_pom() -> None:
    assert f"<version>{KAFKA_VERSION}</version>" in kafka_jars.POM.read_text("utf-8")
    names = [line.split()[1] for line in kafka_jars.DIGESTS.read_text("ascii").splitlines()]
    assert f"kafka_2.13-{KAFKA_VERSION}.jar" in names
    assert names == sorted(set(names), key=names.index)


def test_every_setting_of_a_broker_has_its_reason_above_it() -> None:
    lines = server_properties(1, PORTS, Path("/data")).splitlines()
    assert all(why.startswith("# ") and len(why) > 5 for why in lines[::2])
    assert all("=" in setting and not setting.startswith("#") for setting in lines[1::2])


def test_three_brokers_promise_two_copies_and_one_alone_promises_itself() -> None:
    three, one = server_properties(0, PORTS, Path("/data")), server_properties(0, PORTS[:1], Path("/data"))
    for setting in ("min.insync.replicas=2", "default.replication.factor=3", "offsets.topic.replication.factor=3"):
        assert f"\n{setting}\n" in three
    for setting in ("min.insync.replicas=1", "default.replication.factor=1", "offsets.topic.replication.factor=1"):
        assert f"\n{setting}\n" in one
    assert "listeners=BROKER://127.0.0.1:9092,CONTROLLER://127.0.0.1:9192\n" in three


def cluster(folder: Path, brokers: int = 3) -> KafkaCluster:
    return KafkaCluster(folder, PORTS[:brokers])


def test_a_new_folder_gets_a_cluster_id_that_stays(tmp_path: Path) -> None:
    made = cluster(tmp_path / "kafka").claim()
    assert cluster(tmp_path / "kafka").claim() == made
    assert made.kafka == KAFKA_VERSION


def test_cluster_ids_are_never_taken_for_an_option() -> None:
    made = {new_cluster_id() for _ in range(500)}
    assert len(made) == 500
    assert {len(each) for each in made} == {22}
    assert not [each for each in made if each.startswith("-")]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"kafka": "4.2.0"}, r"made by Kafka 4\.2\.0, and this is 4\.3"),
        ({"brokers": 1}, "has 1 brokers, and 3 are to be started"),
    ],
)
def test_data_of_another_version_or_size_is_refused_by_name(
    tmp_path: Path, changed: dict[str, object], why: str
) -> None:
    record = {"kafka": KAFKA_VERSION, "cluster_id": "x" * 22, "brokers": 3} | changed
    (tmp_path / "cluster.json").write_bytes(msgspec.json.encode(record))
    with pytest.raises(KafkaDataRefused, match=f"(?s){why}.*WIPE=1"):
        cluster(tmp_path).claim()


def test_data_of_another_cluster_is_refused_by_name(tmp_path: Path) -> None:
    meta = tmp_path / "broker-2" / "data" / "meta.properties"
    meta.parent.mkdir(parents=True)
    meta.write_text("#\nnode.id=2\nversion=1\ncluster.id=theirs\n", "ascii")
    with pytest.raises(KafkaDataRefused, match=r"cluster\.json is missing, and there is data"):
        cluster(tmp_path).claim()
    ours = ClusterRecord(kafka=KAFKA_VERSION, cluster_id="ours", brokers=3)
    (tmp_path / "cluster.json").write_bytes(msgspec.json.encode(ours))
    with pytest.raises(KafkaDataRefused, match="is of node 2 of cluster theirs, not node 2 of cluster ours"):
        cluster(tmp_path).claim()
    (tmp_path / "cluster.json").write_bytes(b"{")
    with pytest.raises(KafkaDataRefused, match="cannot be read"):
        cluster(tmp_path).claim()
