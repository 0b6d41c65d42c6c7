"""The longer run itself: it ends in time, says how far it came, and stops at the first failure with its seed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.__main__ import Soak, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.embedded
def test_a_soak_ends_when_its_minutes_are_over_and_says_what_it_did() -> None:
    command, known_seed = [sys.executable, "-m", "tests.soak", "0.03"], {**os.environ, "SOAK_SEED": "7"}
    done = subprocess.run(command, cwd=ROOT, env=known_seed, capture_output=True, text=True, check=True, timeout=50)
    assert "SOAK_SEED=7 begins there again" in done.stdout
    assert done.stdout.strip().endswith("nothing failed")


@pytest.mark.parametrize("words", [(), ("ten",), ("0",), ("-1",), ("nan",), ("1e9",)])
def test_a_soak_without_an_end_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["soak", *words])
    assert main() == 2
    assert "MINUTES" in capsys.readouterr().err


def test_a_soak_stops_at_the_first_failure() -> None:
    run, seen = Soak(first_seed=3, minutes=1.0), []

    def check_log(seed: int) -> str:
        seen.append(seed)
        return f"log {seed} is wrong" if seed == 4 else ""

    assert run.run(check_log) == "log 4 is wrong"
    assert seen == [3, 4]
