"""What the allocator tells Prometheus."""

from collections import Counter

from services.domain.reasons import Reason
from services.domain.rows import Facts
from services.domain.rules.answers import Fact
from services.platform import metrics

_WORDS = {int(fact): fact.name.lower() for fact in Fact}
_MALFORMED = [int(Fact.REFUSED), int(Reason.MALFORMED)]


class MetricsReport:
    """A `LoopReport` that counts."""

    def called(self, seconds: float) -> None:
        """From a batch sent to its answer, behind the one that was in flight already."""
        metrics.FOLD_CALL_SECONDS.observe(seconds)

    def waited(self, seconds: float) -> None:
        """One number a batch: a histogram costs a microsecond, which is a tenth of a decision."""
        metrics.DECISION_SECONDS.observe(seconds)

    def folded(self, partition: int, position: int, decisions: list[Facts | bool]) -> None:
        """Count decisions by their first fact."""
        metrics.POSITION.labels(partition).set(position)
        firsts = [facts[0] for facts in decisions if isinstance(facts, list)]
        for fact, count in Counter(first[0] for first in firsts).items():
            metrics.DECISIONS.add_many(count, partition, _WORDS[fact])
        if malformed := firsts.count(_MALFORMED):
            metrics.MALFORMED_RECORDS.add_many(malformed, partition)

    def from_future(self, partition: int, count: int) -> None:
        """Records that say they were written long after now."""
        metrics.FUTURE_RECORDS.add_many(count, partition)

    def gap(self, partition: int) -> None:
        """Redis was behind the log."""
        metrics.FOLD_GAPS.add(partition)

    def stopped(self, partition: int, because: str | None) -> None:
        """Whether a partition stands still on purpose."""
        metrics.STOPPED_PARTITIONS.labels(partition).set(0 if because is None else 1)
