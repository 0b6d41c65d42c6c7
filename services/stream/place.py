"""Where a record stands in the log."""

from typing import NamedTuple, NewType

PartitionId = NewType("PartitionId", int)
"""Number of a Kafka partition, and of the Redis hash tag that belongs to it."""

Offset = NewType("Offset", int)
"""Number of a record in its partition, from 0."""


class Place(NamedTuple):
    """A command's partition and offset: its place in line, which anybody can check."""

    partition: PartitionId
    offset: Offset
