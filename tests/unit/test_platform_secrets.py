"""The secrets of an installation."""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.platform.private_files import OthersCanChange, OthersCanRead
from services.platform.secrets import SecretMissing, SecretNotBrought, Secrets, SecretUnreadable
from services.platform.settings import SecretFiles


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


# ------------------------------------------------------------------------------------------ secrets that settings name


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """Files as Kubernetes mounts a secret: links into a folder of the day, in a folder that everybody may list."""
    Secrets.create(tmp_path / "made")
    folder = tmp_path / "mounted"
    today = folder / "..2026_11_22"
    today.mkdir(parents=True)
    for name, made in {"pepper": "pepper", "id": "id", "ticket": "ticket", "0001.pem": "pass/0001.pem"}.items():
        (today / name).write_bytes((tmp_path / "made" / made).read_bytes())
        (today / name).chmod(0o400)
        (folder / name).symlink_to(today / name)
    folder.chmod(0o777)
    return folder


def files_of(mounted: Path) -> SecretFiles:
    return SecretFiles(
        pepper_file=mounted / "pepper",
        id_key_file=mounted / "id",
        ticket_key_file=mounted / "ticket",
        pass_keys=mounted,
        contact_keys=mounted.parent / "contact",
    )


def test_secrets_may_be_files_that_somebody_mounted(mounted: Path, folder: Path, tmp_path: Path) -> None:
    brought = Secrets.create(folder, files_of(mounted))
    assert brought.key_ids() == Secrets.load(tmp_path / "made").key_ids()
    assert Secrets.load(folder, files_of(mounted)).contact_folder == tmp_path / "contact"
    assert not folder.exists()


def test_a_folder_of_secrets_may_stand_anywhere(folder: Path, tmp_path: Path) -> None:
    elsewhere = SecretFiles(secrets=tmp_path / "elsewhere")
    assert Secrets.create(folder, elsewhere).key_ids() == Secrets.load(tmp_path / "elsewhere").key_ids()
    assert not folder.exists()


def test_one_secret_may_be_brought_and_the_others_made(mounted: Path, folder: Path, tmp_path: Path) -> None:
    files = SecretFiles(pepper_file=mounted / "pepper")
    made = Secrets.create(folder, files)
    assert made.pepper == Secrets.load(tmp_path / "made").pepper
    assert made.id_key != Secrets.load(tmp_path / "made").id_key
    assert not (folder / "pepper").exists()


@pytest.mark.parametrize("name", ["pepper", "id", "ticket", "0001.pem"])
def test_a_file_that_a_setting_names_is_never_made(mounted: Path, folder: Path, name: str) -> None:
    (mounted / name).unlink()
    with pytest.raises(SecretNotBrought, match=name):
        Secrets.create(folder, files_of(mounted))
    assert not (mounted / name).exists()


@pytest.mark.parametrize("name", ["pepper", "0001.pem"])
def test_a_mounted_secret_that_others_can_read_is_refused_with_the_command_that_mends_it(
    mounted: Path, folder: Path, name: str
) -> None:
    (mounted / name).chmod(0o444)
    with pytest.raises(OthersCanRead, match=f"chmod 600 {mounted / name}"):
        Secrets.load(folder, files_of(mounted))


def test_a_folder_of_secrets_that_others_can_read_is_refused_wherever_it_stands(folder: Path, tmp_path: Path) -> None:
    elsewhere = SecretFiles(secrets=tmp_path / "elsewhere")
    Secrets.create(folder, elsewhere)
    (tmp_path / "elsewhere").chmod(0o755)
    with pytest.raises(OthersCanRead, match=f"chmod 700 {tmp_path / 'elsewhere'}"):
        Secrets.load(folder, elsewhere)


@pytest.mark.parametrize(("mode", "is_refused"), [(0o440, False), (0o640, False), (0o644, True), (0o660, True)])
def test_a_mounted_secret_of_root_may_be_read_by_the_group_of_the_pod(
    mounted: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_refused: bool
) -> None:
    if (mounted / "pepper").stat().st_uid != 0:
        pytest.skip("only root can make files of root")
    for name in ("pepper", "id", "ticket", "0001.pem"):
        (mounted / name).chmod(mode)
    monkeypatch.setattr("services.platform.private_files.os.geteuid", lambda: 1000)  # whom the pod runs as
    if is_refused:
        with pytest.raises(OthersCanRead, match="chmod 640"):
            Secrets.load(folder, files_of(mounted))
    else:
        assert Secrets.load(folder, files_of(mounted)).key_ids()


def test_a_secret_that_belongs_to_somebody_else_is_refused(
    mounted: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(mounted / "pepper", 4321, -1)
    else:
        monkeypatch.setattr("services.platform.private_files.os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OthersCanChange, match="chown"):
        Secrets.load(folder, files_of(mounted))
