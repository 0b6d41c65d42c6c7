"""What the whole suite shares: the count of safety tests and of the controls that show each of them can fail."""

import os
from collections import Counter
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Two busy cores are slow without being wrong. The integration server judges a change, so it draws the same examples
# each time; everybody else draws new ones.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")

COUNTED = {"safety": "safety tests", "control": "controls"}
Report = Generator[None, pytest.TestReport, pytest.TestReport]
_FINISHED: pytest.StashKey[Counter[tuple[str, str]]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FINISHED] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Report:
    report = yield
    # A test that never reached its call (skipped, or broken in set-up) is counted by that phase instead.
    if report.when == "call" or (report.when == "setup" and not report.passed):
        for marker in COUNTED:
            if item.get_closest_marker(marker):
                item.config.stash[_FINISHED][marker, report.outcome] += 1
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line: a safety test whose control is missing or skipped proves little, so both numbers stand side by side."""
    finished = config.stash[_FINISHED]
    if finished:
        terminalreporter.write_line("; ".join(_in_words(finished, marker) for marker in COUNTED))


def _in_words(finished: Counter[tuple[str, str]], marker: str) -> str:
    counts = {outcome: finished[marker, outcome] for outcome in ("passed", "failed", "skipped")}
    told = [f"{count} {outcome}" for outcome, count in counts.items() if count or outcome == "passed"]
    return f"{COUNTED[marker]}: {', '.join(told)}"
