"""Metrics, alerts and runbooks hang together: no alert without data, a page, and a series that fires it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from infra.local.prometheus import find_promtool
from services.platform.metrics import CATALOGUE, Tally, descriptions

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "infra/prometheus"
RULES: Final = FOLDER / "maskline.rules.yml"
SERIES: Final = FOLDER / "maskline.test.yml"
RUNBOOKS: Final = ROOT / "infra/runbooks"
HEADINGS: Final = ("**What residents see.**", "**How to look**", "**What to do**", "**What produces it.**")
PROMTOOL_TIMEOUT_S: Final = 30.0
WEAKENED: Final = (("undecided_age_seconds) > 5", "undecided_age_seconds) > 50"), ("in_sync) < 2", "in_sync) < 1"))


def alerts() -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def scraped_names() -> set[str]:
    """As they stand in /metrics."""
    return {
        description.name + ("_total" if isinstance(metric, Tally) else "")
        for metric, description in zip(CATALOGUE, descriptions(), strict=True)
    }


def promtool(what: str, file: Path) -> "subprocess.CompletedProcess[str]":
    command: list[str | Path] = [find_promtool(), what, "rules", file]
    return subprocess.run(command, capture_output=True, text=True, timeout=PROMTOOL_TIMEOUT_S, check=False)


@pytest.mark.parametrize(("what", "file"), [("check", RULES), ("test", SERIES)], ids=["check", "test"])
def test_prometheus_takes_the_rules_and_they_fire_when_they_must(what: str, file: Path) -> None:
    ended = promtool(what, file)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.control
@pytest.mark.parametrize(("right", "wrong"), WEAKENED)
def test_a_rule_that_asks_for_more_does_not_fire_and_is_noticed(tmp_path: Path, right: str, wrong: str) -> None:
    text = RULES.read_text("utf-8")
    assert right in text
    shutil.copy(SERIES, tmp_path)
    (tmp_path / RULES.name).write_text(text.replace(right, wrong), "utf-8")
    assert promtool("test", tmp_path / SERIES.name).returncode == 1


def test_every_alert_meets_a_series_that_fires_it_and_one_that_does_not() -> None:
    fired, quiet = set[str](), set[str]()
    for story in yaml.safe_load(SERIES.read_text("utf-8"))["tests"]:
        for asked in story["alert_rule_test"]:
            (fired if asked["exp_alerts"] else quiet).add(asked["alertname"])
    assert fired == quiet == alerts().keys()


def test_every_alert_asks_for_metrics_that_somebody_tells() -> None:
    known = scraped_names()
    for name, rule in alerts().items():
        asked = set(re.findall(r"maskline_[a-z_]+", rule["expr"]))
        assert asked <= known, name
        assert asked or re.match(r"up\b", rule["expr"]), name
        assert rule["labels"]["severity"] in {"page", "look"}


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    pages = {rule["annotations"]["runbook_url"] for rule in alerts().values()}
    assert pages == {path.relative_to(ROOT).as_posix() for path in RUNBOOKS.glob("*.md")}
    assert len(pages) == len(alerts())


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_page_says_what_is_seen_how_to_look_and_what_to_do(page: Path) -> None:
    text = page.read_text("utf-8")
    assert [text.count(heading) for heading in HEADINGS] == [1] * len(HEADINGS)
    named = re.findall(r"`((?:tests|infra|services)/[\w/.-]+)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert any(name.startswith("tests/") for name in re.findall(r"`(tests/[\w/.-]+)`", text.split(HEADINGS[3])[1]))
    mentioned = set(re.findall(r"\bmaskline_[a-z_]+", text))
    assert mentioned <= scraped_names() | {name.removesuffix("_total") for name in scraped_names()}


def test_the_catalogue_is_what_processes_tell() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| `(maskline_\w+)` \| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)
    told = [
        (description.name + ("_total" if isinstance(metric, Tally) else ""), description.labels, description.help)
        for metric, description in zip(CATALOGUE, descriptions(), strict=True)
    ]
    assert listed == [(name, ", ".join(labels) or "-", words) for name, labels, words in told]
