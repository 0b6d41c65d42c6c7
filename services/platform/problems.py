"""Errors over HTTP, RFC 9457: one table from reason to status, and words in the reader's language.

    raise Problem(Reason.SLOT_FULL, left=2, how_to_appeal=campaign.appeal_contact)

anywhere below a `Router` becomes the answer. A door that refuses thousands a second keeps `problem_answer(…)` and sends
the same object again: its bytes are made once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from services.domain.reasons import DoorReason, Reason
from services.platform.http_answers import NO_STORE, PROBLEM, Answer, retry_after
from services.platform.languages import Language
from services.platform.texts import Reader, text_of

AnyReason = Reason | DoorReason | str
"""The words of API.md; enums where we decide, plain words where they come out of the log."""

Appeal = Mapping[str, Any] | str | None

RETRY_AFTER_S = 2
"""What a 503 or 429 asks for where nobody knows better."""

_encode = msgspec.json.Encoder().encode

STATUS: Mapping[str, int] = {
    # The request cannot be understood, or not from this client.
    "malformed": 400,
    "idempotency_key_required": 400,
    "phone_invalid": 400,
    "document_type_not_accepted": 400,
    "definition_incomplete": 400,
    "unauthorized": 401,
    "unknown_terminal": 401,
    "forbidden": 403,
    "ticket_required": 403,
    "ticket_not_admitted": 403,
    "ticket_invalid": 403,
    "not_found": 404,
    "unknown_campaign": 404,
    "unknown_slot": 404,
    "unknown_reservation": 404,
    "unknown_pass": 404,
    "unknown_pairing_code": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "too_large": 413,
    "idempotency_key_reused": 422,
    # A person was refused, or somebody else was first.
    "sold_out": 409,
    "slot_full": 409,
    "already_reserved": 409,
    "cooling_down": 409,
    "not_open": 409,
    "not_eligible": 409,
    "wrong_day": 409,
    "household_limit": 409,
    "units_over_limit": 409,
    "slot_over": 409,
    "same_slot": 409,
    "too_late_to_change": 409,
    "ticket_used_up": 409,
    "document_invalid": 409,
    "not_drawn": 409,
    "claim_lapsed": 409,
    "campaign_closed": 409,
    "paused": 409,
    "slot_withdrawn": 409,
    "incomplete": 409,
    "too_many_tries": 409,
    "already_picked_up": 409,
    "cancelled": 409,
    "expired": 409,
    "other_pharmacy": 409,
    "wrong_time": 409,
    "not_picked_up": 409,
    "not_confirmed": 409,
    "other_terminal": 409,
    "undo_too_late": 409,
    "below_confirmed": 409,
    "wrong_phase": 409,
    "no_waiting_room": 409,
    "already_defined": 409,
    "revision_changed": 409,
    "not_in_mid_campaign": 409,
    "too_early_to_purge": 409,
    "withdrawal_under_way": 409,
    "campaign_elsewhere": 409,
    "pairing_code_expired": 409,
    "pairing_code_used": 409,
    "terminal_exists": 409,
    # This attempt only.
    "terminal_locked": 429,
    "too_many_lookups": 429,
    "internal_error": 500,
    "overloaded": 503,
    "log_unavailable": 503,
    "catching_up": 503,
    "no_ledger": 503,
    "ledger_unavailable": 503,
    "unknown_outcome": 504,
}


class Problem(Exception):
    """An error that a client is told; `Router` turns it into the answer. Members are for the client's eyes."""

    def __init__(
        self,
        reason: AnyReason,
        *,
        detail: str | None = None,
        how_to_appeal: Appeal = None,
        status: int | None = None,
        headers: bytes = b"",
        close: bool = False,
        reader: Reader = "anybody",
        **members: Any,
    ) -> None:
        super().__init__(word_of(reason))
        self.reason = reason
        self.detail = detail
        self.how_to_appeal = how_to_appeal
        self.status = status
        self.headers = headers
        self.close = close
        self.reader: Reader = reader
        self.members = members

    def answer(self, language: Language) -> Answer:
        return problem_answer(
            self.reason,
            language,
            detail=self.detail,
            how_to_appeal=self.how_to_appeal,
            status=self.status,
            headers=self.headers,
            close=self.close,
            reader=self.reader,
            **self.members,
        )


def word_of(reason: AnyReason) -> str:
    """The stable word."""
    return reason.word if isinstance(reason, Reason) else str(reason)


def status_of(reason: AnyReason) -> int:
    return STATUS[word_of(reason)]


def problem(
    reason: AnyReason,
    language: Language,
    *,
    detail: str | None = None,
    how_to_appeal: Appeal = None,
    status: int | None = None,
    reader: Reader = "anybody",
    **members: Any,
) -> bytes:
    """The JSON of a problem. `members` join it by their names, and the text where it has a place for them."""
    word = word_of(reason)
    text = text_of(word, language, members, reader)
    content: dict[str, Any] = {
        "type": f"urn:maskline:problem:{word}",
        "title": text.title,
        "status": status or STATUS[word],
        "detail": detail or text.detail,
        "reason": word,
        **members,
    }
    if how_to_appeal:
        content["how_to_appeal"] = how_to_appeal
    return _encode(content)


def problem_answer(
    reason: AnyReason,
    language: Language,
    *,
    detail: str | None = None,
    how_to_appeal: Appeal = None,
    status: int | None = None,
    headers: bytes = b"",
    close: bool = False,
    reader: Reader = "anybody",
    **members: Any,
) -> Answer:
    """The whole answer, to be sent as often as wanted. A 503 or 429 without Retry-After gets one."""
    code = status or status_of(reason)
    body = problem(
        reason, language, detail=detail, how_to_appeal=how_to_appeal, status=code, reader=reader, **members
    )
    lines = NO_STORE + headers
    if code in (429, 503) and b"Retry-After" not in headers:
        lines += retry_after(RETRY_AFTER_S)
    if code == 401 and b"WWW-Authenticate" not in headers:
        lines += b"WWW-Authenticate: Bearer\r\n"
    return Answer(code, body, PROBLEM, lines, close=close)
