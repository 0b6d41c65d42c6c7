"""The waiting room without a script: a form that joins it, and a page that looks again by itself."""

import secrets
from typing import Final

from services.front_door.campaigns import Offered
from services.front_door.messages import Draw, TicketStanding
from services.front_door.pages.booking_form import NONCE_BYTES, about_data, document_types
from services.front_door.pages.markup import NOTHING, Html, facts, fill, safe
from services.front_door.pages.visit import Visit
from services.platform.problems import Problem, word_of
from services.platform.texts import text_of

TICKET_COOKIE: Final = "maskline-ticket-{no}"
KEPT_S: Final = 86_400


def path(offered: Offered) -> str:
    """Where somebody waits."""
    return f"/campaigns/{offered.name}/wait"


def cookie_name(offered: Offered) -> str:
    """Of the ticket that a browser keeps for a campaign."""
    return TICKET_COOKIE.format(no=f"{offered.partition}-{offered.no}")


def cookie(offered: Offered, ticket: str) -> bytes:
    """The header line that has a browser keep a ticket; none: forget it. Whoever comes by a link brings it along."""
    attributes = f"Path=/campaigns/{offered.name}; Max-Age={KEPT_S if ticket else 0}; HttpOnly; SameSite=Lax"
    return f"Set-Cookie: {cookie_name(offered)}={ticket}; {attributes}\r\n".encode("ascii")


def link(visit: Visit, offered: Offered) -> Html:
    """On the campaign's page, while people wait."""
    words, url = visit.words, safe(visit.url(path(offered)))
    button = f'<p><a class="button" href="{url}">{safe(words["room_enter"])}</a></p>'
    return Html(f'<section class="panel"><p>{safe(words["room_why"])}</p>{button}</section>')


def form(visit: Visit, offered: Offered, problem: Problem | None, number: str = "", kind: str = "") -> Html:
    """The form that joins, as it came back where it was refused."""
    message = NOTHING
    if problem is not None:
        text = text_of(word_of(problem.reason), visit.spoken, problem.members)
        message = fill("message", {}, title=text.title, detail=text.detail)
    return fill(
        "room_form",
        visit.words,
        message=message,
        action=visit.url(path(offered)),
        nonce=secrets.token_urlsafe(NONCE_BYTES),
        data=about_data(visit, offered),
        document_types=document_types(visit, offered, kind),
        number_value=number,
    )


def show(visit: Visit, offered: Offered, standing: TicketStanding) -> Html:
    """Where a ticket stands, and what to do."""
    words = visit.words
    state = "early" if standing.state == "waiting" and standing.ahead is None else standing.state
    campaign, again = visit.url(f"/campaigns/{offered.name}"), visit.url(path(offered))
    is_over = standing.state != "waiting"
    return fill(
        "room",
        {},
        heading=words[f"room_{state}_title"],
        place=_place(visit, standing),
        detail=words[f"room_{state}_detail"],
        gone=Html(f'<p class="wrong">{safe(words["room_gone"])}</p>') if standing.probably_gone else NOTHING,
        kind="" if is_over else " second",
        next_url=campaign if is_over else again,
        next_step=words["room_go"] if standing.state == "admitted" else words["reload" if not is_over else "look"],
        draw=NOTHING if standing.draw is None else _draw(visit, standing.draw),
    )


def _place(visit: Visit, standing: TicketStanding) -> Html:
    if standing.ahead is None or standing.state != "waiting":
        return NOTHING
    words = visit.words
    if standing.estimate_s is None:
        when = words["room_when_unknown"]
    else:
        when = words["room_when"].format(minutes=-(-standing.estimate_s // 60))
    return Html(f'<p class="big">{standing.ahead:,}</p><p>{safe(words["room_ahead"])}</p><p>{safe(when)}</p>')


def _draw(visit: Visit, draw: Draw) -> Html:
    """What it takes to compute one's own place anew."""
    words = visit.words
    rows = [(words["room_commitment"], draw.commitment), (words["room_receipt"], draw.receipt)]
    if draw.seed is not None:
        rows += [(words["room_seed"], draw.seed), (words["room_people"], str(draw.people or 0))]
    return fill("room_draw", words, rows=facts(rows))
