"""The launcher with stand-in services and the real broker and store: ready, kept alive, told of, and never orphaned."""

import asyncio
import os
import platform
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from infra.embedded.commands import broker_answers, store_answers
from infra.launcher.addresses import Addresses
from infra.launcher.data_folder import DataFolderInUse
from infra.launcher.endpoints import Endpoints, NotRunning, read_endpoints
from infra.launcher.launcher import LauncherSettings
from infra.launcher.ports import PortInUse
from infra.launcher.process import ProcessDidNotStart
from infra.launcher.services import service_command, service_names
from infra.launcher.system import HalfReal, System, UpSettings, running_system
from services.domain import commands
from services.platform.private_files import OthersCanRead
from services.platform.secrets import SecretMissing
from services.stream.client import start_admin
from services.stream.genesis import read_genesis
from services.stream.log_producer import LogProducer, append
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, check_topics
from tests.integration.launcher_program import stand_ins

pytestmark = pytest.mark.embedded
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("launcher_program.py")
GONE_WITHIN_S = 5.0


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


@asynccontextmanager
async def system_in(
    data: Path, behaviour: str = "", ready_timeout_s: float = 20.0, stop_timeout_s: float = 5.0, ports_from: int = 0
) -> AsyncIterator[tuple[System, list[str]]]:
    told: list[str] = []
    settings = UpSettings(
        data=data,
        ports_from=ports_from,
        processes=LauncherSettings(ready_timeout_s=ready_timeout_s, stop_timeout_s=stop_timeout_s),
    )
    async with running_system(settings, told.append, specs_of=stand_ins(behaviour)) as system:
        yield system, told


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


def pid_of(endpoints: Endpoints, service: str) -> int:
    return next(each.pid for each in [*endpoints.processes, *endpoints.stores] if each.service == service)


def all_pids(endpoints: Endpoints) -> list[int]:
    return [each.pid for each in [*endpoints.processes, *endpoints.stores]]


def lives(pid: int) -> bool:
    """Whether the process is there and not merely waiting to be buried by its new parent."""
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_system_is_ready_in_three_seconds_with_everything_in_its_place(data: Path) -> None:
    started_s = time.monotonic()
    async with system_in(data) as (system, told):
        ready_s = time.monotonic() - started_s
        endpoints = read_endpoints(data)
        assert endpoints == system.endpoints
        assert [each.service for each in endpoints.processes] == service_names(1, 1)
        assert all(lives(pid) for pid in all_pids(endpoints))
        assert await broker_answers(int(endpoints.kafka.rpartition(":")[2]))
        assert await store_answers(int(endpoints.redis.rpartition(":")[2].split("/")[0]))
        assert any("in memory" in line for line in told)
    assert ready_s < 3.0
    assert not any(lives(pid) for pid in all_pids(endpoints))
    with pytest.raises(NotRunning, match="maskline up"):
        read_endpoints(data)


async def test_a_start_makes_the_log_its_secrets_and_the_consoles_token(data: Path) -> None:
    async with system_in(data) as (system, _):
        kafka = UpSettings(kafka=system.endpoints.kafka)
        admin = await start_admin(kafka)
        assert await check_topics(admin, replicas=1) == []
        await admin.close()
        reader = PartitionReader(kafka, COMMANDS)
        genesis = [await read_genesis(reader, PartitionId(number)) for number in range(4)]
        assert all(isinstance(each, commands.Genesis) for each in genesis)
        await reader.stop()
    token = data / "admin-token"
    assert len(token.read_text().strip()) >= 32
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert stat.S_IMODE((data / "secrets" / "pepper").stat().st_mode) == 0o600


async def test_each_start_begins_empty_but_keeps_secrets_and_token(data: Path) -> None:
    async with system_in(data) as (system, _):
        kafka = UpSettings(kafka=system.endpoints.kafka)
        producer = await LogProducer.start(kafka)
        await append(producer, COMMANDS, PartitionId(0), [b"{}"], timestamp_ms=1, ack_timeout_s=4.0)
        await producer.stop()
        (data / "embedded" / "ledger.sqlite").write_text("yesterday")
    kept = [(data / name).read_text() for name in ("admin-token", "secrets/pepper")]
    async with system_in(data) as (system, _):
        reader = PartitionReader(UpSettings(kafka=system.endpoints.kafka), COMMANDS)
        assert await reader.log_end(PartitionId(0)) == 1  # the genesis record
        await reader.stop()
        assert not (data / "embedded" / "ledger.sqlite").exists()
    assert [(data / name).read_text() for name in ("admin-token", "secrets/pepper")] == kept


