"""Which of the three languages somebody reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.languages import LANGUAGES, language_of


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("zh-Hans", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-TW,zh;q=0.9,en-US;q=0.8", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-MO", "zh-Hant"),
        ("zh-Hant-CN", "zh-Hant"),
        ("zh-Hans-HK", "zh-Hans"),
        ("yue", "zh-Hant"),
        ("en-GB", "en"),
        ("EN", "en"),
        ("fr,de;q=0.9", "en"),
        ("fr;q=0.9,zh-TW;q=0.2", "zh-Hant"),
        ("en;q=0.5,zh-CN;q=0.6", "zh-Hans"),
        ("en;q=0.7, zh;q=0.7", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("*", "en"),
        ("", "en"),
        ("zh;q=abc,en;q=0.1", "en"),
        (" zh-TW ; q=0.8 , en;q=0.1", "zh-Hant"),
    ],
)
def test_the_best_of_ours_is_chosen(header: str, language: str) -> None:
    assert language_of(header) == language


@given(header=st.text(max_size=400))
def test_any_header_gives_one_of_ours(header: str) -> None:
    assert language_of(header) in LANGUAGES


def test_a_header_of_a_megabyte_is_not_read_to_its_end() -> None:
    assert language_of("fr," * 500_000 + "zh") == "en"
