"""A password for each user, made once: `USER.password`, 0600, in a folder of their own."""

import secrets
from pathlib import Path
from typing import Final

from services.platform.private_files import create_private

BYTES: Final = 24


def password_file(folder: Path, user: str) -> Path:
    """Its file, made where there is none."""
    path = folder / f"{user}.password"
    if not path.exists():
        create_private(path, secrets.token_urlsafe(BYTES).encode() + b"\n")
    return path
