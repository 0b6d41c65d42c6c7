"""Copies of the log: which pieces there are, what keeps one from being taken or used, and copies of the secrets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.audit.backup import take as taking
from services.audit.backup.errors import (
    BackupFailed,
    BackupIncomplete,
    BackupOfAnotherLog,
    BackupUnreadable,
    OtherSecrets,
    SecretsDiffer,
    SecretsElsewhere,
)
from services.audit.backup.pieces import BackupFolder
from services.audit.backup.secrets_copy import bring_back_secrets, copy_secrets, copy_secrets_of
from services.audit.backup.take import take_all
from services.domain import commands as c
from services.platform.private_files import OthersCanRead, create_private
from services.platform.secrets import SecretMissing, Secrets
from services.platform.settings import SecretFiles
from services.stream.fake import FakeLog, FakeReader
from services.stream.genesis import read_genesis
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS

P, Q = PartitionId(0), PartitionId(1)
OURS = c.Genesis(log="o" * 16, key_check="k" * 16, rules=1)
ANOTHER = c.Genesis(log="a" * 16, key_check="k" * 16, rules=1)
NOW_MS = 1_580_000_000_000


def quiet(*_: int) -> None:
    """Nobody looks on."""


@pytest.fixture
def log() -> FakeLog:
    """Two partitions, three records in the first."""
    log = FakeLog(2)
    for partition in (P, Q):
        write(log, partition, c.encode(OURS))
    write(log, P, b"one", b"two")
    return log


@pytest.fixture
def folder(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path / "copy" / "log")


def write(log: FakeLog, partition: PartitionId, *values: bytes) -> None:
    log.write(COMMANDS, partition, values, NOW_MS)


async def taken(log: FakeLog, folder: BackupFolder) -> list[tuple[int, int]]:
    """Start and end of what was copied of each partition."""
    return [(each.start, each.end) for each in await take_all(FakeReader(log, COMMANDS), folder, 2, quiet)]


def values(folder: BackupFolder, partition: PartitionId) -> list[bytes | None]:
    return [value for piece in folder.chain(partition) for _, value in piece.records()]


async def test_a_copy_has_all_of_the_log_and_the_next_run_adds_what_came(log: FakeLog, folder: BackupFolder) -> None:
    assert await taken(log, folder) == [(0, 3), (0, 1)]
    write(log, P, b"three", b"")
    assert await taken(log, folder) == [(3, 5), (1, 1)]
    assert values(folder, P) == [c.encode(OURS), b"one", b"two", b"three", b""]
    assert [piece.check().records for piece in folder.chain(P)] == [3, 2]
    assert folder.partitions() == 2


async def test_partition_0_comes_last_for_the_others_were_chosen_by_it(
    log: FakeLog, folder: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def read_and_note(log: Any, partition: PartitionId) -> c.Genesis:
        asked.append(partition)
        return await known(log, partition)

    known = read_genesis
    monkeypatch.setattr(taking, "read_genesis", read_and_note)
    await taken(log, folder)
    assert asked == [1, 0]


def cut(log: FakeLog) -> None:
    del log.records[COMMANDS, P][2:]


def cut_and_grown(log: FakeLog) -> None:
    cut(log)
    write(log, P, b"other", b"more")


def replaced(log: FakeLog) -> None:
    log.records[COMMANDS, P].clear()
    write(log, P, c.encode(ANOTHER), b"one", b"two", b"three")


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (cut, "3 records of partition 0, and the log ends at 2: it lost its end"),
        (cut_and_grown, "partition 0 has another record at offset 2 now"),
        (replaced, f"partition 0 is of log {'o' * 16}, and Kafka has log {'a' * 16}"),
    ],
)
async def test_a_copy_of_one_log_is_never_continued_with_another(
    happens: Callable[[FakeLog], None], why: str, log: FakeLog, folder: BackupFolder
) -> None:
    await taken(log, folder)
    before = sorted(folder.path.iterdir())
    happens(log)
    with pytest.raises(BackupOfAnotherLog, match=why):
        await taken(log, folder)
    assert [path for path in sorted(folder.path.iterdir()) if path.name.startswith("p00")] == [
        path for path in before if path.name.startswith("p00")
    ]


async def test_what_was_interrupted_adds_nothing_and_the_next_run_does(log: FakeLog, folder: BackupFolder) -> None:
    def full(partition: int, position: int, end: int) -> None:
        if partition == P and 0 < position <= end:
            raise OSError(28, "No space left on device")

    with pytest.raises(BackupFailed, match="No space left on device"):
        await take_all(FakeReader(log, COMMANDS), folder, 2, full)
    assert folder.chain(P) == []
    assert [path.name for path in folder.path.iterdir() if path.name.startswith(".")] == []
    assert await taken(log, folder) == [(0, 3), (1, 1)]


@pytest.mark.parametrize("at", [0, 40, -1])
async def test_a_piece_that_was_changed_or_torn_is_never_used(at: int, log: FakeLog, folder: BackupFolder) -> None:
    await taken(log, folder)
    (piece,) = folder.chain(P)
    content = bytearray(piece.path.read_bytes())
    content[at] ^= 1
    piece.path.write_bytes(content)
    with pytest.raises(BackupUnreadable, match="Take the copy from another disk"):
        piece.check()
    piece.path.write_bytes(content[:-5])
    with pytest.raises(BackupUnreadable):
        piece.check()


async def test_a_piece_under_another_ones_name_is_noticed(log: FakeLog, folder: BackupFolder) -> None:
    await taken(log, folder)
    (piece,) = folder.chain(P)
    piece.path.rename(folder.name(P, 0, 7))
    with pytest.raises(BackupUnreadable, match="other records than its name says"):
        folder.chain(P)[0].check()


async def test_a_piece_that_is_missing_is_named(log: FakeLog, folder: BackupFolder) -> None:
    await taken(log, folder)
    write(log, P, b"three")
    await taken(log, folder)
    folder.chain(P)[0].path.unlink()
    with pytest.raises(BackupIncomplete, match=r"partition 0: the piece from offset 0 on is missing \(to 3"):
        folder.chain(P)


def test_an_empty_folder_is_no_copy(folder: BackupFolder) -> None:
    folder.prepare()
    with pytest.raises(BackupIncomplete, match="partition 0: the piece from offset 0"):
        folder.partitions()


async def test_of_two_runs_at_once_the_one_that_saw_more_counts(log: FakeLog, folder: BackupFolder) -> None:
    await taken(log, folder)
    shorter = folder.chain(P)[0].path
    kept = shorter.read_bytes()
    shorter.unlink()
    write(log, P, b"three")
    await taken(log, folder)
    create_private(shorter, kept)
    assert [(piece.start, piece.end) for piece in folder.chain(P)] == [(0, 4)]


async def test_nobody_else_can_read_a_copy(log: FakeLog, folder: BackupFolder) -> None:
    await taken(log, folder)
    assert {path.stat().st_mode & 0o777 for path in folder.path.iterdir()} == {0o600}
    (piece,) = folder.chain(P)
    piece.path.chmod(0o644)
    with pytest.raises(OthersCanRead, match="chmod 600"):
        piece.check()


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_copied_and_brought_back_and_are_the_same(tmp_path: Path) -> None:
    ours = Secrets.create(tmp_path / "secrets")
    create_private(tmp_path / "secrets" / "contact" / "gz-2020-02@2020-09-30", b"key")
    files = copy_secrets(tmp_path / "secrets", tmp_path / "copy")
    assert bring_back_secrets(tmp_path / "copy", tmp_path / "elsewhere") == files
    back = Secrets.load(tmp_path / "elsewhere")
    assert (back.key_ids(), back.key_check()) == (ours.key_ids(), ours.key_check())
    assert bring_back_secrets(tmp_path / "copy", tmp_path / "elsewhere") == 0


@pytest.mark.safety
def test_a_contact_key_that_was_deleted_on_its_day_is_deleted_in_the_copy_too(tmp_path: Path) -> None:
    assert not contact_keys_left(tmp_path)


@pytest.mark.control
def test_a_copy_that_only_grows_would_keep_the_phones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit.backup.secrets_copy.delete_private", lambda _: False)
    assert contact_keys_left(tmp_path)


def contact_keys_left(folder: Path) -> list[str]:
    """In a copy that was taken before and after a key's day."""
    Secrets.create(folder / "secrets")
    key = folder / "secrets" / "contact" / "gz-2020-02@2020-09-30"
    create_private(key, b"key")
    copy_secrets(folder / "secrets", folder / "copy")
    assert (folder / "copy" / "contact" / key.name).exists()
    key.unlink()
    copy_secrets(folder / "secrets", folder / "copy")
    return [path.name for path in (folder / "copy" / "contact").iterdir()]


