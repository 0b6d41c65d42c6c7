"""How this program talks to Kafka: the one place where clients are made, with every time-out explicit.

Library defaults are traps (40 s time-outs, automatic commits, starting at the end, idempotence that poisons a partition
when a batch expires): none is left standing here. TLS and SASL are options of `_connection` alone.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.platform.settings import AccessSettings
from services.stream.errors import KafkaAddressInvalid, KafkaUnreachable
from services.stream.kafka_access import is_secured, kafka_security, raise_refusal
from services.stream.kafka_client import QUESTION_REQUESTS, KafkaClient

MAX_BATCH_BYTES: Final = 512 * 1024
"""Above a thousand commands of usual size, and half of what the topics accept (max.message.bytes 1 MiB)."""
MAX_FETCH_BYTES: Final = 2 * 1024 * 1024
FETCHED_AT_ONCE: Final = 25
"""Partitions that may fill one answer: 50 MiB, as Kafka itself would have it."""
LOOK_BYTES: Final = 1_024
"""For who looks at one record: a broker sends the whole batch that holds it, and nothing behind that."""
FIRST_BACKOFF_S: Final = 0.05
LAST_BACKOFF_S: Final = 1.0
RETRY_BACKOFF_MS: Final = 100
METADATA_MAX_AGE_MS: Final = 30_000
SESSION_TIMEOUT_MS: Final = 6_000
REBALANCE_TIMEOUT_MS: Final = 6_000
ANSWER_TIMEOUT_S: Final = 4.0
"""For an answer that may take several requests. A lost connection is closed after half of it (`kafka_request_timeout_s`
of the settings, see KafkaClient), so that there is time to ask again over a new one."""
HEARTBEAT_INTERVAL_MS: Final = 2_000
MAX_POLL_INTERVAL_MS: Final = 60_000
REPEAT_LOG_AFTER_S: Final = 5.0

log = structlog.get_logger(__name__)
Client = TypeVar("Client")


class KafkaSettings(Protocol):
    """The part of a process's settings that concerns Kafka (`services.platform.settings.ProcessSettings` has it)."""

    @property
    def kafka(self) -> str:
        """`host:port`, several separated by commas."""

    @property
    def kafka_request_timeout_s(self) -> float:
        """How long one request may take over one connection; questions and acknowledgements may take two of it."""

    @property
    def start_timeout_s(self) -> float:
        """How long to wait for Kafka at start."""

    @property
    def access(self) -> AccessSettings:
        """As whom."""


async def start_admin(settings: KafkaSettings) -> AIOKafkaAdminClient:
    """A connected admin client; the caller closes it. Raises KafkaUnreachable."""
    return await _started(settings, lambda: AIOKafkaAdminClient(**_connection(settings)), _close_admin)


async def start_producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """A connected producer for whole batches, which are acknowledged by all replicas. Raises KafkaUnreachable."""
    return await _started(
        settings,
        lambda: AIOKafkaProducer(
            **_connection(settings),
            acks="all",
            # A batch that expires while its partition has no leader poisons an idempotent producer for good
            # (aio-libs/aiokafka#1017). Commands and events carry ids: a record written twice does no harm.
            enable_idempotence=False,
            max_batch_size=MAX_BATCH_BYTES,
            linger_ms=0,
        ),
        lambda producer: producer.stop(),
    )


async def start_consumer(
    settings: KafkaSettings,
    *,
    group: str | None,
    fetch_max_wait_ms: int,
    max_poll_records: int,
    fetch_bytes: int = MAX_FETCH_BYTES,
) -> AIOKafkaConsumer:
    """A connected consumer that never commits and never chooses an offset by itself. Raises KafkaUnreachable.

    `group` names whose committed offsets it may ask for; `fetch_bytes` is what a broker sends of a partition at once,
    one batch at least.
    """
    return await _started(
        settings,
        lambda: AIOKafkaConsumer(
            **_connection(settings),
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=fetch_max_wait_ms,
            max_partition_fetch_bytes=fetch_bytes,
            fetch_max_bytes=fetch_bytes * FETCHED_AT_ONCE,  # Tansu goes by this one alone
            max_poll_records=max_poll_records,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            check_crcs=True,
        ),
        lambda consumer: consumer.stop(),
    )


