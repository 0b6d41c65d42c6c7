"""Keyed digests and their spelling."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.crypto import KeyedDigest, base64url, equal, from_base64url, key_id

KEY = bytes(range(32))


@given(key=st.binary(min_size=16, max_size=64), message=st.binary(max_size=200))
def test_the_prepared_digest_is_hmac_sha256(key: bytes, message: bytes) -> None:
    assert KeyedDigest(key).digest(message) == hmac.digest(key, message, "sha256")


@given(message=st.binary(max_size=50), characters=st.integers(1, 43))
def test_a_text_is_the_beginning_of_the_digest_in_base64url(message: bytes, characters: int) -> None:
    assert KeyedDigest(KEY).text(message, characters) == base64url(KeyedDigest(KEY).digest(message))[:characters]


@pytest.mark.parametrize("length", [0, 15, 65])
def test_a_key_of_a_dangerous_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        KeyedDigest(bytes(length))


@given(data=st.binary(max_size=100))
def test_base64url_comes_back_whole(data: bytes) -> None:
    assert from_base64url(base64url(data)) == data


@pytest.mark.parametrize("text", ["A", "AB=", "A+/=", "AB", "A B", "é", "AAAA\n", "=AAA"])
def test_every_other_spelling_of_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_base64url(text)


def test_comparing_in_constant_time_still_compares() -> None:
    assert equal("ä", "ä")
    assert not equal("a", "b")


def test_a_key_is_named_by_eight_characters_and_never_shown() -> None:
    assert len(key_id(KEY)) == 8
    assert KEY.hex() not in repr(KeyedDigest(KEY))
