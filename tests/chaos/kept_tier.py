"""The whole real tier as `make up` runs it, nginx included, kept alive by its keeper: a story only has to kill.

The keeper is this process, so that a control can put an altered service in its place.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import pytest
from aiokafka.errors import KafkaError

from infra.console_client import ConsoleClient
from infra.embedded.commands import LOOPBACK
from infra.launcher.addresses import Addresses
from infra.launcher.endpoints import ProcessEndpoint, read_endpoints
from infra.launcher.process import ProcessSpec, answers_ready
from infra.launcher.services import service_of, service_specs
from infra.local import keeper
from infra.local.keeper import ALLOCATORS
from infra.local.where import FILE, KEEPER, Where
from loadtests.http_client import HttpClient, NoAnswer
from services.audit.report import Report
from services.audit.verify import VerifySettings
from services.domain.campaign import Campaign
from services.platform.lifecycle import Stop
from services.platform.private_files import make_private_folder
from services.sql.database import Database, DatabaseSettings
from services.sql.errors import DatabaseUnavailableError
from services.sql.watermarks import read_watermarks
from services.state.catalogue import Catalogue
from services.state.keys import head_key
from services.state.readers import StateReader
from services.state.recovery import GROUP
from services.state.redis_client import RedisError
from services.state.redis_cluster import RedisCluster
from services.state.store import open_store
from services.stream.client import start_admin
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, EVENTS, count_partitions
from tests.chaos.city import CAMPAIGN, ENVIRONMENT, PRODUCT, Program, opened, tell, verified
from tests.real.stores import Kafka

STORE_TIMEOUT_S: Final = 5.0
METRICS_TIMEOUT_S: Final = 2.0
WHOLE_TIMEOUT_S: Final = 30.0
LOOK_S: Final = 0.1
GROWS_S: Final = 0.3
OFFSETS: Final = "__consumer_offsets"
BROKERS: Final = 3
DECISIONS: Final = "maskline_decisions_total{"
COUNTED_FROM_1: Final = ("kafka", "redis")


class KeptTier:
    """What runs now, by the names that the keeper tells: `kafka-1`, `redis-4`, `allocator-0`, `nginx-0`."""

    def __init__(self, folder: Path, where: Where) -> None:
        self.folder: Final = folder
        self.front_door: Final = where.edge["front_door"]
        endpoints = read_endpoints(folder)
        self._console: Final = ConsoleClient.of(folder, where.edge["console"])
        self.settings: Final = VerifySettings(
            kafka=endpoints.kafka,
            redis=endpoints.redis,
            data=folder,
            database=DatabaseSettings(ledger=endpoints.ledger),
        )
        self.partitions = 0
        self.busy = 0
        """The partition of the campaign."""

    async def open_campaign(self, units: int) -> Campaign:
        """One that is open now; from here on it is known which partition is busy."""
        campaign = await opened(self._console, CAMPAIGN, units)
        self.partitions = await count_partitions(self.settings)
        store = open_store(self.settings.redis, timeout_s=STORE_TIMEOUT_S)
        try:
            catalogue = Catalogue(StateReader(store), self.partitions)
            await catalogue.refresh()
            view = catalogue.get(CAMPAIGN)
        finally:
            await store.aclose()
        assert view is not None
        self.busy = view.partition
        return campaign

    # ---------------------------------------------------------------------------------------------------- processes

    def processes(self) -> dict[str, ProcessEndpoint]:
        """Those that run now, by name."""
        # Not `read_where`: that asks `ps` whether the keeper lives, and it is this process.
        where = msgspec.json.decode((self.folder / KEEPER / FILE).read_bytes(), type=Where)
        return {_name(each): each for each in [*where.processes, *read_endpoints(self.folder).processes]}

    def kill(self, name: str) -> None:
        """With -9."""
        os.kill(self.processes()[name].pid, signal.SIGKILL)

    async def whole(self, names: set[str], killed: str) -> None:
        """Until all these run again, each record has its three copies, and the busy partition's rows have two.

        Raises TimeoutError.
        """
        async with asyncio.timeout(WHOLE_TIMEOUT_S):
            while not names <= self.processes().keys():
                await asyncio.sleep(LOOK_S)
            if admin := self.processes()[killed].admin:
                while not await answers_ready(LOOPBACK, urlsplit(admin).port or 0):
                    await asyncio.sleep(LOOK_S)
            while killed.startswith("postgres") and not await self._database_answers():
                await asyncio.sleep(LOOK_S)
            while killed.startswith("allocator") and not await self._group_is_whole():
                await asyncio.sleep(LOOK_S)
            while killed.startswith("kafka") and not await self._log_has_copies():
                await asyncio.sleep(LOOK_S)
            while killed.startswith("redis") and not await self._rows_have_copies():
                await asyncio.sleep(LOOK_S)

    async def _group_is_whole(self) -> bool:
        """Whether it has got over a member's death: some seconds after a new one has come it misses the old one."""
        admin = await start_admin(Kafka(self.settings.kafka))
        try:
            (answer,) = await admin.describe_consumer_groups([GROUP])
        except KafkaError:
            return False
        finally:
            await admin.close()
        ((_, _, state, _, _, members, *_),) = answer.groups
        return state == "Stable" and len(members) == ALLOCATORS

    async def _database_answers(self) -> bool:
        database = Database(self.settings.database)
        try:
            await database.call(read_watermarks)
        except DatabaseUnavailableError:
            return False
        finally:
            database.close()
        return True

    async def _rows_have_copies(self) -> bool:
        store = open_store(self.settings.redis, timeout_s=STORE_TIMEOUT_S)
        assert isinstance(store, RedisCluster)
        try:
            primary = (await store.nodes(head_key(self.busy)))[0][1]
            told: Any = await primary.info("replication")
        except (RedisError, OSError):
            return False
        finally:
            await store.aclose()
        return bool(told["role"] == "master" and told.get("slave0", {}).get("state") == "online")

    async def _log_has_copies(self) -> bool:
        admin = await start_admin(Kafka(self.settings.kafka))
        try:
            topics = await admin.describe_topics([COMMANDS, EVENTS, OFFSETS])
        except KafkaError:  # one that was just killed is still thought to be there
            return False
        finally:
            await admin.close()
        copies = [len(each["isr"]) for topic in topics for each in topic["partitions"]]
        return bool(copies) and min(copies) == BROKERS

    # ------------------------------------------------------------------------------------------------- how it ends

    async def ledger_has_all(self) -> None:
        """Until it has read what is in the log now. Raises TimeoutError."""
        log = PartitionReader(self.settings, COMMANDS)
        ends = {number: await log.log_end(PartitionId(number)) for number in range(self.partitions)}
        await log.stop()
        database = Database(self.settings.database)
        try:
            async with asyncio.timeout(WHOLE_TIMEOUT_S):
                while True:
                    marks = await database.call(read_watermarks)
                    if all(marks[number].log_offset >= end - 1 for number, end in ends.items()):
                        return
                    await asyncio.sleep(LOOK_S)
        finally:
            database.close()

    async def verify(self) -> Report:
        """`maskline verify --json`, the ledger included. Raises CouldNotVerify."""
        return await verified((PRODUCT,), "--data", str(self.folder))

    # --------------------------------------------------------------------------------------- who does what just now

    async def leader(self) -> str:
        """The broker that leads the busy partition."""
        admin = await start_admin(Kafka(self.settings.kafka))
        try:
            (topic,) = await admin.describe_topics([COMMANDS])
        finally:
            await admin.close()
        (leader,) = [each["leader"] for each in topic["partitions"] if each["partition"] == self.busy]
        return f"kafka-{leader}"

    async def controller(self) -> str:
        """The broker that says who leads: as each of them has written down, the last vote counts."""
        votes = [
            msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            for path in self.folder.glob("kafka/broker-*/data/__cluster_metadata-0/quorum-state")
        ]
        return f"kafka-{max(votes, key=lambda vote: (vote['leaderEpoch'], vote['leaderId']))['leaderId']}"

    async def coordinator(self) -> str:
        """The broker that keeps the allocators' group, and `published` with it."""
        admin = await start_admin(Kafka(self.settings.kafka))
        try:
            return f"kafka-{await admin.find_coordinator(GROUP)}"
        finally:
            await admin.close()

    async def primary(self) -> str:
        """The Redis node that has the busy partition."""
        return (await self._nodes())[0]

    async def replica(self) -> str:
        """The one that copies it."""
        return (await self._nodes())[1]

    async def _nodes(self) -> list[str]:
        store = open_store(self.settings.redis, timeout_s=STORE_TIMEOUT_S)
        assert isinstance(store, RedisCluster)
        try:
            addresses = [node.address for node, _ in await store.nodes(head_key(self.busy))]
        finally:
            await store.aclose()
        known = self.settings.redis.removeprefix("redis://").removesuffix("/0").split(",")
        return [f"redis-{1 + known.index(address)}" for address in addresses]

    async def allocator(self) -> str:
        """The one that decides in the busy partition: its count of decisions grows."""
        async with asyncio.timeout(WHOLE_TIMEOUT_S):
            while True:
                before = await self._decisions()
                await asyncio.sleep(GROWS_S)
                after = await self._decisions()
                if grown := [name for name in before.keys() & after.keys() if after[name] > before[name]]:
                    return grown[0]

    async def other_allocator(self) -> str:
        """One that decides elsewhere."""
        decides = await self.allocator()
        return next(name for name, each in self.processes().items() if each.service == "allocator" and name != decides)

    async def _decisions(self) -> dict[str, float]:
        """In the busy partition, by allocator; those that do not answer are left out."""
        found = {}
        for name, process in self.processes().items():
            if process.service == "allocator" and (told := await _metrics(str(process.admin))):
                of_all = [line for line in told.splitlines() if line.startswith(DECISIONS)]
                mine = [line for line in of_all if f'partition="{self.busy}"' in line]
                found[name] = sum(float(line.rpartition(" ")[2]) for line in mine)
        return found


