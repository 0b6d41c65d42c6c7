"""The catalogue of metrics."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

from services.platform import metrics
from services.platform.metrics import CATALOGUE, Tally, descriptions, scrape

SERVICES = Path(metrics.__file__).parents[1]
MEASURED = r"(?m)^\s.*\b{name}\.(add|add_many|labels|observe|set)\("
# A label with unbounded values fills Prometheus; one with a person's value tells on them.
BOUNDED_LABELS = {"partition", "route", "status", "reason", "type", "outcome"}


def test_every_metric_of_the_module_stands_in_the_catalogue() -> None:
    defined = [value for name, value in vars(metrics).items() if name.isupper() and hasattr(value, "collect")]
    assert set(map(id, defined)) - {id(REGISTRY)} == set(map(id, CATALOGUE))


def test_every_metric_is_measured_by_a_service() -> None:
    sources = [file.read_text("utf-8") for file in SERVICES.rglob("*.py")]
    names = [name for name, value in vars(metrics).items() if name.isupper() and any(value is one for one in CATALOGUE)]
    assert len(names) == len(CATALOGUE)
    unused = [name for name in names if not any(re.search(MEASURED.format(name=name), text) for text in sources)]
    assert unused == []


def test_every_metric_has_our_name_a_sentence_and_bounded_labels() -> None:
    for name, text, labels in descriptions():
        assert re.fullmatch(r"maskline_[a-z_]+", name)
        assert text.endswith(".")
        assert set(labels) <= BOUNDED_LABELS


def test_names_are_unique() -> None:
    names = [description.name for description in descriptions()]
    assert len(names) == len(set(names))


def test_a_tally_is_scraped_like_any_counter() -> None:
    tally = next(metric for metric in CATALOGUE if isinstance(metric, Tally) and metric is metrics.REFUSED_BEFORE_LOG)
    before = tally.counts["sold_out",]
    tally.add("sold_out")
    tally.add_many(3, "sold_out")
    assert f'maskline_refused_before_log_total{{reason="sold_out"}} {before + 4}.0'.encode() in scrape()
