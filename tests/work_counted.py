"""How many random logs and simulated schedules a run had, told at its end: tests record it as properties."""

from collections import Counter

import pytest

LOGS, RECORDS, LOGS_CPU_S = "random_logs", "random_logs_records", "random_logs_cpu_s"
SCHEDULES, SCHEDULES_CPU_S = "schedules", "schedules_cpu_s"
_KNOWN = {LOGS, RECORDS, LOGS_CPU_S, SCHEDULES, SCHEDULES_CPU_S}


class WorkCounted:
    """Adds up what tests have recorded with `record_property`, wherever they ran."""

    def __init__(self) -> None:
        self._done: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._done.update({str(name): value for name, value in report.user_properties if name in _KNOWN})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A line for each kind of work that there was."""
        logs, records, logs_cpu_s = (self._done[name] for name in (LOGS, RECORDS, LOGS_CPU_S))
        if logs:
            told = f"random logs: {logs:,} of {records:,} records, {logs_cpu_s:.0f} s of CPU with Valkey's"
            terminalreporter.write_line(told)
        schedules, schedules_cpu_s = self._done[SCHEDULES], self._done[SCHEDULES_CPU_S]
        if schedules:
            a_minute = 60 * schedules / schedules_cpu_s
            terminalreporter.write_line(f"simulated schedules: {schedules:,}, {a_minute:,.0f} a minute of one core")
