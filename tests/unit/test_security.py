"""SECURITY.md: each threat has an owner, what it points at is there, and what nothing stops is said."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CELLS = ("threat", "severity", "what stops it", "shown by", "whose duty")
SEVERITIES = {"critical", "high", "medium", "low"}
STRIDE = [
    "Spoofing", "Tampering", "Repudiation", "Information disclosure", "Denial of service", "Elevation of privilege",
]  # fmt: skip


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "SECURITY.md").read_text("utf-8")


def threats(text: str) -> list[dict[str, str]]:
    """The rows of its tables, by the names of their columns."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(CELLS, row, strict=True)) for row in rows if row[0] != CELLS[0] and set(row[0]) != {"-"}]


def missing(text: str, root: Path) -> list[str]:
    """Files that are named as showing something, and are not there."""
    named = [path for threat in threats(text) for path in re.findall(r"`([^`]+)`", threat["shown by"])]
    return [path for path in named if not (root / "tests" / path).is_file()]


def test_every_test_that_is_named_is_there(text: str) -> None:
    assert missing(text, ROOT) == []


def test_a_test_that_is_not_there_would_be_found(text: str, tmp_path: Path) -> None:
    assert len(missing(text, tmp_path)) > len(threats(text)) // 2


def test_every_kind_of_threat_has_its_table(text: str) -> None:
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == STRIDE


def test_every_threat_has_a_severity_an_owner_and_a_test_or_a_plain_no(text: str) -> None:
    for threat in threats(text):
        assert threat["severity"] in SEVERITIES, threat
        assert re.search(r"\b(ours|operator)\b", threat["whose duty"]), threat
        assert threat["shown by"] or re.search(r"\*\*(not yet|nothing|no)\b", threat["what stops it"]), threat
