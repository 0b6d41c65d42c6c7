"""As whom this program comes to Kafka, and in which words it hears that it may not.

A user is sent over TLS only, by SCRAM-SHA-512. aiokafka writes into its log why a broker did not let it in and then
says "unable to bootstrap": whoever did not get in asks here once more, over one connection, to hear the reason.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from services.platform.access import anybody, read_password, tls_context
from services.platform.settings import AccessSettings
from services.stream.errors import StreamError

MECHANISM: Final = "SCRAM-SHA-512"
ASK_TIMEOUT_S: Final = 2.0
"""For all brokers together: who is not there has no reasons."""
EXPIRED: Final = 10
WRONG_NAME: Final = (62, 64)
"""OpenSSL's numbers: X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH."""
NOT_ALLOWED: Final = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)
"""Kafka's answers to a user who has no right; which ones our services need is in infra/access/kafka_rights.py."""


class KafkaRefusesUser(StreamError):
    """Kafka at {kafka} does not let the user '{user}' in: {why}.

    Compare the user and its password with what Kafka has: --kafka-user NAME --kafka-password-file FILE.
    """


class KafkaWantsUser(StreamError):
    """Kafka at {kafka} lets nobody in without a user: --kafka-user NAME --kafka-password-file FILE."""


class KafkaNotTrusted(StreamError):
    """Kafka at {kafka} shows a certificate that is not to be trusted: {why}.

    {remedy}
    """


class KafkaSpeaksTls(StreamError):
    """Kafka at {kafka} speaks TLS, and it was spoken to without: name its certificates with --kafka-ca-file FILE."""


class KafkaSpeaksPlain(StreamError):
    """Kafka at {kafka} does not speak TLS ({why}).

    Name its port for TLS, or leave --kafka-user and --kafka-ca-file out.
    """


def is_secured(access: AccessSettings) -> bool:
    """Whether connections use TLS."""
    return bool(access.kafka_user) or access.kafka_ca_file is not None


def kafka_security(access: AccessSettings) -> dict[str, Any]:
    """Options of aiokafka. Raises PasswordMissing, CertificatesUnreadable, and what private files raise."""
    if not is_secured(access):
        return {}
    options: dict[str, Any] = {"security_protocol": "SSL", "ssl_context": tls_context(access.kafka_ca_file)}
    if access.kafka_user:
        password = read_password(
            access.kafka_password_file, what="Kafka", user=access.kafka_user, option="kafka-password-file"
        )
        options |= {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": access.kafka_user,
            "sasl_plain_password": password,
        }
    return options


async def raise_refusal(access: AccessSettings, addresses: Sequence[str], error: BaseException) -> None:
    """Raises KafkaRefusesUser, KafkaNotTrusted, KafkaSpeaksTls or KafkaSpeaksPlain, from `error`, where that is why."""
    refusal: StreamError | None = None
    with suppress(TimeoutError):
        async with asyncio.timeout(ASK_TIMEOUT_S):
            for address in addresses:
                host, _, port = address.rpartition(":")
                refusal = refusal or await _refusal(access, host.strip("[]"), int(port))
    if refusal is not None:
        raise refusal from error


def words_for(error: BaseException) -> str | None:
    """That the user has no right, in words; None where it is something else."""
    if not isinstance(error, NOT_ALLOWED):
        return None
    return f"Kafka does not allow that to this user ({type(error).__name__}): give it the right (ACL)"


def not_shown(client: Any, topic: str) -> str | None:
    """That Kafka does not show a topic to this user, in words. aiokafka waits for it to come, and says nothing."""
    if topic not in client.cluster.unauthorized_topics:
        return None
    return f"Kafka does not show the topic '{topic}' to this user: give it the right (ACL)"


async def _refusal(access: AccessSettings, host: str, port: int) -> StreamError | None:
    where = f"{host}:{port}"
    try:
        security = kafka_security(access)
        connection = await create_conn(host, port, request_timeout_ms=int(ASK_TIMEOUT_S * 1000), **security)
    except ssl.SSLCertVerificationError as error:
        return KafkaNotTrusted(kafka=where, why=error.verify_message, remedy=_remedy(error))
    except ssl.SSLError as error:
        return KafkaSpeaksPlain(kafka=where, why=error.reason or str(error))
    except (SaslAuthenticationFailed, UnsupportedSaslMechanismError, IllegalSaslStateError, ValueError) as error:
        return KafkaRefusesUser(kafka=where, user=access.kafka_user, why=str(error) or type(error).__name__)
    except (KafkaError, OSError, TimeoutError):
        return await _speaks_tls(host, port) if not is_secured(access) else None
    try:
        if not access.kafka_user:  # whoever has none is heard until it asks something
            await connection.send(MetadataRequest([]))
    except KafkaError:
        return KafkaWantsUser(kafka=where)
    finally:
        connection.close()
    return None


async def _speaks_tls(host: str, port: int) -> StreamError | None:
    """Whether a handshake succeeds; nothing is said over that connection, so that nobody need be trusted."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ASK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port, ssl=anybody())
            writer.close()
        return KafkaSpeaksTls(kafka=f"{host}:{port}")
    return None


def _remedy(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == EXPIRED:
        return "Renew it on the broker (`make down`, then `make up TLS=1` does so here), or set this machine's clock."
    if error.verify_code in WRONG_NAME:
        return "Call the broker by a name that stands in it, or give the broker one that has this name."
    return "Name the certificates that Kafka's are signed by: --kafka-ca-file FILE."
