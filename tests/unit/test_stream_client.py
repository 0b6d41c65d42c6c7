"""Addresses, waiting for a Kafka that is not there, and a log that does not fill with the same line."""

import asyncio
import logging
import time
from contextlib import suppress

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from msgspec import Struct

from infra.launcher.ports import free_ports
from services.platform.settings import AccessSettings
from services.stream.client import bootstrap_servers, quieten_repeated_errors, start_admin, start_consumer
from services.stream.errors import KafkaAddressInvalid, KafkaUnreachable
from services.stream.kafka_client import KafkaClient
from services.stream.log_producer import LogProducer
from services.stream.topics import COMMANDS, EVENTS, topic_settings


class Kafka(Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    kafka_request_timeout_s: float = 1.0
    start_timeout_s: float = 0.3
    access: AccessSettings = AccessSettings()


def test_several_addresses_are_separated_by_commas() -> None:
    assert bootstrap_servers("one:9092, two:9093 ,[::1]:9094,") == ["one:9092", "two:9093", "[::1]:9094"]


@pytest.mark.parametrize(
    "address", ["", ",", "host", "host:", ":9092", "host:0", "host:65536", "host:port", "host:９０"]
)
def test_an_address_that_is_none_is_told_with_an_example(address: str) -> None:
    with pytest.raises(KafkaAddressInvalid, match=r"write host:port.*127\.0\.0\.1:9092"):
        bootstrap_servers(address)


async def test_a_kafka_that_is_not_there_is_told_in_words_within_the_start_time() -> None:
    nowhere = Kafka(f"127.0.0.1:{free_ports(1)[0]}")
    for start in (start_admin, LogProducer.start):
        started_s = time.monotonic()
        with pytest.raises(KafkaUnreachable, match=r"did not answer within 0\.3 s .* --kafka HOST:PORT"):
            await start(nowhere)
        assert time.monotonic() - started_s < 2.0
    with pytest.raises(KafkaUnreachable):
        await start_consumer(nowhere, group="g", fetch_max_wait_ms=20, max_poll_records=10)


def test_the_same_error_of_the_library_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("aiokafka.test_repeats")
    quieten_repeated_errors()
    for port in range(10):
        logger.error("Unable connect to port %s", port)
    logger.error("something else")
    assert [record.getMessage() for record in caplog.records] == ["Unable connect to port 0", "something else"]


def test_the_topics_keep_everything() -> None:
    for topic in (COMMANDS, EVENTS):
        settings = topic_settings(topic, replicas=3)
        assert settings["retention.ms"] == settings["retention.bytes"] == "-1"
        assert settings["cleanup.policy"] == "delete"
        assert settings["min.insync.replicas"] == "2"
    assert topic_settings(COMMANDS, 1)["message.timestamp.type"] == "LogAppendTime"
    assert "min.insync.replicas" not in topic_settings(COMMANDS, 1)


class Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka ships no types
    """To somebody who never answers."""

    async def _do_version_lookup(self) -> None:
        self._versions = {MetadataRequest.API_KEY: (0, 1)}


def test_a_connection_that_is_closed_and_has_not_said_so_is_an_error_like_others() -> None:
    """uvloop closes a transport at once and tells its reader a moment later; what is sent between is no KafkaError,
    and ends whoever sends: without the task that asks for metadata, nothing of this client is ever answered again."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\0")  # half of a length: something is left to be read
        with suppress(OSError):
            await reader.read()
        writer.close()

    async def ask() -> None:
        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{port}")
        KafkaClient.take_over(client, 1.0)
        connection = Connection("127.0.0.1", port, request_timeout_ms=1_000)
        await connection.connect()
        client._conns[1, ConnectionGroup.DEFAULT] = connection
        await asyncio.sleep(0.05)
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        assert connection.connected()
        try:
            with pytest.raises(KafkaConnectionError):
                await client.send(1, MetadataRequest([]))
            assert not connection.connected()
        finally:
            connection.close()
            await client.close()
            await asyncio.sleep(0.05)
            server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())
