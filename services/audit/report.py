"""What verify found: counts for machines, and each difference in words for people.

A difference names who (a pseudonym), which slot, which offset, what the model expects and what was found. No document,
phone or reservation id can stand in it, because none of them is in the log, in Redis or in the events.
"""

from enum import StrEnum
from typing import Any

import msgspec

MAX_TOLD_PER_KIND = 100  # told one by one; all are counted
MAX_TOLD_CHARS = 300  # of an expected or found value


class Kind(StrEnum):
    """What differs from what."""

    LOG = "log"  # the log itself, or its identity in Redis
    ROW = "row"  # a row in Redis differs from the model's
    FOREIGN_KEY = "foreign_key"  # Redis has a key that no command made
    DECISION = "decision"  # a recorded decision differs from the replayed one
    EVENT_MISSING = "event_missing"  # a decision that was never published
    EVENT_DIFFERS = "event_differs"  # an event says something else than the decision
    EVENT_REPEATED = "event_repeated"  # an event came again with another content
    EVENT_FOREIGN = "event_foreign"  # an event of no command of this log
    LEDGER = "ledger"  # rows in SQL: missing, doubled, differing, or of no event
    OVERSOLD = "oversold"  # I1
    TWO_LIVE = "two_live"  # I2
    OUT_OF_TURN = "out_of_turn"  # I7
    PICKED_UP_TWICE = "picked_up_twice"  # I6
    UNTRUE_REFUSAL = "untrue_refusal"  # refused for lack of stock that was there, or told a wrong rest
    UNFAIR = "unfair"  # I8: a waiting room that draws or lets in otherwise than was told
    NOT_HELD = "not_held"  # cancelled or picked up what nobody had


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is not as the log says."""

    kind: Kind
    partition: int
    what: str
    offset: int | None = None
    key: str = ""
    resident: str = ""
    slot: str = ""
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        place = f"partition {self.partition}" + ("" if self.offset is None else f", offset {self.offset}")
        about = [
            f"{name} {value}"
            for name, value in (("key", self.key), ("resident", self.resident), ("slot", self.slot))
            if value
        ]
        told = f"{place}: {self.what}" + (f" ({', '.join(about)})" if about else "")
        if self.expected or self.found:
            told += f"\n    expected {self.expected or 'nothing'}\n    found    {self.found or 'nothing'}"
        return told


class Report(msgspec.Struct, kw_only=True):
    """Counts over all partitions. `verify` is "ok" or "differs"; `behind` commands were not decided yet."""

    verify: str = "ok"
    partitions: int = 0
    records: int = 0
    rows: int = 0
    decisions: int = 0
    events: int = 0
    repeated_events: int = 0
    behind: int = 0
    ledger_rows: int = 0
    ledger_behind: int = 0  # decisions that the ledger has not read yet
    oversold: int = 0  # units given out beyond a slot's quota
    lost: int = 0  # commands with no decision
    duplicates: int = 0  # second live reservations, and places decided in two ways
    picked_up_twice: int = 0
    picked_up_late: int = 0  # told by terminals that had no network: facts, as are the next two
    conflicts: int = 0  # handed out twice by terminals that had no network
    unproved: int = 0  # hand-outs without a pass
    out_of_turn: int = 0
    unasked: int = 0  # decisions of no command
    differing: int = 0  # all differences; `differences` tells the first of each kind
    differences: list[Difference] = []
    seconds: float = 0.0

    def add(self, kind: Kind, partition: int, what: str, **about: Any) -> None:
        """Count a difference, and keep it to be told unless there are many of its kind."""
        self.verify = "differs"
        self.differing += 1
        if sum(known.kind == kind for known in self.differences) < MAX_TOLD_PER_KIND:
            self.differences.append(Difference(kind=kind, partition=partition, what=what, **about))

    @property
    def exit_code(self) -> int:
        """0 nothing differs, 1 something does."""
        return 0 if self.verify == "ok" else 1

    def lines(self) -> list[str]:
        """The report for a person."""
        told = [str(difference) for difference in self.differences]
        untold = self.differing - len(self.differences)
        if untold:
            told.append(f"and {untold} more of these kinds")
        told.append(
            f"{self.records} records of {self.partitions} partitions replayed in {self.seconds:.1f} s; compared "
            f"{self.rows} rows, {self.decisions} recorded decisions, {self.events} events ({self.repeated_events} of "
            f"them repeats); oversold {self.oversold}, lost {self.lost}, duplicates {self.duplicates}"
        )
        if self.ledger_rows or self.ledger_behind:
            rows, behind = self.ledger_rows, self.ledger_behind
            told.append(f"compared {rows} rows of the ledger, which had {behind} decisions still to read")
        if self.behind:
            told.append(f"{self.behind} commands were in the log and not decided yet when verify looked")
        told.append("Nothing differs." if self.verify == "ok" else f"{self.differing} differences.")
        return told


def shortened(value: object) -> str:
    """A value as text, cut where it is long."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_TOLD_CHARS else text[:MAX_TOLD_CHARS] + "…"


def merge(whole: Report, part: Report) -> None:
    """Add one partition's report to that of all."""
    for name in Report.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, int):
            setattr(whole, name, getattr(whole, name) + value)
    whole.differences = whole.differences + part.differences
    if part.verify != "ok":
        whole.verify = part.verify
