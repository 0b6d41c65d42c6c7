"""What a machine lacks is named, and the run says what was not run for want of it.

A test that meets `PartMissing`, in a fixture or by itself, counts as skipped, with the reason. Where
MASKLINE_TEST_REQUIRE (a comma list) names one of the test's markers, as in `MASKLINE_TEST_REQUIRE=real`, it fails.
"""

import os
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import pytest

from infra.local.missing import PartMissing

REQUIRE: Final = "MASKLINE_TEST_REQUIRE"
NOT_RUN: Final = "not run: "
REAL_TIMEOUT_S: Final = 300
"""The first test of a run waits for what it needs: three brokers, their jars at the first time."""


class PartsMissing:
    """Turns a missing part into a skip, or leaves it the failure that it is, and sums up at the end."""

    def __init__(self) -> None:
        self._not_run: defaultdict[str, int] = defaultdict(int)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            on_real = item.get_closest_marker("real") or item.get_closest_marker("secured")
            if on_real and not item.get_closest_marker("timeout"):
                item.add_marker(pytest.mark.timeout(REAL_TIMEOUT_S))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        with _skipped_unless_required(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        with _skipped_unless_required(item):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            _, _, why = report.longrepr
            why = why.removeprefix("Skipped: ")
            if why.startswith(NOT_RUN):
                self._not_run[why.removeprefix(NOT_RUN).splitlines()[0]] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A line for each thing that is missing."""
        for why, count in self._not_run.items():
            terminalreporter.write_line(f"NOT RUN: {count} tests. {why}", yellow=True)


def required() -> set[str]:
    """The markers whose tests must run on this machine."""
    return {name.strip() for name in os.environ.get(REQUIRE, "").split(",") if name.strip()}


@contextmanager
def _skipped_unless_required(item: pytest.Item) -> Generator[None]:
    try:
        yield
    except PartMissing as missing:
        if any(item.get_closest_marker(name) for name in required()):
            raise
        pytest.skip(f"{NOT_RUN}{missing}")
