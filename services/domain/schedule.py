"""When a campaign opens and closes by itself: its windows as commands, in the order of time.

The clock sends them when their time has come, and so does whoever applies a campaign whose window has begun. Both make
the same commands with the same ids, always all of those that are due and always in order; whatever comes twice is a
repeat. So nobody has to know what the other one sent.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.domain.campaign import Window
from services.domain.commands import Close, Open

CLOCK = "clock"
"""The actor of a transition that nobody but the definition asked for."""

MakeCommandId = Callable[[str, str, str], str]
"""`Identities.command_id`: the id of a command by its actor, its object and a key."""


class Transition(NamedTuple):
    """One end of a window. `window` counts from 0, in the order of the definition."""

    window: int
    opens: bool
    at_ms: int

    def command(self, campaign: str, command_id: MakeCommandId) -> Open | Close:
        """The command, the same whoever makes it."""
        word = "open" if self.opens else "close"
        kind: type[Open] | type[Close] = Open if self.opens else Close
        return kind(
            id=command_id(CLOCK, campaign, f"{self.window}:{word}"),
            campaign=campaign,
            by_clock=True,
            actor=CLOCK,
            why=f"window {self.window + 1}",
        )


def transitions(windows: Sequence[Window]) -> list[Transition]:
    """All openings and closings of windows that are sorted and do not overlap, in order.

    Where one window closes at the instant at which the next one opens, the closing comes first.
    """
    found = []
    for number, window in enumerate(windows):
        found += [Transition(number, True, window.opens_ms), Transition(number, False, window.closes_ms)]
    return found


def due(windows: Sequence[Window], now_ms: int) -> list[Transition]:
    """Those whose time has come, from the first one on: also what nobody sent while the clock was away."""
    return [transition for transition in transitions(windows) if transition.at_ms <= now_ms]
