"""Lines over the seconds of a run, as SVG."""

import html
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 26, 24
COLOURS: Final = ("#0b6e4f", "#c1440e", "#23395b", "#b58900", "#6c3483", "#008b8b", "#7f8c8d", "#8b4513")
STEPS: Final = (1, 2, 5)
TICKS: Final = 4


class Line(NamedTuple):
    """A value for each second that has one."""

    name: str
    values: Mapping[int, float]


def plot(
    title: str, lines: Sequence[Line], unit: str, seconds: float, marked: Sequence[tuple[float, float]] = ()
) -> str:
    """A picture with a legend over so many seconds; stretches of time that are marked stand grey behind it."""
    values = [value for line in lines for value in line.values.values()]
    if not values:
        return ""
    first, last = 0, max(1, round(seconds))
    top = _round_up(max(values))

    def x(second: float) -> float:
        return LEFT + (second - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM)

    label = html.escape(f"{title}{f', {unit}' if unit else ''}")
    parts = [f'<text x="{LEFT}" y="15" class="title">{label}</text>']
    for since, until in marked:
        width = x(min(until, last)) - x(max(since, first))
        parts.append(f'<rect x="{x(max(since, first)):.1f}" y="{TOP}" width="{max(width, 0):.1f}" '
                     f'height="{HEIGHT - TOP - BOTTOM}" class="fault"/>')  # fmt: skip
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" class="tick">{value:g}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">{first} s</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" class="tick">{last} s</text>')
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        shown = sorted((second, value) for second, value in line.values.items() if first <= second <= last)
        points = " ".join(f"{x(second):.1f},{y(value):.1f}" for second, value in shown)
        parts.append(f'<polyline points="{points}" stroke="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{TOP + 10 + 15 * number}" fill="{colour}">'
                     f"{html.escape(line.name)}</text>")  # fmt: skip
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 1.0 if value > 1 else 0.1
    while True:
        for step in STEPS:
            if value <= step * power:
                return step * power
        power *= 10
