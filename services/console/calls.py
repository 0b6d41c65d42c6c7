"""The calls of the console in one table: it makes the routes and `/openapi.json`."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from services.console.applying import MAX_APPLYING
from services.console.audit_trail import MAX_ENTRIES
from services.console.campaigns import SLOTS_A_PAGE, TRANSITIONS
from services.console.contract import (
    Applied,
    AuditTrail,
    CampaignList,
    CampaignWhole,
    Checked,
    Invitation,
    Invited,
    LiveNow,
    Moving,
    Outlook,
    PhaseChanged,
    QuotaChange,
    QuotaChanged,
    Reasoned,
    RoomNumbers,
    RulesInForce,
    RulesVersion,
    SignedIn,
    SignInRequest,
    SlotList,
    SlotWithdrawn,
    TerminalList,
    TerminalNumbers,
    ValveRequest,
    Withdrawal,
    WithdrawalOutlook,
)
from services.console.handlers import LINES, Handlers
from services.console.report_contract import CampaignReport
from services.domain.reasons import DoorReason, Reason
from services.platform.openapi import Call, Media, Parameter, document

VERSION: Final = "1"
USER: Final = "user"
SECURITY: Final = {
    USER: {
        "type": "http",
        "scheme": "bearer",
        "description": "The token from `POST /v1/session`, or the installation's admin token.",
    }
}
OF_THE_LOG: Final = (DoorReason.LOG_UNAVAILABLE, DoorReason.CATCHING_UP, DoorReason.UNKNOWN_OUTCOME)
Id = Annotated[str, Meta(min_length=1, max_length=48)]
CAMPAIGN: Final = Parameter(name="campaign", place="path", kind=Id, description="A campaign's name.")
SLOT: Final = Parameter(name="slot", place="path", kind=Id, description="A slot of the campaign.")
TERMINAL: Final = Parameter(name="terminal", place="path", kind=Id, description="A terminal's name.")
WHY: Final = Parameter(
    name="why", place="query", kind=Annotated[str, Meta(max_length=500)], description="Stands in the audit trail."
)
DRY_RUN: Final = Parameter(
    name="dry_run",
    place="query",
    kind=bool,
    description="`true`: change nothing, and answer what would be done.",
)
TRANSITION_SUMMARIES: Final = {
    "open": "Let residents book, from scheduled or closed.",
    "pause": "Nobody may book until it is resumed; pick-ups and cancellations go on.",
    "resume": "End a pause.",
    "close": "Nobody may book any more; the clock does not reopen what an operator closed.",
}


def calls(handlers: Handlers) -> list[Call]:
    """Every call of `/v1`."""
    return [
        *_session(handlers),
        *_campaigns(handlers),
        *_applying(handlers),
        *_terminals(handlers),
        *_rules(handlers),
        *_now(handlers),
    ]


def openapi(handlers: Handlers) -> bytes:
    """The description of this service."""
    return document(
        title="Maskline console",
        version=VERSION,
        description=(
            "For the ops team. Everybody who has signed in may look; the roles operator and admin may change. Each "
            "change waits for its decision and stands in the log with who, when, what and why. Whatever ends in 503 or "
            "504 is sent again with the same key: it is done once."
        ),
        calls=calls(handlers),
        security=SECURITY,
    )


def _session(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/session",
            name="sign_in",
            summary="Sign in; five wrong passwords lock a name for a minute (429).",
            handler=handlers.sign_in,
            body=(SignInRequest,),
            answers={201: SignedIn, 429: Media(content_type="application/problem+json", schema={"type": "object"})},
            answer_headers={429: ("Retry-After",)},
            reasons=(DoorReason.UNAUTHORIZED,),
        )
    ]


def _campaigns(handlers: Handlers) -> list[Call]:
    looks: list[Call] = [
        Call(
            method="GET",
            path="/v1/campaigns",
            name="list_campaigns",
            summary="All campaigns with their phases and numbers.",
            handler=handlers.campaigns,
            sign_in=USER,
            answers={200: CampaignList},
        ),
        Call(
            method="GET",
            path="/v1/campaigns/{campaign}",
            name="read_campaign",
            summary="One campaign, with its definition in the form of its file.",
            handler=handlers.campaign,
            parameters=(CAMPAIGN,),
            sign_in=USER,
            answers={200: CampaignWhole},
            reasons=(Reason.UNKNOWN_CAMPAIGN, DoorReason.CATCHING_UP),
        ),
        Call(
            method="GET",
            path="/v1/campaigns/{campaign}/slots",
            name="list_slots",
            summary=f"Slots with their numbers of now, by time, {SLOTS_A_PAGE} a page.",
            handler=handlers.slots,
            parameters=(
                CAMPAIGN,
                _number("first", 0, 1_000_000, "How many slots to pass over."),
                Parameter(name="pharmacy", place="query", kind=Id, description="Only slots of this pharmacy."),
            ),
            sign_in=USER,
            answers={200: SlotList},
            reasons=(Reason.UNKNOWN_CAMPAIGN, DoorReason.CATCHING_UP),
        ),
    ]
    transitions = [
        _change(
            path=f"/v1/campaigns/{{campaign}}/{verb}",
            name=f"{verb}_campaign",
            summary=TRANSITION_SUMMARIES[verb],
            handler=handlers.transition(verb),
            parameters=(CAMPAIGN,),
            body=(Reasoned,),
            answers={200: PhaseChanged},
            reasons=(Reason.UNKNOWN_CAMPAIGN, Reason.WRONG_PHASE),
        )
        for verb in TRANSITIONS
    ]
    return [
        *looks,
        *transitions,
        _change(
            path="/v1/campaigns/{campaign}/slots/{slot}/quota",
            name="change_quota",
            summary="More or less stock in a slot; never below what is given out.",
            description="The key belongs to this slot and change: with another change it is another wish.",
            handler=handlers.change_quota,
            parameters=(CAMPAIGN, SLOT),
            body=(QuotaChange,),
            answers={200: QuotaChanged},
            reasons=(Reason.UNKNOWN_CAMPAIGN, Reason.UNKNOWN_SLOT, Reason.BELOW_CONFIRMED),
        ),
        _valve(handlers),
        *_withdrawals(handlers),
    ]


def _valve(handlers: Handlers) -> Call:
    return _change(
        path="/v1/campaigns/{campaign}/valve",
        name="turn_valve",
        summary="The waiting room: on (nobody books without a ticket), off (everybody may), automatic; and how fast.",
        handler=handlers.turn_valve,
        parameters=(CAMPAIGN,),
        body=(ValveRequest,),
        answers={200: RoomNumbers},
        reasons=(Reason.UNKNOWN_CAMPAIGN,),
    )


def _withdrawals(handlers: Handlers) -> list[Call]:
    of_slots = (Reason.UNKNOWN_CAMPAIGN, Reason.UNKNOWN_SLOT, Reason.WITHDRAWAL_UNDER_WAY)
    return [
        _change(
            path="/v1/campaigns/{campaign}/slots/{slot}/withdraw",
            name="withdraw_slot",
            summary="The pharmacy got less than was promised: people lose their places, the latest first.",
            description=(
                "What nobody has is cut first. Who loses a place has precedence in the campaign: the reserve of its "
                "slots (`…/quota` with `share` reserve fills it) is theirs too, also after the campaign's end. "
                "What was picked up stays. `keep` 0 withdraws the slot until stock comes again."
            ),
            handler=handlers.withdraw_slot,
            parameters=(CAMPAIGN, SLOT, DRY_RUN),
            body=(Withdrawal,),
            answers={200: SlotWithdrawn | WithdrawalOutlook},
            reasons=of_slots,
        ),
        _change(
            path="/v1/campaigns/{campaign}/slots/{slot}/move",
            name="move_slot",
            summary="As `withdraw`, but people move to another slot of the campaign, which has room for all of them.",
            description="Units are kept for them there from the start. Everybody who moves has a new pass.",
            handler=handlers.move_slot,
            parameters=(CAMPAIGN, SLOT, DRY_RUN),
            body=(Moving,),
            answers={200: SlotWithdrawn | WithdrawalOutlook},
            reasons=(
                *of_slots, Reason.SAME_SLOT, Reason.SLOT_FULL, Reason.SOLD_OUT, Reason.SLOT_OVER, Reason.SLOT_WITHDRAWN,
            ),
        ),
    ]  # fmt: skip


def _applying(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="POST",
            path="/v1/campaigns/check",
            name="check_campaign",
            summary="Whether a campaign document is right; `problems` tells everything that is not.",
            handler=handlers.check,
            parameters=(WHY,),
            body=(dict[str, Any],),
            sign_in=USER,
            answers={200: Checked},
        ),
        _change(
            path="/v1/campaigns/apply",
            name="apply_campaign",
            summary="Write a campaign into the log, chunk by chunk until it is sealed, and open it if it is time; or "
            "give a sealed one other rules.",
            description=(
                "The body is a campaign file's content as JSON, its tables as lists. The same key goes on where an "
                "earlier try stopped; a campaign that is there with the same content answers `unchanged`. One that is "
                "sealed with other content is `changed` where only rules, texts and later windows differ; "
                "`already_defined` names the rest under `differs`, and then nothing is changed. With "
                f"`Accept: {LINES}` progress comes as it goes, a JSON object a line (`step`, `done`, `of`), and last "
                f"`result` or `problem`. At most {MAX_APPLYING} documents are taken at once."
            ),
            handler=handlers.apply,
            parameters=(WHY, DRY_RUN),
            body=(dict[str, Any],),
            answers={200: Applied | Outlook},
            reasons=(
                Reason.ALREADY_DEFINED,
                Reason.REVISION_CHANGED,
                Reason.NOT_IN_MID_CAMPAIGN,
                Reason.CAMPAIGN_ELSEWHERE,
                Reason.DEFINITION_INCOMPLETE,
                Reason.IDEMPOTENCY_KEY_REUSED,
            ),
        ),
    ]


def _terminals(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="GET",
            path="/v1/terminals",
            name="list_terminals",
            summary="All terminals of pharmacies.",
            handler=handlers.terminals,
            sign_in=USER,
            answers={200: TerminalList},
            reasons=(DoorReason.CATCHING_UP,),
        ),
        _change(
            path="/v1/terminals",
            name="invite_terminal",
            summary="Expect a terminal at a pharmacy; the pairing code is shown here and nowhere else.",
            handler=handlers.invite,
            body=(Invitation,),
            answers={201: Invited},
            reasons=(Reason.TERMINAL_EXISTS, DoorReason.NOT_FOUND),
        ),
        _change(
            path="/v1/terminals/{terminal}/revoke",
            name="revoke_terminal",
            summary="Its token and its pairing code are worth nothing from here on.",
            handler=handlers.revoke,
            parameters=(TERMINAL,),
            body=(Reasoned,),
            answers={200: TerminalNumbers},
        ),
    ]


def _rules(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="GET",
            path="/v1/rules",
            name="read_rules",
            summary="By which version of the rules each partition decides, and the newest that this console knows.",
            handler=handlers.rules,
            sign_in=USER,
            answers={200: RulesInForce},
        ),
        _change(
            path="/v1/rules",
            name="adopt_rules",
            summary="Put a version of the rules in force in every partition, for ever; for the role admin.",
            description=(
                "Once every allocator is of a version that knows them: one that is not stops there, and its partition "
                "decides nothing until it is replaced. A version below that in force changes nothing. Where a "
                "partition does not answer, `partitions` tells what each of them has; the same key goes on."
            ),
            handler=handlers.adopt_rules,
            body=(RulesVersion,),
            answers={200: RulesInForce},
        ),
    ]


def _now(handlers: Handlers) -> list[Call]:
    return [
        Call(
            method="GET",
            path="/v1/audit",
            name="read_audit",
            summary="Who changed what, when and why: a partition's console commands from the log, newest first.",
            handler=handlers.audit,
            parameters=(
                _number("partition", 0, 99, "A region's partition; 0 where none is named."),
                _number("limit", 1, MAX_ENTRIES, "How many entries at most; 100 where none is named."),
                _number("before", 0, 2**53, "Go on in front of this offset."),
            ),
            sign_in=USER,
            answers={200: AuditTrail},
            reasons=(DoorReason.LOG_UNAVAILABLE, DoorReason.CATCHING_UP),
        ),
        Call(
            method="GET",
            path="/v1/reports/{campaign}",
            name="read_report",
            summary="What happened in a campaign, from the ledger: slots sold out, doors, refusals, waits, who came.",
            description="503 `no_ledger` where this installation keeps none.",
            handler=handlers.report,
            parameters=(CAMPAIGN,),
            sign_in=USER,
            answers={200: CampaignReport},
            reasons=(
                Reason.UNKNOWN_CAMPAIGN, DoorReason.CATCHING_UP, DoorReason.NO_LEDGER, DoorReason.LEDGER_UNAVAILABLE,
            ),
        ),
        Call(
            method="GET",
            path="/v1/live",
            name="watch",
            summary="Server-sent events, one a second: each holds what `/v1/live/now` answers.",
            handler=handlers.live,
            sign_in=USER,
            answers={200: Media(content_type="text/event-stream")},
        ),
        Call(
            method="GET",
            path="/v1/live/now",
            name="look",
            summary="Where every partition and every campaign stands.",
            handler=handlers.live_once,
            sign_in=USER,
            answers={200: LiveNow},
        ),
    ]  # fmt: skip


def _change(*, reasons: tuple[Reason | DoorReason, ...] = (), **call: Any) -> Call:
    """A POST that changes something: it needs a role, a key, and the log."""
    return Call(
        method="POST", needs_key=True, sign_in=USER, reasons=(*reasons, DoorReason.FORBIDDEN, *OF_THE_LOG), **call
    )


def _number(name: str, least: int, most: int, description: str) -> Parameter:
    return Parameter(name=name, place="query", kind=Annotated[int, Meta(ge=least, le=most)], description=description)
