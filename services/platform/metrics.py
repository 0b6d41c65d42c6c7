"""The catalogue: every number that this system tells Prometheus, in one list.

Counters of the hot path are `Tally`: a dictionary that is added to for 0.2 µs (a labelled prometheus counter takes 1)
and read when somebody scrapes. Labels are few and bounded: a partition, a reason, a route's pattern, a status. Never an
id, a slot, a person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client import REGISTRY, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Description(NamedTuple):
    """What stands in the catalogue about a metric."""

    name: str
    help: str
    labels: tuple[str, ...]


class Tally(Collector):
    """A counter for hot paths; the labels are given in the order of its description."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...]) -> None:
        self.description = Description(name, help_text, labels)
        self.counts: defaultdict[tuple[str | int, ...], int] = defaultdict(int)
        REGISTRY.register(self)

    def add(self, *labels: str | int) -> None:
        self.counts[labels] += 1

    def add_many(self, count: int, *labels: str | int) -> None:
        self.counts[labels] += count

    def collect(self) -> Iterable[CounterMetricFamily]:
        name, help_text, labels = self.description
        family = CounterMetricFamily(name, help_text, labels=labels)
        for values, count in list(self.counts.items()):
            family.add_metric([str(value) for value in values], count)
        yield family


HTTP_ANSWERS = Tally("maskline_http_answers", "Requests answered.", ("route", "status"))
COMMANDS_OFFERED = Tally("maskline_commands_offered", "Commands that a door took.", ("type", "partition"))
DECISIONS = Tally("maskline_decisions", "Commands decided by the fold.", ("partition", "outcome"))
REFUSED_BEFORE_LOG = Tally("maskline_refused_before_log", "Wishes refused without a record.", ("reason",))
MALFORMED_RECORDS = Tally("maskline_malformed_records", "Records that cannot be read.", ("partition",))
FUTURE_RECORDS = Tally(
    "maskline_future_records", "Records dated more than two minutes ahead of whoever decides them.", ("partition",)
)
FOLD_GAPS = Tally("maskline_fold_gaps", "Times that Redis was found behind the log.", ("partition",))
LEDGER_ROWS = Tally("maskline_ledger_rows", "Events that got their row in SQL.", ("partition",))

LEDGER_BEHIND = Gauge("maskline_ledger_behind_records", "Events that have no row in SQL yet.", ["partition"])
IN_FLIGHT = Gauge("maskline_in_flight", "Commands waiting for the log's acknowledgement.", ["partition"])
IN_FLIGHT_LIMIT = Gauge(
    "maskline_in_flight_limit", "Bookings that a front door takes at once, found from acknowledgements.", ["partition"]
)
UNDECIDED_LIMIT = Gauge(
    "maskline_undecided_limit", "Undecided commands beyond which it takes none, found from decisions.", ["partition"]
)
POSITION = Gauge("maskline_position_offset", "Next offset that the fold has not applied.", ["partition"])
PUBLISHED = Gauge("maskline_published_offset", "Offset below which all events are acknowledged.", ["partition"])
LOG_END = Gauge("maskline_log_end_offset", "End of the log as last seen.", ["partition"])
UNDECIDED_AGE_SECONDS = Gauge(
    "maskline_undecided_age_seconds", "Age of the oldest command that is accepted and not decided.", ["partition"]
)
TICK_AGE_SECONDS = Gauge("maskline_tick_age_seconds", "Age of the last tick that the fold has applied.", ["partition"])
FOLD_AHEAD_SECONDS = Gauge(
    "maskline_fold_ahead_seconds", "How far the fold's time is ahead of the clock's.", ["partition"]
)
LOG_REPLICAS = Gauge("maskline_log_replicas", "Brokers that are to have a partition of the commands.", ["partition"])
LOG_REPLICAS_IN_SYNC = Gauge(
    "maskline_log_replicas_in_sync", "Those of them that have all of it; 0 where nobody says so.", ["partition"]
)
SNAPSHOT_MADE_AT = Gauge(
    "maskline_snapshot_made_at_seconds", "When the last snapshot was made, in Unix time.", ["partition"]
)
STOPPED_PARTITIONS = Gauge("maskline_partition_stopped", "1 where a partition stands still on purpose.", ["partition"])

ACK_SECONDS = Histogram("maskline_ack_seconds", "From a batch sent to its acknowledgement.", buckets=SECONDS)
DECISION_SECONDS = Histogram(
    "maskline_decision_seconds", "From a record in the log to its decision: the oldest of each batch.", buckets=SECONDS
)
FOLD_CALL_SECONDS = Histogram(
    "maskline_fold_call_seconds", "From a batch sent to the fold in Redis to its answer.", buckets=SECONDS
)
BATCH_RECORDS = Histogram("maskline_batch_records", "Commands in one batch of the log.", buckets=RECORDS)

CATALOGUE: tuple[Tally | MetricWrapperBase, ...] = (
    HTTP_ANSWERS,
    COMMANDS_OFFERED,
    DECISIONS,
    REFUSED_BEFORE_LOG,
    MALFORMED_RECORDS,
    FUTURE_RECORDS,
    FOLD_GAPS,
    LEDGER_ROWS,
    LEDGER_BEHIND,
    IN_FLIGHT,
    IN_FLIGHT_LIMIT,
    UNDECIDED_LIMIT,
    POSITION,
    PUBLISHED,
    LOG_END,
    UNDECIDED_AGE_SECONDS,
    TICK_AGE_SECONDS,
    FOLD_AHEAD_SECONDS,
    LOG_REPLICAS,
    LOG_REPLICAS_IN_SYNC,
    SNAPSHOT_MADE_AT,
    STOPPED_PARTITIONS,
    ACK_SECONDS,
    DECISION_SECONDS,
    FOLD_CALL_SECONDS,
    BATCH_RECORDS,
)


def descriptions() -> Iterator[Description]:
    """Name, help and labels of every metric in the catalogue."""
    for metric in CATALOGUE:
        if isinstance(metric, Tally):
            yield metric.description
        else:
            yield Description(metric._name, metric._documentation, tuple(metric._labelnames))


def scrape() -> bytes:
    """Everything, in Prometheus' text format."""
    return generate_latest(REGISTRY)
