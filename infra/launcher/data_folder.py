"""The folder that holds everything a system keeps: one launcher at a time, and what a start empties.

lock             held by the launcher that uses the folder, freed by the kernel with its death
endpoints.json   where everything is, while it runs
admin-token      a bearer token for the console, mode 0600
secrets/         pepper, keys: kept
logs/            output of each process; the one before beside it as NAME.log.1
embedded/        Valkey and SQL of the embedded tier: emptied at each start, as its log is in memory
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.platform.errors import MasklineError
from services.platform.private_files import FOLDER_MODE

LOCK: Final = "lock"
LOGS: Final = "logs"
EMBEDDED: Final = "embedded"
LEDGER_FILE: Final = "ledger.sqlite"


class DataFolderInUse(MasklineError):
    """Another `maskline` system{process} runs with the data folder {folder}.

    Stop that one, or give this one a folder of its own with --data DIR.
    """


class DataFolderRefused(MasklineError):
    """The data folder {folder} cannot be used: {why}. Name another with --data DIR."""


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Make the folder and be its only launcher; its absolute path. Raises DataFolderInUse, DataFolderRefused."""
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        folder = folder.resolve()
        # A child does not get this file (descriptors are not inherited): the lock ends with this process alone.
        lock = (folder / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise DataFolderRefused(folder=folder, why=error.strerror) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataFolderInUse(folder=folder, process=_holder(folder)) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield folder


def is_locked(folder: Path) -> bool:
    """Whether a launcher lives that uses the folder."""
    try:
        with (folder / LOCK).open(encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def emptied(folder: Path) -> Path:
    """The folder of the embedded tier's files, with nothing in it."""
    embedded = folder / EMBEDDED
    if embedded.exists():
        shutil.rmtree(embedded)
    embedded.mkdir()
    return embedded


def fresh_log(folder: Path, name: str) -> Path:
    """The file for a process's output; what the last start wrote stands beside it."""
    logs = folder / LOGS
    logs.mkdir(exist_ok=True)
    log = logs / f"{name}.log"
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    return log


def _holder(folder: Path) -> str:
    pid = (folder / LOCK).read_text(encoding="ascii", errors="replace").strip()
    return f" (process {pid})" if pid.isdigit() else ""
