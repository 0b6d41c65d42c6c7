"""What a broker of the real tier is told, and why: `server.properties` with a comment a line.

The same settings hold in production (infra/kubernetes says where), but for addresses and sizes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from infra.embedded.commands import LOOPBACK
from infra.launcher.ports import free_ports

AUTHORIZER: Final = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
YEAR_MINUTES: Final = 365 * 24 * 60


class Setting(NamedTuple):
    """One line, and the line above it."""

    name: str
    value: str | int
    why: str


class BrokerPorts(NamedTuple):
    """Where one broker listens: clients, controllers, and with TLS the other brokers."""

    broker: int
    controller: int
    between: int = 0

    @classmethod
    def free(cls, brokers: int) -> "list[BrokerPorts]":
        """Ports that nobody listens on now, for so many brokers."""
        ports = iter(free_ports(len(cls._fields) * brokers))
        return [cls(*some) for some in zip(ports, ports, ports, strict=True)]


class BrokerTls(NamedTuple):
    """Who a broker is, and whom it trusts: files in PEM."""

    own: Path
    trusted: Path


def server_properties(index: int, ports: Sequence[BrokerPorts], folder: Path, tls: BrokerTls | None = None) -> str:
    """The file of broker `index` (from 0) of as many as there are `ports`."""
    place = _place(index, ports, folder) if tls is None else secured_place(index, ports, folder, tls)
    parts = [*place, *_promise(len(ports)), *_fail_over(), *_groups(len(ports)), *_size()]
    return "".join(f"# {each.why}\n{each.name}={each.value}\n" for each in parts)


def node_id(index: int) -> int:
    """Kafka counts its nodes from 1."""
    return index + 1


def who_it_is(index: int, ports: Sequence[BrokerPorts], folder: Path) -> list[Setting]:
    """What holds with TLS and without."""
    voters = ",".join(f"{node_id(at)}@{LOOPBACK}:{each.controller}" for at, each in enumerate(ports))
    return [
        Setting("process.roles", "broker,controller", "KRaft: each broker also votes on who leads what"),
        Setting("node.id", node_id(index), "this one"),
        Setting("controller.quorum.voters", voters, "all of them"),
        Setting("controller.listener.names", "CONTROLLER", "votes have a port of their own"),
        Setting("log.dirs", str(folder), "the truth"),
    ]


def _place(index: int, ports: Sequence[BrokerPorts], folder: Path) -> list[Setting]:
    own = ports[index]
    return [
        *who_it_is(index, ports, folder),
        Setting(
            "listeners",
            f"BROKER://{LOOPBACK}:{own.broker},CONTROLLER://{LOOPBACK}:{own.controller}",
            "loopback only: whoever reaches a broker may write the truth",
        ),
        Setting("advertised.listeners", f"BROKER://{LOOPBACK}:{own.broker}", "where clients are sent"),
        Setting("listener.security.protocol.map", "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT", "one machine"),
        Setting("inter.broker.listener.name", "BROKER", "replicas come the way clients do"),
    ]


def secured_place(index: int, ports: Sequence[BrokerPorts], folder: Path, tls: BrokerTls) -> list[Setting]:
    """The same where everybody has to say who they are: clients by password, brokers by certificate."""
    own = ports[index]
    at = [f"CLIENTS://{LOOPBACK}:{own.broker}", f"BROKERS://{LOOPBACK}:{own.between}"]
    kinds = "CLIENTS:SASL_SSL,BROKERS:SSL,CONTROLLER:SSL"
    brokers = ";".join(f"User:{broker_name(each)}" for each in range(len(ports)))
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return [
        *who_it_is(index, ports, folder),
        Setting("listeners", ",".join([*at, f"CONTROLLER://{LOOPBACK}:{own.controller}"]), "loopback"),
        Setting("advertised.listeners", ",".join(at), "where clients are sent, and where brokers find each other"),
        Setting("listener.security.protocol.map", kinds, "TLS everywhere; passwords are for clients"),
        Setting("inter.broker.listener.name", "BROKERS", "who has a broker's certificate; no password that could leak"),
        Setting("sasl.enabled.mechanisms", "SCRAM-SHA-512", "Kafka keeps no password, and none is ever sent"),
        Setting("listener.name.clients.scram-sha-512.sasl.jaas.config", login, "users are kept by Kafka itself"),
        Setting("ssl.keystore.type", "PEM", "key and certificate as everybody else has them"),
        Setting("ssl.keystore.location", str(tls.own), "who this broker is"),
        Setting("ssl.truststore.type", "PEM", "as above"),
        Setting("ssl.truststore.location", str(tls.trusted), "who signs for brokers"),
        Setting("ssl.enabled.protocols", "TLSv1.3,TLSv1.2", "no older ones"),
        Setting("listener.name.brokers.ssl.client.auth", "required", "a broker shows who it is"),
        Setting("listener.name.controller.ssl.client.auth", "required", "whoever votes shows who it is"),
        Setting("ssl.principal.mapping.rules", "RULE:^CN=([^,]+),.*$/$1/,DEFAULT", "its name is the certificate's"),
        Setting("authorizer.class.name", AUTHORIZER, "rights are checked"),
        Setting("allow.everyone.if.no.acl.found", "false", "nobody may what nobody was allowed"),
        Setting("super.users", brokers, "brokers alone; infra/access/kafka_rights.py has everybody else's rights"),
    ]


def broker_name(index: int) -> str:
    """In its certificate, and among the super users."""
    return f"broker-{node_id(index)}"


def _promise(brokers: int) -> list[Setting]:
    """A 202 is never lost."""
    replicas = min(3, brokers)
    return [
        Setting("default.replication.factor", replicas, "every topic on three brokers"),
        Setting("min.insync.replicas", replicas // 2 + 1, "an acknowledged record is on two at least: one may die"),
        Setting("unclean.leader.election.enable", "false", "rather no leader than one that lacks records"),
        Setting("auto.create.topics.enable", "false", "a mistyped name must not become a topic that forgets"),
        Setting("delete.topic.enable", "true", "an operator may; our users may not (SECURITY.md)"),
        Setting("log.retention.ms", -1, "Kafka's seven days would delete the truth; topics of ours say so again"),
        Setting(
            "log.message.timestamp.after.max.ms",
            9_223_372_036_854_775_807,
            "events carry their allocator's clock, which may be hours wrong; commands the broker's, by their topic",
        ),
        Setting(
            "log.flush.interval.messages",
            9_223_372_036_854_775_807,
            "no fsync a record: what holds an acknowledged one is three replicas, not one disk",
        ),
        Setting("message.max.bytes", 1_048_576, "as the topics say"),
    ]


def _fail_over() -> list[Setting]:
    """Bookings flow again within five seconds of a broker's death."""
    return [
        Setting("broker.heartbeat.interval.ms", 500, "a broker says so often that it lives"),
        Setting("broker.session.timeout.ms", 2_000, "after that its partitions get other leaders; 9 s by default"),
        Setting("controller.quorum.fetch.timeout.ms", 1_000, "a silent controller is voted out; 2 s by default"),
        Setting("controller.quorum.election.timeout.ms", 500, "nobody won: the next vote; 1 s by default"),
        Setting("controller.quorum.election.backoff.max.ms", 250, "at most so long before it; 1 s by default"),
        Setting("controller.quorum.request.timeout.ms", 1_000, "an unanswered vote is asked for again; 2 s by default"),
        Setting("controlled.shutdown.enable", "true", "one that is stopped hands its partitions over first"),
        Setting(
            "replica.lag.time.max.ms",
            5_000,
            "a replica that sleeps holds up every acknowledgement, until it no longer counts; 30 s by default",
        ),
        Setting("replica.socket.timeout.ms", 2_000, "replicas ask the next leader soon; 30 s by default"),
        Setting("replica.fetch.wait.max.ms", 250, "must be below the two above; new records end the wait"),
        Setting("auto.leader.rebalance.enable", "true", "one that comes back leads its share again"),
        Setting("leader.imbalance.check.interval.seconds", 10, "soon; 300 s by default"),
    ]


