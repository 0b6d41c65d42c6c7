"""The pass verifies without a network and says only what a counter needs."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.domain.campaign_tables import MAX_PHARMACY_ID_CHARS, MAX_SLOT_UNITS
from services.domain.days import LAST_MS, MINUTE_MS
from services.platform.passes import MAX_PASS_CHARACTERS, Pass, PassInvalid, PassSigner, PassTooLong, PassVerifier

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = PassSigner(KEY)
VERIFIER = PassVerifier([KEY.public_key().public_bytes_raw()])
CONTENT = Pass(
    pass_no="qTv-F6UZvbbbYyiX",
    pharmacy="p-0001",
    starts_ms=1_580_518_800_000,
    ends_ms=1_580_522_400_000,
    units=5,
    salt="abcdefgh",
    last4_hash="ijklmnop",
)
TEXT = SIGNER.sign(CONTENT)


def test_a_pass_says_what_was_signed() -> None:
    assert VERIFIER.verify(TEXT) == CONTENT


LONGEST = msgspec.structs.replace(
    CONTENT,
    pharmacy="p" * MAX_PHARMACY_ID_CHARS,
    starts_ms=LAST_MS - 2 * MINUTE_MS,
    ends_ms=LAST_MS - MINUTE_MS,
    units=MAX_SLOT_UNITS,
)


def test_the_longest_pass_that_a_campaign_can_bring_about_fits_its_code() -> None:
    assert len(SIGNER.sign(LONGEST)) <= MAX_PASS_CHARACTERS


def test_no_campaign_is_refused_for_an_id_that_would_have_fitted() -> None:
    with pytest.raises(PassTooLong):
        SIGNER.sign(msgspec.structs.replace(LONGEST, pharmacy="p" * (MAX_PHARMACY_ID_CHARS + 1)))


def test_a_pharmacy_id_that_is_too_long_is_named() -> None:
    with pytest.raises(PassTooLong, match="shorter"):
        SIGNER.sign(msgspec.structs.replace(CONTENT, pharmacy="p" * 64))


@given(place=st.integers(0, len(TEXT) - 1), character=st.sampled_from("ABab01-_.M"))
def test_a_pass_with_any_character_edited_is_refused(place: int, character: str) -> None:
    edited = TEXT[:place] + character + TEXT[place + 1 :]
    if edited != TEXT:
        with pytest.raises(PassInvalid):
            VERIFIER.verify(edited)


@given(length=st.integers(0, len(TEXT) - 1))
def test_a_torn_pass_is_refused(length: int) -> None:
    with pytest.raises(PassInvalid):
        VERIFIER.verify(TEXT[:length])


@given(text=st.text(max_size=250))
def test_whatever_a_scanner_reads_is_answered_in_words(text: str) -> None:
    with pytest.raises(PassInvalid, match="not a pass"):
        VERIFIER.verify(text)


def test_a_pass_of_another_installation_is_refused() -> None:
    foreign = PassSigner(Ed25519PrivateKey.generate()).sign(CONTENT)
    with pytest.raises(PassInvalid, match="not known here"):
        VERIFIER.verify(foreign)


def test_space_around_a_scanned_pass_does_not_matter() -> None:
    assert VERIFIER.verify(f" {TEXT}\n") == CONTENT


def test_the_published_keys_are_enough_to_verify() -> None:
    assert list(VERIFIER.published()) == [SIGNER.key_id]
    assert repr(SIGNER) == f"PassSigner(key_id={SIGNER.key_id})"
