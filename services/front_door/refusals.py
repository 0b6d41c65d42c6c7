"""No, in words: what cannot be written to the log, what the fold refused, and what there is no room for now."""

import random
import time
from functools import cache
from typing import Any, Final

from services.domain.documents import DocumentInvalid
from services.domain.phones import PhoneInvalid
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import Facts
from services.domain.rules.answers import Fact
from services.front_door.campaigns import Offered
from services.front_door.messages import Reservation
from services.front_door.words import words
from services.platform.http_answers import Answer, retry_after
from services.platform.languages import Language
from services.platform.metrics import REFUSED_BEFORE_LOG
from services.platform.problems import Problem, problem_answer, word_of

RETRY_AFTER_S: Final = (1, 2, 3)
"""One of these by chance: people who were refused together should not come back together."""
NOT_ANY_MORE: Final = {
    "waitlisted": Reason.NOT_CONFIRMED,
    "rejected": Reason.NOT_CONFIRMED,
    "cancelled": Reason.CANCELLED,
    "picked_up": Reason.ALREADY_PICKED_UP,
    "expired": Reason.EXPIRED,
}
"""Why there is nothing to show or to change in a reservation of this state."""
AT_ONCE_S: Final = 0.1
"""A wait that ended with so little left was held to its end: who asks again at once is held again."""


def counted(problem: Problem) -> Problem:
    """A wish that is refused without a record, in the numbers; one that is unknown may have a record."""
    if problem.reason is not DoorReason.UNKNOWN_OUTCOME:
        REFUSED_BEFORE_LOG.add(word_of(problem.reason))
    return problem


def of_input(error: DocumentInvalid | PhoneInvalid, campaign: Offered, spoken: Language) -> Problem:
    """A document number or a phone that cannot be one, with what was noticed."""
    if isinstance(error, PhoneInvalid):
        return Problem(DoorReason.PHONE_INVALID, field="phone", expected=words(spoken)["phone_form"])
    return Problem(
        DoorReason.DOCUMENT_INVALID,
        how_to_appeal=campaign.how_to_appeal,
        field="resident.document_number",
        expected=words(spoken)[f"document_{error.problem}"],
        problem=str(error.problem),
    )


def of_reservation(reservation: Reservation, campaign: Offered, **known: Any) -> Problem:
    """A refused reservation as the answer to its own request, with what its reason needs and what is `known` of it."""
    told = ("id", "state", "campaign", "slot", "left", "from_day")
    members: dict[str, Any] = {name: getattr(reservation, name) for name in told}
    members |= about(reservation.reason, campaign) | known
    return Problem(
        reservation.reason or DoorReason.INTERNAL,
        how_to_appeal=campaign.how_to_appeal,
        **{name: value for name, value in members.items() if value is not None},
    )


def of_owner(reason: Reason, **members: Any) -> Problem:
    """What the owner of a reservation asked for and cannot have, in words for the owner."""
    return Problem(reason, reader="owner", **members)


def of_change(reason: Reason, facts: Facts, reservation: Reservation) -> Problem:
    """A cancel or a change that was refused; the reservation stands as it is told here."""
    if reason == Reason.NOT_CONFIRMED:  # what it is instead says more
        reason = not_any_more(reservation) or reason
    first = facts[0]
    left = first[2] if reason == Reason.SLOT_FULL and first[0] == Fact.REFUSED else None
    members: dict[str, Any] = {name: getattr(reservation, name) for name in ("id", "state", "campaign", "slot")}
    return of_owner(reason, **{name: value for name, value in (members | {"left": left}).items() if value is not None})


def not_any_more(reservation: Reservation) -> Reason | None:
    """Why there is nothing to show or to change in it; None where there is."""
    if reservation.state == "cancelled" and reservation.reason == Reason.SLOT_WITHDRAWN.word:
        return Reason.SLOT_WITHDRAWN
    return NOT_ANY_MORE.get(reservation.state)


def about(reason: str | None, campaign: Offered) -> dict[str, Any]:
    """What the text of a reason says about the campaign."""
    if reason == Reason.UNITS_OVER_LIMIT.word:
        return {"units_max": campaign.definition.rules.units_max}
    if reason == Reason.HOUSEHOLD_LIMIT.word:
        return {"household_max": campaign.definition.rules.household_max}
    if reason == Reason.NOT_OPEN.word:
        return {"opens_at": campaign.next_opening(int(time.time() * 1000))}
    return {}


def come_back(until_s: float) -> bytes:
    """The header line of an answer that leaves a wish open: when to ask again, where it comes before its wait is over
    (`until_s`, monotonic). Whoever could not be held, or while Redis does not tell, must not ask in a circle."""
    if time.monotonic() + AT_ONCE_S >= until_s:
        return b""
    return retry_after(random.choice(RETRY_AFTER_S))  # noqa: S311 -- spreads people, protects nothing


def busy(spoken: Language) -> Answer:
    """503 `overloaded` with a time to come back, made beforehand: a refusal has to cost next to nothing."""
    REFUSED_BEFORE_LOG.add(DoorReason.OVERLOADED)
    return _busy(spoken, random.choice(RETRY_AFTER_S))  # noqa: S311 -- spreads people, protects nothing


@cache
def _busy(spoken: Language, seconds: int) -> Answer:
    return problem_answer(DoorReason.OVERLOADED, spoken, headers=retry_after(seconds))
