"""`maskline doctor`: what is there, what is missing, what is misconfigured, in words. It only looks."""

import asyncio
import importlib.metadata
import importlib.util
import platform
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit

from msgspec import Meta

from infra.embedded.binaries import find_broker, find_store
from infra.embedded.commands import LOOPBACK
from infra.launcher.addresses import PUBLIC
from infra.launcher.endpoints import Endpoints, NotRunning, read_endpoints
from infra.launcher.first_steps import ADMIN_TOKEN
from infra.launcher.ports import check_free
from infra.launcher.process import answers_ready
from infra.local.missing import PartMissing
from infra.local.parts import FINDERS
from infra.local.where import read_where
from services.platform.contact import ContactKeys
from services.platform.errors import MasklineError
from services.platform.secrets import CONTACT_KEYS, NONE_NAMED, SECRETS, Secrets
from services.platform.settings import SecretFiles, SystemSettings
from services.state.library import build
from services.state.redis_access import redis_address
from services.state.redis_client import Redis, RedisError, ResponseError, hosts_in
from services.state.redis_cluster import RedisCluster
from services.state.store import Store, open_store
from services.state.store_check import LibraryReplaced, check_libraries, check_stores
from services.stream.client import start_admin
from services.stream.genesis import read_genesis
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, check_topics, partition_count

FIRST_PORT: Final = 8080
PRIVATE_BITS: Final = stat.S_IRWXG | stat.S_IRWXO
OLDEST_REDIS: Final = (7, 0)
"""Functions came with Redis 7.0; every Valkey has them."""


class DoctorSettings(SystemSettings, frozen=True, kw_only=True):
    """What the doctor is told."""

    replicas: Annotated[int, Meta(description="Copies of each partition on a real Kafka.", ge=1)] = 3
    secret_files: SecretFiles = SecretFiles()


