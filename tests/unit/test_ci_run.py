"""What the integration server runs: what Debian lacks first, then everything, with the real tier as a must."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_TIMEOUT_S = 20.0


@pytest.fixture
def told_make(tmp_path: Path) -> Path:
    """A `make` that only writes down what it is asked for, and what the tests would then find required."""
    program = tmp_path / "bin" / "make"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$1 $MASKLINE_TEST_REQUIRE" >> {tmp_path}/asked\n[ "$1" != "$FAILS" ]\n', "utf-8"
    )
    program.chmod(0o755)
    return tmp_path


def ci_run(told_make: Path, **environment: str) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [ROOT / ".ci" / "run"],
        env={"PATH": f"{told_make / 'bin'}:/usr/bin:/bin"} | environment,
        capture_output=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    return ended.returncode, (told_make / "asked").read_text("utf-8").splitlines()


def test_the_real_tier_is_installed_and_then_required(told_make: Path) -> None:
    assert ci_run(told_make) == (0, ["deps-debian real", "test-all real"])


def test_somebody_else_may_say_what_is_required(told_make: Path) -> None:
    code, asked = ci_run(told_make, MASKLINE_TEST_REQUIRE="real,browser")
    assert (code, asked[-1]) == (0, "test-all real,browser")


@pytest.mark.parametrize("part", ["deps-debian", "test-all"])
def test_what_fails_is_a_failure(told_make: Path, part: str) -> None:
    code, asked = ci_run(told_make, FAILS=part)
    assert code == 1
    assert asked[-1].startswith(part)
