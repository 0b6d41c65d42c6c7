"""A whole system for figures, on the embedded tier or the real one, and looks at how far it has come."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.applying import apply_campaign
from infra.console_client import ConsoleClient
from infra.local.running import running_kafka, running_redis
from loadtests.http_client import HttpClient
from loadtests.proof import settled
from services.audit.verify import VerifySettings
from services.domain.campaign import Campaign
from services.state.readers import read_head
from services.state.store import Store, open_store
from tests.bench.rush import rush
from tests.bench.wishes import Wish
from tests.integration.cli_system import Up, up

VISIBLE_TIMEOUT_S = 10.0
STORE_TIMEOUT_S = 10.0
LOOK_S = 0.05


class Bench:
    """A running system with campaigns."""

    def __init__(self, system: Up, others: Mapping[str, int] | None = None) -> None:
        """`others` are processes that the system did not start itself, by name. All of it is in `folder`."""
        endpoints = system.endpoints
        self.folder = system.data.parent
        self.front_door: str = endpoints["front_door"]
        self.ledger: str = endpoints["ledger"]
        self.settings = VerifySettings(kafka=endpoints["kafka"], redis=endpoints["redis"], data=system.data)
        self.pids = {
            each["service"] + (f"-{each['index']}" if each["index"] else ""): each["pid"]
            for each in [*endpoints["processes"], *endpoints["stores"]]
        }
        self.pids |= others or {}
        self.console = ConsoleClient.of(system.data, endpoints["console"])

    def client(self, connections: int) -> HttpClient:
        """A client of the front door."""
        return HttpClient(self.front_door, max_connections=connections, timeout_s=20.0)

    async def apply(self, campaign: Campaign) -> None:
        """Bring a campaign in, and wait until the front door offers it."""
        await asyncio.to_thread(apply_campaign, self.console, campaign)
        client = self.client(1)
        deadline_s = time.monotonic() + VISIBLE_TIMEOUT_S
        while (await client.request("GET", f"/v1/campaigns/{campaign.campaign}/stock")).status != 200:
            assert time.monotonic() < deadline_s, "the front door does not show the campaign"
            await asyncio.sleep(0.02)
        client.close()

    async def decided(self) -> None:
        """Wait until everything in the log of the first partition is decided."""
        await settled(self.settings, 0)

    async def booked(self, client: HttpClient, ready_wishes: Sequence[Wish], connections: int, partitions: int) -> None:
        """All of them are accepted, and as many records of so many partitions decided."""
        store = open_store(self.settings.redis, timeout_s=STORE_TIMEOUT_S)
        folded = await _folded(store, partitions)
        heard = await rush(client, ready_wishes, connections)
        assert heard.statuses[202] == len(ready_wishes), heard.statuses
        # The clock's ticks are counted as well: a few of the last bookings may still be on their way.
        while await _folded(store, partitions) - folded < len(ready_wishes):
            await asyncio.sleep(LOOK_S)
        await store.aclose()


async def _folded(store: Store, partitions: int) -> int:
    """How many records of these partitions are applied."""
    heads = [await read_head(store, partition) for partition in range(partitions)]
    return sum(head.position for head in heads if head is not None)


@contextmanager
def running() -> Iterator[Bench]:
    """A system of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="maskline-bench-") as folder, up(Path(folder) / "data") as system:
        yield Bench(system)


@contextmanager
def running_for_real(brokers: int, *options: str, env: dict[str, str] | None = None) -> Iterator[Bench]:
    """One of its own on Apache Kafka and a Redis Cluster of three primaries and three replicas.

    Raises PartMissing.
    """
    with tempfile.TemporaryDirectory(prefix="maskline-bench-") as name:
        folder = Path(name)
        with running_kafka(folder, brokers) as kafka, running_redis(folder) as redis:
            where = ("--kafka", kafka.addresses, "--redis", redis.url, "--replicas", str(min(3, brokers)))
            pids = {name: parts.pid(name) for parts in (kafka, redis) for name in parts.names}
            with up(folder / "data", *where, *options, env=env) as system:
                yield Bench(system, pids)
