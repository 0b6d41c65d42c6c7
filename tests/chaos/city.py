"""A whole system that a story may ill-treat: broker and Valkey as it likes, services kept alive as `maskline up` does.

Everything runs as processes of the product; a control puts an altered one (`tests.chaos.altered`) in its place.
"""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from infra.applying import apply_campaign
from infra.campaigns.demo import scaled
from infra.console_client import ConsoleClient, ConsoleRefused, ConsoleUnreachable
from infra.embedded.commands import FETCH_MAX_WAIT_MS, LOOPBACK, broker_command
from infra.fault_proxy.proxy import FaultProxy
from infra.launcher.addresses import Addresses, choose_ports
from infra.launcher.endpoints import ProcessEndpoint
from infra.launcher.first_steps import ensure_admin_token, prepare_log
from infra.launcher.guard import guarded
from infra.launcher.launcher import Launcher, LauncherSettings
from infra.launcher.ports import free_ports
from infra.launcher.process import ProcessSpec, RunningProcess
from infra.launcher.services import index_of, service_command, service_names, service_of, service_spec, store_specs
from loadtests.http_client import HttpClient, NoAnswer
from services.audit.report import Report
from services.audit.verify import VerifySettings
from services.domain.campaign import Campaign
from services.domain.rows import Head
from services.platform.campaign_files import load
from services.platform.errors import MasklineError
from services.state.readers import read_head
from services.state.redis_client import Redis, connect
from services.state.store import open_store
from tests.integration.cli_system import CAMPAIGN_FILE, ROOT
from tests.morning import WHERE

PRODUCT: Final = "services.cli"
CAMPAIGN: Final = "chaos"
EXTRA_DOOR: Final = "front-door-90"
EXTRAS: Final = tuple(f"allocator-{index}" for index in range(90, 99))
"""Names of the processes that stories start themselves."""
READY_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 8.0
REDIS_TIMEOUT_S: Final = 5.0
APPLY_TRIES: Final = 4
READYZ_TIMEOUT_S: Final = 2.0

VERIFIED: Final = (0, 1)
"""Exit codes of a verify that could look."""
ENVIRONMENT: Final = {"PYTHONPATH": str(ROOT)}

PLENTY: Final = 120_000
"""More than all people of a story can ask for."""

Program = tuple[str, ...]
"""A module that runs our services, and what it is told before the service's own arguments."""


class CouldNotVerify(MasklineError):
    """{why}"""


def altered(*alterations: str) -> Program:
    """The product with what `tests.chaos.altered` does to it."""
    return ("tests.chaos.altered", ",".join(alterations))


@dataclass(frozen=True)
class Plan:
    """What runs. `programs` by the name of a service or of one of its processes; all others are the product."""

    programs: Mapping[str, Program] = field(default_factory=dict)
    allocators: int = 1
    front_doors: int = 2
    partitions: int = 2
    in_group: bool = False
    """Whether allocators share the partitions through Kafka; else each one folds all of them."""
    units: int = 6_000
    """Sold out in some fifteen seconds. From then on people are refused without a record, and no 202 comes any more:
    who looks at how soon people are served again takes PLENTY."""
    kafka: str = ""
    """A cluster of the real tier, three brokers or more, without topics; empty: the embedded broker."""
    redis: str = ""
    """An empty Redis or Redis Cluster of the real tier; empty: the embedded Valkey."""
    ledger: str = ""
    """The empty database of a ledger; empty: there is none."""
    through_proxies: bool = False
    """Whether everybody reaches broker and Valkey through a fault proxy each (`City.proxies`)."""


