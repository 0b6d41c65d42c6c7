"""Redis asks who you are: each service may do what it needs, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from redis.asyncio.connection import SSLConnection
from redis.exceptions import NoPermissionError

from infra.access.certificates import Authority
from infra.access.redis_rights import RULES
from infra.local.redis_guard import RedisGuard
from infra.local.running import running_redis
from services.platform.private_files import replace_private
from services.platform.settings import AccessSettings
from services.state import redis_client
from services.state.errors import RedisUnreachable
from services.state.library import build
from services.state.readers import StateReader
from services.state.redis_access import RedisNotTrusted, RedisRefusesUser, redis_address
from services.state.redis_client import Redis, RedisError, connect
from services.state.redis_cluster import RedisCluster
from services.state.snapshots.loading import Loading, is_being_loaded
from services.state.store import fold_connection, open_store, reach
from services.state.store_check import check_libraries, check_stores
from services.stream.place import PartitionId

pytestmark = pytest.mark.real
TIMEOUT_S: Final = 2.0
HEAD: Final = "{p00}:h"
WAITING: Final = "{p00}:waiting:masks:next"
READERS: Final = ("front-door", "counter", "console", "clock", "allocator", "rebuild", "audit")
FOLDERS: Final = ("allocator", "rebuild")
WRITERS: Final = ("front-door", *FOLDERS)


class Guarded(NamedTuple):
    """Where a cluster is that asks, and as whom to come."""

    redis: str
    access: AccessSettings

    def as_user(self, user: str, guard: RedisGuard) -> str:
        return redis_address(self._replace(access=guard.access(user)))


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> RedisGuard:
    folder = tmp_path_factory.mktemp("access") / "access"
    return RedisGuard(Authority.in_folder(folder), folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, guard: RedisGuard) -> Iterator[Guarded]:
    with running_redis(tmp_path_factory.mktemp("redis"), guard) as redis:
        yield Guarded(redis.url, AccessSettings())


@asynccontextmanager
async def primary(address: str) -> AsyncIterator[Redis]:
    """The node that has partition 0."""
    store = open_store(address, timeout_s=TIMEOUT_S)
    assert isinstance(store, RedisCluster)
    try:
        await store.look_again()
        node = connect(store.url_of(HEAD), timeout_s=TIMEOUT_S)
        try:
            yield node
        finally:
            await node.aclose()
    finally:
        await store.aclose()


async def may(address: str, *words: Any) -> bool:
    """Whether a user may do something; whether it makes sense is another question."""
    async with primary(address) as node:
        try:
            await node.execute_command(*words)  # type: ignore[no-untyped-call]
        except NoPermissionError:
            return False
        except RedisError as error:
            if "MOVED" in str(error):  # nobody was asked
                raise
        return True


FCALL = ("FCALL", build().function, 1, HEAD, b"\x90", b"\x90")
FORBIDDEN = {
    "fold": (FCALL, [user for user in RULES if user not in FOLDERS]),
    "bring rules of its own": (("FUNCTION", "LOAD", build().text), [user for user in RULES if user not in FOLDERS]),
    "throw the rules away": (("FUNCTION", "FLUSH"), list(RULES)),
    "write a row": (("SET", HEAD, "mine"), [user for user in RULES if user not in FOLDERS]),
    "write many rows": (("MSET", HEAD, "mine"), [user for user in RULES if user not in FOLDERS]),
    "write a waiting room's": (("PFADD", WAITING, "1"), [user for user in RULES if user != "front-door"]),
    "delete a row": (("DEL", HEAD), [user for user in RULES if user != "rebuild"]),
    "run a script": (("EVAL", "return redis.call('SET', KEYS[1], 'mine')", 1, HEAD), list(RULES)),
    "empty everything": (("FLUSHALL",), list(RULES)),
    "change settings": (("CONFIG", "SET", "appendonly", "no"), list(RULES)),
    "make users": (("ACL", "SETUSER", "mine", "on", "nopass", "~*", "+@all"), list(RULES)),
    "listen in": (("MONITOR",), list(RULES)),
    "give slots away": (("CLUSTER", "DELSLOTS", "1"), [user for user in RULES if user != "setup"]),
    "let rows end": (("EXPIRE", HEAD, "1"), list(RULES)),
    "read what is no partition's": (("MGET", "{other}:h"), list(RULES)),
}


@pytest.mark.safety
@pytest.mark.parametrize(("what", "user"), [(what, user) for what, (_, users) in FORBIDDEN.items() for user in users])
async def test_nobody_may_do_what_is_not_theirs(cluster: Guarded, guard: RedisGuard, what: str, user: str) -> None:
    address = cluster.as_user(user, guard)
    if user in READERS:
        assert not await may(address, *FORBIDDEN[what][0])
    else:  # these do not even ask who has a partition
        node = connect(one_node(address), timeout_s=TIMEOUT_S)
        with pytest.raises(NoPermissionError):
            await node.execute_command(*FORBIDDEN[what][0])  # type: ignore[no-untyped-call]
        await node.aclose()


def one_node(address: str) -> str:
    """The address of the first node alone."""
    hosts, slash, rest = address.partition("/0")
    return hosts.partition(",")[0] + slash + rest


@pytest.mark.control
async def test_a_user_to_whom_all_of_it_is_granted_may(tmp_path: Path) -> None:
    rules = {**RULES, "counter": "%RW~* +@all"}
    guard = RedisGuard(Authority.in_folder(tmp_path / "access"), tmp_path / "access", rules)
    with running_redis(tmp_path / "redis", guard) as redis:
        address = Guarded(redis.url, AccessSettings()).as_user("counter", guard)
        for what in ("fold", "bring rules of its own", "write a row", "write a waiting room's", "delete a row"):
            assert await may(address, *FORBIDDEN[what][0])


@pytest.mark.parametrize("user", READERS)
async def test_who_serves_people_reads_rows_and_finds_keys(cluster: Guarded, guard: RedisGuard, user: str) -> None:
    store = open_store(cluster.as_user(user, guard), timeout_s=TIMEOUT_S)
    try:
        reader = StateReader(store)
        assert (await reader.read(0, ["r:nobody"])).rows == [None]
        await reader.scan(0, "r", 0)
        read_at_s = reader.read_at_s(0)
        reader.look([0])
        async with asyncio.timeout(TIMEOUT_S):
            while reader.read_at_s(0) == read_at_s:
                await asyncio.sleep(0.01)
    finally:
        await store.aclose()


async def test_an_allocator_brings_the_function_calls_it_and_looks_at_its_redis(
    cluster: Guarded, guard: RedisGuard
) -> None:
    address = cluster.as_user("allocator", guard)
    assert await may(address, "FUNCTION", "LOAD", build().text)
    assert await may(address, *FCALL)
    store = open_store(address, timeout_s=TIMEOUT_S)
    try:
        assert (await check_stores(store)).wrong == []
        await check_libraries(store, build())
    finally:
        await store.aclose()


async def test_a_rebuild_loads_a_snapshot(cluster: Guarded, guard: RedisGuard) -> None:
    address = cluster.as_user("rebuild", guard)
    store = open_store(address, timeout_s=TIMEOUT_S)
    try:
        await store.ping()  # then it knows who has the partition
        loading = Loading(fold_connection(store, address, PartitionId(0), timeout_s=TIMEOUT_S), 0)
        await loading.take(lambda head: head is None or is_being_loaded(head))
        await loading.put([("r:nobody", b"\x90")])
        await loading.clear(store)
        await loading.give_back(None)
        await loading.drop()
    finally:
        await store.aclose()


async def test_a_front_door_keeps_its_waiting_rooms(cluster: Guarded, guard: RedisGuard) -> None:
    address = cluster.as_user("front-door", guard)
    for words in (("PFADD", WAITING, "somebody"), ("EXPIRE", WAITING, "60")):
        assert await may(address, *words)
    assert not await may(address, "SET", WAITING, "1")
    assert await may(cluster.as_user("clock", guard), "PFCOUNT", WAITING)


async def test_a_wrong_password_is_told_at_once_and_never_repeated(
    cluster: Guarded, guard: RedisGuard, tmp_path: Path
) -> None:
    replace_private(tmp_path / "private" / "password", b"not the one\n")
    known = guard.access("clock")
    access = AccessSettings(
        redis_user="clock",
        redis_password_file=tmp_path / "private" / "password",
        redis_ca_file=known.redis_ca_file,
    )
    with pytest.raises(RedisRefusesUser, match="(?s)the user 'clock' in.*--redis-password-file") as told:
        await reach(redis_address(cluster._replace(access=access)), timeout_s=TIMEOUT_S, within_s=30.0)
    assert "not the one" not in str(told.value)
    assert "not%20the%20one" not in str(told.value)


async def test_a_certificate_of_another_authority_is_told_at_once(
    cluster: Guarded, guard: RedisGuard, tmp_path: Path
) -> None:
    with pytest.raises(RedisNotTrusted, match="(?s)certificate.*--redis-ca-file"):
        await reach(trusts_another(cluster, guard, tmp_path), timeout_s=TIMEOUT_S, within_s=30.0)


def trusts_another(cluster: Guarded, guard: RedisGuard, folder: Path) -> str:
    """As somebody comes who was told other certificates than those of who signed for this Redis."""
    other = Authority.in_folder(folder / "other").path
    known = guard.access("clock")
    access = AccessSettings(redis_user="clock", redis_password_file=known.redis_password_file, redis_ca_file=other)
    return redis_address(cluster._replace(access=access))


@pytest.mark.safety
async def test_whom_the_system_trusts_is_not_trusted_where_others_were_named(
    cluster: Guarded, guard: RedisGuard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(guard.access("clock").redis_ca_file))  # as one of the system's own
    with pytest.raises(RedisNotTrusted):
        await reach(trusts_another(cluster, guard, tmp_path), timeout_s=TIMEOUT_S, within_s=30.0)


@pytest.mark.control
async def test_as_redis_py_connects_by_itself_anybody_is_trusted_whom_the_system_trusts(
    cluster: Guarded, guard: RedisGuard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(guard.access("clock").redis_ca_file))
    monkeypatch.setattr(redis_client, "TlsConnection", SSLConnection)
    await reach(trusts_another(cluster, guard, tmp_path), timeout_s=TIMEOUT_S, within_s=30.0)


async def test_nobody_comes_without_a_name_or_without_tls(cluster: Guarded, guard: RedisGuard) -> None:
    nameless = AccessSettings(redis_ca_file=guard.access("clock").redis_ca_file)
    with pytest.raises(RedisRefusesUser, match="'default'"):
        await reach(redis_address(cluster._replace(access=nameless)), timeout_s=TIMEOUT_S, within_s=30.0)
    with pytest.raises(RedisUnreachable):
        await reach(cluster.redis.replace("rediss:", "redis:"), timeout_s=TIMEOUT_S, within_s=0.3)
