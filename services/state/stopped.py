"""Why a partition stops. Each message says what happened and what to do; nothing is applied until it is done."""

from services.platform.errors import MasklineError


class PartitionStoppedError(MasklineError):
    """Partition {partition} is stopped: {why}"""


class OtherLogError(PartitionStoppedError):
    """Partition {partition} is stopped: Redis holds the state of log {in_redis}, but Kafka has log {in_kafka}.

    One of the two is not the one that belongs here. Point this system at the right Kafka, or, if the log is the right
    one, at an empty Redis: it is rebuilt from the log.
    """


class OtherKeyError(PartitionStoppedError):
    """Partition {partition} is stopped: this log was made with another pepper or id key.

    With ours everybody would be a new person. Put back the secrets that the log was made with.
    """


class LogDiffersError(PartitionStoppedError):
    """Partition {partition} is stopped: the record at offset {offset} is not the one that Redis has applied.

    The log was cut and has grown again. What Redis holds beyond the cut was decided on records that are gone. Restore
    the log, or decide who was promised what and start with an empty Redis: it is rebuilt from the log as it is.
    """


class LogTooShortError(PartitionStoppedError):
    """Partition {partition} is stopped: {what} stands at offset {offset}, but the log ends at {end}.

    The log has lost its end. Restore it; starting with an empty Redis would forget what was decided beyond {end}.
    """


class BeingLoadedError(PartitionStoppedError):
    """Partition {partition} is stopped: its rows are being loaded from a snapshot, and goes on when all are there.

    If no `maskline rebuild` runs any more, it ended too early: say it again, and it begins anew.
    """


class RulesTooNewError(PartitionStoppedError):
    """Partition {partition} is stopped: from offset {offset} on it is decided by rules that this version does not know.

    Start a newer version of Maskline; this one decides nothing from here on.
    """


class UnreadableLogError(PartitionStoppedError):
    """Partition {partition} is stopped: {why}"""
