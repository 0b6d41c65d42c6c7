"""As whom this program comes to Redis, and in which words it hears that it may not.

User, password and certificates become a part of the address, in memory: whoever has an address has all it takes. It is
printed through `without_password` only.
"""

import ssl
from typing import Protocol
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from redis.exceptions import AuthenticationError, NoPermissionError

from services.platform.access import read_password, tls_context
from services.platform.errors import MasklineError
from services.platform.settings import AccessSettings, without_password
from services.state.redis_client import CA_CERTS


class RedisSettings(Protocol):
    """The part of a process's settings that says where Redis is, and as whom to come."""

    @property
    def redis(self) -> str:
        """A URL."""

    @property
    def access(self) -> AccessSettings:
        """As whom."""


class RedisRefusesUser(MasklineError):
    """Redis at {redis} does not let the user '{user}' in: {why}.

    Compare the user and its password with what Redis has: --redis-user NAME --redis-password-file FILE.
    """


class RedisNotTrusted(MasklineError):
    """Redis at {redis} shows a certificate that is not to be trusted: {why}.

    One that has expired has to be renewed there (`make down`, then `make up TLS=1` does so here). For one that nobody
    known has signed, name the certificates of who did: --redis-ca-file FILE.
    """


class RedisUserTwice(MasklineError):
    """The address of Redis names a user, and so does --redis-user. Leave one of them out."""


def redis_address(settings: RedisSettings) -> str:
    """The address with everything it takes.

    Raises RedisUserTwice, and what reading passwords and certificates raises.
    """
    access, parts = settings.access, urlsplit(settings.redis)
    user, _, host = parts.netloc.rpartition("@")
    if access.redis_user:
        if user:
            raise RedisUserTwice
        user = quote(access.redis_user, safe="")
    if access.redis_password_file is not None:
        name = user.partition(":")[0]
        password = read_password(
            access.redis_password_file, what="Redis", user=name or "default", option="redis-password-file"
        )
        user = f"{name}:{quote(password, safe='')}"
    query = dict(parse_qsl(parts.query))
    if access.redis_ca_file is not None and parts.scheme == "rediss":
        tls_context(access.redis_ca_file)  # says in words what redis-py would say at each connection
        query[CA_CERTS] = str(access.redis_ca_file)
    netloc = f"{user}@{host}" if user else host
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query)))


def refusal_of(url: str, error: BaseException) -> MasklineError | None:
    """RedisRefusesUser or RedisNotTrusted, where that is what an error means; trying again would not help."""
    where = without_password(url).partition("?")[0]
    if isinstance(error, AuthenticationError):
        user = urlsplit(url).username or "default"
        return RedisRefusesUser(redis=where, user=user, why=str(error))
    causes = [error, error.__cause__, error.__context__]
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RedisNotTrusted(redis=where, why=cause.verify_message)
    return None


def reason_of(error: Exception) -> str:
    """Why Redis did not do it, in few words and without keys or values."""
    if isinstance(error, NoPermissionError):
        return f"Redis does not allow that to this user ({type(error).__name__}): give it the right (ACL)"
    if isinstance(error, AuthenticationError):
        return f"Redis does not let this user in ({type(error).__name__})"
    return type(error).__name__
