"""`endpoints.json`: where a running system is, kept true as processes are replaced."""

from pathlib import Path
from typing import Final

import msgspec

from infra.launcher.data_folder import is_locked
from services.platform.errors import MasklineError
from services.platform.private_files import replace_private

FILE: Final = "endpoints.json"


class NotRunning(MasklineError):
    """No system runs with the data folder {folder}. Start one: `maskline up`. Or name the right folder: --data DIR."""


class ProcessEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One process; `admin` is the URL under which it has /livez, /readyz and /metrics (none: broker and store)."""

    service: str
    index: int
    pid: int
    admin: str | None = None


class Endpoints(msgspec.Struct, frozen=True, kw_only=True):
    """`kafka` as host:port,…; all others as URLs. `stores` are the embedded tier's broker and Valkey."""

    tier: str
    launcher: int
    kafka: str
    redis: str
    front_door: str
    counter: str
    console: str
    processes: list[ProcessEndpoint]
    stores: list[ProcessEndpoint]
    ledger: str = ""
    """The ledger's database; empty where there is none."""


def write_endpoints(folder: Path, endpoints: Endpoints) -> None:
    """Replace the file in one step; mode 0600, for the addresses of Redis and of the ledger may hold passwords."""
    replace_private(folder / FILE, msgspec.json.format(msgspec.json.encode(endpoints), indent=1) + b"\n")


def read_endpoints(folder: Path) -> Endpoints:
    """Raises NotRunning, also where a launcher was killed and its file is left."""
    try:
        endpoints = msgspec.json.decode((folder / FILE).read_bytes(), type=Endpoints)
    except (OSError, msgspec.DecodeError) as error:
        raise NotRunning(folder=folder) from error
    if not is_locked(folder):
        raise NotRunning(folder=folder)
    return endpoints


def remove_endpoints(folder: Path) -> None:
    """Nothing runs any more."""
    (folder / FILE).unlink(missing_ok=True)
