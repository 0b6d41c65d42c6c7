"""Copies of the secrets: the keys of an installation, and who may use its console."""

from pathlib import Path
from typing import Final

from services.audit.backup.errors import OtherSecrets, SecretsDiffer, SecretsElsewhere
from services.platform.private_files import (
    create_private,
    delete_private,
    make_private_folder,
    read_private,
    replace_private,
)
from services.platform.secrets import CONTACT_KEYS, Secrets
from services.platform.settings import SecretFiles

FIXED: Final = ("pepper", "id")
"""Never change in the life of a log (`services.platform.secrets`)."""


def copy_secrets_of(key_check: str, source: Path, files: SecretFiles, copy: Path) -> int:
    """`copy_secrets`, of the log with this check value only: another folder, or an empty one, would have the copy's
    contact keys deleted as if their day had come. Raises SecretsElsewhere, OtherSecrets, what `Secrets.load` raises."""
    given = (files.pepper_file, files.id_key_file, files.ticket_key_file, files.pass_keys, files.contact_keys)
    if named := [str(path) for path in given if path is not None]:
        raise SecretsElsewhere(named=", ".join(named), folder=source)
    if Secrets.load(source).key_check() != key_check:
        raise OtherSecrets(folder=source, backup=copy.parent)
    return copy_secrets(source, copy)


def copy_secrets(source: Path, copy: Path) -> int:
    """Make `copy` what `source` is; how many files that are. Keys that were deleted, as a contact key on its day, are
    deleted in the copy too: whoever kept them would keep the phones. Raises SecretsDiffer, OthersCanRead, OSError."""
    names = _names(source)
    for name in names:
        if name.name in FIXED and (copy / name).exists() and read_private(copy / name) != read_private(source / name):
            raise SecretsDiffer(path=copy / name, other=source / name)
    make_private_folder(copy)
    for name in names:
        content = read_private(source / name)
        if not (copy / name).exists() or read_private(copy / name) != content:
            replace_private(copy / name, content)
    for name in _names(copy):
        if name.parent == CONTACT_KEYS and name not in names:
            delete_private(copy / name)
    return len(names)


def bring_back_secrets(copy: Path, target: Path) -> int:
    """Put files of the copy where there are none; how many. Raises SecretsDiffer, OthersCanRead, OSError.

    A contact key whose day has come is deleted again by the clock, once the log's time is there.
    """
    names = _names(copy)
    for name in names:
        if (target / name).exists() and read_private(target / name) != read_private(copy / name):
            raise SecretsDiffer(path=target / name, other=copy / name)
    make_private_folder(target)
    return sum(create_private(target / name, read_private(copy / name)) for name in names)


def _names(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.name[0] != ".")
