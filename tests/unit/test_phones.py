"""Phones: one form for each, so that the household rule counts people and not spellings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.phones import PhoneInvalid, canonical_phone

mobiles = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)


@given(mobile=mobiles, prefix=st.sampled_from(["", "86", "+86", "0086", "+86 ", "＋８６", "(+86)", "0"]))
def test_a_chinese_mobile_number_is_one_number_with_and_without_the_country(mobile: str, prefix: str) -> None:
    assert canonical_phone(prefix + mobile) == f"+86{mobile}"


@given(mobile=mobiles, gap=st.sampled_from([" ", "-", "　", "－", ".", "\u200b", "\u202d\u2011"[1:]]))
def test_gaps_and_full_width_digits_make_no_other_number(mobile: str, gap: str) -> None:
    wide = mobile.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    assert canonical_phone(gap.join((wide[:3], wide[3:7], wide[7:]))) == f"+86{mobile}"


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+852 9123 4567", "+85291234567"),
        ("00853 6612 3456", "+85366123456"),
        ("+886 912 345 678", "+886912345678"),
        ("+1 (202) 555-0143", "+12025550143"),
        ("+821012345678", "+821012345678"),
    ],
)
def test_numbers_of_other_countries_keep_their_code(typed: str, number: str) -> None:
    assert canonical_phone(typed) == number


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "+",
        "12345678901",  # no mobile number begins with 12
        "1380000000",
        "138000000000",
        "02083330000",  # a landline gets no message
        "+862083330000",
        "+861280000000",
        "91234567",  # whose country?
        "+0123456789",
        "+1234567",
        "+1234567890123456",
        "138 0000 000x",
        "+86138٠٠٠٠٠٠٠٠",
        "1" * 41,
    ],
)
def test_a_number_that_no_message_can_reach_is_refused(typed: str) -> None:
    with pytest.raises(PhoneInvalid):
        canonical_phone(typed)


@given(typed=st.text(max_size=50))
def test_any_text_is_either_a_number_or_refused_and_a_number_stays_what_it_is(typed: str) -> None:
    try:
        number = canonical_phone(typed)
    except PhoneInvalid:
        return
    assert re.fullmatch(r"\+[1-9][0-9]{7,14}", number)
    assert canonical_phone(number) == number


def test_a_refusal_never_shows_the_number() -> None:
    with pytest.raises(PhoneInvalid) as caught:
        canonical_phone("+8620833377")
    assert "833377" not in f"{caught.value!r} {caught.value.values}"
