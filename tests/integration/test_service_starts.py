"""What each service says where it cannot start, and what it does where Redis comes later than the service."""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from infra.embedded.commands import store_command
from infra.embedded.stores import running_broker
from infra.launcher.first_steps import prepare_log
from infra.launcher.guard import guarded
from infra.launcher.ports import free_ports
from services.cli import PROCESSES
from services.platform.secrets import Secrets
from tests.integration.cli_system import ROOT, maskline
from tests.integration.front_door_system import Kafka

NOWHERE = "127.0.0.1:1"
READY_WITHIN_S = 20.0
END_WITHIN_S = 20.0
SERVING = ("front-door", "counter", "console")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with secrets, as the first `maskline up` leaves it."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    Secrets.create(folder / "secrets")
    return folder


def refusal(service: str, data: Path, *options: str) -> str:
    """Why a service did not start, in the one line that people read."""
    nowhere = ("--kafka", NOWHERE, "--redis", f"redis://:hidden@{NOWHERE}/0", "--start-timeout-s", "0.2")
    told = maskline(service, "--data", data, *nowhere, *options)
    assert told.code == 2, told.err
    assert "Traceback" not in told.err
    assert "hidden" not in told.err
    (line,) = [line for line in told.err.splitlines() if line.startswith("maskline: ")]
    return line + told.err.partition(line)[2]


@pytest.mark.parametrize("service", PROCESSES)
def test_a_kafka_that_is_not_there_is_named_with_the_option_that_names_another(service: str, data: Path) -> None:
    told = refusal(service, data)
    assert f"{NOWHERE} did not answer within 0.2 s" in told
    assert "--kafka HOST:PORT" in told


def test_secrets_that_others_can_read_are_refused_with_the_command_that_mends_it(data: Path) -> None:
    (data / "secrets").chmod(0o755)
    assert f"chmod 700 {data / 'secrets'}" in refusal("front-door", data)


def test_secrets_that_are_not_there_are_named_and_not_made(tmp_path: Path) -> None:
    assert f"The secret {tmp_path / 'none' / 'pepper'} is not there" in refusal(
        "clock", tmp_path, "--secrets", str(tmp_path / "none")
    )
    assert not (tmp_path / "none").exists()


def test_an_admin_port_in_use_is_named(data: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        assert f"Port {port} on 127.0.0.1 is taken" in refusal("clock", data, "--admin-port", str(port))


@pytest.mark.embedded
def test_a_port_in_use_is_named_by_the_service_that_wants_it(data: Path, tmp_path: Path) -> None:
    with running_broker(tmp_path) as kafka, socket.socket() as other:
        asyncio.run(prepare_log(Kafka(kafka), data, partitions=1, replicas=1))
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = str(other.getsockname()[1])
        told = refusal("counter", data, "--kafka", kafka, "--port", port)
        assert f"Port {port} on 127.0.0.1 is taken" in told


@pytest.mark.embedded
def test_services_that_start_before_redis_wait_for_it_and_serve_when_it_comes(data: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        kafka = stack.enter_context(running_broker(tmp_path))
        asyncio.run(prepare_log(Kafka(kafka), data, partitions=1, replicas=1))
        redis_port, *admin_ports = free_ports(1 + len(PROCESSES))
        admin = dict(zip(PROCESSES, admin_ports, strict=True))
        where = ["--kafka", kafka, "--redis", f"redis://127.0.0.1:{redis_port}/0", "--data", str(data)]
        processes = {
            service: stack.enter_context(running(service, tmp_path, [*where, "--admin-port", str(port)]))
            for service, port in admin.items()
        }
        until(lambda: all(status(port, "/livez") == 200 for port in admin.values()), processes)
        assert [status(admin[service], "/readyz") for service in SERVING] == [503, 503, 503]
        folder = tmp_path / "valkey"
        folder.mkdir()
        stack.enter_context(ended(subprocess.Popen(guarded(store_command(redis_port, folder)), start_new_session=True)))
        until(lambda: all(status(port, "/readyz") == 200 for port in admin.values()), processes)


@contextmanager
def running(service: str, folder: Path, options: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    port = ["--port", "0"] if service in SERVING else []
    alone = ["--partitions", "all"] if service == "allocator" else []
    with (folder / f"{service}.log").open("wb") as output:
        command = [sys.executable, "-m", "services.cli", service, *options, *port, *alone]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    with ended(process):
        yield process


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(condition: Callable[[], bool], processes: dict[str, subprocess.Popen[bytes]]) -> None:
    """Waits; none of the processes ends meanwhile."""
    deadline_s = time.monotonic() + READY_WITHIN_S
    while not condition():
        assert [name for name, process in processes.items() if process.poll() is not None] == []
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def status(port: int, path: str) -> int:
    """Of an admin port's answer; 0 where nobody answers yet."""
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()
    return 0