def _groups(brokers: int) -> list[Setting]:
    """Allocators share partitions in a group; `published` is its committed offset."""
    replicas = min(3, brokers)
    return [
        Setting("offsets.topic.replication.factor", replicas, "`published` is as safe as the log"),
        Setting("offsets.topic.num.partitions", 3, "few groups; 50 by default"),
        Setting("offsets.retention.minutes", YEAR_MINUTES, "of a group that sleeps; 7 days by default"),
        Setting("group.initial.rebalance.delay.ms", 0, "the first allocator starts at once; 3 s by default"),
        Setting("group.min.session.timeout.ms", 6_000, "allocators ask for 6 s: a dead one's partitions go to others"),
        Setting("transaction.state.log.replication.factor", replicas, "unused; as the others"),
        Setting("transaction.state.log.min.isr", replicas // 2 + 1, "unused; as the others"),
        Setting("share.coordinator.state.topic.replication.factor", replicas, "unused; as the others"),
        Setting("share.coordinator.state.topic.min.isr", replicas // 2 + 1, "unused; as the others"),
    ]


def _size() -> list[Setting]:
    """Three brokers beside everything else on two cores."""
    return [
        Setting("num.network.threads", 2, "of one small machine; in production 3 and more"),
        Setting("num.io.threads", 4, "of one small machine; in production 8 and more"),
        Setting("num.replica.fetchers", 1, "partitions are few"),
        Setting("log.cleaner.dedupe.buffer.size", 8_388_608, "only offsets are compacted; 128 MB by default"),
        Setting("queued.max.requests", 500, "a bound"),
    ]
