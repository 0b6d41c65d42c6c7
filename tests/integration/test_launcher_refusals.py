"""What the launcher refuses, in words: taken ports and folders, halves of a system, keys for somebody else's log."""

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from msgspec.structs import replace

from infra.launcher.addresses import Addresses
from infra.launcher.data_folder import DataFolderInUse
from infra.launcher.endpoints import read_endpoints
from infra.launcher.ports import HostRefused, PortInUse, PortNotAllowed
from infra.launcher.services import partitions_by_hand, service_command, service_specs
from infra.launcher.system import HalfReal, UpSettings, running_system
from services.platform.private_files import OthersCanRead
from services.platform.secrets import SecretMissing
from services.platform.settings import SecretFiles
from services.state.errors import RedisAddressInvalid, RedisUnreachable
from tests.integration.launcher_program import stand_ins
from tests.integration.launcher_worlds import (
    ROOT,
    system_in,
)

pytestmark = pytest.mark.embedded


@pytest.fixture(autouse=True)
def _house_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def folder_of_all(tmp_path: Path) -> Path:
    """One that other users of the machine can look into."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


async def test_two_systems_on_one_data_folder_are_refused_in_words(data: Path) -> None:
    async with system_in(data):
        with pytest.raises(DataFolderInUse, match=rf"(?s)process {os.getpid()}\) runs with .*--data DIR"):
            async with system_in(data):
                pytest.fail("it started")
        assert read_endpoints(data).launcher == os.getpid()


async def test_a_port_in_use_is_named_with_what_it_was_meant_for(data: Path) -> None:
    with socket.socket() as other:
        port = taken_behind_a_free_one(other)
        with pytest.raises(PortInUse, match=rf"(?s)Port {port} on 127\.0\.0\.1, meant for the counter, .*--ports-from"):
            async with system_in(data, ports_from=port - 1):
                pytest.fail("it started")


def taken_behind_a_free_one(other: socket.socket) -> int:
    """Listens on a port whose neighbour below, which is the front door's, is free."""
    for port in range(20_001 + os.getpid() % 10_000, 40_000):
        with suppress(OSError), socket.socket() as neighbour:
            neighbour.bind(("127.0.0.1", port - 1))
            other.bind(("127.0.0.1", port))
            other.listen(1)
            return port
    pytest.fail("no two ports side by side are free")


@pytest.mark.parametrize(("host", "ports_from", "told"), [
    ("127.0.0.1", 65_533, r"(?s)Port 65536 on .* ports end at 65535.*--ports-from"),
    ("192.0.2.1", 0, r"Nothing can listen on 192\.0\.2\.1: .*--host"),
    ("192.0.2.1", 20_000, r"Nothing can listen on 192\.0\.2\.1: .*--host"),
])  # fmt: skip
async def test_what_nobody_can_listen_on_is_refused_in_words(data: Path, host: str, ports_from: int, told: str) -> None:
    with pytest.raises((PortNotAllowed, HostRefused), match=told):
        async with running_system(UpSettings(data=data, host=host, ports_from=ports_from), tell=print):
            pytest.fail("it started")


async def test_ports_from_puts_the_three_services_side_by_side_and_admin_ports_after(data: Path) -> None:
    first = 20_000 + os.getpid() % 10_000
    async with system_in(data, ports_from=first) as (system, _):
        endpoints = system.endpoints
        assert [endpoints.front_door, endpoints.counter, endpoints.console] == [
            f"http://127.0.0.1:{first + number}" for number in range(3)
        ]
        assert [each.admin for each in endpoints.processes] == [f"http://127.0.0.1:{first + n}" for n in range(3, 9)]


async def test_a_data_folder_others_can_read_is_refused_with_the_command_that_mends_it(folder_of_all: Path) -> None:
    with pytest.raises(OthersCanRead, match=rf"chmod 700 {folder_of_all}"):
        async with system_in(folder_of_all):
            pytest.fail("it started")


async def test_kafka_without_redis_is_refused_in_words(data: Path) -> None:
    with pytest.raises(HalfReal, match="go together"):
        async with running_system(UpSettings(data=data, kafka="127.0.0.1:9092", ports_from=0), tell=print):
            pytest.fail("it started")


