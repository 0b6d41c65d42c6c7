"""Whether a Redis is fit to hold what people were promised, and whether its function library is ours.

It must throw nothing away when its memory is full, and have something left after a restart. The library's name holds a
digest of its text, so another text under that name is one that somebody put there.
"""

from contextlib import suppress
from typing import Any, NamedTuple

from services.platform.errors import MasklineError
from services.state.keys import head_key
from services.state.library import Library
from services.state.redis_client import Redis, RedisError, ResponseError
from services.state.redis_cluster import RedisCluster
from services.state.store import Store

POLICY = "maxmemory-policy"
NOT_SET = ""


class StoreUnfit(MasklineError):
    """Redis is not set as it must be, and nothing is decided in it: {what}"""


class LibraryReplaced(MasklineError):
    """The function library '{name}' in Redis is not the one that this version brings under that name.

    Somebody replaced it, and what it would decide is not what our rules say. Remove it (FUNCTION DELETE {name}): an
    allocator loads the right one within seconds. `maskline verify` says whether the other one decided anything wrongly.
    """


class StoreCheck(NamedTuple):
    """What was found, in sentences for people."""

    good: list[str]
    notes: list[str]
    """What is not wrong, or could not be looked at."""
    wrong: list[str]


async def check_store(redis: Redis) -> StoreCheck:
    """Memory policy and persistence. Raises the errors of Redis, but not that it refuses CONFIG or INFO."""
    found = StoreCheck([], [], [])
    try:
        known = await _by_config(redis)
    except ResponseError:
        known = await _by_info(redis, found)
    _judge_policy(known.get(POLICY), found)
    _judge_persistence(known.get("appendonly"), known.get("save"), found)
    return found


async def check_stores(store: Store, partition: int | None = None) -> StoreCheck:
    """The same of every node of a cluster, or of those that have a partition. A replica may lead tomorrow, so it is
    looked at as well; one that does not answer is told, and keeps nobody from anything. Raises as `check_store`.
    """
    if not isinstance(store, RedisCluster):
        return await _check_alone(store)
    found = StoreCheck([], [], [])
    for node, client in await store.nodes(None if partition is None else head_key(partition)):
        try:
            of_node = await check_store(client)
        except (RedisError, OSError) as error:
            if node.slots:
                await store.look_again()
                raise
            found.notes.append(f"{node.address}: this replica does not answer ({type(error).__name__})")
            continue
        for told, words in zip(found, of_node, strict=True):
            told.extend(f"{node.address}: {each}" for each in words)
    return found


async def check_libraries(store: Store, library: Library, partition: int | None = None) -> bool:
    """The same of every primary, or of a partition's: whether it is loaded in all. Replicas have what those have.
    Raises as `check_library`."""
    if not isinstance(store, RedisCluster):
        return await check_library(store, library)
    nodes = await store.nodes(None if partition is None else head_key(partition))
    return all([await check_library(client, library) for node, client in nodes if node.slots])


async def check_library(redis: Redis, library: Library) -> bool:
    """Whether the library is loaded. Raises LibraryReplaced, and ResponseError where FUNCTION LIST is refused."""
    answer: Any = await redis.function_list(library=library.name, withcode=True)
    for entry in answer:
        fields = dict(zip(entry[::2], entry[1::2], strict=True))
        if fields[b"library_name"] == library.name.encode():
            if fields[b"library_code"] != library.text.encode():
                raise LibraryReplaced(name=library.name)
            return True
    return False


async def _check_alone(redis: Redis) -> StoreCheck:
    found = await check_store(redis)
    with suppress(ResponseError):  # INFO is not allowed: what is asked of the wrong node will be refused as well
        about: dict[str, Any] = await redis.info("cluster")
        if about.get("cluster_enabled"):
            found.wrong.append(
                "It is a node of a Redis Cluster, named alone, and does not have every partition. Name another node as "
                "well, redis://HOST:PORT,HOST:PORT/0; where there is only this one, twice."
            )
    return found


async def _by_config(redis: Redis) -> dict[str, str]:
    answer: Any = await redis.config_get(POLICY, "appendonly", "save")
    return {_text(name): _text(value) for name, value in answer.items()}


async def _by_info(redis: Redis, found: StoreCheck) -> dict[str, str]:
    """Where CONFIG is not allowed, as with many hosted ones, INFO tells most of it."""
    try:
        info: dict[str, Any] = await redis.info()
    except ResponseError:
        found.notes.append(
            f"whether {POLICY} is noeviction and persistence is on could not be checked: this user may neither "
            "CONFIG GET nor INFO"
        )
        return {}
    known = {}
    if "maxmemory_policy" in info:
        known[POLICY] = str(info["maxmemory_policy"])
    if "aof_enabled" in info:
        known["appendonly"] = "yes" if info["aof_enabled"] else "no"
    return known


def _judge_policy(policy: str | None, found: StoreCheck) -> None:
    if policy is None:
        if not found.notes:
            found.notes.append(f"whether {POLICY} is noeviction could not be checked: CONFIG GET is not allowed here")
    elif policy == "noeviction":
        found.good.append(f"{POLICY} is noeviction")
    else:
        found.wrong.append(
            f"{POLICY} is {policy}: Redis would throw reservations away when its memory is full. Say CONFIG SET "
            f"{POLICY} noeviction, and write the same into its configuration file."
        )


def _judge_persistence(appendonly: str | None, save: str | None, found: StoreCheck) -> None:
    if appendonly == "yes":
        found.good.append("appendonly is on")
    elif appendonly is not None and save:
        found.notes.append(f"appendonly is off, save is '{save}': after a crash minutes of the log are folded again")
    elif appendonly is not None and save == NOT_SET:
        found.wrong.append(
            "neither appendonly nor save is set: Redis would be empty after a restart. Say CONFIG SET appendonly yes, "
            "and write appendonly yes and appendfsync everysec into its configuration file."
        )
    elif not found.notes:
        found.notes.append("whether persistence is on could not be checked: CONFIG GET is not allowed here")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
