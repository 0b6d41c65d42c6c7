"""The secrets of an installation: pepper, id key, ticket key, and the keys that sign passes.

They are files in one folder (0700), each 0600, made on the first start or brought by the operator. The pepper and the
id key are fixed for the life of a log: with another pepper everybody is a new person, with another id key every retry
is a new booking. `key_check` stands in the log's genesis records so that a wrong pair is noticed at once. Ticket and
pass keys may rotate. Contact keys have a folder of their own beside these (`contact.py`).
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.platform.crypto import KEY_BYTES, KeyedDigest, base64url, key_id
from services.platform.errors import MasklineError
from services.platform.passes import PassSigner, PassVerifier
from services.platform.private_files import create_private, make_private_folder, read_private

SYMMETRIC = ("pepper", "id", "ticket")
PASS_KEYS = Path("pass")
CONTACT_KEYS = Path("contact")
KEY_CHECK_BYTES = 12


class SecretMissing(MasklineError):
    """The secret {path} is not there. A new one is never made where a log may rest on the old one: bring the file from
    the machine that has it. For an installation whose log is still empty, make new secrets by starting with
    `maskline up`.
    """


class SecretUnreadable(MasklineError):
    """{path} does not hold {expected}. Restore the file from a copy; editing it makes everything signed with it
    invalid.
    """


class Secrets:
    """All secrets, loaded. Shown or printed it tells key ids only."""

    __slots__ = ("_pass_keys", "_symmetric", "folder")

    def __init__(self, folder: Path, symmetric: dict[str, bytes], pass_keys: list[Ed25519PrivateKey]) -> None:
        self.folder = folder
        self._symmetric = symmetric
        self._pass_keys = pass_keys

    @classmethod
    def load(cls, folder: Path) -> Secrets:
        """Reads them. Raises SecretMissing, SecretUnreadable, OthersCanRead."""
        symmetric = {name: _symmetric_key(folder / name) for name in SYMMETRIC}
        names = sorted((folder / PASS_KEYS).glob("*.pem"))
        if not names:
            raise SecretMissing(path=folder / PASS_KEYS / "0001.pem")
        return cls(folder, symmetric, [_signing_key(name) for name in names])

    @classmethod
    def create(cls, folder: Path) -> Secrets:
        """Makes those that are missing and reads them all; of two processes that do so at once, both get the same."""
        make_private_folder(folder)
        for name in SYMMETRIC:
            if not (folder / name).exists():
                create_private(folder / name, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        if not any((folder / PASS_KEYS).glob("*.pem")):
            create_private(folder / PASS_KEYS / "0001.pem", _new_signing_key())
        make_private_folder(folder / CONTACT_KEYS)
        return cls.load(folder)

    @property
    def pepper(self) -> bytes:
        return self._symmetric["pepper"]

    @property
    def id_key(self) -> bytes:
        return self._symmetric["id"]

    @property
    def ticket_key(self) -> bytes:
        return self._symmetric["ticket"]

    @property
    def contact_folder(self) -> Path:
        return self.folder / CONTACT_KEYS

    def pass_signer(self) -> PassSigner:
        """Signs with the newest key."""
        return PassSigner(self._pass_keys[-1])

    def pass_verifier(self) -> PassVerifier:
        """Accepts the passes of every key that is still in the folder."""
        return PassVerifier([key.public_key().public_bytes_raw() for key in self._pass_keys])

    def rotate_pass_key(self) -> Secrets:
        """Adds a newer signing key; passes already given out stay valid until their key's file is deleted."""
        newest = max(int(name.stem) for name in (self.folder / PASS_KEYS).glob("*.pem"))
        create_private(self.folder / PASS_KEYS / f"{newest + 1:04d}.pem", _new_signing_key())
        return self.load(self.folder)

    def key_check(self) -> str:
        """16 characters that every log of these secrets carries in its genesis records."""
        digest = KeyedDigest(self.id_key).digest(b"key check\x1f" + KeyedDigest(self.pepper).digest(b"key check"))
        return base64url(digest[:KEY_CHECK_BYTES])

    def key_ids(self) -> dict[str, str]:
        """What may be printed of each key."""
        ids = {name: key_id(key) for name, key in self._symmetric.items()}
        ids["pass"] = ",".join(key_id(key.public_key().public_bytes_raw()) for key in self._pass_keys)
        return ids

    def __repr__(self) -> str:
        return "Secrets(" + ", ".join(f"{name}={value}" for name, value in self.key_ids().items()) + ")"


def _symmetric_key(path: Path) -> bytes:
    try:
        key = binascii.a2b_base64(_content(path).strip(), strict_mode=True)
    except binascii.Error as error:
        raise SecretUnreadable(path=path, expected=f"{KEY_BYTES} bytes in base64") from error
    if len(key) != KEY_BYTES:
        raise SecretUnreadable(path=path, expected=f"{KEY_BYTES} bytes in base64")
    return key


def _signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(_content(path), password=None)
    except (ValueError, TypeError) as error:
        raise SecretUnreadable(path=path, expected="an Ed25519 private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SecretUnreadable(path=path, expected="an Ed25519 private key in PEM")
    return key


def _content(path: Path) -> bytes:
    try:
        return read_private(path)
    except FileNotFoundError as error:
        raise SecretMissing(path=path) from error


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
