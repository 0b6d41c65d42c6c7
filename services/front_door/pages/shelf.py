"""Times laid out to be chosen from: the pharmacies of a day, with a search, page by page.

What a time looks like, and what choosing it does, is the page's own affair.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from services.domain.rows import PharmacyRow
from services.domain.stock import Band
from services.front_door.campaigns import Offered
from services.front_door.pages import times
from services.front_door.pages.markup import NOTHING, Html, fill, joined, safe
from services.front_door.pages.visit import FIRST, Visit
from services.front_door.stock import Reading

PHARMACIES_A_PAGE: Final = 20
MAX_SEARCH_CHARACTERS: Final = 40
MAX_INDEXED: Final = 64


class Choice(NamedTuple):
    """What somebody looks for: a day (YYYYMMDD), words, and a page of the answer."""

    day: int
    search: str
    page: int

    @classmethod
    def of(cls, visit: Visit, offered: Offered, now_ms: int) -> "Choice":
        """From the URL; whatever is missing or wrong is the first day, everything, the first page."""
        days = index(offered).days
        asked = visit.query.get("day", "")
        day = int(asked) if asked.isascii() and asked.isdigit() and len(asked) == 8 else 0
        if day not in days:
            coming = [number for number, (_, to_ms) in days.items() if to_ms > now_ms]
            day = (coming or list(days))[0]
        page = visit.query.get("page", "1")
        return cls(
            day,
            visit.query.get("q", "").strip()[:MAX_SEARCH_CHARACTERS],
            int(page) if page.isascii() and page.isdigit() and len(page) <= 4 else 1,
        )


class Index(NamedTuple):
    """A campaign by day: its boundaries, and pharmacy → slots in the order of their times."""

    days: dict[int, tuple[int, int]]
    slots: dict[int, dict[str, list[str]]]


@lru_cache(maxsize=MAX_INDEXED)
def index(offered: Offered) -> Index:
    """Made once for each campaign."""
    days: dict[int, tuple[int, int]] = {}
    slots: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for _, name in sorted((row.starts_ms, name) for name, row in offered.slots.items()):
        row = offered.slots[name]
        days[row.day] = (row.day_from_ms, row.day_to_ms)
        slots[row.day][row.pharmacy].append(name)
    return Index(days, slots)


class Shelf(NamedTuple):
    """Where times are laid out: on the page at `path`. `slot` is how one looks, `around` what stands around them."""

    visit: Visit
    offered: Offered
    path: str
    slot: Callable[[str], Html]
    around: Callable[[Html], Html] = lambda cards: cards


def lay_out(shelf: Shelf, stock: Reading, choice: Choice) -> Html:
    """The pharmacies of the chosen day, those that have something left first."""
    visit, words = shelf.visit, shelf.visit.words
    found = _found(shelf.offered, stock, choice)
    pages = max(1, -(-len(found) // PHARMACIES_A_PAGE))
    number = min(max(1, choice.page), pages)
    shown = found[(number - 1) * PHARMACIES_A_PAGE : number * PHARMACIES_A_PAGE]
    return fill(
        "shelf",
        words,
        action=shelf.path,
        kept=_kept(visit, choice),
        q=choice.search,
        day_links=_days(shelf, choice),
        count=words["found"].format(count=len(found)) if found else words["found_none"],
        fresh=words["as_of"].format(time=stock.as_of[11:19]),
        cards=shelf.around(joined(_pharmacy(shelf, pharmacy, slots) for pharmacy, slots in shown)),
        pager=_pager(shelf, choice, number, pages),
    )


def time_and_band(visit: Visit, offered: Offered, slot: str, band: str) -> Html:
    """What a time says of itself: from when to when, and how much is left of it."""
    row = offered.slots[slot]
    span = times.span(row.starts_ms, row.ends_ms, offered.where)
    return Html(f'<strong>{span}</strong><span class="band">{safe(visit.words[f"band_{band}"])}</span>')


def can_wait(stock: Reading, slot: str) -> bool:
    """Whether nothing is left of a slot, and its waiting list takes somebody."""
    return stock.bands.get(slot, Band.NONE) is Band.NONE and stock.waiting.get(slot) == "open"


def _found(offered: Offered, stock: Reading, choice: Choice) -> list[tuple[PharmacyRow, list[str]]]:
    """Pharmacies with times on the day, those that have something left first."""
    wanted = choice.search.casefold()
    found = []
    for pharmacy, slots in index(offered).slots[choice.day].items():
        row = offered.pharmacies[pharmacy]
        if not wanted or wanted in f"{row.name} {row.address} {row.id}".casefold():
            found.append((row, slots))

    def is_gone(one: tuple[PharmacyRow, list[str]]) -> bool:
        return all(stock.bands.get(slot, Band.NONE) is Band.NONE for slot in one[1])

    return sorted(found, key=is_gone)


def _pharmacy(shelf: Shelf, row: PharmacyRow, slots: list[str]) -> Html:
    return fill(
        "pharmacy",
        shelf.visit.words,
        name=row.name,
        address_line=row.address,
        phone_line=row.phone,
        slots=joined(Html(f"<li>{shelf.slot(slot)}</li>") for slot in slots),
    )


def _days(shelf: Shelf, choice: Choice) -> Html:
    visit, offered = shelf.visit, shelf.offered
    links = []
    for number, (from_ms, _) in index(offered).days.items():
        current = ' aria-current="true"' if number == choice.day else ""
        url = safe(visit.url(shelf.path, day=number, q=choice.search))
        links.append(Html(f'<a href="{url}"{current}>{safe(times.day(from_ms, offered.where, visit.words))}</a>'))
    return joined(links)


def _kept(visit: Visit, choice: Choice) -> Html:
    """Hidden fields: a search keeps day and language."""
    fields = {"day": str(choice.day), "lang": visit.chosen, FIRST: "1" if visit.comes_first else ""}
    return joined(
        Html(f'<input type="hidden" name="{name}" value="{safe(value)}">') for name, value in fields.items() if value
    )


def _pager(shelf: Shelf, choice: Choice, number: int, pages: int) -> Html:
    if pages == 1:
        return NOTHING
    visit = shelf.visit

    def link(word: str, to: int) -> Html:
        if not 1 <= to <= pages:
            return Html("<span></span>")
        url = safe(visit.url(shelf.path, day=choice.day, q=choice.search, page=to))
        return Html(f'<a class="button second" href="{url}">{safe(visit.words[word])}</a>')

    said = safe(visit.words["page"].format(number=number, pages=pages))
    return Html(f'<nav class="pager">{link("earlier", number - 1)}<span>{said}</span>{link("later", number + 1)}</nav>')
