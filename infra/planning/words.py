"""A plan for a person: what is needed, when the rush is over, what it costs, and what all that rests on."""

import datetime as dt

from infra.planning import measured
from infra.planning.arrivals import Arrivals
from infra.planning.plan import GIB, Limit, Plan

MIB = 2**20
HELD_UP = {
    Limit.ASKED: "as --drain-within-s asks",
    Limit.ARRIVALS: "as fast as they come",
    Limit.FOLD: "all that the fold of one region can",
}
REST = [
    "",
    f"Taken from bench runs with a margin (CPU {measured.CPU_MARGIN:g}, bytes {measured.BYTES_MARGIN:g} times):",
    "infra/planning/measured.py. What a core does moves by half from machine to machine; whether this holds on yours:",
    "make bench ONLY=plan_holds; make bench TIER=real ONLY=plan_holds",
]
NO_DAY = dt.date(2000, 1, 1)


def told(found: Plan, arrivals: Arrivals, opens: dt.time) -> list[str]:
    """One line each."""
    regions = f"{arrivals.regions} {'region' if arrivals.regions == 1 else 'regions'}"
    asked = f"{_number(found.residents)} residents, {_number(found.units)} units, {regions}, opens {opens:%H:%M}"
    outcome = [*_rush(found, opens), *_cost(found, arrivals), *found.too_small]
    return [asked, "", *_parts(found, arrivals), "", *outcome, *REST]


def _parts(found: Plan, arrivals: Arrivals) -> list[str]:
    rush, parts = found.rush, found.parts
    doors = f"{_number(rush.offered_per_s)} first taps a second; whom they cannot take hears 503 and comes again"
    rows, machines = _bytes(parts.redis_bytes_a_shard), _bytes(parts.redis_machine_bytes)
    shards = f"a primary and a replica each, {rows} of rows in the fullest, machines of {machines} and more"
    log = f"the round adds {_bytes(parts.log_bytes)} of log in {arrivals.log_copies} copies, kept for ever"
    lines: list[tuple[str, int, str]] = [
        ("partitions", parts.partitions, "of the log, fixed for its life; a region has one for itself"),
        ("front doors", parts.front_doors, f"of one core; {doors}"),
        ("allocators", parts.allocators, "of one core, at most one a partition"),
        ("Redis shards", parts.redis_shards, shards),
        ("brokers", parts.kafka_brokers, f"with {parts.kafka_cores} cores together; {log}"),
        ("cores", parts.cores, "in all; the ledger's database and the balancers come on top"),
    ]
    return [f"  {name:<12} {count:>6}  {words}" for name, count, words in lines]


def _rush(found: Plan, opens: dt.time) -> list[str]:
    rush = found.rush
    over = f"{drained_at(opens, rush.drained_s):%H:%M:%S}"
    who = f"The rush of {_number(rush.people)} people ({_number(rush.wishes)} wishes)"
    fast = f"{_number(rush.decided_per_s)} a second for {rush.drained_s:,.0f} s, {HELD_UP[rush.held_up_by]}"
    return [f"{who} is decided by {over}: {fast}."]


def drained_at(opens: dt.time, drained_s: float) -> dt.datetime:
    """When the rush is over; the day means nothing."""
    return dt.datetime.combine(NO_DAY, opens, tzinfo=dt.UTC) + dt.timedelta(seconds=drained_s)


def _cost(found: Plan, arrivals: Arrivals) -> list[str]:
    cost = found.cost
    in_vain = f"{found.wishes / found.bookings:,.1f} wishes and the looks of those who come in vain included"
    lines = [f"A confirmed booking costs {cost.cpu_ms:,.2f} ms of CPU: {in_vain}."]
    if cost.price_used is not None and cost.price_kept is not None:
        kept = f"{1000 * cost.price_kept:.4f} where all cores are kept for {arrivals.open_for_h:g} hours"
        lines.append(f"A thousand of them cost {1000 * cost.price_used:.4f} by the CPU used, {kept}.")
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _bytes(value: int) -> str:
    return f"{value / GIB:,.1f} GiB" if value >= GIB else f"{max(1, round(value / MIB)):,} MiB"
