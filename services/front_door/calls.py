"""The calls of the front door in one table: it makes the routes and `/openapi.json`."""

from typing import Annotated, Final

from msgspec import Meta

from services.domain.reasons import DoorReason, Reason
from services.front_door.handlers import Handlers
from services.front_door.messages import (
    CampaignList,
    CampaignOut,
    Pending,
    Reservation,
    ReservationRequest,
    SlotChange,
    Stock,
    TicketGiven,
    TicketRequest,
    TicketStanding,
)
from services.platform.openapi import IDEMPOTENCY_KEY, Call, Media, Parameter, document

VERSION: Final = "1"
CAMPAIGN: Final = Parameter(
    name="campaign", place="path", kind=Annotated[str, Meta(max_length=48)], description="Name of a campaign."
)
RESERVATION: Final = Parameter(
    name="id",
    place="path",
    kind=Annotated[str, Meta(max_length=40)],
    description="A reservation's id: the credential of its owner.",
)
TICKET: Final = Parameter(
    name="ticket",
    place="path",
    kind=Annotated[str, Meta(max_length=100)],
    description="A ticket of a waiting room.",
)
SHOWN_TICKET: Final = Parameter(
    name="Maskline-Ticket",
    place="header",
    kind=Annotated[str, Meta(max_length=100)],
    description="The ticket, where the campaign has a waiting room and lets people in by turns.",
)
PLACE: Final = Parameter(
    name="place",
    place="query",
    kind=Annotated[str, Meta(pattern=r"^[0-9]{1,18}\.[A-Za-z0-9_-]{8}$(?!\n)")],
    description="The signed place of a `status_url`. Without it `ahead` is null.",
)
IF_NONE_MATCH: Final = Parameter(
    name="If-None-Match", place="header", kind=str, description="The ETag of what is there already."
)
CANCEL_KEY: Final = Parameter(
    name=IDEMPOTENCY_KEY.name,
    place="header",
    kind=IDEMPOTENCY_KEY.kind,
    description="Not needed: a reservation is cancelled once, however often it is asked for.",
)
DECIDED: Final = (
    Reason.SOLD_OUT,
    Reason.SLOT_FULL,
    Reason.ALREADY_RESERVED,
    Reason.NOT_OPEN,
    Reason.PAUSED,
    Reason.CAMPAIGN_CLOSED,
    Reason.UNITS_OVER_LIMIT,
    Reason.NOT_ELIGIBLE,
    Reason.WRONG_DAY,
    Reason.HOUSEHOLD_LIMIT,
    Reason.COOLING_DOWN,
    Reason.SLOT_OVER,
    Reason.SLOT_WITHDRAWN,
    Reason.TOO_MANY_TRIES,
    Reason.IDEMPOTENCY_KEY_REUSED,
)
NOT_ANY_MORE: Final = (
    Reason.UNKNOWN_RESERVATION,
    Reason.NOT_CONFIRMED,
    Reason.CANCELLED,
    Reason.SLOT_WITHDRAWN,
    Reason.ALREADY_PICKED_UP,
    Reason.EXPIRED,
)
NOT_THAT_SLOT: Final = (
    Reason.UNKNOWN_SLOT,
    Reason.SAME_SLOT,
    Reason.TOO_LATE_TO_CHANGE,
    Reason.SLOT_FULL,
    Reason.SOLD_OUT,
    Reason.SLOT_OVER,
    Reason.SLOT_WITHDRAWN,
    Reason.PAUSED,
)
BEFORE_THE_LOG: Final = (
    Reason.UNKNOWN_CAMPAIGN,
    Reason.UNKNOWN_SLOT,
    DoorReason.DOCUMENT_INVALID,
    DoorReason.DOCUMENT_TYPE_NOT_ACCEPTED,
    DoorReason.PHONE_INVALID,
)
OF_TICKETS: Final = (
    DoorReason.TICKET_REQUIRED,
    DoorReason.TICKET_NOT_ADMITTED,
    Reason.TICKET_INVALID,
    Reason.TICKET_USED_UP,
)
OF_THE_LOG: Final = (DoorReason.LOG_UNAVAILABLE, DoorReason.CATCHING_UP, DoorReason.UNKNOWN_OUTCOME)
PENDING_HEADERS: Final = {202: ("Location", "Retry-After")}
"""Retry-After where the answer comes before the wait is over: not everybody can be held."""
PUBLISHED_HEADERS: Final = {200: ("ETag", "Cache-Control"), 304: ("ETag", "Cache-Control")}


def calls(handlers: Handlers) -> list[Call]:
    """Every call of `/v1`."""
    return [*_offers(handlers), *_waiting_room(handlers), _booking(handlers), *_reservation(handlers)]


def openapi(handlers: Handlers) -> bytes:
    """The description of this service."""
    return document(
        title="Maskline front door",
        version=VERSION,
        description=(
            "Book a pick-up time at a pharmacy. A 202 means that the log has it and nothing can lose it; what was "
            "decided stands under `status_url`. Whatever ends in 503 or 504 is sent again with the same key."
        ),
        calls=calls(handlers),
    )


