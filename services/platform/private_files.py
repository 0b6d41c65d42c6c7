"""Files that only their owner may read: made whole or not at all, refused when others can look in."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from services.platform.errors import MasklineError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
MOUNTED_MODE = 0o640
MAX_PRIVATE_FILE_BYTES = 64 * 1024
"""Keys and password files are small; a larger one is not what the setting should point at."""


class OthersCanRead(MasklineError):
    """Other users of this machine can read {path}, which must stay private. Run:

    chmod {mode:o} {path}
    """


class OthersCanChange(MasklineError):
    """{path} belongs to another user of this machine (number {owner}), who could put anything into it. Run:

    chown {user} {path}
    """


class NotPrivateMaterial(MasklineError):
    """{path} is not a readable file of at most {limit} bytes: {why}."""


def make_private_folder(folder: Path) -> None:
    """Makes the folder, or checks the one that is there. Raises OthersCanRead."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    refuse_if_others_can_read(folder)


def read_private(path: Path) -> bytes:
    """The content. Raises FileNotFoundError, OthersCanRead, NotPrivateMaterial."""
    refuse_if_others_can_read(path.parent)
    refuse_if_others_can_read(path)
    return _content(path)


def read_mounted(path: Path) -> bytes:
    """The content of a file that somebody else put there for us, as Kubernetes mounts secrets. The folder is theirs.

    The rule is that of PostgreSQL for its key file: ours and 0600, or root's and at most 0640 (a pod's `fsGroup` is
    the group of what is mounted). Raises FileNotFoundError, OthersCanRead, OthersCanChange, NotPrivateMaterial.
    """
    found = _status(path)
    if found.st_uid not in (os.geteuid(), 0):
        raise OthersCanChange(path=path, owner=found.st_uid, user=os.geteuid())
    is_ours = found.st_uid == os.geteuid()
    if found.st_mode & (0o077 if is_ours else 0o037):
        raise OthersCanRead(path=path, mode=FILE_MODE if is_ours else MOUNTED_MODE)
    return _content(path)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PRIVATE_FILE_BYTES + 1)
    except OSError as error:
        raise NotPrivateMaterial(path=path, limit=MAX_PRIVATE_FILE_BYTES, why=error.strerror) from error
    if len(content) > MAX_PRIVATE_FILE_BYTES:
        raise NotPrivateMaterial(path=path, limit=MAX_PRIVATE_FILE_BYTES, why="it is larger")
    return content


def create_private(path: Path, content: bytes) -> bool:
    """Writes a new file that nobody ever sees half written. False: another process was first, its content stands."""
    make_private_folder(path.parent)
    draft = _draft(path, content)
    try:
        os.link(draft, path)  # fails where the name exists, so of two racing creators one wins and both read the same
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    sync_folder(path.parent)
    return True


def replace_private(path: Path, content: bytes) -> None:
    """Writes or replaces a file in one step: a reader sees the old content or the new one."""
    make_private_folder(path.parent)
    _draft(path, content).replace(path)
    sync_folder(path.parent)


def delete_private(path: Path) -> bool:
    """Deletes the file for good, also from the folder's record on disk. False: it was not there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def refuse_if_others_can_read(path: Path) -> None:
    """Raises OthersCanRead, with the command that mends it, FileNotFoundError, NotPrivateMaterial."""
    mode = _status(path).st_mode
    if mode & 0o077:
        raise OthersCanRead(path=path, mode=FOLDER_MODE if stat.S_ISDIR(mode) else FILE_MODE)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:  # a folder on the way to it is somebody else's
        raise NotPrivateMaterial(path=path, limit=MAX_PRIVATE_FILE_BYTES, why=error.strerror) from error


def _draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


def sync_folder(folder: Path) -> None:
    """What was renamed or deleted in it stays so when the power goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
