"""The secrets of an installation: pepper, id key, ticket key, and the keys that sign passes.

They are files in one folder (0700), each 0600, made on the first start; or some are brought by the operator, as files
that settings name (`SecretFiles`), which are read and never made. The pepper and the id key are fixed for the life of a
log: with another pepper everybody is a new person, with another id key every retry is a new booking. `key_check` stands
in the log's genesis records so that a wrong pair is noticed at once. Ticket and pass keys may rotate. Contact keys have
a folder of their own beside these (`contact.py`).
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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
from services.platform.private_files import create_private, make_private_folder, read_mounted, read_private
from services.platform.settings import SecretFiles

SECRETS = "secrets"
"""The folder's name in the data folder."""
SYMMETRIC = ("pepper", "id", "ticket")
PASS_KEYS = Path("pass")
FIRST_PASS_KEY = "0001.pem"
CONTACT_KEYS = Path("contact")
KEY_CHECK_BYTES = 12


class SecretMissing(MasklineError):
    """The secret {path} is not there. A new one is never made where a log may rest on the old one: bring the file from
    the machine that has it. For an installation whose log is still empty, make new secrets by starting with
    `maskline up`.
    """


class SecretNotBrought(MasklineError):
    """The secret {path}, which a setting names, is not there. What settings name is read and never made: put the file
    there, or take the setting away.
    """


class SecretUnreadable(MasklineError):
    """{path} does not hold {expected}. Restore the file from a copy; editing it makes everything signed with it
    invalid.
    """


class PassKeysGiven(MasklineError):
    """The pass keys in {folder} are files of yours, so no key is added to them. Make a newer one whose name comes last:
    openssl genpkey -algorithm ed25519
    """


class _Places(NamedTuple):
    """Where the secrets of an installation are."""

    folder: Path
    given: dict[str, Path]
    """Symmetric keys that settings name."""
    given_pass_keys: Path | None
    contact_keys: Path

    @classmethod
    def of(cls, folder: Path, files: SecretFiles) -> _Places:
        folder = files.secrets or folder
        named = zip(SYMMETRIC, (files.pepper_file, files.id_key_file, files.ticket_key_file), strict=True)
        given = {name: path for name, path in named if path is not None}
        return cls(folder, given, files.pass_keys, files.contact_keys or folder / CONTACT_KEYS)

    @property
    def are_all_given(self) -> bool:
        """Whether nothing is left that would stand in the folder."""
        outside = self.folder not in self.contact_keys.parents
        return len(self.given) == len(SYMMETRIC) and self.given_pass_keys is not None and outside

    @property
    def pass_keys(self) -> Path:
        return self.given_pass_keys or self.folder / PASS_KEYS


NONE_NAMED = SecretFiles()


class Secrets:
    """All secrets, loaded. Shown or printed it tells key ids only."""

    __slots__ = ("_pass_keys", "_places", "_symmetric")

    def __init__(self, places: _Places, symmetric: dict[str, bytes], pass_keys: list[Ed25519PrivateKey]) -> None:
        self._places = places
        self._symmetric = symmetric
        self._pass_keys = pass_keys

    @classmethod
    def load(cls, folder: Path, files: SecretFiles = NONE_NAMED) -> Secrets:
        """Reads those of a folder, or those that settings name instead.

        Raises SecretMissing, SecretNotBrought, SecretUnreadable, OthersCanRead, OthersCanChange, NotPrivateMaterial.
        """
        places = _Places.of(folder, files)
        symmetric = {
            name: _symmetric_key(places.given[name], read_mounted)
            if name in places.given
            else _symmetric_key(places.folder / name, read_private)
            for name in SYMMETRIC
        }
        return cls(places, symmetric, _pass_keys(places))

    @classmethod
    def create(cls, folder: Path, files: SecretFiles = NONE_NAMED) -> Secrets:
        """Makes those that are missing and that no setting names, and reads them all.

        Of two processes that do so at once, both get the same. Raises what `load` raises.
        """
        places = _Places.of(folder, files)
        if not places.are_all_given:
            make_private_folder(places.folder)
        for name in SYMMETRIC:
            if name not in places.given and not (places.folder / name).exists():
                create_private(places.folder / name, base64.b64encode(os.urandom(KEY_BYTES)) + b"\n")
        if places.given_pass_keys is None and not any(places.pass_keys.glob("*.pem")):
            create_private(places.pass_keys / FIRST_PASS_KEY, _new_signing_key())
        make_private_folder(places.contact_keys)
        return cls.load(folder, files)

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
        return self._places.contact_keys

    def pass_signer(self) -> PassSigner:
        """Signs with the newest key."""
        return PassSigner(self._pass_keys[-1])

    def pass_verifier(self) -> PassVerifier:
        """Accepts the passes of every key that is still in the folder."""
        return PassVerifier([key.public_key().public_bytes_raw() for key in self._pass_keys])

    def rotate_pass_key(self) -> Secrets:
        """Adds a newer signing key; passes already given out stay valid until their key's file is deleted.

        Raises PassKeysGiven.
        """
        folder = self._places.pass_keys
        stems = [name.stem for name in folder.glob("*.pem")]
        if self._places.given_pass_keys is not None or not all(stem.isdecimal() for stem in stems):
            raise PassKeysGiven(folder=folder)
        create_private(folder / f"{max(map(int, stems)) + 1:04d}.pem", _new_signing_key())
        return self.with_pass_keys_of_now()

    def with_pass_keys_of_now(self) -> Secrets:
        """The same with the pass keys that are there now. Raises what `load` raises."""
        return Secrets(self._places, self._symmetric, _pass_keys(self._places))

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


Read = Callable[[Path], bytes]


def _pass_keys(places: _Places) -> list[Ed25519PrivateKey]:
    """Oldest first."""
    names = sorted(places.pass_keys.glob("*.pem"))
    read = read_mounted if places.given_pass_keys else read_private
    if not names:
        names = [places.pass_keys / FIRST_PASS_KEY]  # which is told to be missing
    return [_signing_key(name, read) for name in names]


def _symmetric_key(path: Path, read: Read) -> bytes:
    try:
        key = binascii.a2b_base64(_content(path, read).strip(), strict_mode=True)
    except binascii.Error as error:
        raise SecretUnreadable(path=path, expected=f"{KEY_BYTES} bytes in base64") from error
    if len(key) != KEY_BYTES:
        raise SecretUnreadable(path=path, expected=f"{KEY_BYTES} bytes in base64")
    return key


def _signing_key(path: Path, read: Read) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(_content(path, read), password=None)
    except (ValueError, TypeError) as error:
        raise SecretUnreadable(path=path, expected="an Ed25519 private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SecretUnreadable(path=path, expected="an Ed25519 private key in PEM")
    return key


def _content(path: Path, read: Read) -> bytes:
    try:
        return read(path)
    except FileNotFoundError as error:
        raise (SecretNotBrought if read is read_mounted else SecretMissing)(path=path) from error


def _new_signing_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
