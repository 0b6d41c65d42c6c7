"""What a Redis of the real tier is told, and why: `redis.conf` with a comment a line.

The same settings hold in production (infra/kubernetes says where), but for addresses and sizes. Redis 7.0 and every
Valkey know all of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from infra.embedded.commands import LOOPBACK
from infra.launcher.ports import free_ports
from infra.local.kafka_settings import Setting

NODE_TIMEOUT_MS: Final = 2_000


class NodePorts(NamedTuple):
    """Where one node listens: clients, and the other nodes (by default 10,000 higher, which may be no port at all)."""

    client: int
    bus: int

    @classmethod
    def free(cls, nodes: int) -> "list[NodePorts]":
        """Ports that nobody listens on now, for so many nodes."""
        ports = free_ports(2 * nodes)
        return [cls(*pair) for pair in zip(ports[::2], ports[1::2], strict=True)]


def redis_conf(ports: NodePorts, folder: Path, guarding: Sequence[Setting] = ()) -> str:
    """The file of one node whose data is in `folder`; `guarding` stands instead of its plain port."""
    parts = [*_place(ports, folder, guarding), *_promise(), *_fail_over(), *_size()]
    return "".join(f"# {each.why}\n{each.name} {each.value}\n" for each in parts)


def _place(ports: NodePorts, folder: Path, guarding: Sequence[Setting]) -> list[Setting]:
    return [
        *(guarding or [Setting("port", ports.client, "where clients come")]),
        Setting("cluster-port", ports.bus, "where the other nodes come"),
        Setting("bind", LOOPBACK, "loopback only: whoever reaches a node may change what was decided"),
        Setting("protected-mode", "yes", "the same once more"),
        Setting("dir", f'"{folder}"', "all that it keeps"),
        Setting("daemonize", "no", "its launcher sees it end"),
    ]


def _promise() -> list[Setting]:
    """Redis may lose anything, for it is a fold of the log. It must not throw away a part and keep the rest."""
    return [
        Setting("maxmemory-policy", "noeviction", "a row that is thrown away is a resident without a place"),
        Setting("appendonly", "yes", "after a restart only what came since is folded again"),
        Setting("appendfsync", "everysec", "a lost second is folded again: position and rows are written in one step"),
        Setting("save", '""', "the append-only file says all; a snapshot would copy the memory once more"),
        Setting("aof-use-rdb-preamble", "yes", "a rewritten file loads in a fifth of the time"),
        Setting("no-appendfsync-on-rewrite", "no", "everysec means every second"),
        # With one replica each, 1 would keep nothing that the log does not keep, and stop what the promise needs: a
        # promoted replica has no replica of its own, so it would refuse the fold until the dead node is back, and the
        # death of any replica would stop its primary's partitions. What a primary that is cut off decides is lost with
        # it and decided again, the same. Where each primary has two replicas, 1 (with min-replicas-max-lag 10) costs
        # nothing and makes replays after a fail-over shorter.
        Setting("min-replicas-to-write", 0, "the log keeps what is acknowledged: a fold need not wait for a copy"),
        Setting("min-replicas-max-lag", 10, "seconds; says something where the line above is not 0"),
    ]


def _fail_over() -> list[Setting]:
    """Bookings flow again within five seconds of a primary's death."""
    return [
        Setting("cluster-enabled", "yes", "slots, replicas, elections"),
        Setting("cluster-config-file", "nodes.conf", "who is in it and has what; outlives a restart"),
        Setting("cluster-node-timeout", NODE_TIMEOUT_MS, "a silent primary is replaced after that; 15 s by default"),
        Setting(
            "cluster-replica-validity-factor",
            0,
            "any replica may lead, however old: what it lacks is folded again; 10 by default",
        ),
        Setting(
            "cluster-require-full-coverage", "no", "the regions of two shards go on while the third has nobody to lead"
        ),
        Setting("cluster-allow-reads-when-down", "no", "a node that is cut off must not tell what was once"),
        Setting("replica-read-only", "yes", "a row that only a replica has would stay after its promotion"),
        Setting("repl-diskless-sync-delay", 0, "one replica, nobody else to wait for; 5 s by default"),
        Setting("repl-timeout", 10, "a silent primary's link is made anew; 60 s by default"),
        Setting("repl-backlog-size", "32mb", "a replica that was away for seconds gets what it lacks, not everything"),
        Setting("shutdown-timeout", 2, "seconds that a primary waits at its end for its replica; 10 by default"),
    ]


def _size() -> list[Setting]:
    """Six nodes beside everything else on two cores."""
    return [
        Setting("io-threads", 1, "the fold is one thread a node anyway"),
        Setting("maxclients", 1_000, "a bound: processes have eight connections to a node, and one a partition"),
        Setting("timeout", 0, "an idle partition's connection stays"),
        Setting("tcp-keepalive", 10, "seconds; a dead allocator's connections go"),
        Setting(
            "auto-aof-rewrite-min-size", "256mb", "a rewrite beside a rush costs 18 ms; none while it is small"
        ),
        Setting("lua-time-limit", 1_000, "ms; a fold takes 5: whoever waits that long hears BUSY"),
    ]