async def test_a_service_that_dies_is_started_again_and_the_endpoints_are_told(data: Path) -> None:
    async with system_in(data) as (_, told):
        before = read_endpoints(data)
        os.kill(pid_of(before, "allocator"), signal.SIGKILL)
        await until(lambda: any("allocator is ready again" in line for line in told))
        after = read_endpoints(data)
        assert pid_of(after, "allocator") != pid_of(before, "allocator")
        assert pid_of(after, "clock") == pid_of(before, "clock")
        assert any("allocator was ended by SIGKILL" in line for line in told)
        assert lives(pid_of(after, "allocator"))


async def test_a_service_that_keeps_dying_is_started_again_in_growing_pauses(data: Path) -> None:
    async with system_in(data) as (_, told):
        for count in range(1, 4):
            os.kill(pid_of(read_endpoints(data), "clock"), signal.SIGKILL)
            await until(lambda: sum("clock is ready again" in line for line in told) == count)  # noqa: B023
        pauses = [line.rpartition(" in ")[2] for line in told if "started again in" in line]
        assert pauses == ["0.1 s.", "0.2 s.", "0.4 s."]


async def test_the_store_that_dies_comes_back_with_its_content_and_disturbs_nobody(data: Path) -> None:
    async with system_in(data) as (_, told):
        before = read_endpoints(data)
        port = int(before.redis.rpartition(":")[2].split("/")[0])
        with socket.create_connection(("127.0.0.1", port)) as store:
            store.sendall(b"SET a 1\r\n")
            assert store.recv(64) == b"+OK\r\n"
        await asyncio.sleep(0.05)
        os.kill(pid_of(before, "valkey"), signal.SIGKILL)
        await until(lambda: any("valkey is ready again" in line for line in told))
        with socket.create_connection(("127.0.0.1", port)) as store:
            store.sendall(b"GET a\r\n")
            assert store.recv(64) == b"$1\r\n1\r\n"
        assert read_endpoints(data).processes == before.processes


async def test_the_death_of_the_broker_starts_everything_again_empty(data: Path) -> None:
    async with system_in(data) as (system, told):
        before = read_endpoints(data)
        os.kill(pid_of(before, "broker"), signal.SIGKILL)
        await until(lambda: sum("All services are ready" in line for line in told) == 2)
        after = read_endpoints(data)
        assert not set(all_pids(before)) & set(all_pids(after))
        assert not any(lives(pid) for pid in all_pids(before))
        assert (after.kafka, after.redis, after.front_door) == (before.kafka, before.redis, before.front_door)
        assert any("its log was in memory" in line and "empty" in line for line in told)
        reader = PartitionReader(UpSettings(kafka=system.endpoints.kafka), COMMANDS)
        assert await reader.log_end(PartitionId(0)) == 1
        await reader.stop()


async def test_a_service_that_ends_at_once_fails_the_start_with_its_last_words(data: Path) -> None:
    with pytest.raises(ProcessDidNotStart, match=r"(?s)clock ended with 2.*clock\.log.*nowhere does not answer"):
        async with system_in(data, "ends-at-once"):
            pytest.fail("it started")
    assert not (data / "endpoints.json").exists()


async def test_a_service_that_is_never_ready_fails_the_start_in_its_time(data: Path) -> None:
    with pytest.raises(ProcessDidNotStart, match="clock was not ready within 1 s"):
        async with system_in(data, "never-ready", ready_timeout_s=1.0):
            pytest.fail("it started")


async def test_a_service_that_will_not_end_is_forced(data: Path) -> None:
    async with system_in(data, "stubborn", stop_timeout_s=0.5) as (_, told):
        pids = all_pids(read_endpoints(data))
    assert told[-1] == "clock did not end by itself; it was forced."
    assert not any(lives(pid) for pid in pids)


async def test_two_systems_on_one_data_folder_are_refused_in_words(data: Path) -> None:
    async with system_in(data):
        with pytest.raises(DataFolderInUse, match=rf"(?s)process {os.getpid()}\) runs with .*--data DIR"):
            async with system_in(data):
                pytest.fail("it started")
        assert read_endpoints(data).launcher == os.getpid()


async def test_a_port_in_use_is_named_with_what_it_was_meant_for(data: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"(?s)Port {port} on 127\.0\.0\.1, meant for the counter, .*--ports-from"):
            async with system_in(data, ports_from=port - 1):
                pytest.fail("it started")


async def test_ports_from_puts_the_three_services_side_by_side_and_admin_ports_after(data: Path) -> None:
    first = 20_000 + os.getpid() % 10_000
    async with system_in(data, ports_from=first) as (system, _):
        endpoints = system.endpoints
        assert [endpoints.front_door, endpoints.counter, endpoints.console] == [
            f"http://127.0.0.1:{first + number}" for number in range(3)
        ]
        assert [each.admin for each in endpoints.processes] == [f"http://127.0.0.1:{first + n}" for n in range(3, 8)]


async def test_a_data_folder_others_can_read_is_refused_with_the_command_that_mends_it(folder_of_all: Path) -> None:
    with pytest.raises(OthersCanRead, match=rf"chmod 700 {folder_of_all}"):
        async with system_in(folder_of_all):
            pytest.fail("it started")


