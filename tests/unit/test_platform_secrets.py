"""The secrets of an installation."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.platform.private_files import OthersCanRead
from services.platform.secrets import SecretMissing, Secrets, SecretUnreadable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


def test_secrets_made_once_are_the_same_ever_after(folder: Path) -> None:
    made = Secrets.create(folder)
    assert Secrets.load(folder).key_ids() == made.key_ids()
    assert Secrets.create(folder).key_ids() == made.key_ids()


def test_racing_processes_agree_on_the_secrets(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        all_made = list(pool.map(lambda _: Secrets.create(folder), range(16)))
    assert len({repr(made) for made in all_made}) == 1


def test_two_installations_have_nothing_in_common(tmp_path: Path) -> None:
    one, other = Secrets.create(tmp_path / "one"), Secrets.create(tmp_path / "other")
    assert one.key_check() != other.key_check()
    assert not set(one.key_ids().values()) & set(other.key_ids().values())


@pytest.mark.parametrize("name", ["pepper", "id", "ticket", "pass/0001.pem"])
def test_a_missing_secret_is_named_and_not_made_when_loading(folder: Path, name: str) -> None:
    Secrets.create(folder)
    (folder / name).unlink()
    with pytest.raises(SecretMissing, match=name):
        Secrets.load(folder)
    assert not (folder / name).exists()


@pytest.mark.parametrize("name", ["pepper", "pass/0001.pem"])
def test_a_secret_that_others_can_read_is_refused(folder: Path, name: str) -> None:
    Secrets.create(folder)
    (folder / name).chmod(0o640)
    with pytest.raises(OthersCanRead, match="chmod 600"):
        Secrets.load(folder)


@pytest.mark.parametrize("content", [b"", b"not base64!", base64.b64encode(b"too short")])
def test_a_damaged_secret_is_named(folder: Path, content: bytes) -> None:
    Secrets.create(folder)
    (folder / "pepper").write_bytes(content)
    with pytest.raises(SecretUnreadable, match="pepper does not hold 32 bytes"):
        Secrets.load(folder)


def test_a_damaged_pass_key_is_named(folder: Path) -> None:
    Secrets.create(folder)
    (folder / "pass" / "0001.pem").write_bytes(b"-----BEGIN NOTHING-----")
    with pytest.raises(SecretUnreadable, match="Ed25519"):
        Secrets.load(folder)


def test_the_key_check_tells_another_pepper_and_another_id_key(folder: Path) -> None:
    first = Secrets.create(folder)
    for name in ("pepper", "id"):
        (folder / name).unlink()
        assert Secrets.create(folder).key_check() != first.key_check()


def test_the_key_check_does_not_mind_new_ticket_and_pass_keys(folder: Path) -> None:
    first = Secrets.create(folder)
    (folder / "ticket").unlink()
    assert Secrets.create(folder).rotate_pass_key().key_check() == first.key_check()


def test_a_rotated_pass_key_signs_and_the_old_one_is_still_accepted(folder: Path) -> None:
    old = Secrets.create(folder)
    new = old.rotate_pass_key()
    assert new.pass_signer().key_id != old.pass_signer().key_id
    assert set(new.pass_verifier().published()) == {old.pass_signer().key_id, new.pass_signer().key_id}


def test_secrets_are_never_shown(folder: Path) -> None:
    secrets = Secrets.create(folder)
    shown = repr(secrets) + str(secrets.key_ids()) + secrets.key_check()
    for key in (secrets.pepper, secrets.id_key, secrets.ticket_key):
        assert key.hex() not in shown
        assert base64.b64encode(key).decode() not in shown
