"""Which node of a Redis Cluster has which keys, as nodes tell it: no connection here, only words.

Nodes that are cut off tell of yesterday. What a node says comes with an epoch that every change of a slot's owner
raises, so of several answers the one with the greatest epoch holds, slot by slot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

SLOTS: Final = 16_384
MAX_TAGS: Final = 4_096
"""Hash tags whose slot is kept: ours has one for each partition."""
_POLYNOMIAL: Final = (
    0x1021  # CRC-16/XMODEM, as https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec
)


def slot_of(key: str) -> int:
    """The hash slot of a key: of what stands between its first braces, where something does."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return _slot_of_tag(key[start + 1 : end] if start >= 0 and end > start + 1 else key)


@lru_cache(maxsize=MAX_TAGS)
def _slot_of_tag(tag: str) -> int:
    crc = 0
    for byte in tag.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ _POLYNOMIAL if crc & 0x8000 else crc << 1
    return (crc & 0xFFFF) % SLOTS


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A line of CLUSTER NODES. `address` is host:port for clients; `follows` is a node's id, empty for a primary."""

    id: str
    address: str
    flags: frozenset[str]
    follows: str
    epoch: int
    is_linked: bool
    slots: frozenset[int]

    @property
    def is_myself(self) -> bool:
        return "myself" in self.flags

    @property
    def is_primary(self) -> bool:
        return "master" in self.flags

    @property
    def is_known_dead(self) -> bool:
        """The majority says so."""
        return "fail" in self.flags or "noaddr" in self.flags


def read_nodes(told: str, host: str) -> list[ClusterNode]:
    """The answer to CLUSTER NODES of a node that was reached at `host`; one that met nobody does not know its own."""
    return [_node(line.split(" "), host) for line in told.splitlines() if line]


def _node(words: list[str], host: str) -> ClusterNode:
    name, place, flags, follows, _, _, epoch, link, *ranges = words
    address = place.split(",", 1)[0].split("@", 1)[0]
    return ClusterNode(
        id=name,
        address=host + address if address.startswith(":") else address,
        flags=frozenset(flags.split(",")),
        follows="" if follows == "-" else follows,
        epoch=int(epoch),
        is_linked=link == "connected" or "myself" in flags,
        slots=frozenset(slot for each in ranges if not each.startswith("[") for slot in _range(each)),
    )


def _range(words: str) -> range:
    first, _, last = words.partition("-")
    return range(int(first), int(last or first) + 1)


class SlotMap:
    """Who has what, of all that nodes have told: `views` now, and what was known `before` of those who are named there.

    Without that a promotion would be forgotten again where the promoted one is slow to answer and the others have not
    heard of it.
    """

    def __init__(self, views: Iterable[list[ClusterNode]], before: "SlotMap | None" = None) -> None:
        told = [node for view in views for node in view if "handshake" not in node.flags]
        # A newer epoch knows best who leads, and a node knows best where it is itself.
        known = {node.id: node for node in sorted(told, key=lambda each: (each.epoch, each.is_myself))}
        for node in before.nodes if before is not None else ():
            if node.id in known and node.epoch > known[node.id].epoch:
                known[node.id] = node
        self.nodes: Final[tuple[ClusterNode, ...]] = tuple(known.values())
        self._owners: Final[dict[int, ClusterNode]] = {}
        for node in sorted((each for each in self.nodes if each.is_primary), key=lambda each: each.epoch):
            self._owners.update(dict.fromkeys(node.slots, node))

    def primary(self, slot: int) -> ClusterNode | None:
        """Who has a slot; None where nobody does."""
        return self._owners.get(slot)

    def shard(self, slot: int) -> list[ClusterNode]:
        """Who has a slot, and then who follows them."""
        primary = self.primary(slot)
        return [] if primary is None else [primary, *(node for node in self.nodes if node.follows == primary.id)]
