"""Passwords of console users."""

from __future__ import annotations

import pytest

from services.platform.passwords import MAX_PASSWORD_BYTES, hash_password, verify_password


@pytest.fixture(scope="module")
def kept() -> str:
    return hash_password("口罩 and tea")


def test_the_right_password_is_accepted(kept: str) -> None:
    assert verify_password("口罩 and tea", kept)


def test_a_wrong_password_is_refused(kept: str) -> None:
    assert not verify_password("口罩 and te", kept)


def test_a_user_who_does_not_exist_is_refused_after_the_same_work() -> None:
    assert not verify_password("anything", None)


def test_the_same_password_is_kept_differently_each_time(kept: str) -> None:
    assert hash_password("口罩 and tea") != kept


def test_what_is_kept_tells_its_parameters_and_nothing_of_the_password(kept: str) -> None:
    assert kept.startswith("scrypt$16384$8$5$")
    assert "tea" not in kept


@pytest.mark.parametrize("password", ["", "x" * (MAX_PASSWORD_BYTES + 1)])
def test_an_empty_or_endless_password_cannot_be_set(password: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        hash_password(password)


def test_an_endless_password_is_refused_without_hashing_it(kept: str) -> None:
    assert not verify_password("x" * 1_000_000, kept)


@pytest.mark.parametrize("text", ["", "plain", "md5$1$1$1$a$b"])
def test_a_damaged_text_is_not_mistaken_for_a_password(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        verify_password("x", text)
