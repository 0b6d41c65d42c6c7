"""Stock in bands: Korea's four, smaller for smaller slots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.stock import Band, band

ORDER = [Band.NONE, Band.FEW, Band.SOME, Band.PLENTY]


@pytest.mark.parametrize(
    ("left", "quota", "expected"),
    [
        (100, 250, Band.PLENTY),
        (99, 250, Band.SOME),
        (30, 250, Band.SOME),
        (29, 250, Band.FEW),
        (1, 250, Band.FEW),
        (0, 250, Band.NONE),
        (-3, 250, Band.NONE),
        (100, 100_000, Band.PLENTY),
        (20, 50, Band.PLENTY),
        (19, 50, Band.SOME),
        (6, 50, Band.SOME),
        (5, 50, Band.FEW),
        (10, 10, Band.PLENTY),
        (9, 10, Band.SOME),
        (5, 5, Band.SOME),
        (2, 2, Band.FEW),
        (0, 0, Band.NONE),
    ],
)
def test_a_slot_shows_its_band(left: int, quota: int, expected: Band) -> None:
    assert band(left, quota) is expected


@given(left=st.integers(0, 1_000_000), quota=st.integers(0, 1_000_000))
def test_more_left_is_never_a_lower_band_and_none_means_none(left: int, quota: int) -> None:
    assert ORDER.index(band(left, quota)) <= ORDER.index(band(left + 1, quota))
    assert (band(left, quota) is Band.NONE) == (left == 0)
