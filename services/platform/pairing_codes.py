"""Pairing codes: what the ops team reads out to a pharmacy once, so that a terminal there can be paired.

    02-7KQ4-X9MT

The first digits name the partition; the rest are 40 bits in Crockford's base 32, which has no I, L, O or U to mistake.
A code is made from its invitation's id under the id key: a repeated invitation shows the same code, and nothing has to
remember it. The log knows it by a keyed digest only, so nobody who reads log or Redis can pair a terminal.
"""

from __future__ import annotations

from services.platform.crypto import from_base64url
from services.platform.identities import Identities

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARACTERS = 8
MAX_TYPED_CHARACTERS = 40
_MISTAKEN = str.maketrans("OIL", "011", "- \t")


def new_pairing_code(identities: Identities, partition: int, command_id: str) -> str:
    """The code of an invitation; the same for the same command."""
    digest = from_base64url(identities.command_id("pairing code", command_id, ""))
    number = int.from_bytes(digest[:5], "big")
    letters = "".join(ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))
    return _written(f"{partition:02d}", letters)


def canonical_pairing_code(typed: str) -> str | None:
    """The code as it was given out, from what a person typed; None where it is none."""
    if len(typed) > MAX_TYPED_CHARACTERS:
        return None
    text = typed.upper().translate(_MISTAKEN)
    partition, letters = text[:-CODE_CHARACTERS], text[-CODE_CHARACTERS:]
    if len(partition) != 2 or not (partition.isascii() and partition.isdigit()):
        return None
    return _written(partition, letters) if all(letter in ALPHABET for letter in letters) else None


def partition_of_code(code: str) -> int:
    """The partition that a canonical code names; it may be one that this log does not have."""
    return int(code[:2])


def pairing_code_digest(identities: Identities, code: str) -> str:
    """16 characters: what the log knows a canonical code by."""
    return identities.command_id("pairing code digest", code, "")


def _written(partition: str, letters: str) -> str:
    return f"{partition}-{letters[:4]}-{letters[4:]}"
