"""Who may use the console: `users.json` in the data folder, mode 0600, written by `maskline user` and read here.

Users are no part of the log: they hold passwords. What a user did is in the log, under the name that stands here.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from services.domain.command_fields import whole
from services.platform.errors import MasklineError
from services.platform.passwords import hash_password
from services.platform.private_files import (
    MAX_PRIVATE_FILE_BYTES,
    make_private_folder,
    read_private,
    replace_private,
)

USERS: Final = "users.json"
LOCK: Final = ".users.lock"
MIN_PASSWORD_CHARACTERS: Final = 10
"""NIST SP 800-63B asks for 8 at least and no rules about kinds of characters; these users can close a campaign."""
MAX_USERS: Final = 200
UserName = Annotated[str, whole("[a-z0-9][a-z0-9_-]{0,31}", "1 to 32 of a–z 0–9 _ -")]


class Role(StrEnum):
    """What somebody may do. Everybody may look; appeals are decided by `appeals` once there are any."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPEALS = "appeals"
    ADMIN = "admin"

    @property
    def may_change(self) -> bool:
        """Whether this role may change campaigns, stock and terminals."""
        return self in (Role.OPERATOR, Role.ADMIN)


class UserNameInvalid(MasklineError):
    """{name!r} cannot name a user: it has 1 to 32 of the characters a–z 0–9 _ - (the first a letter or digit), because
    it stands in the audit trail.
    """


class UserExists(MasklineError):
    """There is a user {name} already. Remove that one first, or choose another name."""


class UserUnknown(MasklineError):
    """There is no user {name}. `maskline user list` shows those there are."""


class TooManyUsers(MasklineError):
    """There are {limit} users, which is the most."""


class PasswordTooShort(MasklineError):
    """A password needs at least {least} characters; a few words in a row are easy to keep in mind."""


class PasswordTooLong(MasklineError):
    """A password has at most 1,024 bytes."""


class UsersUnreadable(MasklineError):
    """{path} is not a file of users: {why}. Restore it from a copy, or delete it and add the users again with
    `maskline user add`.
    """


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One user; `password` is a hash with its parameters."""

    role: Role
    password: Annotated[str, Meta(min_length=1, max_length=300)]
    added_ms: int = 0

    def __repr__(self) -> str:
        return f"User(role={self.role})"


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    users: dict[UserName, User] = {}


def add_user(data: Path, name: str, role: Role, password: str) -> None:
    """Add a user. Takes 150 ms for the hash. Raises UserNameInvalid, UserExists, PasswordTooShort, TooManyUsers, …"""
    try:
        msgspec.convert(name, UserName)
    except msgspec.ValidationError as error:
        raise UserNameInvalid(name=name) from error
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise PasswordTooShort(least=MIN_PASSWORD_CHARACTERS)
    try:
        kept = hash_password(password)
    except ValueError as error:
        raise PasswordTooLong from error
    with _changing(data) as users:
        if name in users:
            raise UserExists(name=name)
        if len(users) >= MAX_USERS:
            raise TooManyUsers(limit=MAX_USERS)
        users[name] = User(role=role, password=kept, added_ms=int(time.time() * 1000))


def remove_user(data: Path, name: str) -> None:
    """Remove a user; what is signed in under that name is signed out within a second. Raises UserUnknown."""
    with _changing(data) as users:
        if users.pop(name, None) is None:
            raise UserUnknown(name=name)


def list_users(data: Path) -> dict[str, User]:
    """All users by name. Raises UsersUnreadable, OthersCanRead."""
    path = data / USERS
    try:
        content = read_private(path)
    except FileNotFoundError:
        return {}
    try:
        return dict(sorted(msgspec.json.decode(content, type=_File).users.items()))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = str(error) if isinstance(error, msgspec.MsgspecError) else "it is no JSON"
        raise UsersUnreadable(path=path, why=why) from error


class Users:
    """The users as the file has them now: read again when it changes."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, User] = {}

    def get(self, name: str) -> User | None:
        """The user of that name. Raises UsersUnreadable, OthersCanRead."""
        stamp = self._look()
        if stamp != self._stamp:
            self._users = list_users(self._data)
            self._stamp = stamp
        return self._users.get(name)

    def _look(self) -> tuple[int, int] | None:
        try:
            found = (self._data / USERS).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino


@contextmanager
def _changing(data: Path) -> Iterator[dict[str, User]]:
    """The users to be changed; written back whole. Of two commands at once the second one waits for the first."""
    make_private_folder(data)
    with (data / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        users = list_users(data)
        yield users
        content = msgspec.json.format(msgspec.json.encode(_File(users=users)), indent=2) + b"\n"
        if len(content) > MAX_PRIVATE_FILE_BYTES:
            raise TooManyUsers(limit=len(users) - 1)
        replace_private(data / USERS, content)
