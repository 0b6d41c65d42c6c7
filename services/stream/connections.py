"""Whether the connection to a partition's leader is still the one that was used before.

A log can be replaced under a process that runs: a broker is restored from the wrong copy, or a log is cut and grows
again past the place where we are. Offsets alone do not tell. But it takes another broker behind the address, or another
leader, and so another connection: whoever has a new one looks at the log again before going on.
"""

from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup


class Connections:
    """Of one aiokafka client. The first connection that is seen for a partition is the one to stay with."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[TopicPartition, object] = {}

    def is_same(self, where: TopicPartition) -> bool:
        """Whether it is there, and the one that is known."""
        now = self._now(where)
        return now is not None and self._known.setdefault(where, now) is now

    def is_new(self, where: TopicPartition) -> bool:
        """Whether it is there, and another one."""
        now = self._now(where)
        return now is not None and self._known.setdefault(where, now) is not now

    def get_to_know(self, where: TopicPartition) -> None:
        """From now on the present one is the one that is known."""
        self._known.pop(where, None)
        self.is_same(where)

    def _now(self, where: TopicPartition) -> object | None:
        # aiokafka has no other way to tell: it connects again by itself, and says nothing.
        leader = self._client.cluster.leader_for_partition(where)
        connection = self._client._conns.get((leader, ConnectionGroup.DEFAULT))
        return connection if connection is not None and connection.connected() else None
