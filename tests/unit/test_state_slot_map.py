"""Whose keys are where in a Redis Cluster, as its nodes tell it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from services.platform.settings import without_password
from services.state.errors import RedisAddressInvalid
from services.state.keys import head_key
from services.state.redis_client import Redis, hosts_in, with_host
from services.state.redis_cluster import RedisCluster
from services.state.slot_map import SlotMap, read_nodes, slot_of
from services.state.store import open_store

NODE_1, NODE_2, NODE_4 = "a" * 40, "b" * 40, "d" * 40
BEFORE = f"""\
{NODE_1} 127.0.0.1:7001@17001,, myself,master - 0 0 1 connected 0-8191
{NODE_2} 127.0.0.1:7002@17002,host-2 master - 0 1700000000000 2 connected 8192-16382 16383
{NODE_4} 127.0.0.1:7004@17004 slave {NODE_1} 0 1700000000000 1 connected
"""
AFTER = f"""\
{NODE_1} 127.0.0.1:7001@17001 master,fail - 1700000000000 1700000000000 1 disconnected
{NODE_2} 127.0.0.1:7002@17002 master - 0 1700000000000 2 connected 8192-16383
{NODE_4} 127.0.0.1:7004@17004 myself,master - 0 0 7 connected 0-8191 [93-<-{NODE_2}]
"""


@given(st.one_of(st.text(), st.from_regex(r"[a-z]*\{[a-z]*\}[a-z{}]*")))
def test_the_slot_of_a_key_is_the_one_that_redis_would_say(key: str) -> None:
    assert slot_of(key) == key_slot(key.encode())


def test_all_keys_of_a_partition_are_in_one_slot() -> None:
    assert slot_of(head_key(3)) == slot_of("{p03}:never") == slot_of("{p03}:*") != slot_of(head_key(4))


def test_what_a_node_tells_is_read() -> None:
    first, second, fourth = read_nodes(BEFORE, "127.0.0.1")
    assert (first.address, first.is_myself, first.is_primary, first.epoch) == ("127.0.0.1:7001", True, True, 1)
    assert second.slots == frozenset(range(8192, 16384))
    assert (fourth.is_primary, fourth.follows, fourth.slots) == (False, NODE_1, frozenset())


def test_a_node_that_does_not_know_its_own_address_is_where_it_was_reached() -> None:
    (alone,) = read_nodes(f"{NODE_1} :7001@17001 myself,master - 0 0 0 connected\n", "10.0.0.7")
    assert alone.address == "10.0.0.7:7001"


@pytest.mark.parametrize("answers", [[BEFORE, AFTER], [AFTER, BEFORE]])
def test_of_two_who_say_that_they_lead_the_later_chosen_one_does(answers: list[str]) -> None:
    """The first was paused, and does not know yet that it was replaced."""
    made = SlotMap([read_nodes(answer, "127.0.0.1") for answer in answers])
    leader = made.primary(93)
    assert leader is not None
    assert leader.address == "127.0.0.1:7004"


def test_what_was_known_is_not_forgotten_where_only_those_answer_who_have_not_heard_of_it() -> None:
    known = SlotMap([read_nodes(AFTER, "127.0.0.1")])
    for leader in (SlotMap([read_nodes(BEFORE, "127.0.0.1")], known).primary(93), known.primary(93)):
        assert leader is not None
        assert leader.address == "127.0.0.1:7004"


def test_a_node_that_nobody_names_any_more_is_forgotten() -> None:
    alone = read_nodes(AFTER.splitlines()[1], "127.0.0.1")
    made = SlotMap([alone], SlotMap([read_nodes(AFTER, "127.0.0.1")]))
    assert [node.id for node in made.nodes] == [NODE_2]
    assert made.primary(93) is None


def test_a_shard_is_its_primary_and_who_follows_it() -> None:
    made = SlotMap([read_nodes(BEFORE, "127.0.0.1")])
    assert [node.id for node in made.shard(0)] == [NODE_1, NODE_4]
    assert [node.id for node in made.shard(16_383)] == [NODE_2]


def test_a_slot_that_nobody_has_has_no_shard() -> None:
    made = SlotMap([read_nodes(f"{NODE_1} 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 5\n", "127.0.0.1")])
    assert (made.primary(6), made.shard(6)) == (None, [])


def test_several_hosts_are_the_nodes_of_one_cluster() -> None:
    url = "redis://:secret@10.0.0.1:7001,10.0.0.2,[::1]:7003/0"
    assert hosts_in(url) == ["10.0.0.1:7001", "10.0.0.2:6379", "[::1]:7003"]
    assert with_host(url, "10.0.0.9:7009") == "redis://:secret@10.0.0.9:7009/0"
    assert "secret" not in without_password(url)
    assert isinstance(open_store(url, timeout_s=1), RedisCluster)
    assert isinstance(open_store("redis://10.0.0.1:7001/0", timeout_s=1), Redis)


@pytest.mark.parametrize("url", ["redis://a:1,b:2/1", "redis://a:1,/0", "redis://,/0"])
def test_an_address_of_a_cluster_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(RedisAddressInvalid):
        open_store(url, timeout_s=1)
