"""The figures, one JSON line each. ONLY=name,… chooses; TIER=embedded is the only tier there is yet."""

import os
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from services.platform.telemetry import configure_logging
from tests.bench.cost_of_a_booking import cost
from tests.bench.expiry import expiry
from tests.bench.figure import Figure
from tests.bench.folding import memory, replay
from tests.bench.rebuilding import rebuilding
from tests.bench.through_the_door import decided, decision_times, ready

MEASUREMENTS: Final[dict[Callable[[], list[Figure]], tuple[str, ...]]] = {
    ready: ("ready_s",),
    cost: ("front_door_cpu_vs_noop",),
    decided: ("decided_per_s", "decided_per_s_hot"),
    decision_times: ("decision_p50_ms_idle", "decision_p50_ms_64"),
    replay: ("replay_per_s", "replay_per_s_hot"),
    rebuilding: ("rebuild_s_per_million",),
    memory: ("redis_bytes_per_confirmed", "redis_bytes_per_refused"),
    expiry: ("fcall_p99_ms", "fcall_max_ms"),
}


def main() -> int:
    """Exit code 0, or 2 where something that is not there was asked for."""
    configure_logging("bench", "warning")
    names = [name for group in MEASUREMENTS.values() for name in group]
    tier = os.environ.get("TIER") or "embedded"
    wanted = [name for name in os.environ.get("ONLY", "").replace(" ", "").split(",") if name]
    if tier != "embedded":
        sys.stderr.write(f"bench: the tier {tier} is not there yet; TIER=embedded is\n")
        return 2
    if unknown := [name for name in wanted if name not in names]:
        sys.stderr.write(f"bench: no figure {', '.join(unknown)}; there are {', '.join(names)}\n")
        return 2
    for measure, group in MEASUREMENTS.items():
        if wanted and not set(wanted) & set(group):
            continue
        for found in measure():
            if not wanted or found.name in wanted:
                sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
