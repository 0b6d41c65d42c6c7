"""Parts that must not be root: the user that each runs as, and folders that are that user's."""

import os
import pwd
import shutil
from collections.abc import Sequence
from pathlib import Path

from infra.local.missing import PartMissing

NOBODY = "nobody"


def user_for(part: str, candidates: Sequence[str], command: str) -> str:
    """Whom a part runs as: whoever we are, or where that is root the first of the candidates that this machine has.

    Empty: whoever we are. Raises PartMissing.
    """
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in candidates:
        if name in known:
            return name
    why = f"this machine has no user {' or '.join(candidates)}, and it must not run as root"
    raise PartMissing(part=part, why=why, command=command)


def own_folder(folder: Path, user: str) -> None:
    """Make the folder and give it to the user, with all that is in it; nobody else looks in."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user:
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                shutil.chown(path, user, group=pwd.getpwnam(user).pw_gid)
