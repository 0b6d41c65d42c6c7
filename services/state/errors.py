"""What can go wrong between us and Redis, in words."""

from services.platform.errors import MasklineError


class CatchingUpError(MasklineError):
    """Partition {partition} in Redis is at position {position}, behind {seen}, which was seen here before: it is being
    rebuilt or failed over. Ask again in a moment."""


class StateUnavailableError(MasklineError):
    """Redis does not answer: {what}"""
