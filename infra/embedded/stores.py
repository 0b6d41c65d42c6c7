"""Broker and store for as long as a `with` block, without a launcher: for tests and benchmarks of single pieces."""

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.embedded.commands import (
    LOOPBACK,
    broker_answers,
    broker_command,
    own_store_answers,
    own_store_command,
    store_answers,
    store_command,
    store_environment,
)
from infra.launcher.guard import guarded
from infra.launcher.ports import free_ports
from services.platform.errors import MasklineError

READY_TIMEOUT_S: Final = 10.0
LOOK_S: Final = 0.01
END_TIMEOUT_S: Final = 5.0


class StoreDidNotStart(MasklineError):
    """{what} was not ready within {seconds:g} s; its output is in {output}."""


@dataclass(frozen=True)
class RunningStores:
    """Addresses as settings take them, and the process ids."""

    kafka: str
    redis: str
    broker_pid: int
    store_pid: int


@contextmanager
def running_stores(folder: Path) -> Iterator[RunningStores]:
    """An empty broker and an empty Valkey, with their files in `folder`. Raises BrokerMissing, StoreMissing."""
    kafka_port, redis_port = free_ports(2)
    store_folder = folder / "valkey"
    store_folder.mkdir(parents=True)
    with (
        _running(broker_command(kafka_port), folder / "broker.log") as broker,
        _running(store_command(redis_port, store_folder), folder / "valkey.log", store_environment()) as store,
    ):
        _wait_until(lambda: broker_answers(kafka_port), broker, "The broker", folder / "broker.log")
        _wait_until(lambda: store_answers(redis_port), store, "Valkey", folder / "valkey.log")
        yield RunningStores(
            kafka=f"{LOOPBACK}:{kafka_port}",
            redis=f"redis://{LOOPBACK}:{redis_port}/0",
            broker_pid=broker.pid,
            store_pid=store.pid,
        )


@contextmanager
def running_broker(folder: Path) -> Iterator[str]:
    """An empty broker alone; its address."""
    (port,) = free_ports(1)
    with _running(broker_command(port), folder / "broker.log") as broker:
        _wait_until(lambda: broker_answers(port), broker, "The broker", folder / "broker.log")
        yield f"{LOOPBACK}:{port}"


@contextmanager
def own_store() -> Iterator[str]:
    """An empty Valkey for whoever asks, in memory, and its address, which nobody else can use. Raises StoreMissing."""
    with tempfile.TemporaryDirectory(prefix="maskline-") as folder:  # 0700, and short enough for a socket's name
        socket, output = Path(folder) / "valkey", Path(folder) / "log"
        with _running(own_store_command(socket), output, store_environment()) as store:
            _wait_until(lambda: own_store_answers(socket), store, "Valkey", output)
            yield f"unix://{socket}"


@contextmanager
def _running(
    command: list[str], output: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("ab") as log:
        process = subprocess.Popen(
            guarded(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until(
    ready: Callable[[], Awaitable[bool]], process: subprocess.Popen[bytes], what: str, output: Path
) -> None:
    async def wait() -> None:
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while not await ready():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise StoreDidNotStart(what=what, seconds=READY_TIMEOUT_S, output=output)
            await asyncio.sleep(LOOK_S)

    # A loop of its own in a thread of its own: the caller may be a coroutine's fixture.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, wait()).result()
