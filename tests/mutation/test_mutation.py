"""`make mutants` changes what it says, and its trials tell a change that is noticed from one that is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.changes import changes_of

ROOT = Path(__file__).resolve().parents[2]
TRIALS_TIMEOUT_S = 55.0
BUCKETS = "services/domain/rules/buckets.py"
# In a process of its own: trials need one that has imported nothing of the house.
TRIALS = f"""
from pathlib import Path
from tests.mutation.trials import Trials
path = {BUCKETS!r}
text = Path(path).read_text()
trials = Trials(Path.cwd(), [path])
oversold = text.replace("return slot.quota - slot.taken", "return slot.quota")
for changed in (oversold, text + "# the same\\n"):
    assert changed != text
    print(trials.judge(path, range(1, 100), changed))
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "rule.py"
    path.write_text('"""A rule."""\n\n\n@decorated\ndef rule(units: int) -> bool:\n    return units > 0\n')
    return path


def test_every_operator_is_tried_in_one_place_at_a_time_behind_decorators_too(module: Path) -> None:
    told = [change.told for change in changes_of(module, "rule.py")]
    assert told == [
        "rule.py: rule\n- return units > 0\n+ return units >= 0",
        "rule.py: rule\n- return units > 0\n+ return units > 1",
    ]


def test_a_change_is_the_whole_module_and_knows_the_lines_of_its_statement(module: Path) -> None:
    change, _ = changes_of(module, "rule.py")
    assert change.text == module.read_text().replace("units > 0", "units >= 0")
    assert 6 in change.lines


def test_a_broken_rule_is_noticed_and_the_same_rule_is_not() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", TRIALS], cwd=ROOT, capture_output=True, text=True, timeout=TRIALS_TIMEOUT_S, check=False
    )
    assert (ended.stdout.split(), ended.stderr) == (["killed", "survived"], "")
