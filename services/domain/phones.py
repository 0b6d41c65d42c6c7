"""Phone numbers: one canonical form, E.164, however people type them.

The same phone must give the same pseudonym (the household rule counts people behind a phone) and must be reachable by
SMS, so a Chinese number has to be a mobile one: eleven digits, the first 1, the second 3 to 9.
"""

import re
import unicodedata

from services.domain.errors import MasklineError

MAX_TYPED_CHARS = 40  # what is longer is refused before anything is done with it

_SEPARATORS = re.compile(r"[\s\-_.()·\u2010-\u2015\u2212\u200b-\u200d\u2060\ufeff]+")
_CHINESE_MOBILE = re.compile(r"(?:(?:\+|00)?86)?0?(1[3-9][0-9]{9})")
_INTERNATIONAL = re.compile(r"(?:\+|00)([1-9][0-9]{7,14})")


class PhoneInvalid(MasklineError):
    """This is no phone number that a message can reach: {what}"""

    # Its values never hold the number: errors end in logs.


def canonical_phone(typed: str) -> str:
    """A phone number as `+` and 8 to 15 digits. Raises PhoneInvalid."""
    if len(typed) > MAX_TYPED_CHARS:
        raise PhoneInvalid(what=f"it has more than {MAX_TYPED_CHARS} characters.")
    if not typed.isascii():
        typed = unicodedata.normalize("NFKC", typed)
    number = _SEPARATORS.sub("", typed)
    mobile = _CHINESE_MOBILE.fullmatch(number)
    if mobile is not None:
        return "+86" + mobile[1]
    foreign = _INTERNATIONAL.fullmatch(number)
    if foreign is None:
        raise PhoneInvalid(
            what="write the 11 digits of a mobile number, or + and the country's code before another one."
        )
    if foreign[1].startswith("86"):
        raise PhoneInvalid(what="a number of +86 has to be a mobile one: 11 digits, beginning with 13 to 19.")
    return "+" + foreign[1]
