"""What became of a booking: its place in line, the pass, or a refusal with what can be done."""

import secrets
import time
from datetime import datetime
from typing import Final

from services.domain.reasons import Reason
from services.front_door import refusals
from services.front_door.campaigns import Offered
from services.front_door.messages import HistoryEntry, Reservation
from services.front_door.pages import change, rules, times
from services.front_door.pages.booking_form import NONCE_BYTES, appeal_contact
from services.front_door.pages.markup import NOTHING, Html, facts, fill, joined, safe
from services.front_door.pages.visit import FIRST, Visit
from services.platform.texts import Text, text_of

LOOK_AGAIN_S: Final = {"pending": 2, "waitlisted": 60}
"""State: seconds after which its page is loaded again; other states change by what their owner does."""


def show(visit: Visit, reservation: Reservation, offered: Offered | None) -> tuple[str, Html]:
    """Title and content of a reservation's page. `offered` is None where its campaign is not known (yet)."""
    words = visit.words
    match reservation.state:
        case "pending":
            return words["pending_title"], _pending(visit, reservation)
        case "rejected":
            return words["refused_title"], _refused(visit, reservation, offered)
    sections = [
        _not_done(visit, reservation),
        _moved(visit, reservation),
        _waiting(visit, reservation, offered) if reservation.state == "waitlisted" else _card(visit, reservation),
        _pass(visit, reservation),
        _where(visit, reservation, offered),
        _change(visit, reservation, offered),
        _again(visit, reservation, offered),
        _cancel(visit, reservation),
        _history(visit, reservation),
    ]
    return words[f"{_state(reservation)}_title"], joined(sections)


def _pending(visit: Visit, reservation: Reservation) -> Html:
    words = visit.words
    if reservation.ahead is None:
        place = Html(f"<p>{safe(words['pending_unknown'])}</p>")
    elif reservation.ahead == 0:
        place = Html(f'<p class="big">{safe(words["pending_next"])}</p>')
    else:
        place = Html(f'<p class="big">{reservation.ahead:,}</p><p>{safe(words["pending_ahead"])}</p>')
    reload = visit.url(visit.path, **visit.query)
    return fill("pending", words, place=place, reload_url=reload)


def _refused(visit: Visit, reservation: Reservation, offered: Offered | None) -> Html:
    words = visit.words
    members = {name: value for name in ("left", "from_day") if (value := getattr(reservation, name)) is not None}
    if offered is not None:
        members |= {name: value for name, value in refusals.about(reservation.reason, offered).items() if value}
    text = text_of(reservation.reason or "internal_error", visit.spoken, members)
    waited = bool(reservation.history) and reservation.history[0].event == "waitlisted"
    if waited and reservation.reason != Reason.SLOT_WITHDRAWN.word:
        text = Text(words["waited_title"], words["waited_detail"])
    sections = [fill("message", {}, title=text.title, detail=text.detail)]
    if offered is not None:
        rule = rules.behind(reservation.reason, offered, words)
        sections.append(Html(f'<p class="panel">{safe(rule)}</p>') if rule else NOTHING)
        url = visit.url(f"/campaigns/{offered.name}")
        sections.append(Html(f'<p><a class="button" href="{safe(url)}">{safe(words["other_time"])}</a></p>'))
        said = words["appeal_detail"].format(contact=appeal_contact(offered.how_to_appeal, words))
        sections.append(fill("appeal", words, said=said))
    return joined(sections)


def _not_done(visit: Visit, reservation: Reservation) -> Html:
    """Why a cancel or a change was refused; what is below stands as it did."""
    if reservation.refused is None:
        return NOTHING
    text = text_of(reservation.refused, visit.spoken, {}, "owner")
    return fill("message", {}, title=text.title, detail=text.detail)


def _waiting(visit: Visit, reservation: Reservation, offered: Offered | None) -> Html:
    """The place in the waiting list, and until when there is hope."""
    words, before = visit.words, reservation.waiting_before
    if before is None:
        place = Html(f"<p>{safe(words['waiting_unknown'])}</p>")
    elif before == 0:
        place = Html(f'<p class="big">{safe(words["waiting_next"])}</p>')
    else:
        place = Html(f'<p class="big">{before:,}</p><p>{safe(words["waiting_before"])}</p>')
    until = "" if offered is None else _until(visit, offered, offered.slots[reservation.slot or ""].promote_until_ms)
    line = words["waiting_until"].format(until=until) if until else ""
    return fill("waiting", words, place=place, until_line=line)


