"""Phones are readable only while their campaign needs them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
import structlog

from services.platform.contact import (
    FORGET_AFTER_S,
    ContactKeyMissing,
    ContactKeys,
    ContactKeyUnreadable,
    ContactUnreadable,
)
from services.platform.private_files import OthersCanRead

PHONE = "+8613800000000"
DAY = date(2020, 3, 1)


@pytest.fixture
def keys(tmp_path: Path) -> ContactKeys:
    return ContactKeys(tmp_path / "contact")


def test_a_phone_comes_back_whole(keys: ContactKeys) -> None:
    key = keys.create("gz", DAY)
    assert key.decrypt(key.encrypt(PHONE)) == PHONE


def test_a_contact_shows_neither_the_phone_nor_that_two_are_the_same(keys: ContactKeys) -> None:
    key = keys.create("gz", DAY)
    assert key.encrypt(PHONE) != key.encrypt(PHONE)
    assert PHONE not in key.encrypt(PHONE)


def test_the_pseudonym_is_the_same_for_a_household_in_one_campaign_only(keys: ContactKeys) -> None:
    assert keys.create("gz", DAY).pseudonym(PHONE) == keys.create("gz", DAY).pseudonym(PHONE)
    assert keys.create("gz", DAY).pseudonym(PHONE) != keys.create("sz", DAY).pseudonym(PHONE)


def test_a_deleted_key_erases_the_phones_everywhere(keys: ContactKeys, tmp_path: Path) -> None:
    contact = keys.create("gz", DAY).encrypt(PHONE)
    assert keys.delete("gz", DAY)
    with pytest.raises(ContactKeyMissing, match="erased"):
        keys.load("gz", DAY)
    with pytest.raises(ContactUnreadable):
        ContactKeys(tmp_path / "contact").create("gz", DAY).decrypt(contact)


def test_deleting_twice_says_that_it_was_gone(keys: ContactKeys) -> None:
    keys.create("gz", DAY)
    assert keys.delete("gz", DAY)
    assert not keys.delete("gz", DAY)


def test_keys_are_listed_with_their_days_and_other_files_passed_over(keys: ContactKeys, tmp_path: Path) -> None:
    keys.create("gz-2020-02", DAY)
    keys.create("sz", date(2020, 4, 1))
    (tmp_path / "contact" / "sz-2020-13-01.key").touch()
    (tmp_path / "contact" / "notes.key").touch()
    assert keys.kept() == [("gz-2020-02", DAY), ("sz", date(2020, 4, 1))]


def test_a_key_that_somebody_deleted_is_forgotten_by_those_who_had_read_it(
    keys: ContactKeys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.create("gz", DAY)
    ContactKeys(tmp_path / "contact").delete("gz", DAY)
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + FORGET_AFTER_S)
    with pytest.raises(ContactKeyMissing):
        keys.load("gz", DAY)


def test_racing_processes_agree_on_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ContactKeys(tmp_path / "contact").create("gz", DAY), range(16)))
    assert len({key.pseudonym(PHONE) for key in made}) == 1


@pytest.mark.parametrize("contact", ["", "AAAA", "!", "A" * 60])
def test_a_contact_that_was_changed_is_refused(keys: ContactKeys, contact: str) -> None:
    with pytest.raises(ContactUnreadable):
        keys.create("gz", DAY).decrypt(contact)


def test_a_contact_belongs_to_its_campaign(keys: ContactKeys, tmp_path: Path) -> None:
    contact = keys.create("gz", DAY).encrypt(PHONE)
    folder = tmp_path / "contact"
    (folder / "sz-2020-03-01.key").write_bytes((folder / "gz-2020-03-01.key").read_bytes())
    (folder / "sz-2020-03-01.key").chmod(0o600)
    with pytest.raises(ContactUnreadable):
        keys.load("sz", DAY).decrypt(contact)


def test_a_key_that_others_can_read_is_refused(keys: ContactKeys, tmp_path: Path) -> None:
    keys.create("gz", DAY)
    (tmp_path / "contact" / "gz-2020-03-01.key").chmod(0o604)
    with pytest.raises(OthersCanRead):
        ContactKeys(tmp_path / "contact").load("gz", DAY)


def test_a_damaged_key_is_named(keys: ContactKeys, tmp_path: Path) -> None:
    keys.create("gz", DAY)
    (tmp_path / "contact" / "gz-2020-03-01.key").write_bytes(b"short")
    with pytest.raises(ContactKeyUnreadable, match="gz-2020-03-01"):
        ContactKeys(tmp_path / "contact").load("gz", DAY)


def test_every_name_that_a_campaign_can_have_names_a_key(keys: ContactKeys) -> None:
    for campaign in ("GZ.2020_02-a", "0", "a" * 48):
        keys.create(campaign, DAY)
        assert (campaign, DAY) in keys.kept()


@pytest.mark.parametrize("campaign", ["", "../pepper", "a/b", "..", ".a", "a" * 49, "."])
def test_a_campaign_name_cannot_leave_the_folder(keys: ContactKeys, campaign: str) -> None:
    with pytest.raises(ValueError, match="cannot name a campaign"):
        keys.create(campaign, DAY)


def test_a_key_is_never_shown(keys: ContactKeys) -> None:
    key = keys.create("gz", DAY)
    assert repr(key) == f"ContactKey(gz, {key.key_id})"


def test_a_key_that_is_made_is_logged_once_by_its_id(keys: ContactKeys) -> None:
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as lines:
        key = keys.create("gz", DAY)
        keys.create("gz", DAY)
    (told,) = lines
    assert (told["action"], told["day"], told["key_id"]) == ("contact_key_made", "2020-03-01", key.key_id)


def test_each_key_has_an_id_that_tells_it_from_the_others(keys: ContactKeys) -> None:
    assert keys.create("gz", DAY).key_id != keys.create("sz", DAY).key_id
    assert len(keys.create("gz", DAY).key_id) == 8
