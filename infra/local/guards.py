"""`make up TLS=1`: everybody says who they are. One authority, one folder of passwords, and who comes as whom.

access/ca.pem                     what everybody trusts; certificates are made anew at each start
access/kafka-USER.password        0600; the users of infra/access/kafka_rights.py
access/redis-USER.password        0600; those of infra/access/redis_rights.py
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from infra.access.certificates import Authority
from infra.access.kafka_rights import RIGHTS
from infra.access.redis_rights import RULES
from infra.launcher.addresses import Addresses
from infra.launcher.process import ProcessSpec
from infra.launcher.services import SpecsOf, service_of, service_specs
from infra.local.kafka_guard import KafkaGuard
from infra.local.redis_guard import RedisGuard
from services.platform.settings import AccessSettings

ACCESS: Final = "access"
"""The folder, in that of the tier; where it is not, nobody is asked who they are."""
SETUP: Final = "setup"
AUDIT: Final = "audit"


class Guards(NamedTuple):
    """Of the brokers and of the Redis nodes."""

    authority: Authority
    kafka: KafkaGuard
    redis: RedisGuard

    @classmethod
    def in_folder(cls, folder: Path) -> "Guards":
        """Those of a tier's folder, made where there are none. Raises OthersCanRead."""
        authority = Authority.in_folder(folder / ACCESS)
        return cls(authority, KafkaGuard(authority, authority.folder), RedisGuard(authority, authority.folder))

    def access(self, user: str) -> AccessSettings:
        """As whom somebody comes: to both, or to the one where there is such a user."""
        kafka = msgspec.structs.asdict(self.kafka.access(user)) if user in RIGHTS else {}
        redis = msgspec.structs.asdict(self.redis.access(user)) if user in RULES else {}
        return AccessSettings(**{name: value for each in (kafka, redis) for name, value in each.items() if value})

    def specs(self) -> SpecsOf:
        """Our services, each as a user of its own."""
        return partial(_specs, self)


def guards_in(folder: Path) -> Guards | None:
    """Those of a data folder; None where nobody is asked who they are. Raises OthersCanRead."""
    return Guards.in_folder(folder) if (folder / ACCESS).is_dir() else None


def access_in(folder: Path, user: str) -> AccessSettings:
    """As whom to come to the tier in this folder; as nobody, where it asks nobody."""
    guards = guards_in(folder)
    return AccessSettings() if guards is None else guards.access(user)


def variables(access: AccessSettings) -> dict[str, str]:
    """The same for a process: names of files, no password."""
    return {f"MASKLINE_{name.upper()}": str(value) for name, value in msgspec.structs.asdict(access).items() if value}


def _specs(guards: Guards, names: list[str], addresses: Addresses, data: Path) -> list[ProcessSpec]:
    return [
        replace(spec, env={**spec.env, **variables(guards.access(service_of(spec.name)))})
        for spec in service_specs(names, addresses, data)
    ]
