"""What is on offer: the campaigns, and the pharmacies of one with their times and what is left."""

from collections import defaultdict
from functools import lru_cache
from typing import Final, NamedTuple

from services.domain.rows import PharmacyRow, Phase
from services.domain.stock import Band
from services.front_door.campaigns import Offered
from services.front_door.pages import rules, times
from services.front_door.pages.markup import NOTHING, Html, fill, joined, safe
from services.front_door.pages.visit import Visit
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


def home(visit: Visit, on_offer: list[tuple[Offered, Phase]]) -> Html:
    """All campaigns."""
    cards = [
        fill(
            "campaign_card",
            visit.words,
            title=visit.title(dict(offered.definition.title)),
            badge=badge(visit, phase),
            window_list=windows(visit, offered),
            url=visit.url(f"/campaigns/{offered.name}"),
        )
        for offered, phase in on_offer
    ]
    return joined(cards) if cards else Html(f'<p class="panel">{safe(visit.words["nothing_on_offer"])}</p>')


def badge(visit: Visit, phase: Phase) -> Html:
    """Where a campaign stands."""
    word = phase.name.lower()
    return Html(f'<span class="badge {word}">{safe(visit.words[f"phase_{word}"])}</span>')


def windows(visit: Visit, offered: Offered) -> Html:
    """When residents may book."""
    return joined(
        Html(f"<li>{safe(times.window(window.opens_ms, window.closes_ms, offered.where, visit.words))}</li>")
        for window in offered.definition.windows
    )


def campaign(visit: Visit, offered: Offered, phase: Phase, stock: Reading, choice: Choice) -> Html:
    """One campaign with the pharmacies of a day."""
    words = visit.words
    here = f"/campaigns/{offered.name}"
    found = _found(offered, stock, choice)
    pages = max(1, -(-len(found) // PHARMACIES_A_PAGE))
    number = min(max(1, choice.page), pages)
    shown = found[(number - 1) * PHARMACIES_A_PAGE : number * PHARMACIES_A_PAGE]
    cards = [_pharmacy(visit, offered, phase, stock, pharmacy, slots) for pharmacy, slots in shown]
    return fill(
        "campaign",
        words,
        title=visit.title(dict(offered.definition.title)),
        badge=badge(visit, phase),
        window_list=windows(visit, offered),
        rules=joined(Html(f"<li>{safe(sentence)}</li>") for sentence in rules.sentences(offered, words)),
        action=here,
        kept=_kept(visit, choice),
        q=choice.search,
        day_links=_days(visit, offered, here, choice),
        count=words["found"].format(count=len(found)) if found else words["found_none"],
        fresh=words["as_of"].format(time=stock.as_of[11:19]),
        cards=joined(cards),
        pager=_pager(visit, here, choice, number, pages),
    )


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


def _pharmacy(visit: Visit, offered: Offered, phase: Phase, stock: Reading, row: PharmacyRow, slots: list[str]) -> Html:
    return fill(
        "pharmacy",
        visit.words,
        name=row.name,
        address_line=row.address,
        phone_line=row.phone,
        slots=joined(_slot(visit, offered, phase, stock.bands.get(slot, Band.NONE), slot) for slot in slots),
    )


def _slot(visit: Visit, offered: Offered, phase: Phase, band: Band, slot: str) -> Html:
    row = offered.slots[slot]
    span = times.span(row.starts_ms, row.ends_ms, offered.where)
    inner = Html(f'<strong>{span}</strong><span class="band">{safe(visit.words[f"band_{band}"])}</span>')
    if band is Band.NONE or phase is not Phase.OPEN:
        return Html(f'<li><span class="slot {band}">{inner}</span></li>')
    url = safe(visit.url(f"/campaigns/{offered.name}/slots/{slot}"))
    return Html(f'<li><a class="slot {band}" href="{url}">{inner}</a></li>')


def _days(visit: Visit, offered: Offered, here: str, choice: Choice) -> Html:
    links = []
    for number, (from_ms, _) in index(offered).days.items():
        current = ' aria-current="true"' if number == choice.day else ""
        url = safe(visit.url(here, day=number, q=choice.search))
        links.append(Html(f'<a href="{url}"{current}>{safe(times.day(from_ms, offered.where, visit.words))}</a>'))
    return joined(links)


def _kept(visit: Visit, choice: Choice) -> Html:
    """Hidden fields: a search keeps day and language."""
    fields = {"day": str(choice.day), "lang": visit.chosen}
    return joined(
        Html(f'<input type="hidden" name="{name}" value="{safe(value)}">') for name, value in fields.items() if value
    )


def _pager(visit: Visit, here: str, choice: Choice, number: int, pages: int) -> Html:
    if pages == 1:
        return NOTHING

    def link(word: str, to: int) -> Html:
        if not 1 <= to <= pages:
            return Html("<span></span>")
        url = safe(visit.url(here, day=choice.day, q=choice.search, page=to))
        return Html(f'<a class="button second" href="{url}">{safe(visit.words[word])}</a>')

    said = safe(visit.words["page"].format(number=number, pages=pages))
    return Html(f'<nav class="pager">{link("earlier", number - 1)}<span>{said}</span>{link("later", number + 1)}</nav>')
