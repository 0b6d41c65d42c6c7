"""A hash slot on its way from one primary to another, as far as a test wants it: operators' tools do it in one go."""

from collections.abc import Sequence
from typing import Any

from services.state.keys import head_key, tag
from services.state.redis_client import Redis
from services.state.redis_cluster import RedisCluster
from services.state.slot_map import ClusterNode, slot_of

MIGRATE_TIMEOUT_MS = 5_000
KEYS_AT_ONCE = 100

Node = tuple[ClusterNode, Redis]


class MigratingSlot:
    """The slot of one partition. `source` and `target` are clients of the nodes that have it and will have it."""

    def __init__(self, partition: int, source: Node, others: Sequence[Node]) -> None:
        self.source, self.target = source[1], others[0][1]
        self.target_address = others[0][0].address
        self._prefix = tag(partition)
        self._slot = slot_of(head_key(partition))
        self._source_id, self._target_id = source[0].id, others[0][0].id
        self._bystanders = [client for _, client in others[1:]]

    @classmethod
    async def of(cls, store: RedisCluster, partition: int) -> "MigratingSlot":
        """It goes to the next primary."""
        await store.look_again()
        source = (await store.nodes(head_key(partition)))[0]
        others = [each for each in await store.nodes() if each[0].slots and each[0].id != source[0].id]
        return cls(partition, source, others)

    async def begin(self) -> None:
        """Both sides know, and nothing has moved."""
        await self._set(self.target, "IMPORTING", self._source_id)
        await self._set(self.source, "MIGRATING", self._target_id)

    async def move(self, *keys: str) -> None:
        """These keys (with their tag) are on the other side now, and stay there."""
        host, _, port = self.target_address.rpartition(":")
        for at in range(0, len(keys), KEYS_AT_ONCE):
            words: list[Any] = ["MIGRATE", host, port, "", 0, MIGRATE_TIMEOUT_MS, "REPLACE", "KEYS"]
            await self.source.execute_command(*words, *keys[at : at + KEYS_AT_ONCE])  # type: ignore[no-untyped-call]

    async def keys(self) -> list[str]:
        """What the source has still."""
        found: Any = await self.source.keys(f"{self._prefix}*")
        return sorted(name.decode() for name in found)

    async def finish(self) -> None:
        """Everything is on the other side, and everybody knows."""
        if rest := await self.keys():
            await self.move(*rest)
        for client in (self.target, self.source, *self._bystanders):
            await self._set(client, "NODE", self._target_id)

    async def _set(self, client: Redis, *words: str) -> None:
        await client.execute_command("CLUSTER", "SETSLOT", self._slot, *words)  # type: ignore[no-untyped-call]
