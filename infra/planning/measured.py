"""What a plan is made of: measured once, each with the figure that measures it again.

CPU is that of two cores of an AMD EPYC shared with other work (load 4 to 7), which moves it by half; on a quiet machine
it is less. On yours, measure: `make bench TIER=real ONLY=cpu_us_booking_front_door,…`. What differs from a constant by
more than its margin is said by `plan_holds` (`make bench TIER=real ONLY=plan_holds`).
"""

from typing import Final, NamedTuple

CPU_MARGIN: Final = 1.5
BYTES_MARGIN: Final = 1.1


class Measured(NamedTuple):
    """A value as it was measured, and how far it is trusted."""

    value: float
    unit: str
    margin: float
    """A plan takes `value` times this (a rate is divided by it)."""
    figure: str
    """Of `make bench`."""
    when: str

    @property
    def is_rate(self) -> bool:
        """Whether more is better."""
        return self.unit.startswith("1/")

    @property
    def planned(self) -> float:
        return self.value / self.margin if self.is_rate else self.value * self.margin


def _cpu_us(value: float, figure: str) -> Measured:
    """One front door, one allocator, three brokers, three Redis primaries with a replica each; 512 connections."""
    return Measured(value, "us", CPU_MARGIN, figure, "2026-11-23, TIER=real")


FRONT_DOOR_BOOKING_CPU_US: Final = _cpu_us(134, "cpu_us_booking_front_door")
ALLOCATOR_BOOKING_CPU_US: Final = _cpu_us(78, "cpu_us_booking_allocator")
REDIS_BOOKING_CPU_US: Final = _cpu_us(52, "cpu_us_booking_redis")
"""Of all six nodes."""
KAFKA_BOOKING_CPU_US: Final = _cpu_us(261, "cpu_us_booking_kafka")
"""Of all three brokers: command and event, each written three times."""
KAFKA_BROKERS: Final = 3
STATUS_CPU_US: Final = _cpu_us(156, "cpu_us_status")
"""Of front door and Redis."""
STOCK_CPU_US: Final = _cpu_us(59, "cpu_us_stock")
REFUSAL_CPU_US: Final = STOCK_CPU_US
"""Not measured: a 503 is given before the body is read, so it is taken to cost what a small answer costs."""
PIPELINE_BOOKING_CPU_US: Final = sum(
    part.planned
    for part in (
        FRONT_DOOR_BOOKING_CPU_US,
        ALLOCATOR_BOOKING_CPU_US,
        REDIS_BOOKING_CPU_US,
        KAFKA_BOOKING_CPU_US,
    )
)

PARTITION_DECIDED_PER_S: Final = Measured(
    14_830, "1/s", CPU_MARGIN, "caught_up_per_s", "2026-11-23, TIER=embedded, all rules on, events published"
)
"""What one allocator and one Redis primary do in one partition, side by side on two cores with the broker."""

LOG_BYTES_PER_BOOKING: Final = Measured(614, "B", BYTES_MARGIN, "log_bytes_per_booking", "2026-11-23, TIER=real")
"""Command and events of one copy."""
REDIS_BYTES_PER_CONFIRMED: Final = Measured(
    378, "B", BYTES_MARGIN, "redis_bytes_per_confirmed", "2026-11-22, TIER=embedded, Valkey 9.1, all rules on"
)
REDIS_BYTES_PER_REFUSED: Final = Measured(
    164, "B", BYTES_MARGIN, "redis_bytes_per_refused", "2026-11-22, TIER=embedded, Valkey 9.1, all rules on"
)

ALL: Final = (
    FRONT_DOOR_BOOKING_CPU_US,
    ALLOCATOR_BOOKING_CPU_US,
    REDIS_BOOKING_CPU_US,
    KAFKA_BOOKING_CPU_US,
    STATUS_CPU_US,
    STOCK_CPU_US,
    PARTITION_DECIDED_PER_S,
    LOG_BYTES_PER_BOOKING,
    REDIS_BYTES_PER_CONFIRMED,
    REDIS_BYTES_PER_REFUSED,
)
