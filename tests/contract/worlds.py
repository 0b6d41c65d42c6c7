"""Two worlds under one contract: the reference model in Python, and the function library in a real Valkey."""

import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import msgspec

from services.domain.commands import Command, decode, encode
from services.domain.fold import RulesTooNewError, apply
from services.domain.rows import HEAD, Facts, Head, State
from services.state.fold_call import Batch, FoldCall, Folded, LogIdentity
from services.state.keys import decisions_chunk, head_key, key, place_in_chunk, tag
from services.state.library import Library, build
from services.state.readers import decode_row
from services.state.redis_client import Redis
from services.state.redis_cluster import RedisCluster
from services.state.store import Store, fold_connection, open_store
from tests import builders as b

REDIS_TIMEOUT_S = 10.0
IDENTITY = LogIdentity(b.LOG, b.KEY_CHECK)


encode_row = msgspec.msgpack.Encoder().encode
"""A row as the library writes it: what `decode_row` reads."""


def as_written(command: Command | bytes) -> bytes:
    """The value of a record; bytes stand for themselves."""
    return command if isinstance(command, bytes) else encode(command)


def batch_of(start: int, records: Iterable[tuple[bytes, int]]) -> Batch:
    """Values and time stamps of consecutive records, as the allocator brings them to the fold."""
    records = list(records)
    return Batch(
        start=start,
        timestamps_ms=[at_ms for _, at_ms in records],
        digests=[zlib.crc32(value) for value, _ in records],
        commands=[decode(value) for value, _ in records],
    )


class World(Protocol):
    """A partition, one record at a time. `now_ms` is the time stamp of the next record."""

    now_ms: int

    async def fold(self, command: Command | bytes, *, at_ms: int | None = None) -> Facts:
        """The decision on the next record. Raises RulesTooNewError and leaves everything as it was."""

    async def row(self, logical_key: str) -> Any:
        """A row, or None."""

    async def rows(self) -> dict[str, Any]:
        """All rows but recorded decisions."""


class ModelWorld:
    """The reference model."""

    def __init__(self) -> None:
        self.now_ms = b.NOON_MS
        self.state = State()

    async def fold(self, command: Command | bytes, *, at_ms: int | None = None) -> Facts:
        self.now_ms = self.now_ms if at_ms is None else at_ms
        value = as_written(command)
        return apply(
            self.state,
            offset=self.state.head.position,
            timestamp_ms=self.now_ms,
            digest=zlib.crc32(value),
            command=decode(value),
        )

    async def row(self, logical_key: str) -> Any:
        return self.state.get(logical_key)

    async def rows(self) -> dict[str, Any]:
        # A copy: rows are changed in place, and tests compare before with after.
        return {name: decode_row(name, encode_row(row)) for name, row in self.state.rows.items()}


class LuaWorld:
    """The function library, on a connection of its own to an empty Valkey.

    In a cluster `redis` is the node that has the partition, and `store` the whole.
    """

    def __init__(
        self, url: str, redis: Redis, library: Library | None = None, partition: int = 0, store: Store | None = None
    ) -> None:
        self.now_ms = b.NOON_MS
        self.position = 0
        self.redis = redis
        self.partition = partition
        self.library = library or build()
        self.store = store or redis
        self._url = url
        self.call = self.another_call()

    async def beside(self, partition: int) -> "LuaWorld":
        """Another partition of the same Redis, before its first record; in a cluster it may be another node's."""
        redis = self.redis
        if isinstance(self.store, RedisCluster):
            redis = (await self.store.nodes(head_key(partition)))[0][1]
        other = LuaWorld(self._url, redis, self.library, partition, self.store)
        await other.call.load_library()
        return other

    def another_call(self, library: Library | None = None, identity: LogIdentity = IDENTITY) -> FoldCall:
        """By somebody else, on a connection of their own."""
        connection = fold_connection(self.store, self._url, self.partition, timeout_s=REDIS_TIMEOUT_S)
        return FoldCall(connection, library or self.library, self.partition, identity)

    async def fold(self, command: Command | bytes, *, at_ms: int | None = None) -> Facts:
        self.now_ms = self.now_ms if at_ms is None else at_ms
        folded = await self.fold_batch([(as_written(command), self.now_ms)])
        if folded.status == "rules_too_new":
            raise RulesTooNewError
        assert folded.status == "ok"
        (facts,) = folded.decisions
        assert isinstance(facts, list)
        return facts

    async def fold_batch(
        self, records: Iterable[tuple[bytes, int]], start: int | None = None, published: int = 0
    ) -> Folded:
        """Values and time stamps from `start`, or from where the fold is."""
        batch = batch_of(self.position if start is None else start, records)
        folded = await self.call.fold(batch, published)
        self.position = folded.position
        return folded

    async def row(self, logical_key: str) -> Any:
        return decode_row(logical_key, await self._value(logical_key))

    async def rows(self) -> dict[str, Any]:
        return {name: decode_row(name, value) for name, value in (await self.values()).items() if name[:2] != "d:"}

    async def values(self) -> dict[str, bytes]:
        """Everything of this partition as it stands in Redis, recorded decisions included."""
        prefix = tag(self.partition)
        found: Any = await self.redis.keys(f"{prefix}*")
        values: Any = await self.redis.mget(sorted(found)) if found else []
        return {name.decode().removeprefix(prefix): value for name, value in zip(sorted(found), values, strict=True)}

    async def put_back(self, values: dict[str, bytes]) -> None:
        """This partition is as it was when `values` were read, or empty."""
        keys: Any = await self.redis.keys(f"{tag(self.partition)}*")
        if keys:
            await self.redis.delete(*keys)
        if values:
            await self.redis.mset({key(self.partition, name): value for name, value in values.items()})

    async def recorded(self, offset: int) -> Facts | None:
        """The recorded decision of an offset; None where it is gone."""
        chunk = decode_row("d:", await self._value(decisions_chunk(offset)))
        return None if chunk is None else chunk[place_in_chunk(offset)]

    async def _value(self, logical_key: str) -> bytes | None:
        value: Any = await self.redis.get(key(self.partition, logical_key))
        return value  # type: ignore[no-any-return]  # redis-py allows for decoded answers


