"""A waiting room in numbers, for the ops team."""

from typing import Final

from services.console.contract import RoomNumbers, ValveWord
from services.domain.rows import RoomRow, Valve

WORDS: Final[dict[int, ValveWord]] = {Valve.OFF: "off", Valve.ON: "on", Valve.AUTOMATIC: "automatic"}


def room_numbers(room: RoomRow) -> RoomNumbers:
    """Where it stands."""
    return RoomNumbers(
        mode=WORDS[room.valve],
        outflow_per_s=room.outflow_per_s,
        admission_factor=room.factor_per_mille / 1_000,
        round=room.round,
        is_active=room.active == 1,
        people=room.early + room.late,
        let_in=room.serving,
    )
