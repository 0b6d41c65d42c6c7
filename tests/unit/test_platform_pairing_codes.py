"""Pairing codes are read out over a telephone and typed by people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.identities import Identities
from services.platform.pairing_codes import (
    ALPHABET,
    canonical_pairing_code,
    new_pairing_code,
    pairing_code_digest,
    partition_of_code,
)
from services.platform.secrets import Secrets


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    folder = tmp_path_factory.mktemp("installation")
    folder.chmod(0o700)
    return Identities(Secrets.create(folder / "secrets"))


def test_a_repeated_invitation_shows_the_same_code_and_another_one_another(identities: Identities) -> None:
    code = new_pairing_code(identities, 3, "a" * 16)
    assert code == new_pairing_code(identities, 3, "a" * 16)
    assert code != new_pairing_code(identities, 3, "b" * 16)
    assert canonical_pairing_code(code) == code
    assert partition_of_code(code) == 3


def test_codes_spread_over_the_whole_alphabet(identities: Identities) -> None:
    letters = "".join(new_pairing_code(identities, 0, f"{n:016d}")[3:].replace("-", "") for n in range(200))
    assert set(letters) == set(ALPHABET)


def test_what_is_typed_from_paper_is_understood() -> None:
    for typed in ("027kq4x9mt", "02-7KQ4-X9MT", " o2 7kq4 x9mt ", "02—7KQ4—X9MT".replace("—", "-")):
        assert canonical_pairing_code(typed) == "02-7KQ4-X9MT"
    assert canonical_pairing_code("00-OIL0-OIL1") == "00-0110-0111"


@pytest.mark.parametrize(
    "typed", ["", "02", "2-7KQ4-X9MT", "02-7KQ4-X9M", "02-7KQ4-X9MU", "02-7KQ4-X9MTT", "٠٢7KQ4X9MT"]
)
def test_what_is_no_code_is_none(typed: str) -> None:
    assert canonical_pairing_code(typed) is None


@given(st.text(max_size=60))
def test_any_text_is_a_code_or_none(typed: str) -> None:
    code = canonical_pairing_code(typed)
    assert code is None or canonical_pairing_code(code) == code


def test_the_digest_tells_codes_apart_and_shows_nothing(identities: Identities) -> None:
    code = new_pairing_code(identities, 0, "a" * 16)
    digest = pairing_code_digest(identities, code)
    assert len(digest) == 16
    assert code[3:7] not in digest
    assert digest != pairing_code_digest(identities, new_pairing_code(identities, 0, "b" * 16))
