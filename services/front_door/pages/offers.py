"""What is on offer: the campaigns, and one of them with its rules and the times to choose from."""

from typing import Final

from services.domain.rows import Phase
from services.domain.stock import Band
from services.front_door.campaigns import Offered
from services.front_door.pages import rules, times
from services.front_door.pages.markup import Html, fill, joined, safe
from services.front_door.pages.shelf import Choice, Shelf, can_wait, lay_out, time_and_band
from services.front_door.pages.visit import FIRST, Visit
from services.front_door.stock import Reading

WAITING: Final = "waiting"
"""Beside the bands: nothing is left, and one can wait for what comes free."""


def home(visit: Visit, on_offer: list[tuple[Offered, Phase]]) -> Html:
    """All campaigns."""
    cards = [
        fill(
            "campaign_card",
            visit.words,
            title=visit.title(offered.definition),
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


def campaign(
    visit: Visit, offered: Offered, phase: Phase, stock: Reading, choice: Choice, *, is_first: bool = False
) -> Html:
    """One campaign with the pharmacies of a day; for somebody who may book before others, `is_first`."""

    def slot(name: str) -> Html:
        kind = _reserved(stock, name) if is_first and phase is not Phase.PAUSED else ""
        return _link(visit, offered, name, kind) if kind else _slot(visit, offered, phase, stock, name)

    return fill(
        "campaign",
        visit.words,
        title=visit.title(offered.definition),
        badge=badge(visit, phase),
        window_list=windows(visit, offered),
        rules=joined(Html(f"<li>{safe(sentence)}</li>") for sentence in rules.sentences(offered, visit.words)),
        shelf=lay_out(Shelf(visit, offered, f"/campaigns/{offered.name}", slot), stock, choice),
    )


def _slot(visit: Visit, offered: Offered, phase: Phase, stock: Reading, slot: str) -> Html:
    """A time that leads to its form while one can book it, or wait for it."""
    band = stock.bands.get(slot, Band.NONE)
    kind = WAITING if can_wait(stock, slot) else str(band)
    inner = time_and_band(visit, offered, slot, kind)
    if phase is not Phase.OPEN or kind == Band.NONE:
        return Html(f'<span class="slot {band}">{inner}</span>')
    return _link(visit, offered, slot, kind)


def _reserved(stock: Reading, slot: str) -> str:
    """The kind of a time that has something set aside for those who lost a place; empty where it has not."""
    return FIRST if slot in stock.reserved else ""


def _link(visit: Visit, offered: Offered, slot: str, kind: str) -> Html:
    url = safe(visit.url(f"/campaigns/{offered.name}/slots/{slot}"))
    return Html(f'<a class="slot {kind}" href="{url}">{time_and_band(visit, offered, slot, kind)}</a>')
