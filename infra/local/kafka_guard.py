"""What makes brokers of this machine ask everybody who they are: certificates, users, rights.

Users are written into a broker's data folder when it is made, from a file: no password stands on a command line.
"""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from infra.access.certificates import Authority
from infra.access.kafka_rights import RIGHTS
from infra.access.passwords import password_file
from infra.local.kafka_settings import BrokerTls, broker_name
from services.platform.access import read_password, tls_context
from services.platform.private_files import replace_private
from services.platform.settings import AccessSettings
from services.stream.kafka_access import MECHANISM

REQUEST_TIMEOUT_MS = 10_000


class KafkaGuard:
    """For the brokers of one cluster; `passwords` has a file for each user."""

    def __init__(self, authority: Authority, passwords: Path) -> None:
        self._authority = authority
        self._passwords = passwords
        self._as_broker: ssl.SSLContext | None = None

    def tls_of(self, index: int) -> BrokerTls:
        """A new certificate for one broker."""
        return BrokerTls(own=self._authority.issue(broker_name(index)).both, trusted=self._authority.path)

    def as_broker(self) -> ssl.SSLContext:
        """Who has a broker's certificate may do everything: for this machine's own questions. `tls_of` comes first."""
        if self._as_broker is None:
            context = tls_context(self._authority.path)
            context.load_cert_chain(self._authority.path.with_name(f"{broker_name(0)}.pem"))
            self._as_broker = context
        return self._as_broker

    def write_users(self) -> Path:
        """Options of Kafka's format tool, one a line, in a file that nobody else can read and the caller removes."""
        lines = []
        for user in RIGHTS:
            password = read_password(self.password(user), what="Kafka", user=user, option="kafka-password-file")
            lines += ["--add-scram", f"{MECHANISM}=[name={user},password={password}]"]
        path = self._passwords / "kafka-users.arguments"
        replace_private(path, "".join(f"{line}\n" for line in lines).encode())
        return path

    def password(self, user: str) -> Path:
        """The file with it."""
        return password_file(self._passwords, f"kafka-{user}")

    def access(self, user: str) -> AccessSettings:
        """As a client is told it."""
        return AccessSettings(
            kafka_user=user, kafka_password_file=self.password(user), kafka_ca_file=self._authority.path
        )

    @asynccontextmanager
    async def administrator(self, addresses: Sequence[str]) -> AsyncIterator[AIOKafkaAdminClient]:
        """Who may do everything, of brokers that listen there to each other. Raises KafkaError."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=list(addresses),
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            security_protocol="SSL",
            ssl_context=self.as_broker(),
        )
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()
