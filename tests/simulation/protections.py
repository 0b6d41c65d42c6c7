"""What keeps the system right. A control takes one of these away, and the same schedules must find the harm."""

from enum import StrEnum


class Protection(StrEnum):
    """Each with what stands in its place when it is taken away."""

    # -- the fold
    REPEATS_ARE_NOT_APPLIED = "a batch that was applied before is applied again"
    GAPS_ARE_NOT_APPLIED = "a batch past the position is applied there, over the gap"
    ONLY_PUBLISHED_DECISIONS_ARE_TRIMMED = "recorded decisions are trimmed by their age alone"
    LOGS_ARE_COMPARED = "a batch of one log is applied to the state of another"
    POSITION_MOVES_WITH_THE_STATE = "an early stop moves the position to the end of the batch"
    # -- the rules
    FIRST_ANSWERS_ARE_REMEMBERED = "a command sent again is decided again"
    # -- the allocator
    EVENTS_ARE_PUBLISHED_IN_ORDER = "the next batch of events does not wait for the last one's acknowledgement"
    PUBLISHED_MEANS_ACKNOWLEDGED = "`published` moves when events are handed over, and is committed"
    BATCHES_ARE_REPEATED_WHOLE = "of a split batch only the part without acknowledgement is sent again, after the rest"
    PARTITIONS_START_AT_PUBLISHED = "a partition starts at the position: what is folded counts as published"
    PUBLISHED_IS_THE_LARGER_OF_TWO = "what is published is asked of Redis alone, which may be an older copy"
    PARTITIONS_NEVER_START_AT_THE_END = "a partition without a committed offset starts at the log's end"
    # -- the doors and the readers of events
    TIME_OUTS_ARE_UNKNOWN = "a time-out is told as 'surely not written'"
    DECISIONS_ARE_WAITED_FOR = "a decision that is not there yet is told as one that is there no more"
    READINGS_NEVER_STEP_BACK = "a reading behind what was seen before is taken as true"
    REPEATED_EVENTS_ARE_DROPPED = "a consumer without a watermark"
    # -- progress
    A_LOST_LIBRARY_IS_LOADED_AGAIN = "an allocator that finds no function library in Redis waits for one"
    A_LOG_THAT_WAS_AWAY_IS_TRIED_AGAIN = "a door that finds the log away never asks it again"


ALL = frozenset(Protection)
FOR_LIVENESS = frozenset(
    {Protection.A_LOST_LIBRARY_IS_LOADED_AGAIN, Protection.A_LOG_THAT_WAS_AWAY_IS_TRIED_AGAIN}
)
"""Without these nothing wrong is done, but nothing right either."""
