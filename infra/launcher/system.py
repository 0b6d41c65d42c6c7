"""A whole system on one machine: broker and store (embedded, or somebody's real ones), then all services.

async with running_system(UpSettings(), tell=print) as system:
    print(system.endpoints.front_door)
    await stop.wait()
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from os import getpid
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta
from msgspec.structs import replace

from infra.embedded.commands import FETCH_MAX_WAIT_MS, LOOPBACK
from infra.launcher.addresses import Addresses, choose_ports
from infra.launcher.data_folder import EMBEDDED, LEDGER_FILE, emptied, locked
from infra.launcher.endpoints import Endpoints, remove_endpoints, write_endpoints
from infra.launcher.first_steps import ensure_admin_token, prepare_log
from infra.launcher.launcher import Launcher, LauncherSettings, Tell
from infra.launcher.ports import free_ports
from infra.launcher.services import SpecsOf, partitions_by_hand, service_names, service_specs, store_specs
from services.platform.errors import MasklineError
from services.platform.settings import AccessSettings, SecretFiles, Settings
from services.state.redis_access import redis_address
from services.state.store import reach

MAX_NEW_BEGINNINGS: Final = 5
NEW_BEGINNINGS_WINDOW_S: Final = 60.0
REDIS_TIMEOUT_S: Final = 0.5


class HalfReal(MasklineError):
    """--kafka and --redis go together: give both for real ones, or neither for the embedded ones."""


class BrokerKeepsDying(MasklineError):
    """The embedded broker died {times} times within {seconds:g} s; its output is in {logs}."""


class UpSettings(Settings, frozen=True, kw_only=True):
    """What `maskline up` and `maskline demo` are told."""

    kafka: Annotated[str, Meta(description="Real Kafka brokers: host:port, more after commas. Empty: embedded.")] = ""
    redis: Annotated[
        str,
        Meta(
            description="Real Redis, as a URL; one with a password better in the variable. Empty: embedded."
        ),
    ] = ""
    ledger: Annotated[
        str,
        Meta(
            description="The ledger's database, postgresql://…; better in the variable. Empty: SQLite, embedded only."
        ),
    ] = ""
    data: Annotated[Path, Meta(description="Folder of secrets, logs and endpoints.json.")] = Path(".maskline")
    host: Annotated[str, Meta(description="Address the services listen on.")] = "127.0.0.1"
    ports_from: Annotated[
        int,
        Meta(
            description="Front door, counter, console here and on the next two, admin ports after; 0: free ones.", ge=0
        ),
    ] = 8080
    log_partitions: Annotated[
        int, Meta(description="Partitions of a new log, fixed for its life; 0: 4, or what the log has.", ge=0, le=100)
    ] = 0
    replicas: Annotated[int, Meta(description="Copies of each partition on a real Kafka.", ge=1)] = 3
    front_doors: Annotated[int, Meta(description="Front door processes; they share their port.", ge=1, le=64)] = 1
    allocators: Annotated[int, Meta(description="Allocator processes.", ge=1, le=64)] = 1
    kafka_request_timeout_s: Annotated[
        float,
        Meta(description="Seconds before a request to a Kafka broker is unanswered, and its connection lost.", gt=0),
    ] = 2.0
    start_timeout_s: Annotated[
        float, Meta(description="Seconds to go on trying, at start, to reach Redis, and then Kafka.", gt=0)
    ] = 30.0
    secret_files: SecretFiles = SecretFiles()
    access: AccessSettings = AccessSettings()
    processes: LauncherSettings = LauncherSettings()

    @property
    def is_embedded(self) -> bool:
        """Whether broker and store are ours. Raises HalfReal."""
        if bool(self.kafka) != bool(self.redis):
            raise HalfReal
        return not self.kafka


class System:
    """What runs. `endpoints` is what endpoints.json holds now."""

    def __init__(self, settings: UpSettings, data: Path, tell: Tell, specs_of: SpecsOf) -> None:
        self._settings = settings
        self._data = data
        self._tell = tell
        self._specs_of = specs_of
        has_ledger = settings.is_embedded or bool(settings.ledger)
        self._names = service_names(settings.front_doors, settings.allocators, ledgers=int(has_ledger))
        public, admin = choose_ports(settings.host, settings.ports_from, self._names)
        self._store_ports = free_ports(2) if settings.is_embedded else []
        kafka, redis = settings.kafka, settings.redis
        if self._store_ports:
            kafka, redis = f"{LOOPBACK}:{self._store_ports[0]}", f"redis://{LOOPBACK}:{self._store_ports[1]}/0"
        self.addresses = Addresses(
            host=settings.host,
            kafka=kafka,
            redis=redis,
            ledger=settings.ledger or (f"sqlite:///{data / EMBEDDED / LEDGER_FILE}" if settings.is_embedded else ""),
            public_ports=public,
            admin_ports=admin,
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS if settings.is_embedded else None,
            secret_files=settings.secret_files,
        )
        self._stores: Launcher | None = None
        self._services: Launcher | None = None
        self._is_whole = False
        self._beginnings_s: deque[float] = deque(maxlen=MAX_NEW_BEGINNINGS)

    @property
    def data(self) -> Path:
        """The data folder, absolute."""
        return self._data

    @property
    def endpoints(self) -> Endpoints:
        """Where everything is now."""
        return Endpoints(
            tier="embedded" if self._settings.is_embedded else "real",
            launcher=getpid(),
            kafka=self.addresses.kafka,
            redis=self.addresses.redis,
            front_door=self.addresses.url("front-door"),
            counter=self.addresses.url("counter"),
            console=self.addresses.url("console"),
            ledger=self.addresses.ledger,
            processes=self._services.processes() if self._services else [],
            stores=self._stores.processes() if self._stores else [],
        )

    async def start(self) -> None:
        """Everything from nothing to ready. Raises ProcessDidNotStart and what the log's first steps raise."""
        started_s = time.monotonic()
        ensure_admin_token(self._data)
        settings = self._settings
        if settings.is_embedded:
            specs = store_specs(self._store_ports[0], self._store_ports[1], emptied(self._data))
            self._stores = Launcher(specs, self._data, self._tell, self._note, settings.processes)
            await self._stores.start()
            self._tell("Broker and Valkey run. The log is in memory: every start begins empty, and it ends with them.")
        else:
            await reach(redis_address(settings), timeout_s=REDIS_TIMEOUT_S, within_s=settings.start_timeout_s)
        count = await prepare_log(
            replace(settings, kafka=self.addresses.kafka),
            self._data,
            partitions=settings.log_partitions or None,
            replicas=1 if settings.is_embedded else settings.replicas,
            secret_files=settings.secret_files,
        )
        self._tell(f"The log has {count} partitions. Starting {len(self._names)} services.")
        if settings.is_embedded:
            self.addresses = replace(self.addresses, partitions=partitions_by_hand(self._names, count))
        service_list = self._specs_of(self._names, self.addresses, self._data)
        self._services = Launcher(service_list, self._data, self._tell, self._note, settings.processes)
        await self._services.start()
        self._is_whole = True
        self._note()
        self._tell(f"All services are ready, {time.monotonic() - started_s:.1f} s after the start.")

    async def keep_whole(self) -> None:
        """Begin anew, empty, whenever the embedded broker dies. Raises BrokerKeepsDying, or what a start raises."""
        while True:
            watching = {asyncio.ensure_future(each.watch()) for each in (self._stores, self._services) if each}
            try:
                done, _ = await asyncio.wait(watching, return_when=asyncio.FIRST_COMPLETED)
                dead = done.pop().result()
            finally:
                for task in watching:
                    task.cancel()
            self._tell(f"The broker {dead.end_in_words()}; its log was in memory. Everything starts again, empty.")
            self._count_beginning()
            await self.stop()
            await self.start()

    async def stop(self) -> None:
        """End the services, then the stores they use."""
        self._is_whole = False
        remove_endpoints(self._data)
        for launcher in (self._services, self._stores):
            if launcher is not None:
                await launcher.stop()
        self._services = self._stores = None

    def _note(self) -> None:
        if self._is_whole:  # what the file names is there: nobody finds half a system
            write_endpoints(self._data, self.endpoints)

    def _count_beginning(self) -> None:
        now_s = time.monotonic()
        self._beginnings_s.append(now_s)
        if len(self._beginnings_s) == MAX_NEW_BEGINNINGS and now_s - self._beginnings_s[0] < NEW_BEGINNINGS_WINDOW_S:
            raise BrokerKeepsDying(times=MAX_NEW_BEGINNINGS, seconds=NEW_BEGINNINGS_WINDOW_S, logs=self._data / "logs")


@asynccontextmanager
async def running_system(
    settings: UpSettings,
    tell: Tell,
    on_failure: Callable[[MasklineError], None] | None = None,
    specs_of: SpecsOf = service_specs,
) -> AsyncIterator[System]:
    """A system for as long as the block lasts, with nothing left behind however it ends.

    `tell` takes lines for people; `on_failure` hears what ends the system from inside (`Stop.fail`). Raises
    DataFolderInUse, PortInUse, HalfReal, BrokerMissing, StoreMissing, ProcessDidNotStart and what the log raises.
    """
    with locked(settings.data) as data:
        system = System(settings, data, tell, specs_of)
        try:
            await system.start()
            keeper = asyncio.create_task(_kept_whole(system, on_failure), name="keep-whole")
            try:
                yield system
            finally:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
        finally:
            await system.stop()


async def _kept_whole(system: System, on_failure: Callable[[MasklineError], None] | None) -> None:
    try:
        await system.keep_whole()
    except MasklineError as error:
        if on_failure is None:
            raise
        on_failure(error)
