"""From a number of residents to parts: arithmetic on measured constants, nothing else.

Every constant is taken at its measured value times its margin, and every number of parts is rounded up, so more
residents never need fewer parts of any kind.
"""

import math
from enum import StrEnum
from typing import Final

import msgspec

from infra.planning import measured
from infra.planning.arrivals import Arrivals

MIN_PARTITIONS: Final = 4
MAX_PARTITIONS: Final = 100
"""As `maskline up` and `maskline prepare` take them."""
PARTITIONS_A_REGION: Final = 2
"""The number is fixed for the life of a log: as many regions again find room later."""
MIN_SHARDS: Final = 3
"""Primaries of a Redis Cluster: with fewer nobody can elect."""
MAX_CORES_A_BROKER: Final = 16
"""More work than these is for more brokers."""
COPIES_OF_A_SHARD: Final = 2
FORKED: Final = 2
"""While Redis rewrites its append-only file, a page that changes is there twice: at worst all of them."""
OTHER_CORES: Final = 5
"""Two counters, a console, a clock and a ledger, each far below one core."""
US_PER_S: Final = 1e6
GIB: Final = 2**30


class Limit(StrEnum):
    """What holds a rush up."""

    ASKED = "drain_within_s"
    ARRIVALS = "first_taps_within_s"
    FOLD = "fold_of_one_region"


class Rush(msgspec.Struct, frozen=True, kw_only=True):
    """What comes at the opening, and how fast it is decided."""

    people: int
    wishes: int
    """Bookings that reach the log."""
    offered_per_s: float
    """First taps a second; what the front doors cannot take hears 503 and when to come back."""
    decided_per_s: float
    drained_s: float
    held_up_by: Limit


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be there. Front doors and allocators are processes of one core each."""

    partitions: int
    front_doors: int
    allocators: int
    redis_shards: int
    redis_bytes_a_shard: int
    """Of the fullest shard; `redis_machine_bytes` is what its machine needs."""
    redis_machine_bytes: int
    kafka_brokers: int
    kafka_cores: int
    """Of all brokers."""
    log_bytes: int
    """Of one round, all copies."""
    cores: int
    """Of everything, replicas of Redis included, balancers and the ledger's database not."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one confirmed booking: everybody who came in vain is paid for by those who got something."""

    cpu_ms: float
    price_used: float | None
    """For the CPU seconds alone."""
    price_kept: float | None
    """For all cores, kept `open_for_h`."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of `maskline plan`."""

    residents: int
    units: int
    bookings: int
    """Confirmed, at most."""
    wishes: int
    """In all, the rush included."""
    rush: Rush
    parts: Parts
    cost: Cost
    too_small: list[str]
    """What no number of parts mends, in words."""


def plan(residents: int, units: int, arrivals: Arrivals) -> Plan:
    """What `residents` people and `units` units need. Both are at least 1."""
    people = math.ceil(residents * arrivals.share_who_come)
    wishes = math.ceil(people * arrivals.tries_each)
    bookings = min(math.ceil(units / arrivals.units_each), people)
    partitions = min(max(MIN_PARTITIONS, PARTITIONS_A_REGION * arrivals.regions), MAX_PARTITIONS)
    busiest_share = math.ceil(arrivals.regions / partitions) / arrivals.regions
    rush = _rush(people, busiest_share, arrivals)
    parts = _parts(rush, wishes, bookings, partitions, busiest_share, arrivals)
    return Plan(
        residents=residents,
        units=units,
        bookings=bookings,
        wishes=wishes,
        rush=rush,
        parts=parts,
        cost=_cost(people, wishes, bookings, parts.cores, arrivals),
        too_small=_too_small(parts, arrivals),
    )


def _rush(people: int, busiest_share: float, arrivals: Arrivals) -> Rush:
    """`busiest_share` of it has to be decided in one partition, one after the other."""
    present = math.ceil(people * arrivals.share_at_opening)
    wishes = math.ceil(present * arrivals.tries_each)
    by_the_fold_s = wishes * busiest_share / measured.PARTITION_DECIDED_PER_S.planned
    limits = {
        Limit.ASKED: arrivals.drain_within_s,
        Limit.ARRIVALS: arrivals.first_taps_within_s,
        Limit.FOLD: by_the_fold_s,
    }
    held_up_by = max(limits, key=lambda name: limits[name])
    return Rush(
        people=present,
        wishes=wishes,
        offered_per_s=present / arrivals.first_taps_within_s,
        decided_per_s=wishes / limits[held_up_by],
        drained_s=limits[held_up_by],
        held_up_by=held_up_by,
    )


