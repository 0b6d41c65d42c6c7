"""Every id is a keyed digest, the same at every retry."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

import pytest

from services.platform.identities import Identities, partition_of, salted_last4
from services.platform.secrets import Secrets

NUMBER = "11010519491231002X"


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    return Identities(Secrets.create(tmp_path_factory.mktemp("data") / "secrets"))


def test_a_resident_is_the_same_pseudonym_every_time(identities: Identities) -> None:
    assert identities.resident("cn_resident_id", NUMBER) == identities.resident("cn_resident_id", NUMBER)


def test_a_pseudonym_holds_nothing_of_the_number(identities: Identities) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{16}", identities.resident("cn_resident_id", NUMBER))


def test_the_same_number_on_another_document_is_another_person(identities: Identities) -> None:
    assert identities.resident("passport", NUMBER) != identities.resident("military_id", NUMBER)


def test_a_document_type_may_be_an_enum_of_strings(identities: Identities) -> None:
    class Document(str, Enum):  # noqa: UP042  the spelling that formats as 'Document.PASSPORT'
        PASSPORT = "passport"

    assert identities.resident(Document.PASSPORT, NUMBER) == identities.resident("passport", NUMBER)


def test_another_pepper_makes_another_person(identities: Identities, tmp_path: Path) -> None:
    elsewhere = Identities(Secrets.create(tmp_path / "secrets"))
    assert elsewhere.resident("passport", NUMBER) != identities.resident("passport", NUMBER)


def test_a_retry_has_the_same_reservation_id(identities: Identities) -> None:
    first = identities.reservation_id(3, "gz", "r", "key")
    assert first == identities.reservation_id(3, "gz", "r", "key")
    assert re.fullmatch(r"03[A-Za-z0-9_-]{22}", first)


@pytest.mark.parametrize("other", [("gz2", "r", "key"), ("gz", "r2", "key"), ("gz", "r", "key2"), ("g", "zr", "key")])
def test_another_campaign_person_or_key_is_another_reservation(
    identities: Identities, other: tuple[str, str, str]
) -> None:
    assert identities.reservation_id(3, *other) != identities.reservation_id(3, "gz", "r", "key")


@pytest.mark.parametrize("partition", [0, 7, 63, 100])
def test_a_reservation_id_names_its_partition(identities: Identities, partition: int) -> None:
    assert partition_of(identities.reservation_id(partition, "gz", "r", "key")) == partition


@pytest.mark.parametrize("text", ["", "x", "1" * 23, "ab" + "A" * 22, "123456" + "A" * 22, "²3" + "A" * 22])
def test_what_is_no_reservation_id_names_no_partition(text: str) -> None:
    assert partition_of(text) is None


def test_the_pass_number_does_not_show_the_id(identities: Identities) -> None:
    reservation = identities.reservation_id(3, "gz", "r", "key")
    assert reservation[2:10] not in identities.pass_no(reservation)
    assert len(identities.pass_no(reservation)) == 16


def test_another_body_has_another_digest(identities: Identities) -> None:
    assert identities.body_digest(b"a") != identities.body_digest(b"b")
    assert len(identities.body_digest(b"a")) == 8


def test_command_ids_tell_actor_object_and_key_apart(identities: Identities) -> None:
    made = {
        identities.command_id(*parts) for parts in [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("b", "a", "c")]
    }
    assert len(made) == 4


def test_a_counter_without_keys_checks_the_last_four_with_the_salt_alone(identities: Identities) -> None:
    salt = identities.last4_salt("p" * 16)
    assert salted_last4(salt, "002X") == identities.last4_hash("p" * 16, "002X")
    assert salted_last4(salt, "0021") != identities.last4_hash("p" * 16, "002X")


def test_equal_last_four_look_different_on_two_passes(identities: Identities) -> None:
    assert identities.last4_hash("p" * 16, "002X") != identities.last4_hash("q" * 16, "002X")


def test_a_signed_place_gives_its_offset_back(identities: Identities) -> None:
    assert identities.check_place("00id", identities.sign_place("00id", 123)) == 123


@pytest.mark.parametrize(
    "text", ["", "123", "123.", "x.abcdefgh", "-1.abcdefgh", "0123.{}", "124.{}", "123.{}x", "1" * 40, "１23.{}"]
)
def test_a_place_that_was_not_signed_is_not_believed(identities: Identities, text: str) -> None:
    signature = identities.sign_place("00id", 123).partition(".")[2]
    assert identities.check_place("00id", text.format(signature)) is None


def test_a_place_belongs_to_one_reservation(identities: Identities) -> None:
    assert identities.check_place("00other", identities.sign_place("00id", 123)) is None
