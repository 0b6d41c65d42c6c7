"""Identity documents: one canonical form for each number, so that one person is one resident however they type it.

`canonical` accepts what people type or paste (full-width digits, spaces, hyphens, a small x) and returns the form that
the pseudonym is made of. It tells a slip of the finger from a number that can be right; it proves nothing about who
somebody is. Where a number carries a count of renewals, the count is left out: a renewed permit is not a new person.

Sources, by type:
- cn_resident_id: GB 11643-1999, six digits of place, eight of birth date, three of sequence, a check character after
  ISO 7064 MOD 11-2. The place is not looked up: codes come and go, and a list that is behind refuses real people.
- cn_residence_permit_hmt: the same form since 2018 (State Council, Guo Ban Fa [2018] 81), place 810000 (Hong Kong),
  820000 (Macao) or 830000 (Taiwan).
- hk_macao_permit: Ministry of Public Security, 10 March 2010: H or M, eight digits for life, two of renewals (on cards
  since 2013 the count stands apart from the number).
- taiwan_permit: eight digits for life (the number of the cards since 2015); booklets before added two digits of
  renewals and a letter of the issuing office, often in brackets.
- foreign_permanent_resident: 15 characters until 2023 (nationality by three letters, then twelve digits), then 18
  digits: 9, two of place, three of nationality, eight of birth date, three of sequence, a check character (MOD 11-2).
- passport: ICAO Doc 9303 part 4, letters and digits, nine at most in the machine-readable zone; some states print
  longer ones beside it, so twelve are accepted.
- military_id: one to three characters of the issuing arm, 字第, four to eight digits, 号 (as in 军字第1234567号).
"""

import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum

from services.domain.errors import MasklineError

MAX_TYPED_CHARS = 64  # what is longer is refused before anything is done with it
LAST_CHARS = 4


class DocumentType(StrEnum):
    """The kinds of document of API.md."""

    CN_RESIDENT_ID = "cn_resident_id"
    HK_MACAO_PERMIT = "hk_macao_permit"
    TAIWAN_PERMIT = "taiwan_permit"
    CN_RESIDENCE_PERMIT_HMT = "cn_residence_permit_hmt"
    FOREIGN_PERMANENT_RESIDENT = "foreign_permanent_resident"
    PASSPORT = "passport"
    MILITARY_ID = "military_id"


class DocumentProblem(StrEnum):
    """What is wrong with a number, for texts in other languages."""

    TOO_LONG = "too_long"
    LENGTH = "length"
    CHARACTERS = "characters"
    DATE = "date"
    CHECKSUM = "checksum"
    PLACE = "place"
    OLD_NUMBER = "old_number"
    FORMAT = "format"


class DocumentInvalid(MasklineError):
    """This cannot be the number of such a document: {what}"""

    # Neither the message nor the values hold the number: errors end in logs.

    @property
    def problem(self) -> DocumentProblem:
        """The same in one word."""
        return DocumentProblem(self.values["problem"])


def canonical(document_type: DocumentType, typed: str) -> str:
    """The one form of a document number: capital letters and ASCII digits (and the arm's characters of a military id).

    Raises DocumentInvalid when no such document has such a number.
    """
    return _RULES[document_type](_cleaned(typed))


def last4(number: str) -> str:
    """The last four characters of a canonical number: what a resident tells at the counter."""
    return number[-LAST_CHARS:]


def last_digit(number: str) -> int:
    """The digit that staggered campaigns go by: the last character of a canonical number, a letter counting as 0."""
    return int(number[-1]) if number[-1].isdecimal() else 0


def birth_year(document_type: DocumentType, number: str) -> int | None:
    """The year of birth that a canonical number tells, None where it tells none."""
    return int(number[6:10]) if document_type in _DATED and len(number) == CHECKED_CHARS else None


# ---------------------------------------------------------------------------------------------------- cleaning

# Spaces and hyphens of every kind, and the marks without width that come along when text is copied from a chat.
_SEPARATORS = re.compile(r"[\s\-_.·\u2010-\u2015\u2212\uff0d\u200b-\u200d\u2060\ufeff]+")


def _cleaned(typed: str) -> str:
    if len(typed) > MAX_TYPED_CHARS:
        raise DocumentInvalid(problem=DocumentProblem.TOO_LONG, what=f"it has more than {MAX_TYPED_CHARS} characters.")
    if typed.isascii() and typed.isalnum():
        return typed.upper()
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", typed)).upper()


# ---------------------------------------------------------------------------------- numbers with a check character

CHECKED_CHARS = 18
OLD_CHARS = 15
# A century and a half: no clock is asked, so that the same number is right or wrong on every machine.
FIRST_BIRTH_YEAR, LAST_BIRTH_YEAR = 1880, 2099
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS = frozenset(f"{m:02d}{d:02d}" for m, days in enumerate(_DAYS_IN_MONTH, 1) for d in range(1, days + 1))
_CHECK_CHARACTERS = "10X98765432"
_HMT_PLACES = ("810000", "820000", "830000")