def _parts(
    rush: Rush, wishes: int, bookings: int, partitions: int, busiest_share: float, arrivals: Arrivals
) -> Parts:
    front_doors = _processes(_front_door_cores(rush, arrivals), arrivals) + arrivals.spare
    allocator_cores = rush.decided_per_s * measured.ALLOCATOR_BOOKING_CPU_US.planned / US_PER_S
    most = min(partitions, arrivals.regions)  # a partition is one allocator's, and lives in one shard
    allocators = min(partitions, min(most, _processes(allocator_cores, arrivals)) + arrivals.spare)
    state_bytes = (
        bookings * measured.REDIS_BYTES_PER_CONFIRMED.planned
        + (wishes - bookings) * measured.REDIS_BYTES_PER_REFUSED.planned
    )
    usable_bytes = arrivals.shard_memory_gib * GIB / FORKED
    by_fold = math.ceil(rush.decided_per_s / measured.PARTITION_DECIDED_PER_S.planned)
    shards = max(MIN_SHARDS, min(most, max(by_fold, math.ceil(state_bytes / usable_bytes))))
    shard_bytes = math.ceil(state_bytes * max(busiest_share, 1 / shards))
    kafka_cores = _processes(rush.decided_per_s * measured.KAFKA_BOOKING_CPU_US.planned / US_PER_S, arrivals)
    brokers = max(measured.KAFKA_BROKERS, arrivals.log_copies, math.ceil(kafka_cores / MAX_CORES_A_BROKER))
    return Parts(
        partitions=partitions,
        front_doors=front_doors,
        allocators=allocators,
        redis_shards=shards,
        redis_bytes_a_shard=shard_bytes,
        redis_machine_bytes=shard_bytes * FORKED,
        kafka_brokers=brokers,
        kafka_cores=max(brokers, kafka_cores),
        log_bytes=math.ceil(wishes * measured.LOG_BYTES_PER_BOOKING.planned * arrivals.log_copies),
        cores=front_doors + allocators + shards * COPIES_OF_A_SHARD + max(brokers, kafka_cores) + OTHER_CORES,
    )


def _front_door_cores(rush: Rush, arrivals: Arrivals) -> float:
    """At the peak: bookings taken, what these people look at, and all others knocking in vain."""
    served_per_s = rush.decided_per_s / arrivals.tries_each
    us_per_s = (
        rush.decided_per_s * measured.FRONT_DOOR_BOOKING_CPU_US.planned
        + served_per_s * _looks_us(arrivals)
        + rush.people / arrivals.retry_every_s * measured.REFUSAL_CPU_US.planned
    )
    return us_per_s / US_PER_S


def _looks_us(arrivals: Arrivals) -> float:
    """CPU of what one person looks at."""
    stock_us = arrivals.stock_looks_each * measured.STOCK_CPU_US.planned
    return stock_us + arrivals.status_looks_each * measured.STATUS_CPU_US.planned


def _processes(cores: float, arrivals: Arrivals) -> int:
    return max(1, math.ceil(cores / arrivals.busy_share))


def _cost(people: int, wishes: int, bookings: int, cores: int, arrivals: Arrivals) -> Cost:
    cpu_s = (wishes * measured.PIPELINE_BOOKING_CPU_US + people * _looks_us(arrivals)) / US_PER_S
    price = arrivals.core_hour_price
    return Cost(
        cpu_ms=cpu_s * 1000 / bookings,
        price_used=cpu_s / 3600 * price / bookings if price else None,
        price_kept=cores * arrivals.open_for_h * price / bookings if price else None,
    )


def _too_small(parts: Parts, arrivals: Arrivals) -> list[str]:
    found = []
    if parts.redis_machine_bytes > arrivals.shard_memory_gib * GIB:
        found.append(
            f"One region lives in one Redis shard, and a primary needs {parts.redis_machine_bytes / GIB:.1f} GiB: more "
            f"than --shard-memory-gib {arrivals.shard_memory_gib:g}. Take larger machines, or smaller regions."
        )
    return found