@asynccontextmanager
async def lua_world(url: str, library: Library | None = None) -> AsyncIterator[LuaWorld]:
    """A Valkey (or a cluster) with nothing but the library in it."""
    store = open_store(url, timeout_s=REDIS_TIMEOUT_S)
    world = LuaWorld(url, (await emptied(store))[0], library, store=store)
    await world.call.load_library()
    try:
        yield world
    finally:
        await world.call.drop()
        await store.aclose()


async def emptied(store: Store) -> list[Redis]:
    """Whoever has keys, without keys and libraries now; the one that has partition 0 first."""
    clients = await everybody(store)
    for client in clients:
        await client.flushall()
        await client.function_flush()
    return clients


async def everybody(store: Store) -> list[Redis]:
    """Whoever has keys; the one that has partition 0 first."""
    if not isinstance(store, RedisCluster):
        return [store]
    own = (await store.nodes(head_key(0)))[0][1]
    return [own, *[client for node, client in await store.nodes() if node.slots and client is not own]]


def differences(model: dict[str, Any], redis: dict[str, Any]) -> list[str]:
    """Where rows differ, one line a row; what the allocator keeps in the head is left out."""
    wrong = [f"{name}: not in Redis" for name in model.keys() - redis.keys()]
    wrong += [f"{name}: not in the model" for name in redis.keys() - model.keys()]
    for name in model.keys() & redis.keys():
        found = redis[name]
        if name == HEAD:
            found = msgspec.structs.replace(found, published=0, trimmed=0)
        if model[name] != found:
            wrong.append(f"{name}: {model[name]} in the model, {found} in Redis")
    return sorted(wrong)


async def begin(world: World) -> None:
    """Every partition starts with its genesis record."""
    await world.fold(b.genesis())


async def fold_all(world: World, commands: Iterable[Command]) -> list[Facts]:
    """The decisions on several commands."""
    return [await world.fold(command) for command in commands]


async def open_campaign(world: World, slots: dict[str, int] | list[Any], **options: Any) -> None:
    """A campaign that is open: slots by name and units (of one pharmacy), or as `b.slot` makes them."""
    chosen = b.slots_of(slots) if isinstance(slots, dict) else slots
    campaign = options.get("campaign", b.CAMPAIGN)
    for facts in await fold_all(world, [*b.definition(chosen, **options), b.open_(campaign=campaign)]):
        assert len(facts[0]) >= 1


async def pair_terminal(
    world: World, terminal: str = b.TERMINAL, *, pharmacy: str = b.PHARMACY, region: str = b.REGION
) -> None:
    """A terminal that may act."""
    await fold_all(world, [b.invite(terminal, pharmacy=pharmacy, region=region), b.pair(terminal)])


async def time_passes(world: World, ms: int) -> None:
    """The clock service ticks, so that record time follows."""
    world.now_ms += ms
    await world.fold(b.tick(world.now_ms))


def without_bookkeeping(rows: dict[str, Any]) -> dict[str, Any]:
    """Rows as a decision sees them: the head without what every record moves."""
    head: Head = rows[HEAD]
    kept = Head(log=head.log, key_check=head.key_check, rules=head.rules, campaigns=head.campaigns)
    return {**rows, HEAD: kept}


Records = list[tuple[bytes, int]]
"""Values and time stamps."""


def at_noon(*commands: Command) -> Records:
    """Records of one moment."""
    return [(encode(command), b.NOON_MS) for command in commands]


def a_rush(people: int = 30) -> Records:
    """A campaign of ten units in two slots, and more people than that, from the genesis record on."""
    everybody = [b.reserve(f"resident {n}", "noon" if n % 2 else "evening") for n in range(people)]
    return at_noon(b.genesis(), *b.definition(b.slots_of({"noon": 6, "evening": 4})), b.open_(), *everybody)


async def decided_by_the_model(log: Iterable[tuple[bytes, int]]) -> tuple[ModelWorld, list[Facts]]:
    """What has to come out."""
    model = ModelWorld()
    return model, [await model.fold(value, at_ms=at_ms) for value, at_ms in log]