class State(StrEnum):
    """How a thing stands."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


class Finding(NamedTuple):
    """One thing that was looked at."""

    state: State
    what: str


def good(what: str) -> Finding:
    return Finding(State.GOOD, what)


def note(what: str) -> Finding:
    return Finding(State.NOTE, what)


def bad(what: str) -> Finding:
    return Finding(State.BAD, what)


async def examine(settings: DoctorSettings, running: Endpoints | None, *, has_addresses: bool) -> list[Finding]:
    """Everything there is to look at; where Kafka and Redis are known (`has_addresses`) these as well."""
    findings = [*machine(), *real_tier(settings.data), *data_folder(settings)]
    replicas = settings.replicas
    if running is not None:
        findings += await processes(running)
        replicas = 1 if running.tier == "embedded" else replicas
    else:
        findings.append(note(f"no system runs with the data folder {settings.data}"))
        findings += list(ports(LOOPBACK))
    if not has_addresses:
        return [*findings, note("Kafka and Redis were not looked at: name them with --kafka and --redis")]
    for look in (lambda: kafka(settings, replicas), lambda: redis(settings)):
        findings += await _looked(look)
    return findings


async def _looked(look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await look()
    except MasklineError as error:
        return [bad(str(error))]


# --------------------------------------------------------------------------------------------------- this machine


def machine() -> list[Finding]:
    """Python, the program, and the embedded tier's binaries."""
    findings = [good(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")]
    try:
        findings.append(good(f"maskline {importlib.metadata.version('maskline')}"))
    except importlib.metadata.PackageNotFoundError:
        findings.append(note("maskline runs from its source folder and is not installed"))
    if importlib.util.find_spec("uvloop") is None:
        findings.append(note("uvloop is not installed: everything works, at two thirds of the speed"))
    for what, find in (("broker", find_broker), ("store", find_store)):
        try:
            findings.append(good(f"the embedded tier's {what} is {find()}"))
        except MasklineError as error:
            findings.append(note(str(error)))
    return findings


def real_tier(folder: Path) -> list[Finding]:
    """What `make up` needs of this machine, and how the one that runs with this folder stands."""
    findings = []
    for find in FINDERS:
        try:
            findings.append(good(f"the real tier can use {find()}"))
        except PartMissing as error:
            findings.append(note(f"the real tier (make up) cannot start: {error}"))
    if (where := read_where(folder)) is not None:
        running = ", ".join(f"{each.service} {each.index}" for each in where.processes)
        findings.append(good(f"a real tier runs: {where.edge['front_door']}, {running}"))
    return findings


def data_folder(settings: DoctorSettings) -> list[Finding]:
    """Secrets and the admin token: there, whole, and private."""
    data, files = settings.data, settings.secret_files
    if data.is_dir():
        findings = [good(f"the data folder is {data.resolve()}")]
    else:
        findings = [note(f"there is no data folder {data} yet; the first `maskline up` makes it")]
    if not (data / SECRETS).is_dir() and files == NONE_NAMED:
        return [*findings, note(f"there are no secrets in {data / SECRETS} yet; the first `maskline up` makes them")]
    told = None
    try:
        secrets = Secrets.load(data / SECRETS, files)
        findings.append(good("secrets: " + ", ".join(f"{name} {key}" for name, key in secrets.key_ids().items())))
    except MasklineError as error:
        findings.append(bad(str(error)))
        told = error.values.get("path")
    findings += _overdue(ContactKeys(files.contact_keys or (files.secrets or data / SECRETS) / CONTACT_KEYS))
    seen = [path for path in _private_files(data, files) if path != told and path.stat().st_mode & PRIVATE_BITS]
    return [*findings, *(bad(f"other users of this machine can read {path}: chmod go= {path}") for path in seen)]


def _overdue(keys: ContactKeys) -> list[Finding]:
    """Phones that should be erased by now wherever their campaign is."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    why = f"look whether a clock runs that has the folder {keys.folder}"
    return [
        bad(f"the contact key of campaign {campaign} had to be deleted on {day}: {why}")
        for campaign, day in keys.kept()
        if day < yesterday
    ]


def _private_files(data: Path, files: SecretFiles) -> Iterator[Path]:
    """Ours; files that settings name are looked at where they are read."""
    folders = [files.secrets or data / SECRETS, *([files.contact_keys] if files.contact_keys else [])]
    inside = [path for folder in folders for path in folder.rglob("*")]
    for path in (data / ADMIN_TOKEN, data / "users.json", *folders, *inside):
        if path.exists():
            yield path


def ports(host: str) -> Iterator[Finding]:
    """Whether `maskline up` could listen where it does when nobody says otherwise."""
    for port, what in enumerate(PUBLIC, FIRST_PORT):
        try:
            check_free(host, port, what)
        except MasklineError as error:
            yield note(str(error))
        else:
            yield good(f"port {port} is free for the {what}")


async def processes(running: Endpoints) -> list[Finding]:
    """Whether every process that runs says it is ready."""
    findings = [
        good(f"a system runs on the {running.tier} tier: {running.front_door} {running.counter} {running.console}")
    ]
    for process in running.processes:
        where = urlsplit(process.admin or "")
        name = f"{process.service} {process.index} (process {process.pid})"
        is_ready = await answers_ready(where.hostname or "", where.port or 0)
        findings.append(
            good(f"{name} is ready") if is_ready else bad(f"{name} is not ready: see {process.admin}/readyz")
        )
    return findings


# ------------------------------------------------------------------------------------------------- Kafka and Redis


async def kafka(settings: DoctorSettings, replicas: int) -> list[Finding]:
    """The topics' settings, and whose log it is."""
    admin = await start_admin(settings)
    try:
        differences = await check_topics(admin, replicas)
        findings = [bad(difference) for difference in differences] or [
            good(f"Kafka at {settings.kafka}: topics are set")
        ]
        if any(difference.startswith("there is no topic") for difference in differences):
            return findings
        partitions = await partition_count(admin)
    finally:
        await admin.close()
    reader = PartitionReader(settings, COMMANDS)
    try:
        check = _key_check(settings)
        for partition in range(partitions):
            genesis = await read_genesis(reader, PartitionId(partition))
            end = await reader.log_end(PartitionId(partition))
            if check is not None and genesis.key_check != check:
                findings.append(bad(f"partition {partition}: the log was made with other secrets than {settings.data}"))
            else:
                findings.append(good(f"partition {partition}: log {genesis.log}, {end} records"))
    finally:
        await reader.stop()
    return findings


def _key_check(settings: DoctorSettings) -> str | None:
    try:
        return Secrets.load(settings.data / SECRETS, settings.secret_files).key_check()
    except MasklineError:
        return None  # told by data_folder


async def redis(settings: DoctorSettings) -> list[Finding]:
    """Version, memory policy, persistence, and the function library."""
    store = open_store(redis_address(settings), timeout_s=settings.redis_timeout_s)
    where = ", ".join(hosts_in(settings.redis))
    try:
        if isinstance(store, RedisCluster):
            await store.ping()
            versions = [await _version(client, node.address) for node, client in await store.nodes()]
        else:
            versions = [await _version(store, where)]
        return [*versions, *await _store(store), await _library(store)]
    except (RedisError, OSError) as error:
        return [bad(f"Redis at {where} does not answer: {error}")]
    finally:
        await store.aclose()


async def _version(client: Redis, where: str) -> Finding:
    try:
        info: dict[str, Any] = await client.info("server")
    except ResponseError:
        return note(f"Redis at {where} answers; which version it is could not be checked: INFO is not allowed")
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    told = f"{name} {version} at {where}"
    is_new_enough = name == "Valkey" or numbers >= OLDEST_REDIS
    return good(told) if is_new_enough else bad(f"{told}: 7.0 or newer is needed")


async def _store(store: Store) -> list[Finding]:
    """What keeps an allocator from starting."""
    found = await check_stores(store)
    return [*map(bad, found.wrong), *map(note, found.notes), *map(good, found.good)]


async def _library(store: Store) -> Finding:
    library = build()
    try:
        is_loaded = await check_libraries(store, library)
    except LibraryReplaced as error:
        return bad(str(error))
    except ResponseError:
        return note("whether the function library is ours could not be checked: FUNCTION LIST is not allowed")
    if is_loaded:
        return good(f"the function library is loaded: {library.name}")
    return note(f"the function library {library.name} is not loaded; the first allocator loads it")


def running_system(data: Path) -> Endpoints | None:
    """The system that runs with a data folder, if one does."""
    try:
        return read_endpoints(data)
    except NotRunning:
        return None


def main(settings: DoctorSettings, running: Endpoints | None, *, has_addresses: bool) -> list[Finding]:
    """All findings."""
    if sys.platform == "win32":
        return [bad("Maskline runs on Linux and macOS")]
    return asyncio.run(examine(settings, running, has_addresses=has_addresses))
