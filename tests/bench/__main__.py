"""The figures, one JSON line each. ONLY=name,… chooses; TIER=real takes those of the real tier."""

import os
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from infra.local.missing import PartMissing
from services.platform.telemetry import configure_logging
from tests.bench.beside_the_ledger import beside_postgresql, beside_sqlite
from tests.bench.cost_of_a_booking import cost
from tests.bench.expiry import expiry
from tests.bench.figure import Figure
from tests.bench.folding import catching_up, memory, replay
from tests.bench.on_kafka import on_one_broker, on_three_brokers, over_partitions
from tests.bench.overload import overload
from tests.bench.parts_of_a_booking import parts_of_a_booking
from tests.bench.plan_check import plan_holds_embedded, plan_holds_real
from tests.bench.rebuilding import rebuilding
from tests.bench.refusals import refusals
from tests.bench.scaling import NAMES, scaling
from tests.bench.through_the_door import decided, decision_times, ready
from tests.bench.twice import twice
from tests.bench.versus import versus_embedded, versus_real
from tests.bench.waiting import waiting

Measurements = dict[Callable[[], list[Figure]], tuple[str, ...]]
VERSUS: Final = ("versus_client_uniform", "versus_client_hot", "versus_stored_uniform", "versus_stored_hot")
EMBEDDED: Final[Measurements] = {
    ready: ("ready_s",),
    cost: ("front_door_cpu_vs_noop",),
    refusals: ("refusal_cpu_vs_accepted",),
    overload: ("overload_goodput", "overload_p99_ms", "overload_ghosts", "counter_p99_added_ms"),
    twice: ("overload_twice_goodput",),
    waiting: ("polls_per_s", "waiting_room_grown_mib"),
    decided: ("decided_per_s", "decided_per_s_hot"),
    versus_embedded: VERSUS,
    beside_sqlite: ("decided_beside_ledger", "decided_beside_ledger_catching_up"),
    decision_times: ("decision_p50_ms_idle", "decision_p50_ms_64"),
    replay: ("replay_per_s", "replay_per_s_hot"),
    catching_up: ("caught_up_per_s",),
    rebuilding: ("rebuild_s_per_million",),
    memory: ("redis_bytes_per_confirmed", "redis_bytes_per_refused"),
    plan_holds_embedded: ("plan_holds",),
    expiry: ("fcall_p99_ms", "fcall_max_ms"),
}
REAL: Final[Measurements] = {
    on_three_brokers: ("decided_per_s",),
    versus_real: VERSUS,
    on_one_broker: ("decided_per_s_1_broker", "decision_p50_ms_idle", "decision_p50_ms_64"),
    beside_postgresql: ("decided_beside_ledger", "decided_beside_ledger_catching_up"),
    over_partitions: ("cost_64_vs_1_partitions",),
    parts_of_a_booking: (
        "cpu_us_booking_front_door",
        "cpu_us_booking_allocator",
        "cpu_us_booking_redis",
        "cpu_us_booking_kafka",
        "log_bytes_per_booking",
        "cpu_us_status",
        "cpu_us_stock",
    ),
    scaling: NAMES,
    plan_holds_real: ("plan_holds",),
}
TIERS: Final = {"embedded": EMBEDDED, "real": REAL}


def main() -> int:
    """Exit code 0, or 2 where something that is not there was asked for."""
    configure_logging("bench", "warning")
    tier = os.environ.get("TIER") or "embedded"
    if tier not in TIERS:
        sys.stderr.write(f"bench: there is no tier {tier}; there are {', '.join(TIERS)}\n")
        return 2
    names = [name for group in TIERS[tier].values() for name in group]
    wanted = [name for name in os.environ.get("ONLY", "").replace(" ", "").split(",") if name]
    if unknown := [name for name in wanted if name not in names]:
        sys.stderr.write(f"bench: no figure {', '.join(unknown)}; there are {', '.join(names)}\n")
        return 2
    try:
        for measure, group in TIERS[tier].items():
            if wanted and not set(wanted) & set(group):
                continue
            for found in measure():
                if not wanted or found.name in wanted:
                    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
                    sys.stdout.flush()
    except PartMissing as missing:
        sys.stderr.write(f"bench: {missing}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