@pytest.mark.safety
def test_a_wrong_data_folder_takes_no_contact_key_from_the_copy(tmp_path: Path) -> None:
    copied = copied_with_a_contact_key(tmp_path)
    for wrong, told in (("absent", SecretMissing), ("theirs", OtherSecrets)):
        with pytest.raises(told):
            copy_secrets_of(copied.key_check(), tmp_path / wrong, SecretFiles(), tmp_path / "copy")
    assert (tmp_path / "copy" / "contact" / "gz-2020-02@2030-09-30").exists()
    assert Secrets.load(tmp_path / "copy").key_check() == copied.key_check()


@pytest.mark.control
def test_unless_it_is_compared_with_the_log_a_wrong_data_folder_does(tmp_path: Path) -> None:
    copied_with_a_contact_key(tmp_path)
    copy_secrets(tmp_path / "absent", tmp_path / "copy")
    assert not (tmp_path / "copy" / "contact" / "gz-2020-02@2030-09-30").exists()


def copied_with_a_contact_key(folder: Path) -> Secrets:
    """Ours, with a copy; beside them theirs."""
    Secrets.create(folder / "theirs")
    ours = Secrets.create(folder / "secrets")
    create_private(folder / "secrets" / "contact" / "gz-2020-02@2030-09-30", b"key")
    copy_secrets_of(ours.key_check(), folder / "secrets", SecretFiles(), folder / "copy")
    assert (folder / "copy" / "contact" / "gz-2020-02@2030-09-30").exists()
    return ours


