"""A figure, as it is printed."""

import statistics
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value: the median of its repeats. `against` says what was measured beside it, in the same run."""

    name: str
    value: float
    unit: str
    repeats: int
    min: float
    max: float
    against: str = ""


def figure(name: str, values: Sequence[float], unit: str, against: str = "") -> Figure:
    """The median, least and greatest of the repeats, to four significant digits."""
    return Figure(
        name=name,
        value=_rounded(statistics.median(values)),
        unit=unit,
        repeats=len(values),
        min=_rounded(min(values)),
        max=_rounded(max(values)),
        against=against,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
