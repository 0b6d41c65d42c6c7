"""Where a partition's rows stand in Redis: `{pNN}:` and the logical key of `services/domain/rows.py`.

The braces are a Redis Cluster hash tag: all keys of a partition are in one slot, on one shard.
"""

from collections.abc import Sequence
from typing import Any

from services.domain.limits import DECISIONS_PER_CHUNK
from services.domain.rows import HEAD, Facts


def tag(partition: int) -> str:
    """The prefix of all keys of a partition."""
    return f"{{p{partition:02d}}}:"


def key(partition: int, logical: str) -> str:
    """The Redis key of a row."""
    return f"{{p{partition:02d}}}:{logical}"


def head_key(partition: int) -> str:
    """The Redis key of a partition's position and identity."""
    return key(partition, HEAD)


def decisions_chunk(offset: int) -> str:
    """The logical key of the recorded decisions around an offset."""
    return f"d:{offset // DECISIONS_PER_CHUNK}"


def place_in_chunk(offset: int) -> int:
    """Where an offset's facts stand in its chunk; before them stands the time of the last one."""
    return offset % DECISIONS_PER_CHUNK + 1


def facts_in(chunk: Sequence[Any] | None, offset: int) -> Facts | None:
    """What was decided at an offset, of the chunk that would hold it; None where nothing tells any more."""
    place = place_in_chunk(offset)
    return chunk[place] if chunk is not None and place < len(chunk) else None