def check_character(body: str) -> str:
    """The ISO 7064 MOD 11-2 check character of a string of digits.

    The weights are powers of two modulo 11, and 13 is 2 modulo 11: read in base 13 the digits are weighted by C code.
    """
    return _CHECK_CHARACTERS[int(body, 13) * 2 % 11]


def _checked(number: str) -> str:
    """A number of 17 digits and a check character, with a date at place 6. Raises DocumentInvalid."""
    body = number[:-1]
    if len(number) != CHECKED_CHARS:
        raise DocumentInvalid(
            problem=DocumentProblem.LENGTH, what=f"it has {len(number)} characters, not {CHECKED_CHARS}."
        )
    if not (number.isascii() and body.isdecimal() and (number[-1].isdecimal() or number[-1] == "X")):
        raise DocumentInvalid(
            problem=DocumentProblem.CHARACTERS, what="it is made of digits; only its last character may be X."
        )
    year, day = int(number[6:10]), number[10:14]
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not FIRST_BIRTH_YEAR <= year <= LAST_BIRTH_YEAR or day not in _DAYS or (day == "0229" and not leap):
        raise DocumentInvalid(problem=DocumentProblem.DATE, what="its 7th to 14th digits are no date of birth.")
    if check_character(body) != number[-1]:
        raise DocumentInvalid(
            problem=DocumentProblem.CHECKSUM, what="its last character does not fit the others; look for a typo."
        )
    return number


def _resident_id(number: str) -> str:
    if len(number) == OLD_CHARS and number.isascii() and number.isdecimal():
        raise DocumentInvalid(
            problem=DocumentProblem.OLD_NUMBER,
            what="numbers of 15 digits ended in 2013; give the 18 characters on the card of today.",
        )
    return _checked(number)


def _residence_permit(number: str) -> str:
    _checked(number)
    if not number.startswith(_HMT_PLACES):
        raise DocumentInvalid(problem=DocumentProblem.PLACE, what="it begins with 810000, 820000 or 830000.")
    return number


# ------------------------------------------------------------------------------------------------ other numbers


def _one_of(pattern: str, form: str) -> Callable[[str], str]:
    """A rule from a regular expression: what its groups hold is the canonical number; `form` says it in words."""
    expression = re.compile(pattern, re.ASCII)

    def rule(number: str) -> str:
        match = expression.fullmatch(number)
        if match is None:
            raise DocumentInvalid(problem=DocumentProblem.FORMAT, what=form)
        return "".join(match.groups())

    return rule


_hk_macao_permit = _one_of(r"([HM]\d{8})(?:\d{2})?", "it is H or M and eight digits (ten with the count of renewals).")
_taiwan_permit = _one_of(
    r"(\d{8})(?:\d{2}(?:[A-Z]|\([A-Z]\))?)?", "it is eight digits (older booklets: ten, then a letter)."
)
_passport = _one_of(r"(?=.*\d)([A-Z0-9]{5,12})", "it is 5 to 12 letters and digits, with at least one digit.")
_old_permanent_resident = _one_of(
    r"([A-Z]{3}\d{12})", "it is 18 digits, or on older cards three letters and 12 digits."
)
_military_id = _one_of(
    r"([\u4e00-\u9fff]{1,3})字第?(\d{4,8})号?", "write it as it is printed, for example 军字第1234567号."
)


def _permanent_resident(number: str) -> str:
    if len(number) != CHECKED_CHARS:
        return _old_permanent_resident(number)
    _checked(number)
    if not number.startswith("9"):
        raise DocumentInvalid(problem=DocumentProblem.PLACE, what="a number of 18 characters begins with 9.")
    return number


def _simplified_military_id(number: str) -> str:
    return _military_id(number.replace("軍", "军").replace("號", "号"))


_DATED = frozenset(
    {DocumentType.CN_RESIDENT_ID, DocumentType.CN_RESIDENCE_PERMIT_HMT, DocumentType.FOREIGN_PERMANENT_RESIDENT}
)
_RULES: dict[DocumentType, Callable[[str], str]] = {
    DocumentType.CN_RESIDENT_ID: _resident_id,
    DocumentType.HK_MACAO_PERMIT: _hk_macao_permit,
    DocumentType.TAIWAN_PERMIT: _taiwan_permit,
    DocumentType.CN_RESIDENCE_PERMIT_HMT: _residence_permit,
    DocumentType.FOREIGN_PERMANENT_RESIDENT: _permanent_resident,
    DocumentType.PASSPORT: _passport,
    DocumentType.MILITARY_ID: _simplified_military_id,
}
