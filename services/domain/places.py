"""Places in a waiting room, from what a ticket says and what the log says: everybody can compute their own anew.

    printf %s RECEIPT | openssl dgst -sha256 -mac HMAC -macopt hexkey:SEED    # the first 16 hex digits are the number

Who was there before the opening has a number that the seed draws, spread over as many places as there were people. Two
may share a place: it is estimated, like the count. Who came later stands behind all of them, in order of arrival.
"""

import hashlib
import hmac
from typing import Final

NUMBER_BITS: Final = 64


def commitment_of(seed: str) -> str:
    """What stands in the log before anybody has a ticket: SHA-256 of the seed's 32 bytes. Both in hex."""
    return hashlib.sha256(bytes.fromhex(seed)).hexdigest()


def early_place(seed: str, receipt: str, people: int) -> int:
    """The place, from 0 to `people` - 1, of a ticket that was there before the opening among so many."""
    drawn = hmac.digest(bytes.fromhex(seed), receipt.encode(), "sha256")
    number = int.from_bytes(drawn[: NUMBER_BITS // 8])
    return number * people >> NUMBER_BITS


def late_place(people: int, number: int) -> int:
    """The place of somebody who came after the opening, with a number of their own, behind so many."""
    return people + number
