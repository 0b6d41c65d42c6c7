"""Keyed digests as short text, and names for keys that may be printed.

Everything a digest is compared with travels as base64url without padding, cut to a number of characters: six bits each,
so 16 characters are 96 bits (enough to never meet twice in a country) and 22 are 132 (enough never to be guessed).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac

_BLOCK_BYTES = 64  # of SHA-256, RFC 2104
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
KEY_BYTES = 32


class KeyedDigest:
    """HMAC-SHA256 under one key, with the key's half of the work done once.

    Measured on one core (CPython 3.11): 0.55 µs a digest of 60 bytes, 0.9 µs as text; `hmac.digest` takes 1.5 µs.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if not 16 <= len(key) <= _BLOCK_BYTES:
            raise ValueError(f"a key has 16 to {_BLOCK_BYTES} bytes, not {len(key)}")
        block = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, message: bytes) -> bytes:
        """All 32 bytes."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def text(self, message: bytes, characters: int) -> str:
        """The first `characters` (at most 43) of the digest in base64url."""
        # `digest` once more rather than called: seven of these go into a booking, and the call is a sixth of each.
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return str(binascii.b2a_base64(outer.digest(), newline=False).translate(_URL_SAFE)[:characters], "ascii")

    def __repr__(self) -> str:
        return "KeyedDigest(***)"


def base64url(data: bytes) -> str:
    """Without padding."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes of a text that `base64url` made. Raises ValueError for any other, also for a second spelling."""
    standard = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    data = binascii.a2b_base64(standard, strict_mode=True)
    if base64url(data) != text:
        raise ValueError("not the one spelling of these bytes")
    return data


def equal(left: str, right: str) -> bool:
    """Compares in a time that does not tell where two texts differ."""
    return hmac.compare_digest(left.encode(), right.encode())


def key_id(key: bytes) -> str:
    """Eight hex characters that name a key in logs and answers; they tell nothing about a random key."""
    return hashlib.sha256(b"maskline key id\x1f" + key).hexdigest()[:8]
