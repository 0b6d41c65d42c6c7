"""aiokafka's client, which finds out by itself that a connection was lost without a sign, or leads to a deposed leader.

aiokafka closes a silent connection only where somebody waited until the request's own time was up. Who waits for less
(a probe), asks through something with the same time-out around it (`end_offsets`), or asks for metadata, leaves it
open, and whatever is asked next goes the same way. It has one time-out for every kind of request, too: so long that a
group may be joined (nine seconds) is too long for a fetch. Here each request has the time of its kind, counted from
when it was sent, whoever still waits for it.
"""

import asyncio
from collections.abc import Collection
from typing import Any, Final

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaError, NodeNotReadyError, RequestTimedOutError
from aiokafka.protocol.metadata import MetadataRequest

PRODUCE, JOIN_GROUP, CREATE_TOPICS, SYNC_GROUP = 0, 11, 19, 14
"""Kafka's numbers of kinds of request (kafka.apache.org/protocol, "api keys")."""
QUESTION_REQUESTS: Final = 2
"""A question may take the time of two requests: where a connection was lost, the second is sent over a new one."""
GROUP_REQUEST_TIMEOUT_S: Final = 9.0
"""A broker holds a join until the others have joined as well, at most the rebalance time-out (Tansu: always 5 s). With
a shorter one a member would give up, ask again, and never be let in."""
ANSWER_COMES_S: Final = 0.1
"""A process that stood still finds answers and time-outs at once: what came in is read before anything is closed."""
DOUBT_AFTER_S: Final = 1.0
"""A leader that has not taken a batch for so long may have been deposed: the others are asked, and then every
DOUBT_EVERY_S."""
DOUBT_EVERY_S: Final = 0.5
ASK_OTHERS_AFTER_S: Final = 0.5
"""Metadata is asked from brokers that are connected; for so long, before the others are asked as well."""


class KafkaClient(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """Adds no state of its own: see `take_over`."""

    @classmethod
    def take_over(cls, client: AIOKafkaClient, request_timeout_s: float) -> None:
        """Make it one of these, before it is started: consumers, producers and admin clients make their own."""
        client.__class__ = cls
        client._request_timeout_ms = int(request_timeout_s * 1000)

    async def send(self, node_id: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """The answer. Raises NodeNotReadyError, RequestTimedOutError, KafkaConnectionError."""
        if not await self.ready(node_id, group=group):
            raise NodeNotReadyError(f"Attempt to send a request to node which is not ready (node id {node_id}).")
        return await self._ask(self._conns[node_id, group], node_id, request)

    async def _ask(self, connection: AIOKafkaConnection, node_id: Any, request: Any) -> Any:
        limit_s = self._limit_s(request.API_KEY)
        connection._request_timeout = limit_s + 2 * ANSWER_COMES_S  # read by the very next call; ours come first
        answer = connection.send(request)
        sent = connection._correlation_id
        timers = [self._loop.call_later(limit_s, self._close_if_silent, connection, sent)]
        if request.API_KEY == PRODUCE:
            timers.append(self._loop.call_later(DOUBT_AFTER_S, self._doubt, connection, node_id, sent))
        try:
            return await answer
        except TimeoutError as error:
            _close(connection)
            raise RequestTimedOutError from error
        finally:
            if not _is_unanswered(connection, sent):
                for timer in timers:
                    timer.cancel()

    def _limit_s(self, kind: int) -> float:
        if kind in (JOIN_GROUP, SYNC_GROUP):
            return GROUP_REQUEST_TIMEOUT_S
        request_timeout_s: float = self._request_timeout_ms / 1000
        return request_timeout_s * (QUESTION_REQUESTS if kind in (PRODUCE, CREATE_TOPICS) else 1)

    def _close_if_silent(self, connection: AIOKafkaConnection, sent: int) -> None:
        def close() -> None:
            if _is_unanswered(connection, sent):
                _close(connection)

        if _is_unanswered(connection, sent):
            self._loop.call_later(ANSWER_COMES_S, close)

    def _doubt(self, connection: AIOKafkaConnection, node_id: Any, sent: int) -> None:
        """Ask whether the broker is still one; where it is not, what waits for it goes to another at once."""

        def heard(_: "asyncio.Future[bool]") -> None:
            if not _is_unanswered(connection, sent):
                return
            if self.cluster.broker_metadata(node_id) is None:
                _close(connection)
            else:
                self._loop.call_later(DOUBT_EVERY_S, self._doubt, connection, node_id, sent)

        if _is_unanswered(connection, sent):
            self.force_metadata_update().add_done_callback(heard)

    async def _metadata_update(self, cluster_metadata: ClusterMetadata, topics: Collection[str]) -> bool:
        """As aiokafka's, which asks one broker after the other, each for the whole time of a request."""
        request = MetadataRequest(list(topics) if topics else None)
        bootstrap = ("bootstrap", ConnectionGroup.DEFAULT)
        nodes = [broker.nodeId for broker in self.cluster.brokers()]
        if bootstrap in self._conns:
            nodes.append("bootstrap")
        metadata = await self._first_metadata(nodes, request)
        if metadata is None:
            cluster_metadata.failed_update(None)
            return False
        if not metadata.brokers:  # the topic may be on its way: no answer to go by
            return False
        cluster_metadata.update_metadata(metadata)
        if bootstrap in self._conns and self.cluster.brokers():
            self._conns.pop(bootstrap).close()
        return True

    async def _first_metadata(self, nodes: Collection[Any], request: MetadataRequest) -> Any:
        """What the first of them says; None where none does."""
        connected = [node for node in nodes if self._is_connected(node)]
        others = [node for node in nodes if node not in connected]
        asked: set[asyncio.Task[Any]] = set()
        try:
            for some in (connected, others):
                asked |= {asyncio.create_task(self._metadata_of(node, request), name="metadata") for node in some}
                timeout_s = ASK_OTHERS_AFTER_S if some is connected and others else None
                while asked:
                    done, asked = await asyncio.wait(asked, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        if task.result() is not None:
                            return task.result()
                    if not done:
                        break
            return None
        finally:
            for task in asked:
                task.cancel()

    async def _metadata_of(self, node: Any, request: MetadataRequest) -> Any:
        try:
            return await self.send(node, request)
        except KafkaError:
            return None

    def _is_connected(self, node: Any) -> bool:
        connection = self._conns.get((node, ConnectionGroup.DEFAULT))
        return connection is not None and connection.connected()


def _is_unanswered(connection: AIOKafkaConnection, sent: int) -> bool:
    """Whether this request, or one before it, still waits: a broker answers those of a connection in order."""
    return connection.connected() and bool(connection._requests) and connection._requests[0][0] <= sent


def _close(connection: AIOKafkaConnection) -> None:
    if connection._writer is not None:
        connection._writer.transport.abort()  # nobody takes what is still to be sent
    connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
