"""`make up` and `make down`: start the keeper detached and wait until all is ready; end it, and empty its folder."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infra.launcher.data_folder import LOCK, is_locked
from infra.launcher.first_steps import ADMIN_TOKEN
from infra.local.keeper import LocalSettings
from infra.local.where import KEEPER, OUTPUT, Where, keeper_of, read_where
from services.platform.errors import MasklineError
from services.platform.private_files import make_private_folder

UP_TIMEOUT_S: Final = 1_200.0
"""The first time Maven may need a quarter of an hour; every step has a bound of its own."""
DOWN_TIMEOUT_S: Final = 90.0
LOOK_S: Final = 0.1

Tell = Callable[[str], None]


class KeeperEnded(MasklineError):
    """The real tier did not start; why stands above, and in {output}."""


class KeeperSilent(MasklineError):
    """The real tier is neither ready nor ended after {seconds:g} s. `make down` ends it; its output is in {output}."""


class NotOurs(MasklineError):
    """The folder {folder} was not made by `make up`, so it is not emptied."""


class StillStarting(MasklineError):
    """The real tier in {folder} is being started or ended by another command. Wait for it."""


def up(settings: LocalSettings, tell: Tell) -> None:
    """Ready when it returns. A second time it only says where everything is.

    Raises StillStarting, KeeperEnded (the keeper has told why), KeeperSilent.
    """
    folder = settings.folder.resolve()
    if (where := read_where(folder)) is not None:
        tell(f"The real tier in {folder} runs already.")
        _tell_where(folder, where, tell)
        return
    if is_locked(folder / KEEPER):
        raise StillStarting(folder=folder)
    began_s = time.monotonic()
    make_private_folder(folder)
    make_private_folder(folder / KEEPER)
    output = folder / KEEPER / OUTPUT
    with output.open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "infra.local", "keep", *_options(settings)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives this command, and the terminal
        )
    try:
        where = _await_ready(folder, keeper, tell)
    except BaseException:
        keeper.terminate()
        keeper.wait(DOWN_TIMEOUT_S)
        raise
    _tell_where(folder, where, tell)
    tell(f"Ready after {time.monotonic() - began_s:.1f} s. `make smoke` tries it, `make down` ends it.")


def _options(settings: LocalSettings) -> list[str | Path]:
    tls = "--tls" if settings.tls else "--no-tls"
    return ["--folder", settings.folder.resolve(), "--ports-from", str(settings.ports_from), tls]


def down(settings: LocalSettings, tell: Tell, *, wipe: bool) -> None:
    """Nothing runs when it returns, and with `wipe` nothing is left. Raises NotOurs, StillStarting."""
    folder = settings.folder.resolve()
    keeper = keeper_of(folder)
    if keeper is None and is_locked(folder / KEEPER):
        raise StillStarting(folder=folder)
    if keeper is None:
        tell(f"No real tier runs in {folder}.")
    else:
        began_s = time.monotonic()
        _end(keeper, folder, tell)
        tell(f"All of it has ended, after {time.monotonic() - began_s:.1f} s.")
    if wipe and folder.exists():
        if not (folder / KEEPER / LOCK).exists():
            raise NotOurs(folder=folder)
        shutil.rmtree(folder)
        tell(f"{folder} is gone: log, secrets, everything.")


def _await_ready(folder: Path, keeper: subprocess.Popen[bytes], tell: Tell) -> Where:
    output = folder / KEEPER / OUTPUT
    deadline_s = time.monotonic() + UP_TIMEOUT_S
    with output.open(encoding="utf-8", errors="replace") as lines:
        while True:
            ended = keeper.poll() is not None
            where = read_where(folder)
            for line in lines:
                tell(line.rstrip("\n"))
            if ended:
                raise KeeperEnded(output=output)
            if where is not None:
                return where
            if time.monotonic() > deadline_s:
                raise KeeperSilent(seconds=UP_TIMEOUT_S, output=output)
            time.sleep(LOOK_S)


def _end(keeper: int, folder: Path, tell: Tell) -> None:
    """Asked, then forced: whatever it started ends with it (infra/launcher/guard.py)."""
    os.kill(keeper, signal.SIGTERM)
    deadline_s = time.monotonic() + DOWN_TIMEOUT_S
    while keeper_of(folder) == keeper:
        if time.monotonic() > deadline_s:
            tell(f"The keeper did not end within {DOWN_TIMEOUT_S:g} s; it was forced.")
            os.kill(keeper, signal.SIGKILL)
            deadline_s = float("inf")
        time.sleep(LOOK_S)


def _tell_where(folder: Path, where: Where, tell: Tell) -> None:
    for line in (
        "",
        f"  residents   {where.edge['front_door']}    {where.edge['front_door_tls']} (HTTP/2, a certificate made here)",
        f"  pharmacies  {where.edge['counter']}",
        f"  ops team    {where.edge['console']}    (users: maskline user add NAME --role admin --data {folder})",
        f"  Prometheus  {where.prometheus}",
        f"  PostgreSQL  {where.postgres}    (password: {folder / 'postgres' / 'password'})",
        f"  admin token {folder / ADMIN_TOKEN}",
        "",
    ):
        tell(line)
