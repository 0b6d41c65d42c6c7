"""What can go wrong between us and Redis, in words."""

from services.platform.errors import MasklineError


class CatchingUpError(MasklineError):
    """Partition {partition} in Redis is at position {position}, behind {seen}, which was seen here before: it is being
    rebuilt or failed over. Ask again in a moment."""


class StateUnavailableError(MasklineError):
    """Redis does not answer: {what}"""


class RedisAddressInvalid(MasklineError):
    """This is no address of a Redis: write redis://HOST:PORT/0, with a password redis://:PASSWORD@HOST:PORT/0, and
    rediss:// for TLS. For a Redis Cluster name two or more of its nodes: redis://HOST:PORT,HOST:PORT/0."""

    # The address is not repeated: it may hold a password, and what cannot be read cannot be masked either.


class RedisUnreachable(MasklineError):
    """Redis at {redis} did not answer within {seconds:g} s ({why}). Start it, or name another: --redis URL."""