class City:
    """What runs now. Stores and allocators beyond the plan's are the story's own; the rest is kept alive."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan: Final = plan
        self.data: Final = folder / "data"
        self.data.mkdir(mode=0o700)
        self.names: Final = service_names(plan.front_doors, plan.allocators, ledgers=int(bool(plan.ledger)))
        public, admin = choose_ports(LOOPBACK, 0, [*self.names, *EXTRAS, EXTRA_DOOR])
        kafka, redis, self._extra_port = free_ports(3)
        self.addresses: Final = Addresses(
            host=LOOPBACK,
            kafka=plan.kafka or f"{LOOPBACK}:{kafka}",
            redis=plan.redis or f"redis://{LOOPBACK}:{redis}/0",
            ledger=plan.ledger,
            public_ports=public,
            admin_ports=admin,
            fetch_max_wait_ms=None if plan.kafka else FETCH_MAX_WAIT_MS,
            partitions={} if plan.in_group else dict.fromkeys([*self.names, *EXTRAS], "all"),
        )
        self.embedded: Final = folder / "embedded"
        self.embedded.mkdir()
        self.settings: Final = VerifySettings(kafka=self.addresses.kafka, redis=self.addresses.redis, data=self.data)
        self.proxies: dict[str, FaultProxy] = {}
        """By the name of a store; empty where the plan has none."""
        behind_kafka, behind_redis = kafka, redis
        if plan.through_proxies:
            behind_kafka, behind_redis = free_ports(2)
            self.proxies = {
                "broker": FaultProxy(listens_at=kafka, target=behind_kafka),
                "valkey": FaultProxy(listens_at=redis, target=behind_redis),
            }
        self._store_specs = {spec.name: spec for spec in store_specs(behind_kafka, behind_redis, self.embedded)}
        if plan.through_proxies:  # clients go where the broker sends them
            command = guarded(broker_command(behind_kafka, advertised_port=kafka))
            self._store_specs["broker"] = replace(self._store_specs["broker"], command=command)
        for name, is_real in (("broker", plan.kafka), ("valkey", plan.redis)):
            if is_real:  # somebody else's, who ill-treats it
                del self._store_specs[name]
        self._stores: dict[str, RunningProcess] = {}
        self._extras: dict[str, RunningProcess] = {}
        self._services: Launcher | None = None
        self._replicas: Final = 3 if plan.kafka else 1

    @property
    def valkey_folder(self) -> Path:
        """Where Valkey has its files."""
        return self.embedded / "valkey"

    async def start(self) -> None:
        """From nothing to everything ready."""
        ensure_admin_token(self.data)
        await asyncio.gather(*map(self.start_store, self._store_specs))
        await asyncio.gather(*(proxy.open() for proxy in self.proxies.values()))
        await prepare_log(self.settings, self.data, partitions=self.plan.partitions, replicas=self._replicas)
        limits = LauncherSettings(ready_timeout_s=READY_TIMEOUT_S, stop_timeout_s=STOP_TIMEOUT_S)
        self._services = Launcher([self.spec(name) for name in self.names], self.data, tell, lambda: None, limits)
        await self._services.start()

    async def stop(self) -> None:
        """Everything, also what a story has frozen."""
        for process in self._extras.values():
            _send(process.pid, signal.SIGCONT)
        await asyncio.gather(*(process.stop(STOP_TIMEOUT_S) for process in self._extras.values()))
        if self._services is not None:
            for name in self.names:
                self.send(name, signal.SIGCONT)
            await self._services.stop()
        await asyncio.gather(*(proxy.close() for proxy in self.proxies.values()))
        await asyncio.gather(*(process.stop(STOP_TIMEOUT_S) for process in self._stores.values()))

    async def open_campaign(self, name: str = CAMPAIGN) -> Campaign:
        """One that is open now, where the day is young."""
        return await opened(ConsoleClient.of(self.data, self.addresses.url("console")), name, self.plan.units)

    # ------------------------------------------------------------------------------------------------------- stores

    async def start_store(self, name: str) -> None:
        """`broker` (always empty) or `valkey` (as its files have it)."""
        process = await RunningProcess.start(self._store_specs[name], self.embedded / f"{name}.log")
        self._stores[name] = process
        await process.ready(READY_TIMEOUT_S)

    def store_pid(self, name: str) -> int:
        """Of one that runs."""
        return self._stores[name].pid

    async def kill_store(self, name: str) -> None:
        """With -9."""
        process = self._stores.pop(name)
        _send(process.pid, signal.SIGKILL)
        await process.wait()

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """No process of ours does anything while the block lasts: as when an operator works on the stores."""
        for name in self.names:
            self.send(name, signal.SIGSTOP)
        try:
            yield
        finally:
            for name in self.names:
                self.send(name, signal.SIGCONT)

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        """A client of the one Valkey, for the length of a block."""
        client = connect(self.addresses.redis, timeout_s=REDIS_TIMEOUT_S)
        try:
            yield client
        finally:
            await client.aclose()

    async def head(self, partition: int = 0) -> Head:
        """Where the fold stands."""
        store = open_store(self.addresses.redis, timeout_s=REDIS_TIMEOUT_S)
        try:
            return await read_head(store, partition) or Head()
        finally:
            await store.aclose()

    async def verify(self) -> Report:
        """`maskline verify --json`. Raises CouldNotVerify."""
        program = self.plan.programs.get("verify", (PRODUCT,))
        where = ("--kafka", self.addresses.kafka, "--redis", self.addresses.redis, "--data", str(self.data))
        return await verified(program, *where, MASKLINE_LEDGER=self.plan.ledger)

    # ----------------------------------------------------------------------------------------------------- services

    async def wrong_with(self, name: str) -> str:
        """What a process says that keeps it from being ready; empty where nothing does."""
        url = f"http://{LOOPBACK}:{self.addresses.admin_ports[name]}"
        client = HttpClient(url, max_connections=1, timeout_s=READYZ_TIMEOUT_S)
        try:
            answer = await client.request("GET", "/readyz")
            return "" if answer.status == 200 else answer.body.decode()
        except NoAnswer as error:
            return str(error)
        finally:
            client.close()

    def processes(self) -> list[ProcessEndpoint]:
        """Those that are kept alive, as they run now."""
        return [] if self._services is None else self._services.processes()

    def memory_kib(self, name: str) -> int:
        """What a process has in memory (Linux); 0 where it does not run just now."""
        for pid in self._pids(name):
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        return 0

    def send(self, name: str, number: signal.Signals) -> None:
        """To a process that is kept alive, or to an allocator of the story's own."""
        for pid in self._pids(name):
            _send(pid, number)

    async def begin(self, name: str, program: Program | None = None, data: Path | None = None) -> None:
        """One process more, of EXTRAS or EXTRA_DOOR, which nobody keeps alive."""
        self._extras[name] = await RunningProcess.start(self.spec(name, program, data), self.log_of(name))

    async def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """A process of the story's own."""
        process = self._extras.pop(name)
        _send(process.pid, number)
        _send(process.pid, signal.SIGCONT)
        await process.wait()

    def log_of(self, name: str) -> Path:
        """What a process says."""
        return self.data / "logs" / f"{name}.log"

    def url(self, name: str) -> str:
        """Where a public service answers."""
        return f"http://{LOOPBACK}:{self._extra_port}" if name == EXTRA_DOOR else self.addresses.url(service_of(name))

    def spec(self, name: str, program: Program | None = None, data: Path | None = None) -> ProcessSpec:
        """How a process is started."""
        programs = self.plan.programs
        chosen = program or programs.get(name) or programs.get(service_of(name)) or (PRODUCT,)
        addresses = self.addresses
        if name == EXTRA_DOOR:
            ports = {**addresses.public_ports, service_of(name): self._extra_port}
            addresses = msgspec.structs.replace(addresses, public_ports=ports)
        command = service_command(name, addresses, data or self.data)
        at = command.index(PRODUCT)
        spec = service_spec(name, self.addresses, [*command[:at], *chosen, *command[at + 1 :]])
        return replace(spec, env={**spec.env, **ENVIRONMENT})

    def _pids(self, name: str) -> list[int]:
        """The process id; none where it does not run just now."""
        kept = self.processes()
        of_name = [each.pid for each in kept if (each.service, each.index) == (service_of(name), index_of(name))]
        return of_name if name in self.names else [self._extras[name].pid] if name in self._extras else []


