"""The clock tells of accepted commands that nobody decides, also where the allocator that should is silent."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.integration.cli_system import Up, up
from tests.integration.front_door_system import ask
from tests.integration.tiers import Tier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WITHIN_S = 20.0
LOOK_S = 0.2


def told(system: Up, name: str) -> list[float]:
    """By the clock, of each partition."""
    (clock,) = (each for each in system.endpoints["processes"] if each["service"] == "clock")
    _, _, text = ask("GET", f"{clock['admin']}/metrics")
    return [float(value) for value in re.findall(rf"(?m)^{name}{{[^}}]*}} (\S+)".encode(), text)]


def waits_for_age(system: Up, *, at_least_s: float = 0.0, at_most_s: float = 1e9) -> None:
    until_s = time.monotonic() + WITHIN_S
    while not (ages := told(system, "maskline_undecided_age_seconds")) or not at_least_s <= max(ages) <= at_most_s:
        assert time.monotonic() < until_s, ages
        time.sleep(LOOK_S)


def test_commands_that_nobody_decides_grow_old_until_somebody_does(tier: Tier, tmp_path: Path) -> None:
    with up(tmp_path / "data", *tier.options(tmp_path / "data")) as system:
        waits_for_age(system, at_most_s=1.5)
        in_sync, replicas = (told(system, f"maskline_log_replicas{which}") for which in ("_in_sync", ""))
        assert in_sync == replicas != []
        (pid,) = (each["pid"] for each in system.endpoints["processes"] if each["service"] == "allocator")
        os.kill(pid, signal.SIGSTOP)
        try:
            waits_for_age(system, at_least_s=3.0)
            assert max(told(system, "maskline_tick_age_seconds")) > 3.0
        finally:
            os.kill(pid, signal.SIGCONT)
        waits_for_age(system, at_most_s=1.5)