def _offers(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="GET",
            path="/v1/campaigns",
            name="list_campaigns",
            summary="What is on offer.",
            handler=handlers.list_campaigns,
            parameters=(IF_NONE_MATCH,),
            answers={200: CampaignList, 304: None},
            answer_headers=PUBLISHED_HEADERS,
        ),
        Call(
            method="GET",
            path="/v1/campaigns/{campaign}",
            name="show_campaign",
            summary="A campaign with its pharmacies, slots, rules and opening times.",
            handler=handlers.show_campaign,
            parameters=(CAMPAIGN, IF_NONE_MATCH),
            answers={200: CampaignOut, 304: None},
            answer_headers=PUBLISHED_HEADERS,
            reasons=(Reason.UNKNOWN_CAMPAIGN, DoorReason.CATCHING_UP),
        ),
        Call(
            method="GET",
            path="/v1/campaigns/{campaign}/stock",
            name="show_stock",
            summary="How much is left of each slot, in bands.",
            handler=handlers.show_stock,
            parameters=(CAMPAIGN, IF_NONE_MATCH),
            answers={200: Stock, 304: None},
            answer_headers=PUBLISHED_HEADERS,
            reasons=(Reason.UNKNOWN_CAMPAIGN, DoorReason.CATCHING_UP),
        ),
        Call(
            method="GET",
            path="/v1/campaigns/{campaign}/stock.csv",
            name="show_stock_csv",
            summary="The same as a table.",
            handler=handlers.show_stock_csv,
            parameters=(CAMPAIGN, IF_NONE_MATCH),
            answers={200: Media(content_type="text/csv"), 304: None},
            answer_headers=PUBLISHED_HEADERS,
            reasons=(Reason.UNKNOWN_CAMPAIGN, DoorReason.CATCHING_UP),
        ),
    ]


def _waiting_room(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/campaigns/{campaign}/tickets",
            name="join",
            summary="Join the waiting room for a resident.",
            description=(
                "Before the opening, all tickets of one resident have the same place, which is drawn among all who are "
                "there. After it, places go by arrival: keep the first ticket."
            ),
            handler=handlers.join,
            parameters=(CAMPAIGN,),
            body=(TicketRequest,),
            answers={201: TicketGiven},
            reasons=(
                Reason.UNKNOWN_CAMPAIGN,
                Reason.NOT_OPEN,
                Reason.CAMPAIGN_CLOSED,
                DoorReason.DOCUMENT_INVALID,
                DoorReason.DOCUMENT_TYPE_NOT_ACCEPTED,
                *OF_THE_LOG,
            ),
        ),
        Call(
            method="GET",
            path="/v1/tickets/{ticket}",
            name="show_ticket",
            summary="Where a ticket stands: people ahead, when the turn may come, when to ask again.",
            handler=handlers.show_ticket,
            parameters=(TICKET,),
            answers={200: TicketStanding},
            reasons=(Reason.TICKET_INVALID, DoorReason.CATCHING_UP),
        ),
    ]


def _booking(handlers: Handlers) -> Call:
    return Call(
        method="POST",
        path="/v1/reservations",
        name="book",
        summary="Ask for units in a slot.",
        description=(
            "202: it stands in line, and nothing can lose it. With a wait: 201 confirmed, 200 on the waiting list of a "
            "full slot, 409 refused. The same key and body again are the same reservation, answered with its state of "
            "now."
        ),
        handler=handlers.book,
        parameters=(SHOWN_TICKET,),
        body=(ReservationRequest,),
        needs_key=True,
        may_wait=True,
        answers={200: Reservation, 201: Reservation, 202: Pending},
        answer_headers=PENDING_HEADERS,
        reasons=(*BEFORE_THE_LOG, *OF_TICKETS, *DECIDED, *OF_THE_LOG),
    )


def _reservation(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="GET",
            path="/v1/reservations/{id}",
            name="show_reservation",
            summary="Where a reservation stands, with the exact number of requests ahead of it.",
            handler=handlers.show_reservation,
            parameters=(RESERVATION, PLACE),
            may_wait=True,
            answers={200: Reservation},
            answer_headers={200: ("Retry-After",)},
            reasons=(
                Reason.UNKNOWN_RESERVATION,
                Reason.IDEMPOTENCY_KEY_REUSED,
                DoorReason.CATCHING_UP,
                DoorReason.UNKNOWN_OUTCOME,
            ),
        ),
        Call(
            method="PATCH",
            path="/v1/reservations/{id}",
            name="change_slot",
            summary="Change to another slot; the old one is kept unless the new one is got.",
            description=(
                "Who gets the new slot has a new pass. Who waits in a waiting list may change too, and leaves it then. "
                "Whatever the reason of a 409: the reservation stands as it did."
            ),
            handler=handlers.change_slot,
            parameters=(RESERVATION,),
            body=(SlotChange,),
            needs_key=True,
            may_wait=True,
            answers={200: Reservation, 202: Pending},
            answer_headers=PENDING_HEADERS,
            reasons=(*NOT_ANY_MORE, *NOT_THAT_SLOT, Reason.TOO_MANY_TRIES, *OF_THE_LOG),
        ),
        Call(
            method="DELETE",
            path="/v1/reservations/{id}",
            name="cancel_reservation",
            summary="Give a reservation back.",
            handler=handlers.cancel_reservation,
            parameters=(RESERVATION, CANCEL_KEY),
            may_wait=True,
            answers={200: Reservation, 202: Pending},
            answer_headers=PENDING_HEADERS,
            reasons=(*NOT_ANY_MORE, Reason.TOO_MANY_TRIES, *OF_THE_LOG),
        ),
        Call(
            method="GET",
            path="/v1/reservations/{id}/pass.svg",
            name="show_pass",
            summary="The pass as a QR code.",
            handler=handlers.show_pass,
            parameters=(RESERVATION,),
            answers={200: Media(content_type="image/svg+xml")},
            reasons=(*NOT_ANY_MORE, DoorReason.CATCHING_UP),
        ),
    ]
