"""What can go wrong between us and the log, in words for the person who runs it."""

from services.platform.errors import MasklineError


class StreamError(MasklineError):
    """The log could not be used."""


class LogUnavailable(StreamError):
    """The log does not answer: {why}. Nothing was written; try again."""


class LogReconnected(LogUnavailable):
    """The connection to the leaders of partitions {partitions} of '{topic}' is a new one: is it still the same log?"""


class LogReplaced(LogUnavailable):
    """Partition {partition} of '{topic}' is not the log that this process has written to: {what}.

    Nothing more is written to it. Put the right log back; if the other one is meant, start this process again.
    """


class UnknownOutcome(StreamError):
    """The log did not answer in time ({why}). It may have the record; send the same again with the same key."""


class Overloaded(StreamError):
    """{pending} records wait for partition {partition} of the log, which is its limit. Nothing was written."""


class RecordTooLarge(StreamError):
    """A record of {size_bytes} bytes is above the limit of {limit_bytes}. Nothing was written."""


class KafkaAddressInvalid(StreamError):
    """'{address}' is no Kafka address: write host:port, several separated by commas, such as 127.0.0.1:9092."""


class KafkaUnreachable(StreamError):
    """Kafka at {kafka} did not answer within {seconds:g} s ({why}). Start it, or name another: --kafka HOST:PORT."""


class HoleInLog(StreamError):
    """Partition {partition} of '{topic}' goes from offset {expected} to {found}: records between them are gone.

    The state cannot be trusted past this point. Restore the topic, or start a new log with an empty Redis.
    """


class PositionOutsideLog(StreamError):
    """Offset {offset} of partition {partition} of '{topic}' was asked for, but the log has {start} to {end}.

    The log was cut, or replaced by another one, since that offset was noted.
    """


class NotAssigned(StreamError):
    """Partition {partition} of '{topic}' is not assigned to this reader; it reads {assigned}."""


class CommitRefused(StreamError):
    """Kafka did not take the committed offsets {offsets} of group '{group}': {why}."""
