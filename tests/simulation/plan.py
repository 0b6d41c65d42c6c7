"""What a schedule is made of, drawn from its seed before anything happens."""

from dataclasses import dataclass
from random import Random

from tests.simulation.disasters import Disasters
from tests.simulation.fold_port import PortSettings
from tests.simulation.protections import Protection
from tests.simulation.weather import Weather, drawn


@dataclass(slots=True)
class Plan:
    """Sizes are small on purpose: what matters is how things meet, not how many they are."""

    partitions: int
    allocators: int
    doors: int
    clocks: int
    is_by_hand: bool  # allocators take all partitions by hand, beside each other, instead of sharing them in a group
    wishes: int
    busy_s: float  # how long people come, and things break
    tick_s: float
    skews_s: tuple[float, ...]
    batch_commands: int
    buffered_records: int
    queued_batches: int
    events_at_once: int
    chunk_offsets: int
    readable_ms: int
    weather: Weather
    disasters: list[str]

    def port(self, chance: Random, protections: frozenset[Protection]) -> PortSettings:
        """How the fold behaves in this schedule."""
        weather = self.weather

        def stop_after() -> int:
            return chance.randint(1, 5) if chance.random() < weather.early_stops else 1_000

        return PortSettings(self.chunk_offsets, self.readable_ms, stop_after, protections)


def drawn_plan(seed: int) -> Plan:
    """The plan of a seed."""
    chance = Random(f"plan {seed}")
    return Plan(
        partitions=chance.choice((1, 1, 1, 2)),
        allocators=chance.choice((1, 2, 2, 3)),
        doors=chance.choice((1, 2, 3)),
        clocks=chance.choice((1, 2)),
        is_by_hand=chance.random() < 0.4,
        wishes=chance.choice((20, 40, 80)),
        busy_s=chance.choice((5.0, 30.0, 60.0)),
        tick_s=chance.choice((3.0, 10.0)),
        skews_s=chance.choice(((0.0,), (0.0, 0.5, -0.5), (0.0, 300.0, -300.0))),
        batch_commands=chance.choice((1, 3, 8, 200)),
        buffered_records=chance.choice((5, 20, 4_000)),
        queued_batches=chance.choice((1, 2, 64)),
        events_at_once=chance.choice((1, 5, 2_000)),
        chunk_offsets=chance.choice((4, 8, 16)),
        readable_ms=chance.choice((0, 2_000, 20_000)),
        weather=drawn(chance),
        disasters=[kind for kind in Disasters.kinds() if chance.random() < 0.5],
    )