@asynccontextmanager
async def kept_tier(
    folder: Path, monkeypatch: pytest.MonkeyPatch, programs: Mapping[str, Program] | None = None
) -> AsyncIterator[KeptTier]:
    """From nothing to everything ready, and nothing left afterwards. `programs` by service; others are the product.

    Raises PartMissing.
    """
    monkeypatch.setattr(keeper, "service_specs", partial(_specs, programs or {}))
    make_private_folder(folder)
    settings = keeper.LocalSettings(folder=folder)
    async with keeper.running_tier(settings, tell, Stop()) as where:
        yield KeptTier(folder, where)


def _specs(programs: Mapping[str, Program], names: list[str], addresses: Addresses, data: Path) -> list[ProcessSpec]:
    specs = service_specs(names, addresses, data)
    return [_run_by(programs.get(service_of(spec.name), (PRODUCT,)), spec) for spec in specs]


def _run_by(program: Program, spec: ProcessSpec) -> ProcessSpec:
    at = spec.command.index(PRODUCT)
    command = [*spec.command[:at], *program, *spec.command[at + 1 :]]
    return replace(spec, command=command, env={**spec.env, **ENVIRONMENT})


def _name(process: ProcessEndpoint) -> str:
    """Brokers and nodes are counted from 1, as their own names are."""
    return f"{process.service}-{process.index + (process.service in COUNTED_FROM_1)}"


async def _metrics(admin: str) -> str:
    client = HttpClient(admin, max_connections=1, timeout_s=METRICS_TIMEOUT_S)
    try:
        return (await client.request("GET", "/metrics")).body.decode()
    except NoAnswer:
        return ""
    finally:
        client.close()
