"""Another time for the same booking: times to choose from, each of which is a button."""

import secrets
from typing import Final

from services.domain.rows import Phase
from services.domain.stock import Band
from services.front_door.campaigns import Offered
from services.front_door.messages import Reservation
from services.front_door.pages import times
from services.front_door.pages.booking_form import NONCE_BYTES
from services.front_door.pages.markup import Html, facts, fill, safe
from services.front_door.pages.shelf import Choice, Shelf, lay_out, time_and_band
from services.front_door.pages.visit import Visit
from services.front_door.stock import Reading

CHANGEABLE: Final = ("confirmed", "waitlisted")


def is_offered(reservation: Reservation, offered: Offered | None, now_ms: int) -> bool:
    """Whether a reservation may be moved to another time now, as far as its own time goes."""
    if offered is None or reservation.slot is None or reservation.state not in CHANGEABLE or len(offered.slots) < 2:
        return False
    return now_ms < offered.slots[reservation.slot].change_until_ms


def show(
    visit: Visit,
    reservation: Reservation,
    offered: Offered,
    phase: Phase,
    stock: Reading,
    choice: Choice,
    now_ms: int,
) -> Html:
    """The page; `reservation` is one that `is_offered`."""
    words = visit.words
    here = offered.slots[reservation.slot or ""]
    path = f"/reservations/{reservation.id}/change"

    def slot(name: str) -> Html:
        """A button where there is something left to change to; a waiting list is for new bookings."""
        band = stock.bands.get(name, Band.NONE)
        inner = time_and_band(visit, offered, name, band)
        over = offered.slots[name].ends_ms <= now_ms or phase is Phase.PAUSED
        if over or band is Band.NONE or name == reservation.slot:
            return Html(f'<span class="slot {band}">{inner}</span>')
        return Html(f'<button class="slot {band}" name="slot" value="{safe(name)}">{inner}</button>')

    def form(cards: Html) -> Html:
        return fill(
            "change_form", {}, action=visit.url(path), nonce=secrets.token_urlsafe(NONCE_BYTES), cards=cards
        )

    return fill(
        "change",
        words,
        rows=facts(
            (
                (words["when"], times.when(here.starts_ms, here.ends_ms, offered.where, words)),
                (words["pharmacy"], offered.pharmacies[here.pharmacy].name),
                (words["units"], reservation.units),
            )
        ),
        back_url=visit.url(f"/reservations/{reservation.id}"),
        shelf=lay_out(Shelf(visit, offered, path, slot, form), stock, choice),
    )
