"""Passwords of console users: scrypt, with its parameters inside the text so that they can grow later.

    scrypt$16384$8$5$<salt>$<hash>

Hashing takes about 150 ms of one core on purpose: call both functions in a thread (`asyncio.to_thread`).
"""

from __future__ import annotations

import hashlib
import hmac
import os

from services.platform.crypto import base64url, from_base64url

COST, BLOCK_SIZE, PARALLEL = 16_384, 8, 5  # 16 MiB; one of the settings of OWASP's password storage cheat sheet
SALT_BYTES, HASH_BYTES = 16, 32
MAX_PASSWORD_BYTES = 1_024
_MEMORY_BYTES = 64 * 1024 * 1024


def hash_password(password: str) -> str:
    """A text to keep. Raises ValueError for an empty password or one over 1,024 bytes."""
    if not password or len(password.encode()) > MAX_PASSWORD_BYTES:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes")
    salt = os.urandom(SALT_BYTES)
    digest = _scrypt(password, salt, COST, BLOCK_SIZE, PARALLEL)
    return f"scrypt${COST}${BLOCK_SIZE}${PARALLEL}${base64url(salt)}${base64url(digest)}"


def verify_password(password: str, kept: str | None) -> bool:
    """Whether the password belongs to the kept text. `None` (no such user) takes the same time and is False."""
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        return False
    cost, block_size, parallel, salt, expected = _parsed(_NOBODY if kept is None else kept)
    digest = _scrypt(password, salt, cost, block_size, parallel)
    return hmac.compare_digest(digest, expected) and kept is not None


def _scrypt(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block_size, p=parallel, maxmem=_MEMORY_BYTES, dklen=HASH_BYTES
    )


def _parsed(kept: str) -> tuple[int, int, int, bytes, bytes]:
    name, cost, block_size, parallel, salt, expected = kept.split("$")
    if name != "scrypt":
        raise ValueError("not a password text of ours")
    return int(cost), int(block_size), int(parallel), from_base64url(salt), from_base64url(expected)


_NOBODY = f"scrypt${COST}${BLOCK_SIZE}${PARALLEL}${base64url(bytes(SALT_BYTES))}${base64url(bytes(HASH_BYTES))}"