def _until(visit: Visit, offered: Offered, at_ms: int) -> str:
    return times.moment(at_ms, offered.where, visit.words)


def _change(visit: Visit, reservation: Reservation, offered: Offered | None) -> Html:
    """The way to another time, while there is one."""
    if offered is None or not change.is_offered(reservation, offered, int(time.time() * 1000)):
        return NOTHING
    until = _until(visit, offered, offered.slots[reservation.slot or ""].change_until_ms)
    return fill(
        "change_link",
        visit.words,
        url=visit.url(f"/reservations/{reservation.id}/change"),
        until_line=visit.words["change_until"].format(until=until),
    )


def _state(reservation: Reservation) -> str:
    """Its state, or what became of one that was lost and not given back."""
    is_lost = reservation.state == "cancelled" and reservation.reason == Reason.SLOT_WITHDRAWN.word
    return "withdrawn" if is_lost else reservation.state


def _moved(visit: Visit, reservation: Reservation) -> Html:
    """What somebody must not miss who looks at the pass again: its time and place are other ones."""
    events = [entry.event for entry in reservation.history if entry.event in ("moved", "slot_changed")]
    if reservation.state != "confirmed" or events[-1:] != ["moved"]:
        return NOTHING
    return fill("message", {}, title=visit.words["moved_title"], detail=visit.words["moved_detail"])


def _again(visit: Visit, reservation: Reservation, offered: Offered | None) -> Html:
    """Who lost a place is led to the times that are set aside."""
    if offered is None or _state(reservation) != "withdrawn":
        return NOTHING
    url = safe(visit.url(f"/campaigns/{offered.name}", **{FIRST: "1"}))
    return Html(f'<p><a class="button" href="{url}">{safe(visit.words["other_time"])}</a></p>')


def _card(visit: Visit, reservation: Reservation) -> Html:
    state = _state(reservation)
    kind = "good" if state in ("confirmed", "picked_up") else "quiet"
    return fill("state", {}, kind=kind, title=visit.words[f"{state}_title"], detail=visit.words[f"{state}_detail"])


def _pass(visit: Visit, reservation: Reservation) -> Html:
    if reservation.pass_text is None:
        return NOTHING
    code = reservation.short_code or ""
    return fill(
        "pass",
        visit.words,
        picture=f"/v1/reservations/{reservation.id}/pass.svg",
        code=f"{code[:4]} {code[4:]}",
    )


def _where(visit: Visit, reservation: Reservation, offered: Offered | None) -> Html:
    if offered is None or reservation.slot is None:
        return NOTHING
    row = offered.slots[reservation.slot]
    pharmacy = offered.pharmacies[row.pharmacy]
    words = visit.words
    return fill(
        "where",
        words,
        campaign_title=visit.title(offered.definition),
        rows=facts(
            (
                (words["when"], times.when(row.starts_ms, row.ends_ms, offered.where, words)),
                (words["pharmacy"], pharmacy.name),
                (words["address"], pharmacy.address),
                (words["telephone"], pharmacy.phone),
                (words["units"], reservation.units),
            )
        ),
    )


def _cancel(visit: Visit, reservation: Reservation) -> Html:
    if reservation.state not in change.CHANGEABLE:
        return NOTHING
    words, verb = visit.words, "leave" if reservation.state == "waitlisted" else "cancel"
    return fill(
        "cancel",
        {},
        summary=words[verb],
        hint=words[f"{verb}_hint"],
        button=words[f"{verb}_button"],
        action=visit.url(f"/reservations/{reservation.id}/cancel"),
        nonce=secrets.token_urlsafe(NONCE_BYTES),
    )


def _history(visit: Visit, reservation: Reservation) -> Html:
    if len(reservation.history) < 2:
        return NOTHING
    return fill("history", visit.words, lines=joined(_line(visit, entry) for entry in reservation.history))


def _line(visit: Visit, entry: HistoryEntry) -> Html:
    words = visit.words
    moment = datetime.fromisoformat(entry.at)
    reason = "" if entry.reason is None else text_of(entry.reason, visit.spoken, {}).title
    said = words[f"event_{entry.event}"].format(reason=reason)
    by = f" ({words['by_pharmacy']})" if entry.by == "pharmacy" else ""
    return Html(f"<li><time>{moment:%Y-%m-%d %H:%M}</time> {safe(said + by)}</li>")