def test_secrets_in_files_of_ones_own_are_named_and_not_half_copied(tmp_path: Path) -> None:
    ours = Secrets.create(tmp_path / "secrets")
    files = SecretFiles(pepper_file=tmp_path / "mounted" / "pepper")
    with pytest.raises(SecretsElsewhere, match="mounted/pepper"):
        copy_secrets_of(ours.key_check(), tmp_path / "secrets", files, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


async def test_a_piece_that_goes_while_it_is_read_is_told_in_words(log: FakeLog, folder: BackupFolder) -> None:
    await taken(log, folder)
    (piece,) = folder.chain(0)
    piece.check()
    piece.path.unlink()
    with pytest.raises(BackupUnreadable, match="No such file"):
        list(piece.records())


def test_keys_of_another_installation_are_never_overwritten_in_either_direction(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        Secrets.create(tmp_path / name)
    copy_secrets(tmp_path / "ours", tmp_path / "copy")
    with pytest.raises(SecretsDiffer, match="Nothing was overwritten"):
        copy_secrets(tmp_path / "theirs", tmp_path / "copy")
    with pytest.raises(SecretsDiffer):
        bring_back_secrets(tmp_path / "copy", tmp_path / "theirs")
    assert Secrets.load(tmp_path / "copy").key_check() == Secrets.load(tmp_path / "ours").key_check()


def test_a_new_pass_key_comes_into_the_copy(tmp_path: Path) -> None:
    ours = Secrets.create(tmp_path / "secrets")
    copy_secrets(tmp_path / "secrets", tmp_path / "copy")
    rotated = ours.rotate_pass_key()
    copy_secrets(tmp_path / "secrets", tmp_path / "copy")
    assert Secrets.load(tmp_path / "copy").key_ids() == rotated.key_ids()
