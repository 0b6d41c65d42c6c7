"""Signing in, and who is asking.

A session is a signed text, kept by whoever signed in and by nobody else:

    lin.1580562000.<43 characters>

The signature covers the user's role and password hash as they are now: a removed user, another role or another password
ends every session at once. It is a bearer token for the API and, in a cookie, the sign-in of the pages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from services.console.users import Role, Users
from services.domain.reasons import DoorReason
from services.platform.crypto import KeyedDigest, equal
from services.platform.http_answers import retry_after
from services.platform.passwords import verify_password
from services.platform.private_files import read_private
from services.platform.problems import Problem
from services.platform.secrets import Secrets

ADMIN_TOKEN_FILE: Final = "admin-token"
SESSION_COOKIE: Final = "maskline_session"
SESSION_S: Final = 12 * 3600
MAX_WRONG: Final = 5
LOCKED_S: Final = 60.0
MAX_REMEMBERED_NAMES: Final = 1_000
MAX_VERIFYING: Final = 2
"""A look at a password costs 150 ms of a core on purpose; more of them at once would be everybody's delay."""
MAX_WAITING: Final = 16
SIGNATURE_CHARACTERS: Final = 43
MAX_TOKEN_CHARACTERS: Final = 200


class Operator(NamedTuple):
    """Somebody who has signed in. `actor` is what stands in the log."""

    actor: str
    role: Role


class Session(NamedTuple):
    """A fresh sign-in."""

    token: str
    name: str
    role: Role
    expires_s: int

    def __repr__(self) -> str:
        return f"Session({self.name})"


class SignIn:
    """Gives out sessions and recognises them."""

    def __init__(
        self, users: Users, secrets: Secrets, admin_token: str | None, now_s: Callable[[], float] = time.time
    ) -> None:
        self._users = users
        # A key of its own, so that no signature made elsewhere can ever be taken for a session's.
        self._digest = KeyedDigest(KeyedDigest(secrets.ticket_key).digest(b"console session"))
        self._admin_token = admin_token
        self._now_s = now_s
        self._wrong: dict[str, tuple[int, float]] = {}
        self._verifying = asyncio.Semaphore(MAX_VERIFYING)
        self._waiting = 0

    async def sign_in(self, name: str, password: str) -> Session:
        """A session. Raises Problem: 401, 429 after five wrong passwords in a row, 503 where too many are trying."""
        self._refuse_if_locked(name)
        if self._waiting >= MAX_WAITING:
            raise Problem(DoorReason.OVERLOADED)
        self._waiting += 1
        try:
            async with self._verifying:
                user = self._users.get(name)
                right = await asyncio.to_thread(verify_password, password, user.password if user else None)
        finally:
            self._waiting -= 1
        if user is None or not right:
            self._note_wrong(name)
            raise Problem(DoorReason.UNAUTHORIZED)
        self._wrong.pop(name, None)
        expires_s = int(self._now_s()) + SESSION_S
        return Session(self._token(name, expires_s, user.role, user.password), name, user.role, expires_s)

    def operator(self, token: str) -> Operator | None:
        """Who brings this token; None where nobody of ours does. Raises UsersUnreadable, OthersCanRead."""
        if not token.isascii() or len(token) > MAX_TOKEN_CHARACTERS:
            return None
        if self._admin_token is not None and equal(token, self._admin_token):
            return Operator("admin-token", Role.ADMIN)
        name, _, rest = token.partition(".")
        digits, _, _ = rest.partition(".")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 12) or int(digits) <= self._now_s():
            return None
        user = self._users.get(name)
        if user is None or not equal(token, self._token(name, int(digits), user.role, user.password)):
            return None
        return Operator(f"user:{name}", user.role)

    def _token(self, name: str, expires_s: int, role: Role, password: str) -> str:
        message = f"session\x1f{name}\x1f{expires_s}\x1f{role}\x1f{password}"
        return f"{name}.{expires_s}.{self._digest.text(message.encode(), SIGNATURE_CHARACTERS)}"

    def _refuse_if_locked(self, name: str) -> None:
        count, since_s = self._wrong.get(name, (0, 0.0))
        left_s = since_s + LOCKED_S - time.monotonic()
        if count >= MAX_WRONG and left_s > 0:
            raise Problem(
                DoorReason.UNAUTHORIZED,
                status=429,
                detail="Too many wrong passwords for this name. Wait a minute.",
                headers=retry_after(int(left_s) + 1),
            )

    def _note_wrong(self, name: str) -> None:
        """Wrong tries that are a minute old count no more."""
        count, since_s = self._wrong.get(name, (0, 0.0))
        now_s = time.monotonic()
        if len(self._wrong) >= MAX_REMEMBERED_NAMES:
            self._wrong.clear()
        self._wrong[name] = (1 if now_s - since_s > LOCKED_S else count + 1, now_s)


def read_admin_token(data: Path) -> str | None:
    """The bearer token that `maskline up` made for this installation. Raises OthersCanRead."""
    try:
        return read_private(data / ADMIN_TOKEN_FILE).decode("ascii").strip() or None
    except FileNotFoundError:
        return None