async def test_kafka_without_redis_is_refused_in_words(data: Path) -> None:
    with pytest.raises(HalfReal, match="go together"):
        async with running_system(UpSettings(data=data, kafka="127.0.0.1:9092", ports_from=0), tell=print):
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
        redis="redis://127.0.0.1:6379/0",
        public_ports={"front-door": 8080, "counter": 8081, "console": 8082},
        admin_ports={"front-door-1": 8084, "clock": 8088},
    )
    command = service_command("front-door-1", addresses, data)
    assert command[:4] == [sys.executable, "-m", "services.cli", "front-door"]
    assert " ".join(command[4:]) == (
        f"--kafka 127.0.0.1:9092 --redis redis://127.0.0.1:6379/0 --data {data} --host 127.0.0.1"
        " --admin-port 8084 --port 8080"
    )
    assert "--port" not in service_command("clock", addresses, data)


@asynccontextmanager
async def started_program(data: Path, *arguments: str) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A launcher as a process of its own. Whatever it has started and left behind is ended after the test."""
    started: set[int] = set()
    with program(data, *arguments) as launcher:
        watching = asyncio.create_task(note_children(launcher.pid, started))
        try:
            yield launcher
        finally:
            watching.cancel()
            for pid in [launcher.pid, *filter(lives, started)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def program(data: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PROGRAM), str(data), *arguments]
    output = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


async def note_children(parent: int, started: set[int]) -> None:
    while True:
        started.update(children_of(parent))
        await asyncio.sleep(0.05)


def children_of(parent: int) -> list[int]:
    """On Linux without any tool: a fresh machine may have no pgrep."""
    with suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    if platform.system() == "Linux":
        return []  # it has ended
    listed = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, check=False).stdout
    return [int(pid) for pid in listed.split()]


@asynccontextmanager
async def launcher_program(data: Path, *arguments: str) -> AsyncIterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """One that is ready, and the pids of all it started."""
    async with started_program(data, *arguments) as launcher:
        await until(lambda: (data / "endpoints.json").exists(), within_s=20.0)
        yield launcher, all_pids(read_endpoints(data))


async def left_after(launcher: subprocess.Popen[bytes], pids: list[int], within_s: float = GONE_WITHIN_S) -> list[int]:
    """The processes that outlive the launcher for longer than they may."""
    await until(lambda: launcher.poll() is not None, within_s=15.0)
    with suppress(TimeoutError):
        await until(lambda: not any(map(lives, pids)), within_s=within_s)
    return [pid for pid in pids if lives(pid)]


@pytest.mark.safety
async def test_no_orphan_is_left_by_a_ctrl_c(data: Path) -> None:
    async with launcher_program(data) as (launcher, pids):
        os.killpg(launcher.pid, signal.SIGINT)  # as a terminal does it: to the whole foreground group
        assert await left_after(launcher, pids) == []
        assert launcher.returncode == 0
        assert not (data / "endpoints.json").exists()


@pytest.mark.safety
async def test_no_orphan_is_left_by_a_sigterm(data: Path) -> None:
    async with launcher_program(data) as (launcher, pids):
        launcher.terminate()
        assert await left_after(launcher, pids) == []
        assert launcher.returncode == 0
        assert not (data / "endpoints.json").exists()


@pytest.mark.safety
async def test_no_orphan_is_left_by_a_launcher_that_is_killed(data: Path) -> None:
    async with launcher_program(data) as (launcher, pids):
        launcher.kill()
        assert await left_after(launcher, pids) == []
        with pytest.raises(NotRunning):  # the file is there, but nobody holds the folder
            read_endpoints(data)
        async with system_in(data):
            assert read_endpoints(data).launcher == os.getpid()


@pytest.mark.safety
async def test_no_orphan_is_left_by_a_launcher_killed_while_it_starts(data: Path) -> None:
    async with started_program(data) as launcher:
        await until(lambda: len(children_of(launcher.pid)) >= 4, within_s=20.0)
        pids = children_of(launcher.pid)
        launcher.kill()
        assert await left_after(launcher, pids) == []


@pytest.mark.control
async def test_without_their_guard_broker_and_store_are_orphans(data: Path) -> None:
    async with launcher_program(data, "", "--unguarded") as (launcher, pids):
        stores = [pid for pid in pids if pid not in pids[: len(service_names(1, 1))]]
        launcher.kill()
        assert await left_after(launcher, pids, within_s=2.0) == stores


@pytest.mark.control
async def test_a_service_that_does_not_look_for_its_launcher_is_an_orphan(data: Path) -> None:
    async with launcher_program(data, "orphan") as (launcher, pids):
        clock = pid_of(read_endpoints(data), "clock")
        launcher.kill()
        assert await left_after(launcher, pids, within_s=2.0) == [clock]
