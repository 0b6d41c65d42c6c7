"""Whether a plan made with the planner's constants would be enough on this machine."""

from collections.abc import Sequence

from infra.planning import measured
from tests.bench.figure import Figure, figure
from tests.bench.folding import catching_up, memory
from tests.bench.parts_of_a_booking import parts_of_a_booking


def plan_holds_real() -> list[Figure]:
    """CPU of each part, bytes of the log."""
    return held_against(parts_of_a_booking())


def plan_holds_embedded() -> list[Figure]:
    """What one partition decides, bytes in Redis."""
    return held_against([*catching_up(), *memory()])


def held_against(found: Sequence[Figure]) -> list[Figure]:
    """The worst of all: measured ÷ planned. At most 1 means that every constant holds within its margin."""
    by_name = {each.name: each.value for each in found}
    known = [each for each in measured.ALL if each.figure in by_name]
    ratios = {each.figure: _ratio(each, by_name[each.figure]) for each in known}
    broken = [
        f"{each.figure} is {by_name[each.figure]:g}, planned {each.planned:g}"
        for each in known
        if ratios[each.figure] > 1
    ]
    said = "; ".join(broken) or f"all {len(known)} constants within their margins"
    return [figure("plan_holds", [max(ratios.values())], "1", said)]


def _ratio(constant: measured.Measured, found: float) -> float:
    return constant.planned / found if constant.is_rate else found / constant.planned