async def opened(console: ConsoleClient, name: str, units: int) -> Campaign:
    """A campaign that is open now, where the day is young."""
    elsewhere = msgspec.structs.replace(load(CAMPAIGN_FILE), campaign=name, timezone=WHERE.key)
    campaign = scaled(elsewhere, units, int(time.time() * 1000))
    for left in reversed(range(APPLY_TRIES)):  # a group's first assignment takes the embedded broker some seconds
        try:
            await asyncio.to_thread(apply_campaign, console, campaign)
        except (ConsoleUnreachable, ConsoleRefused):
            if not left:
                raise
        else:
            break
    return campaign


async def verified(program: Program, *where: str, **variables: str) -> Report:
    """`maskline verify --json` on the system that is there. Raises CouldNotVerify."""
    environment = {**os.environ, **ENVIRONMENT, **variables}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *program, "verify", "--json", *where, stdout=PIPE, env=environment
    )
    told, _ = await process.communicate()
    if process.returncode not in VERIFIED:
        raise CouldNotVerify(why=told.decode())
    try:
        return msgspec.json.decode(told, type=Report)
    except msgspec.DecodeError as error:
        raise CouldNotVerify(why=f"exit code {process.returncode}, {len(told)} bytes: {error}") from error


def tell(line: str) -> None:
    """To whoever watches."""
    print(f"      {line}", flush=True)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
