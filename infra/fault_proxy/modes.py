"""What a proxy does with a connection. A mode holds for what has arrived and was not yet passed on, too."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Pass:
    """As if it were not there."""


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Everything comes later, in its order; as much as before is under way meanwhile, up to the proxy's buffers."""

    each_way_ms: float


@dataclass(frozen=True, kw_only=True)
class Rate:
    """So much for all connections together, in each direction."""

    bytes_per_s: float


@dataclass(frozen=True, kw_only=True)
class Drip:
    """One byte after the other, on each connection and in each direction."""

    byte_every_ms: float


@dataclass(frozen=True)
class HalfOpen:
    """Connections are accepted and kept, and nothing is passed on; what waits goes on with the next mode."""


@dataclass(frozen=True)
class BlackHole:
    """What is connected now is lost for good, without a sign, also in later modes; new connections pass."""


@dataclass(frozen=True)
class Reset:
    """Every connection, and every new one at once, ends with an RST."""


@dataclass(frozen=True)
class Refuse:
    """Nobody listens; what is connected goes on."""


Mode: TypeAlias = Pass | Delay | Rate | Drip | HalfOpen | BlackHole | Reset | Refuse
