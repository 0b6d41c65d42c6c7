"""`parts.json`: where the parts of a running real tier are; whose process keeps them.

The services, Kafka and Redis stand in `endpoints.json` beside it, as after every `maskline up`.
"""

import os
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from infra.launcher.data_folder import is_locked
from infra.launcher.endpoints import ProcessEndpoint
from services.platform.private_files import replace_private

KEEPER: Final = "keeper"
"""The folder of the keeper's lock, its output and its parts.json, in that of the tier."""
FILE: Final = "parts.json"
OUTPUT: Final = "keeper.log"
PS_TIMEOUT_S: Final = 10.0


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Whole only: it is written when all is ready, and removed first when it ends."""

    keeper: int
    """Its process: one that was killed leaves this file, and the next one has the lock before it is whole."""
    edge: dict[str, str]
    """nginx's addresses, by what people come for: front_door, front_door_tls, counter, console."""
    prometheus: str
    postgres: str
    """Without the password, which is in `postgres/password`."""
    ca: str = ""
    """The certificates that everybody trusts, of a tier that asks who you are; empty where it does not."""
    processes: list[ProcessEndpoint]
    """Brokers, nodes, database, nginx, Prometheus."""


def begun(pid: int) -> str:
    """When a process began; empty where there is none of that number."""
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True, text=True, timeout=PS_TIMEOUT_S, check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    return told.stdout.strip()


def write_where(folder: Path, where: Where) -> None:
    """Replace the file in one step."""
    replace_private(folder / KEEPER / FILE, msgspec.json.format(msgspec.json.encode(where), indent=1) + b"\n")


def read_where(folder: Path) -> Where | None:
    """None where nothing runs, or is not whole."""
    try:
        where = msgspec.json.decode((folder / KEEPER / FILE).read_bytes(), type=Where)
    except (OSError, msgspec.DecodeError):
        return None
    return where if where.keeper == keeper_of(folder) else None


def remove_where(folder: Path) -> None:
    """It is no longer whole."""
    (folder / KEEPER / FILE).unlink(missing_ok=True)


class KeeperMark(msgspec.Struct, frozen=True, kw_only=True):
    """Which process keeps a tier, from its first moment on."""

    pid: int
    started: str
    """When it began, as `ps` tells it: a number alone may be another process's by now."""


MARK: Final = "keeper.json"


def write_mark(folder: Path) -> None:
    """This process is the keeper; it has the lock."""
    mark = KeeperMark(pid=os.getpid(), started=begun(os.getpid()))
    replace_private(folder / KEEPER / MARK, msgspec.json.encode(mark))


def keeper_of(folder: Path) -> int | None:
    """The number of the process that keeps this tier: it lives, has the lock, and is the one that left its mark."""
    if not is_locked(folder / KEEPER):
        return None
    try:
        mark = msgspec.json.decode((folder / KEEPER / MARK).read_bytes(), type=KeeperMark)
    except (OSError, msgspec.DecodeError):
        return None
    return mark.pid if mark.started and begun(mark.pid) == mark.started else None
