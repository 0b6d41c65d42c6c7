"""How people behave, as the reports tell it: each life is one person from arriving to leaving."""

from collections.abc import Callable, Mapping
from typing import Final

from loadtests.crowd.visitor import Visitor
from loadtests.scenarios.plan import Life

TAP_AGAIN_S: Final = 5.0
TRIES_ELSEWHERE: Final = 2
REACHES: Final = 0.2
"""One tap in five reached the server in Guangzhou (S2)."""
SEARCH_PAUSE_S: Final = 1.0
INSISTS_AFTER_S: Final = 0.25
BOT_PAUSE_S: Final = 0.02
BOT_DEMANDS: Final = 40
DROPS_OUT: Final = 0.1
DESK_PAUSE_S: Final = 0.5


def rush(visitor: Visitor) -> None:
    """S1: one tap at once, and again every 5 s until there is a booking or nothing is left; the popular pharmacy first.

    Whose slot is full looks at the stock and tries elsewhere.
    """
    slot, units = visitor.choose()
    for _ in range(1 + TRIES_ELSEWHERE):
        wish = visitor.wish(slot, units, "rush")
        visitor.book(wish, pause_s=TAP_AGAIN_S)
        if wish.reason != "slot_full":
            return
        slot = elsewhere(visitor) or slot


def evening(visitor: Visitor) -> None:
    """S2: taps 5 s apart of which one in five arrives; a page, the stock, at most one booking, then its result."""
    while visitor.chance.random() > REACHES and visitor.is_patient:
        visitor.pause(TAP_AGAIN_S)
    visitor.ask("GET", "/", "home")
    slot = elsewhere(visitor)
    if slot is None:
        return
    wish = visitor.wish(slot, visitor.choose()[1], "evening")
    visitor.book(wish)
    for _ in range(visitor.chance.randint(2, 4) if wish.id else 0):
        visitor.pause(1.0)
        visitor.ask("GET", f"/v1/reservations/{wish.id}", "status")


def search(visitor: Visitor) -> None:
    """S9: looks and looks at a stock in which there is hardly anything; books where it finds something."""
    for _ in range(visitor.plan.looks):
        if not visitor.is_patient:
            return
        slot = elsewhere(visitor)
        if slot is not None:
            visitor.book(visitor.wish(slot, 1, "search"))
            return
        visitor.pause(SEARCH_PAUSE_S * (0.5 + visitor.chance.random()))


def insist(visitor: Visitor) -> None:
    """S10: on every error the same again at once, whatever time it was told to come back."""
    wish = visitor.wish(*visitor.choose(), "insist")
    visitor.book(wish, keeps_to_times=False, pause_s=INSISTS_AFTER_S)


def bot(visitor: Visitor) -> None:
    """S12: exact timing, tickets that are none, the same key for different wishes, and no pause."""
    slot, units = visitor.choose()
    wish = visitor.wish(slot, units, "bot")
    for number in range(BOT_DEMANDS):
        if not visitor.is_patient:
            return
        visitor.forge(wish, number)
        visitor.pause(BOT_PAUSE_S)
    visitor.book(wish)


def wait(visitor: Visitor) -> None:
    """S11: joins, polls when told to, drops out now and then and comes back with its ticket; books when admitted."""
    ticket = visitor.wait_for_turn(DROPS_OUT)
    if ticket is not None:
        visitor.book(visitor.wish(*visitor.choose(), "wait"), ticket=ticket)


def desk(visitor: Visitor) -> None:
    """S18: a pharmacist, as long as the run lasts: a look at the day's slots, a booking for somebody at the desk."""
    wish = visitor.wish(visitor.plan.slots[0], 1, "desk")  # for the one who stands there
    is_heard = False
    while visitor.is_there:
        visitor.at_desk("GET", "/v1/slots", "desk: slots")
        if not is_heard:
            told = visitor.at_desk("POST", "/v1/reservations", "desk: book", visitor.body(wish), wish.key)
            is_heard = visitor.is_heard(wish, *told)
        visitor.pause(DESK_PAUSE_S * (0.5 + visitor.chance.random()))


def elsewhere(visitor: Visitor) -> str | None:
    """A slot that the stock view shows something in; None where there is none."""
    status, _, told = visitor.ask("GET", f"/v1/campaigns/{visitor.plan.campaign}/stock", "stock")
    if status != 200 or not isinstance(told, dict):
        return None
    free = [each["slot"] for each in told["slots"] if each["band"] != "none"]
    return visitor.chance.choice(free) if free else None


LIVES: Final[Mapping[Life, Callable[[Visitor], None]]] = {
    "rush": rush,
    "evening": evening,
    "search": search,
    "insist": insist,
    "bot": bot,
    "wait": wait,
    "desk": desk,
}
