"""aiokafka's client, which finds out by itself that a connection was lost without a sign, or leads to a deposed leader.

aiokafka closes a silent connection only where somebody waited until the request's own time was up. Who waits for less
(a probe), asks through something with the same time-out around it (`end_offsets`), or asks for metadata, leaves it
open, and whatever is asked next goes the same way. It has one time-out for every kind of request, too: so long that a
group may be joined (nine seconds) is too long for a fetch. Here each request has the time of its kind, counted from
when it was sent, whoever still waits for it.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Final, NamedTuple

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError, RequestTimedOutError
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
DOUBT_EVERY_S: Final = 0.5
"""A leader that has said nothing for so long may have been deposed: the others are asked, and again after as long. No
fetch of ours is held longer."""
ASK_OTHERS_AFTER_S: Final = 0.5
"""Metadata is asked from brokers that are connected; for so long, before others are asked as well, and then those that
are silent: aiokafka connects to one after the other, and waits for each."""


class _Sent(NamedTuple):
    """A request, under its number on its connection."""

    node_id: Any
    connection: AIOKafkaConnection
    number: int

    def is_unanswered(self) -> bool:
        """Whether it still waits, for itself or for one before it."""
        waiting = self.connection._requests
        return self.connection.connected() and bool(waiting) and waiting[0][0] <= self.number

    def is_next(self) -> bool:
        """Whether it is the one that the broker is at: those of a connection are taken one after the other."""
        return self.is_unanswered() and self.connection._requests[0][0] == self.number


class KafkaClient(AIOKafkaClient):  # type: ignore[misc]  # aiokafka ships no types
    """Made of one of aiokafka's, see `take_over`."""

    _silent: set[Any]
    """Brokers that leave a request unanswered, until they answer again."""

    @classmethod
    def take_over(cls, client: AIOKafkaClient, request_timeout_s: float) -> None:
        """Make it one of these, before it is started: consumers, producers and admin clients make their own."""
        client.__class__ = cls
        client._request_timeout_ms = int(request_timeout_s * 1000)
        client._silent = set()

    async def send(self, node_id: Any, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        """The answer. Raises NodeNotReadyError, RequestTimedOutError, KafkaConnectionError."""
        if not await self.ready(node_id, group=group):
            raise NodeNotReadyError(f"Attempt to send a request to node which is not ready (node id {node_id}).")
        connection = self._conns[node_id, group]
        limit_s = self._limit_s(request.API_KEY)
        connection._request_timeout = limit_s + 2 * ANSWER_COMES_S  # read by the very next call; ours come first
        try:
            answer = connection.send(request)
        except KafkaError:  # which is a RuntimeError
            raise
        except RuntimeError as error:  # of uvloop: its transport is closed, and the reader hears of it in a moment
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {connection.host}:{connection.port} closed: {error}") from error
        sent = _Sent(node_id, connection, connection._correlation_id)
        timers = [self._loop.call_later(limit_s, self._close_if_silent, sent, limit_s)]
        if request.API_KEY not in (JOIN_GROUP, SYNC_GROUP):
            timers.append(self._loop.call_later(DOUBT_EVERY_S, self._doubt, sent))
        try:
            answered = await answer
        except TimeoutError as error:
            self._close(sent)
            raise RequestTimedOutError from error
        finally:
            if not sent.is_unanswered():
                for timer in timers:
                    timer.cancel()
        self._silent.discard(node_id)
        return answered

    def _limit_s(self, kind: int) -> float:
        if kind in (JOIN_GROUP, SYNC_GROUP):
            return GROUP_REQUEST_TIMEOUT_S
        request_timeout_s: float = self._request_timeout_ms / 1000
        return request_timeout_s * (QUESTION_REQUESTS if kind in (PRODUCE, CREATE_TOPICS) else 1)

    def _close_if_silent(self, sent: _Sent, limit_s: float) -> None:
        if sent.is_next():
            self._loop.call_later(ANSWER_COMES_S, self._close, sent)
        elif sent.is_unanswered():
            self._loop.call_later(limit_s, self._close_if_silent, sent, limit_s)

    def _doubt(self, sent: _Sent) -> None:
        """Ask whether the broker is still one; where it is not, what waits for it goes to another at once."""

        def heard(_: "asyncio.Future[bool]") -> None:
            if self.cluster.broker_metadata(sent.node_id) is None:
                self._close(sent)
            else:
                self._loop.call_later(DOUBT_EVERY_S, self._doubt, sent)

        if sent.is_next():
            self._silent.add(sent.node_id)
            self.force_metadata_update().add_done_callback(heard)
        elif sent.is_unanswered():
            self._loop.call_later(DOUBT_EVERY_S, self._doubt, sent)

    def _close(self, sent: _Sent) -> None:
        if not sent.is_next():
            return
        self._silent.add(sent.node_id)
        sent.connection._writer.transport.abort()  # nobody takes what is still to be sent
        sent.connection.close(reason=CloseReason.CONNECTION_TIMEOUT)

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
        speaking = [node for node in nodes if node not in self._silent]
        connected = [node for node in speaking if self._is_connected(node)]
        others = [node for node in speaking if node not in connected]
        tiers = [tier for tier in (connected, others, [node for node in nodes if node in self._silent]) if tier]
        asked: set[asyncio.Task[Any]] = set()
        try:
            for tier in tiers:
                asked |= {asyncio.create_task(self._metadata_of(node, request), name="metadata") for node in tier}
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if tier is tiers[-1] else ASK_OTHERS_AFTER_S):
                        while asked:
                            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                            asked -= done
                            for answer in filter(None, [task.result() for task in done]):
                                return answer
            return None
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)  # what one has connected is known before we close

    async def _metadata_of(self, node: Any, request: MetadataRequest) -> Any:
        try:
            return await self.send(node, request)
        except KafkaError:
            return None

    def _is_connected(self, node: Any) -> bool:
        connection = self._conns.get((node, ConnectionGroup.DEFAULT))
        return connection is not None and connection.connected()
