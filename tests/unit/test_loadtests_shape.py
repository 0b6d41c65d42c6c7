"""How many come when."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.shape import NoShape, Shape, Stretch

RATES = st.one_of(st.just(0.0), st.floats(0.1, 500))
STRETCHES = st.lists(st.builds(Stretch, st.floats(0.01, 20), RATES, RATES), min_size=1, max_size=4)


def test_a_steady_rate_comes_at_even_times() -> None:
    shape = Shape.steady(4, 1.0)
    assert list(shape.times_s()) == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert (shape.arrivals, shape.seconds) == (4, 1.0)


def test_a_ramp_has_its_people_late() -> None:
    shape = Shape(Stretch(10, 0, 20))
    times_s = list(shape.times_s())
    assert len(times_s) == shape.arrivals == 100
    assert sum(1 for at_s in times_s if at_s <= 5.0 + 1e-9) == 25
    assert shape.rate_per_s(5) == 10


def test_nobody_comes_in_a_pause_and_rates_follow_their_stretches() -> None:
    shape = Shape(Stretch(1, 3, 3), Stretch(2, 0, 0), Stretch(1, 6, 2))
    assert [at_s for at_s in shape.times_s() if 1.0 < at_s <= 3.0] == []
    assert [shape.rate_per_s(at_s) for at_s in (-1, 0.5, 2, 3.5, 4)] == [0, 3, 0, 4, 0]


@given(STRETCHES)
def test_as_many_come_as_the_rate_amounts_to_in_order_and_within_the_run(stretches: list[Stretch]) -> None:
    shape = Shape(*stretches)
    times_s = list(shape.times_s())
    amount = sum(stretch.seconds * (stretch.from_per_s + stretch.to_per_s) / 2 for stretch in stretches)
    assert len(times_s) == shape.arrivals
    assert abs(len(times_s) - amount) <= 1
    assert all(earlier <= later + 1e-9 for earlier, later in itertools.pairwise(times_s))
    assert all(0 <= at_s <= shape.seconds * (1 + 1e-6) + 1e-6 and math.isfinite(at_s) for at_s in times_s)


@given(st.floats(0, 300), st.floats(0, 300), st.floats(0.1, 30), st.floats(0, 1))
def test_when_so_many_have_come_is_the_inverse_of_how_many_come(
    from_per_s: float, to_per_s: float, seconds: float, share: float
) -> None:
    stretch = Stretch(seconds, from_per_s, to_per_s)
    at_s = stretch.at_s(stretch.arrivals * share)
    come = from_per_s * at_s + (to_per_s - from_per_s) * at_s**2 / (2 * seconds)
    assert come == pytest.approx(stretch.arrivals * share, rel=1e-6, abs=1e-6)


def test_a_rate_below_nothing_is_refused_in_words() -> None:
    with pytest.raises(NoShape, match="from 5 to -1 a second"):
        Shape(Stretch(1, 5, -1))
