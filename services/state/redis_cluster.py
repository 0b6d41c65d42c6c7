"""A Redis Cluster, as the fold and its readers need one: whose keys are where, and nothing sent twice but reads.

redis-py brings a client for clusters. It is not used: it repeats every command up to ten times, whatever it was; it
follows ASK, on which a function reads keys that have not moved yet as missing; while a cluster is down it closes
everybody's connections; and it has no connection that keeps the order of what is sent. What remains is small: a key's
slot, who has it, and whom to ask anew when that was wrong.

Everything is asked of primaries. A replica may be a moment behind, and a reader that has seen more would have to answer
`catching_up` to people whose state is there; a partition's reads are a few hundred MGETs a second at most, however many
people ask, so there is nothing to be spared on the primary either.

What nodes answer while slots or leaders change:
    MOVED                  somebody else has it: the map is made anew, and a read goes there, MAX_HOPS times
    ASK, TRYAGAIN          the slot migrates, a part of its keys is elsewhere: nobody follows, whoever asks waits
    CLUSTERDOWN            nobody leads, or this node is cut off: the others are asked who does
    LOADING, READONLY      it comes back, or was demoted while we asked: as above
    no answer at all       as above
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import ClusterDownError, MasterDownError, MovedError, ReadOnlyError

from services.state.redis_client import Redis, RedisError, ResponseError, connect, hosts_in, with_host
from services.state.slot_map import SLOTS, ClusterNode, SlotMap, read_nodes, slot_of

MAX_HOPS: Final = 2
"""Times that one read follows to another node: one where the map was old, one where it changed meanwhile."""
OTHERS_TOLD_S: Final = 0.25
"""For nodes to tell what they know; where one has told by then, those that stand still are not waited for longer."""
MAP_AGE_S: Final = 0.1
"""A younger map is not asked for again: many reads fail in the same moment."""
MAX_ASKED: Final = 8
"""Nodes that are asked for the map at once."""
GENERATIONS: Final = 1 << 16
NEVER: Final = "never"
"""As in `state.lua`: a key that no command makes."""
_WRONG_NODE: Final = (MovedError, ClusterDownError, MasterDownError, ReadOnlyError)


class SlotUncoveredError(RedisError):
    """No node of the cluster is known that has this slot."""


class RedisCluster:
    """Reads of whatever keys; those of one call have to have one hash tag. For one event loop."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._seeds: Final = hosts_in(url)
        self._clients: dict[str, Redis] = {}
        self._map: SlotMap | None = None
        self._begun_s = 0.0
        self._making: asyncio.Task[SlotMap] | None = None
        self._generations: dict[int, tuple[str, int]] = {}

    async def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values of keys of one slot, from its primary. Raises the errors of Redis."""
        values: list[bytes | None] = await self._read(slot_of(keys[0]), "MGET", *keys)
        return values

    async def scan(self, cursor: int, *, match: str, count: int) -> tuple[int, list[bytes]]:
        """As SCAN, of the node that has the pattern's hash tag.

        A cursor says something to the node that gave it only, so ours names whose it is: where the slot has moved
        since, the scan begins again on the new node. While the slot migrates it is refused, as a read is: each side has
        a part of the keys. Raises the errors of Redis.
        """
        slot = slot_of(match)
        guard = f"{match[: match.index('}') + 1]}:{NEVER}"
        # Asked before the scan, and for a key that is never there: a migrating slot does not answer it.
        await self._read(slot, "MGET", guard)
        owner, generation = self._generation(slot)
        theirs, given_in = divmod(cursor, GENERATIONS)
        answer: Any = await owner.execute_command(  # type: ignore[no-untyped-call]
            "SCAN", theirs if given_in == generation else 0, "MATCH", match, "COUNT", count
        )
        await self._read(slot, "MGET", guard)
        if self._generation(slot) != (owner, generation):
            return generation, []  # it moved while it was looked through: from the beginning, with the next call
        following, names = int(answer[0]), answer[1]
        return (following * GENERATIONS + generation if following else 0), names

    def url_of(self, key: str) -> str:
        """The address of the node that has a key, as of one alone; something was read before. Raises
        SlotUncoveredError."""
        return with_host(self._url, self._owner(slot_of(key)).address)

    def node_of(self, key: str) -> Redis | None:
        """The primary that has a key, as it was told last; None where none is known. What it answers to a question of
        one's own (an error where the key has moved) is followed by nobody: `mget` finds out."""
        owner = None if self._map is None else self._map.primary(slot_of(key))
        return None if owner is None else self._client(owner.address)

    async def nodes(self, key: str | None = None) -> list[tuple[ClusterNode, Redis]]:
        """Those that have a key, its primary first; or all, as it was told last. A replica that is known to be dead is
        left out; a primary is not, until another one leads.

        Raises SlotUncoveredError and the errors of Redis.
        """
        slot_map = self._map or await self._remap()
        if key is None:
            found = list(slot_map.nodes)
        else:
            self._owner(slot_of(key))
            found = slot_map.shard(slot_of(key))
        return [(node, self._client(node.address)) for node in found if node.slots or not node.is_known_dead]

    async def ping(self) -> None:
        """Raises the errors of Redis where it is not whole."""
        slot_map = await self._remap()
        if missing := sum(1 for slot in range(SLOTS) if slot_map.primary(slot) is None):
            raise SlotUncoveredError(f"nobody has {missing} of the {SLOTS} slots")
        for node, client in await self.nodes():
            if node.slots:
                await client.execute_command("PING")  # type: ignore[no-untyped-call]

    async def look_again(self, since_s: float | None = None) -> None:
        """Make the map anew, unless it was begun after that (monotonic), or just now. The old one is kept where no node
        tells."""
        with suppress(RedisError, OSError):
            await self._remap(time.monotonic() - MAP_AGE_S if since_s is None else since_s)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*[client.aclose() for client in clients], return_exceptions=True)

    # ------------------------------------------------------------------------------------------------------- one read

    async def _read(self, slot: int, *words: str) -> Any:
        if self._map is None:
            await self._remap()
        for hop in range(MAX_HOPS + 1):
            asked, asked_s = self._owner(slot), time.monotonic()
            try:
                return await self._client(asked.address).execute_command(*words)  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                if isinstance(error, ResponseError) and not isinstance(error, _WRONG_NODE):
                    raise  # ASK and TRYAGAIN among them
                # Whoever says MOVED knows better than a map that was made before the question.
                await self.look_again(asked_s if isinstance(error, MovedError) else None)
                if hop == MAX_HOPS or self._owner(slot).address == asked.address:
                    raise
        raise AssertionError  # the last hop returns or raises

    def _owner(self, slot: int) -> ClusterNode:
        owner = None if self._map is None else self._map.primary(slot)
        if owner is None:
            raise SlotUncoveredError(f"no node has slot {slot}")
        return owner

    def _generation(self, slot: int) -> tuple[Redis, int]:
        """Who has a slot, and how often that changed since this process looked first, from 1 on."""
        address = self._owner(slot).address
        known, generation = self._generations.get(slot, ("", 0))
        if known != address:
            generation = generation % (GENERATIONS - 1) + 1
            self._generations[slot] = (address, generation)
        return self._client(address), generation

    def _client(self, address: str) -> Redis:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = connect(with_host(self._url, address), timeout_s=self._timeout_s)
        return client

    # -------------------------------------------------------------------------------------------------------- the map

    async def _remap(self, since_s: float | None = None) -> SlotMap:
        """One at a time for all who want it."""
        if self._making is None or self._making.done():
            if self._map is not None and since_s is not None and self._begun_s > since_s:
                return self._map
            self._making = asyncio.create_task(self._make_map(), name="redis-slot-map")
        return await asyncio.shield(self._making)

    async def _make_map(self) -> SlotMap:
        """What the nodes say that answer; those that were named at the start are always among them."""
        begun_s = time.monotonic()
        known = [node.address for node in self._map.nodes if not node.is_known_dead] if self._map else []
        asked = list(dict.fromkeys([*self._seeds, *known]))
        if len(asked) > MAX_ASKED:
            asked = random.sample(asked, MAX_ASKED)
        views = await self._views(asked)
        made = self._map = SlotMap(views, self._map)
        self._begun_s = begun_s
        gone = self._clients.keys() - {node.address for node in made.nodes} - set(self._seeds)
        for address in gone:
            await self._clients.pop(address).aclose()
        return made

    async def _views(self, asked: Sequence[str]) -> list[list[ClusterNode]]:
        """What those say who answer in time: somebody has to, so until one has, all of them are waited for. To connect
        by TLS to all six at once takes a busy machine longer than a look may take while a primary is away, and who cut
        it short each time would never come to an end. Raises the errors of Redis where nobody answers."""
        asking = [asyncio.create_task(self._view(address), name=f"redis-slot-map {address}") for address in asked]
        try:
            done, left = await asyncio.wait(asking, timeout=OTHERS_TOLD_S)
            while left and all(isinstance(task.result(), Exception) for task in done):
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        answers = [task.result() for task in asking if not task.cancelled()]
        if views := [answer for answer in answers if isinstance(answer, list)]:
            return views
        raise next(answer for answer in answers if isinstance(answer, Exception))

    async def _view(self, address: str) -> list[ClusterNode] | Exception:
        try:
            async with asyncio.timeout(max(OTHERS_TOLD_S, self._timeout_s)):
                told: Any = await self._client(address).execute_command("CLUSTER", "NODES")  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            return error
        return read_nodes(told.decode(), address.rpartition(":")[0])