async def test_a_redis_that_is_not_there_is_told_before_anything_is_written(data: Path) -> None:
    settings = UpSettings(
        data=data, kafka="127.0.0.1:1", redis="redis://:hidden@127.0.0.1:1/0", ports_from=0, start_timeout_s=0.3
    )
    with pytest.raises(RedisUnreachable, match=r"Redis at redis://:\*\*\*@127.0.0.1:1/0 did not .*--redis URL"):
        async with running_system(settings, tell=print):
            pytest.fail("it started")


async def test_what_is_no_address_of_a_redis_is_refused_without_repeating_it(data: Path) -> None:
    settings = UpSettings(data=data, kafka="127.0.0.1:1", redis="//:hidden@127.0.0.1:1", ports_from=0)
    with pytest.raises(RedisAddressInvalid, match="redis://HOST:PORT/0") as caught:
        async with running_system(settings, tell=print):
            pytest.fail("it started")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("name", ["admin-token", "secrets/pepper"])
async def test_a_private_file_others_can_read_is_refused_with_the_command_that_mends_it(data: Path, name: str) -> None:
    async with system_in(data):
        (data / name).chmod(0o644)
    with pytest.raises(OthersCanRead, match=rf"chmod 600 {data / name}"):
        async with system_in(data):
            pytest.fail("it started")


async def test_real_addresses_are_used_as_given_and_nothing_embedded_is_started(data: Path, tmp_path: Path) -> None:
    async with system_in(tmp_path / "the real one") as (real, _):
        settings = UpSettings(
            data=data, kafka=real.endpoints.kafka, redis=real.endpoints.redis, ports_from=0, replicas=1
        )
        copytree(tmp_path / "the real one", data, ignore=ignore_patterns("lock", "endpoints.json", "embedded"))
        async with running_system(settings, tell=lambda _: None, specs_of=stand_ins()) as system:
            assert system.endpoints.tier == "real"
            assert system.endpoints.stores == []
            assert system.endpoints.kafka == real.endpoints.kafka


async def test_keys_are_never_made_for_a_log_that_is_not_empty(data: Path, tmp_path: Path) -> None:
    async with system_in(tmp_path / "the real one") as (real, _):
        settings = UpSettings(
            data=data, kafka=real.endpoints.kafka, redis=real.endpoints.redis, ports_from=0, replicas=1
        )
        with pytest.raises(SecretMissing):
            async with running_system(settings, tell=lambda _: None, specs_of=stand_ins()):
                pytest.fail("it started")
    assert not (data / "secrets").exists()


def test_the_services_are_started_with_the_addresses_they_need(data: Path) -> None:
    addresses = Addresses(
        host="127.0.0.1",
        kafka="127.0.0.1:9092",
        redis="redis://:hidden@127.0.0.1:6379/0",
        public_ports={"front-door": 8080, "counter": 8081, "console": 8082},
        admin_ports={"front-door-1": 8084, "counter": 8085, "clock": 8088, "allocator-0": 8089},
    )
    command = service_command("front-door-1", addresses, data)
    assert command[:4] == [sys.executable, "-m", "services.cli", "front-door"]
    assert " ".join(command[4:]) == (
        f"--kafka 127.0.0.1:9092 --data {data} --host 127.0.0.1 --admin-port 8084 --port 8080 --reuse-port"
    )
    assert "--port" not in service_command("clock", addresses, data)
    elsewhere = replace(addresses, secret_files=SecretFiles(secrets=Path("kept"), pepper_file=Path("/run/pepper")))
    assert service_command("clock", elsewhere, data)[-4:] == ["--secrets", "kept", "--pepper-file", "/run/pepper"]
    assert "--reuse-port" not in service_command("counter", addresses, data)
    in_group = service_command("allocator-0", replace(addresses, fetch_max_wait_ms=20), data)
    assert in_group[-4:] == ["--partitions", "group", "--fetch-max-wait-ms", "20"]
    # Everybody on a machine can read a command line.
    (spec,) = service_specs(["clock"], addresses, data)
    assert not [part for part in spec.command if "hidden" in part]
    assert spec.env["MASKLINE_REDIS"] == addresses.redis


def test_allocators_of_the_embedded_tier_share_the_partitions_by_hand() -> None:
    assert partitions_by_hand(["counter", "allocator"], 4) == {"allocator": "0,1,2,3"}
    assert partitions_by_hand(["allocator-0", "allocator-1", "clock"], 3) == {"allocator-0": "0,2", "allocator-1": "1"}
    assert partitions_by_hand(["allocator-0", "allocator-1"], 1) == {"allocator-0": "0", "allocator-1": "0"}
