"""Why a partition of the ledger stands still; nothing of it is written until somebody has done what is said."""

from services.platform.errors import MasklineError


class LedgerStoppedError(MasklineError):
    """The ledger does not go on with partition {partition}: {why}"""


class EventsMissing(LedgerStoppedError):
    """The ledger does not go on with partition {partition}: events are missing. After {expected} comes {found}.

    Allocators publish every event in order, so the topic `events` has lost a part. `maskline verify` tells which. With
    the topic whole again the ledger goes on at its next start.
    """


class EventsOfAnotherLog(LedgerStoppedError):
    """The ledger does not go on with partition {partition}: its rows are of log {ours}, what comes is of {found}.

    Name the database that belongs to this log, or an empty one. If this log is the right one: `maskline ledger rebuild`
    empties the ledger and makes it again.
    """


class EventsCut(LedgerStoppedError):
    """The ledger does not go on with partition {partition}: it has read {read} records of `events`, of which {end} are
    there.

    The topic was cut or made anew. `maskline ledger rebuild` empties the ledger and makes it again from what is there.
    """


class EventsChanged(LedgerStoppedError):
    """The ledger does not go on with partition {partition}: record {record} of `events` is the last that it read, and
    its row says something else, or is gone.

    The log was restored to an earlier moment, or cut, and has grown again; or somebody changed rows. If this is the
    right log: `maskline ledger rebuild` empties the ledger and makes it again.
    """
