"""Eight digits to read out at the counter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.short_codes import ORDINALS, ShortCodes

CODES = ShortCodes(bytes(32))
ORDINAL = st.integers(0, ORDINALS - 1)


@given(ordinal=ORDINAL)
def test_a_code_leads_back_to_its_ordinal(ordinal: int) -> None:
    code = CODES.short_code(ordinal, "p-0001", "2020-02-01")
    assert len(code) == 8
    assert CODES.ordinal_of(code, "p-0001", "2020-02-01") == ordinal


def test_the_codes_of_a_day_are_all_different() -> None:
    codes = {CODES.short_code(ordinal, "p-0001", "2020-02-01") for ordinal in range(3_000)}
    assert len(codes) == 3_000


def test_neighbours_have_nothing_alike() -> None:
    codes = [CODES.short_code(ordinal, "p-0001", "2020-02-01") for ordinal in range(200)]
    assert len({code[:2] for code in codes}) > 60


@given(ordinal=ORDINAL, place=st.integers(0, 7), add=st.integers(1, 9))
def test_one_wrong_digit_is_noticed(ordinal: int, place: int, add: int) -> None:
    code = CODES.short_code(ordinal, "p-0001", "2020-02-01")
    wrong = code[:place] + str((int(code[place]) + add) % 10) + code[place + 1 :]
    assert CODES.ordinal_of(wrong, "p-0001", "2020-02-01") is None


@given(ordinal=ORDINAL, place=st.integers(0, 6))
def test_two_digits_swapped_are_noticed(ordinal: int, place: int) -> None:
    code = CODES.short_code(ordinal, "p-0001", "2020-02-01")
    swapped = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    assert swapped == code or CODES.ordinal_of(swapped, "p-0001", "2020-02-01") is None


@pytest.mark.parametrize(("pharmacy", "day"), [("p-0002", "2020-02-01"), ("p-0001", "2020-02-02")])
def test_another_pharmacy_or_day_shuffles_differently(pharmacy: str, day: str) -> None:
    assert CODES.short_code(5, pharmacy, day) != CODES.short_code(5, "p-0001", "2020-02-01")


@pytest.mark.parametrize("code", ["", "1234567", "123456789", "1234567a", "１２３４５６７８", "12 45678"])
def test_what_is_not_eight_digits_is_no_code(code: str) -> None:
    assert CODES.ordinal_of(code, "p-0001", "2020-02-01") is None


@pytest.mark.parametrize("ordinal", [-1, ORDINALS])
def test_an_ordinal_beyond_the_range_is_refused(ordinal: int) -> None:
    with pytest.raises(ValueError, match="short codes"):
        CODES.short_code(ordinal, "p-0001", "2020-02-01")
