"""Why verify could not look; what it found is no error but a report."""

from services.platform.errors import MasklineError


class CouldNotLookError(MasklineError):
    """Nothing can be said about partition {partition}: {why}."""


class MovedBackError(MasklineError):
    """Partition {partition} in Redis went back from position {before} to {now}: it fails over or is being rebuilt."""


class LedgerMovedBackError(MovedBackError):
    """The ledger went back from offset {before} to {now} of partition {partition}: it is being made again."""


class ConnectionBroke(MasklineError):
    """The connection to Kafka or Redis broke ({why}), and nothing can be said. Try again."""
