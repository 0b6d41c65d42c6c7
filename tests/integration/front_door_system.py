"""Broker, Redis, allocator and front door as processes, with one open campaign: a system as residents meet it."""

import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec

from infra.launcher.first_steps import prepare_log
from infra.launcher.ports import free_ports
from services.domain import commands as c
from services.domain.campaign import Campaign
from services.platform.contact import ContactKeys
from services.platform.secrets import Secrets
from services.platform.settings import AccessSettings
from services.stream.log_producer import LogProducer, append
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS
from tests.integration.tiers import Stores, Tier, reached
from tests.unit.campaign_documents import written
from tests.unit.front_door_world import campaign

ROOT: Final = Path(__file__).resolve().parents[2]
READY_TIMEOUT_S: Final = 15.0
PARTITIONS: Final = 2
MAIN: Final = """
from pathlib import PosixPath
from services.platform.settings import AccessSettings
from services.sql.database import DatabaseSettings
from services.{package}.main import {settings}, run
run({settings}({values}))
"""


class Kafka(msgspec.Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    kafka_request_timeout_s: float = 2.0
    start_timeout_s: float = 10.0
    access: AccessSettings = AccessSettings()


@dataclass
class System:
    """Addresses, and what a test may do to it."""

    url: str
    admin_url: str
    stores: Stores
    data: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def write(self, partition: int, *commands: c.Command) -> None:
        """Commands of others, straight into the log."""
        asyncio.run(self._write(partition, [c.encode(command) for command in commands]))

    async def _write(self, partition: int, values: list[bytes]) -> None:
        producer = await LogProducer.start(self.as_user("console"))
        try:
            await append(
                producer,
                COMMANDS,
                PartitionId(partition),
                values,
                timestamp_ms=int(time.time() * 1000),
                ack_timeout_s=4.0,
            )
        finally:
            await producer.stop()

    def as_user(self, user: str) -> Kafka:
        """How somebody comes to the log."""
        return Kafka(self.stores.kafka, access=self.stores.access(user))

    def apply(self, applied: Campaign, partition: int = 0) -> None:
        """What the console does: contact key, definition, opening."""
        secrets = Secrets.load(self.data / "secrets")
        ContactKeys(secrets.contact_folder).create(applied.campaign, date.fromisoformat(applied.deletion_day))
        opening = c.Open(id=f"opening-{next(self.numbers):08d}", campaign=applied.campaign)
        self.write(partition, *written(applied), opening)

    def passport(self) -> dict[str, str]:
        """A resident who was not here before."""
        return {"document_type": "passport", "document_number": f"E{next(self.numbers):08d}"}


def ask(
    method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, timeout_s: float = 35.0
) -> tuple[int, dict[str, str], bytes]:
    """One request; the answer whatever its status."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(url, data=data, headers=headers or {}, method=method)  # noqa: S310 -- our own address
    try:
        with urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


@contextmanager
def running_system(tier: Tier, folder: Path) -> Iterator[System]:
    """Everything started and ready; the campaign `gz-2020-02` is open."""
    with ExitStack() as stack:
        stores = stack.enter_context(tier.stores(folder))
        data = folder / "data"
        data.mkdir(mode=0o700)
        prepare(stores, data)
        port, front_admin, allocator_admin = free_ports(3)
        system = System(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{front_admin}", stores, data)
        start(system, stack, "allocator", "AllocatorSettings", partitions="all", admin_port=allocator_admin)
        start(system, stack, "front_door", "FrontDoorSettings", port=port, admin_port=front_admin)
        for admin_port in (allocator_admin, front_admin):
            wait_until_ready(f"http://127.0.0.1:{admin_port}/readyz")
        system.apply(campaign(units=1_000_000))
        wait_until_ready(f"{system.url}/v1/campaigns/gz-2020-02")
        yield system


def start(system: System, stack: ExitStack, package: str, settings: str, **values: Any) -> None:
    """A service as a process of its own, at the system's log and Redis; its output beside its data."""
    values |= reached(system.stores, package.replace("_", "-")) | {"data": system.data}
    text = ", ".join(f"{name}={value!r}" for name, value in values.items())
    # By TLS a connection ends with a word from both sides. Where the process is gone before the other side has said its
    # own, uvloop calls that a leak, and where a leak is an error it waits for ever.
    leaks = () if values["access"].kafka_ca_file else ("-W", "error::ResourceWarning")
    program = MAIN.format(package=package, settings=settings, values=text)
    output = stack.enter_context((system.data.parent / f"{package}.log").open("ab"))
    process = subprocess.Popen(
        [sys.executable, *leaks, "-c", program],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )
    system.processes[package] = process
    stack.callback(_end, process)


def prepare(stores: Stores, data: Path) -> None:
    """Topics, and the first record of each partition."""
    settings = Kafka(stores.kafka, access=stores.access("setup"))
    asyncio.run(prepare_log(settings, data, partitions=PARTITIONS, replicas=stores.replicas))


def wait_until_ready(url: str) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            if ask("GET", url)[0] == 200:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline_s, f"{url} is not ready"
        time.sleep(0.02)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
