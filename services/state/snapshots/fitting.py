"""Whether a snapshot is one of this log: then what it holds is what a replay up to its position would make."""

from services.domain.limits import RULES_VERSION
from services.state.fold_call import LogIdentity
from services.state.records import digest_of
from services.state.snapshots.file import Description
from services.stream.partition_reader import LogReader, record_at
from services.stream.place import Offset, PartitionId


async def why_unfit(
    log: LogReader, partition: PartitionId, snapshot: Description, identity: LogIdentity, end: int
) -> str:
    """In words, why it is no snapshot of this partition of this log, which ends at `end`; empty where it is one.

    Moves `log`, which is assigned the partition. Raises LogUnavailable.
    """
    head = snapshot.known
    if snapshot.partition != partition:
        return f"it is one of partition {snapshot.partition}"
    if head.log != identity.log:
        return f"it is one of log {head.log}, and this is log {identity.log}"
    if head.key_check != identity.key_check:
        return "it was made with another pepper or id key"
    if head.rules > RULES_VERSION:
        return f"it was decided by version {head.rules} of the rules; this program knows {RULES_VERSION}"
    if head.position > end:
        return f"it stands at position {head.position}, but the log ends at {end}: the log has lost its end"
    if head.position < 1:
        return "nothing is applied in it"
    last = Offset(head.position - 1)
    if digest_of((await record_at(log, partition, last)).value) != head.digest:
        return f"its last record, at offset {last}, is another one in this log, which was cut and has grown again"
    return ""