def bootstrap_servers(kafka: str) -> list[str]:
    """`host:port,host:port` as a list. Raises KafkaAddressInvalid."""
    addresses = [address.strip() for address in kafka.split(",") if address.strip()]
    if not addresses:
        raise KafkaAddressInvalid(address=kafka)
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65_536:
            raise KafkaAddressInvalid(address=address)
    return addresses


def _connection(settings: KafkaSettings) -> dict[str, Any]:
    return {
        "bootstrap_servers": bootstrap_servers(settings.kafka),
        "client_id": "maskline",
        "request_timeout_ms": int(settings.kafka_request_timeout_s * QUESTION_REQUESTS * 1000),
        "retry_backoff_ms": RETRY_BACKOFF_MS,
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
        **kafka_security(settings.access),
    }


async def _started(
    settings: KafkaSettings, make: Callable[[], Client], close: Callable[[Client], Awaitable[None]]
) -> Client:
    """Make and start a client; where Kafka is not there yet, try again with growing pauses, and say so once."""
    quieten_repeated_errors()
    deadline = time.monotonic() + settings.start_timeout_s
    pause_s = FIRST_BACKOFF_S
    told = False
    while True:
        client = make()
        _take_over(client, settings)
        try:
            await client.start()  # type: ignore[attr-defined]  # aiokafka ships no types
        except (KafkaError, OSError, TimeoutError) as error:
            with contextlib.suppress(KafkaError, OSError):
                await close(client)
            is_last = time.monotonic() + pause_s > deadline
            # Who is not let in will not be let in by trying again. A plain connection is not refused, but unheard.
            if is_last or is_secured(settings.access):
                await raise_refusal(settings.access, bootstrap_servers(settings.kafka), error)
            if is_last:
                raise KafkaUnreachable(
                    kafka=settings.kafka, seconds=settings.start_timeout_s, why=str(error) or type(error).__name__
                ) from error
            if not told and pause_s > 4 * FIRST_BACKOFF_S:
                told = True
                log.warning("Kafka does not answer yet, trying again", action="kafka_wait", kafka=settings.kafka)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LAST_BACKOFF_S)
        except BaseException:
            with contextlib.suppress(KafkaError, OSError):
                await close(client)
            raise
        else:
            return client


def _take_over(user: Any, settings: KafkaSettings) -> None:
    """Before it starts: it uses a client that finds out lost connections."""
    requests = QUESTION_REQUESTS if isinstance(user, AIOKafkaAdminClient) else 1  # to create topics takes its time
    client = user.client if hasattr(user, "client") else user._client
    KafkaClient.take_over(client, settings.kafka_request_timeout_s * requests)


async def _close_admin(admin: AIOKafkaAdminClient) -> None:
    await admin.close()


class _OncePerPeriod(logging.Filter):
    """Lets a message through once in REPEAT_LOG_AFTER_S: a refused connection writes an ERROR ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._last_s: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # Keyed by the format string, not the filled text: the number of different ones is that of the library's lines.
        key = str(record.msg)
        now_s = time.monotonic()
        if now_s - self._last_s.get(key, -REPEAT_LOG_AFTER_S) < REPEAT_LOG_AFTER_S:
            return False
        self._last_s[key] = now_s
        return True


_once_per_period: Final = _OncePerPeriod()


def quieten_repeated_errors() -> None:
    """Limit what aiokafka logs. A filter on a logger does not reach its children: each one gets it."""
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "aiokafka"]:
        logger = logging.getLogger(name)
        if _once_per_period not in logger.filters:
            logger.addFilter(_once_per_period)
