"""People for load: documents that pass every check, phones, all different, the same ones for the same seed.

The numbers are made up at random and belong, at most by chance, to somebody: they never leave the machine under test.
"""

import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from services.domain.documents import DocumentType, check_character

# The districts of Guangzhou in resident ids (GB/T 2260).
_DISTRICTS: Final = ("440103", "440104", "440105", "440106", "440111", "440112", "440113", "440114", "440117", "440118")
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MOBILE_PREFIXES: Final = ("135", "136", "137", "138", "139", "150", "151", "158", "159", "186", "188", "189")
_SHARES: Final = (
    (DocumentType.CN_RESIDENT_ID, 90),
    (DocumentType.HK_MACAO_PERMIT, 3),
    (DocumentType.PASSPORT, 3),
    (DocumentType.TAIWAN_PERMIT, 1),
    (DocumentType.CN_RESIDENCE_PERMIT_HMT, 1),
    (DocumentType.FOREIGN_PERMANENT_RESIDENT, 1),
    (DocumentType.MILITARY_ID, 1),
)
"""Per cent of residents with each kind of document: about a city's, most people have the usual one."""


class Resident(NamedTuple):
    """Somebody who wants masks."""

    document_type: DocumentType
    document_number: str
    phone: str


def residents(count: int, seed: int) -> Iterator[Resident]:
    """`count` different people, with different documents and different phones."""
    chance = random.Random(seed)
    kinds = [kind for kind, _ in _SHARES]
    weights = [share for _, share in _SHARES]
    documents: set[str] = set()
    phones: set[str] = set()
    for kind in chance.choices(kinds, weights, k=count):
        number = _unlike(documents, _NUMBERS[kind], chance)
        yield Resident(kind, number, _unlike(phones, _phone, chance))


def _unlike(known: set[str], make: Callable[[random.Random], str], chance: random.Random) -> str:
    """A new one; what is made anew is so seldom known that this ends at once."""
    while (made := make(chance)) in known:
        pass
    known.add(made)
    return made


def _phone(chance: random.Random) -> str:
    return f"+86{chance.choice(_MOBILE_PREFIXES)}{_digits(chance, 8)}"


def _checked_number(place: str, chance: random.Random) -> str:
    month = chance.randrange(12)
    day = 1 + chance.randrange(_MONTH_DAYS[month])
    year = chance.randrange(1930, 2012)
    body = f"{place}{year}{month + 1:02d}{day:02d}{chance.randrange(1000):03d}"
    return body + check_character(body)


def _digits(chance: random.Random, count: int) -> str:
    return f"{chance.randrange(10**count):0{count}d}"


_NUMBERS: Final[dict[DocumentType, Callable[[random.Random], str]]] = {
    DocumentType.CN_RESIDENT_ID: lambda chance: _checked_number(chance.choice(_DISTRICTS), chance),
    DocumentType.HK_MACAO_PERMIT: lambda chance: chance.choice("HM") + _digits(chance, 8),
    DocumentType.PASSPORT: lambda chance: chance.choice("EGP") + _digits(chance, 8),
    DocumentType.TAIWAN_PERMIT: lambda chance: _digits(chance, 8),
    DocumentType.CN_RESIDENCE_PERMIT_HMT: lambda chance: _checked_number(
        chance.choice(("810000", "820000", "830000")), chance
    ),
    DocumentType.FOREIGN_PERMANENT_RESIDENT: lambda chance: _checked_number("9" + _digits(chance, 5), chance),
    DocumentType.MILITARY_ID: lambda chance: f"军字第{_digits(chance, 7)}号",
}
