"""How many schedules were run, and how fast, is told at the end."""

from dataclasses import dataclass

import pytest


@dataclass
class ScheduleCount:
    """Schedules that were run, and what that took."""

    schedules: int = 0
    cpu_s: float = 0.0


_SCHEDULE_COUNT: pytest.StashKey[ScheduleCount] = pytest.StashKey()


@pytest.fixture
def schedule_count(request: pytest.FixtureRequest) -> ScheduleCount:
    """Told in the summary."""
    return request.config.stash.setdefault(_SCHEDULE_COUNT, ScheduleCount())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    count = config.stash.get(_SCHEDULE_COUNT, ScheduleCount())
    if count.schedules:
        a_minute = 60 * count.schedules / count.cpu_s
        terminalreporter.write_line(f"simulated schedules: {count.schedules:,}, {a_minute:,.0f} a minute of one core")
