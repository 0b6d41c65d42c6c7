"""Every refusal has a status, and kind words in three languages that say what to do next."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from msgspec.structs import astuple

from services.domain.reasons import DoorReason, Reason
from services.platform.languages import LANGUAGES, Language
from services.platform.problems import STATUS, Problem, problem, problem_answer, status_of, word_of
from services.platform.texts import texts

# The words of the contract (API.md), whether this version decides them already or not.
CONTRACT = set(
    """
sold_out slot_full already_reserved cooling_down not_open not_eligible wrong_day household_limit units_over_limit
ticket_used_up document_invalid not_drawn claim_lapsed campaign_closed paused slot_withdrawn incomplete too_many_tries
malformed ticket_required ticket_not_admitted ticket_invalid unknown_campaign unknown_slot overloaded log_unavailable
catching_up unknown_outcome idempotency_key_reused already_picked_up other_pharmacy wrong_time cancelled expired
unknown_pass
""".split()  # noqa: SIM905  as they stand in the contract
)
WORDS = sorted(CONTRACT | {*(reason.word for reason in Reason), *(reason.value for reason in DoorReason)})


def told(reason: Any, language: Language = "en", **members: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(problem(reason, language, **members))
    return content


@pytest.mark.parametrize("word", WORDS)
def test_every_reason_has_a_status(word: str) -> None:
    assert 400 <= STATUS[word] < 600


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words_in_every_language(language: Language) -> None:
    assert sorted(texts(language)) == sorted({*WORDS, *STATUS})
    for text in texts(language).values():
        assert text.title
        assert text.detail.endswith((".", "。"))


def test_all_languages_have_the_same_reasons_in_the_same_order() -> None:
    assert len({tuple(texts(language)) for language in LANGUAGES}) == 1


@pytest.mark.parametrize("word", WORDS)
def test_a_sentence_asks_for_the_same_members_in_every_language(word: str) -> None:
    asked = [{name for _, name, _, _ in string.Formatter().parse(texts(each)[word].more) if name} for each in LANGUAGES]
    assert asked[0] == asked[1] == asked[2]


SIMPLIFIED_ONLY = set(
    "们这个没请证预约领药时发给还说话机码开关门试误应单议织经满销续继换选择让为问题认确总统线网级络结终响阅读请谢谅"
)


def test_the_traditional_texts_hold_no_simplified_characters() -> None:
    written = {character for text in texts("zh-Hant").values() for character in "".join(astuple(text))}
    assert written & SIMPLIFIED_ONLY == set()


def test_the_simplified_texts_hold_no_traditional_characters() -> None:
    written = {character for text in texts("zh-Hans").values() for character in "".join(astuple(text))}
    assert written & set("們這個沒請證預約領藥時發給還說話機碼開關門試誤應單為問題認確總線網級結終響閱讀") == set()


def test_a_problem_is_rfc_9457_with_our_reason() -> None:
    assert told(Reason.SOLD_OUT) == {
        "type": "urn:maskline:problem:sold_out",
        "title": texts("en")["sold_out"].title,
        "status": 409,
        "detail": texts("en")["sold_out"].detail,
        "reason": "sold_out",
    }


def test_a_member_joins_the_answer_and_the_words() -> None:
    content = told(Reason.SLOT_FULL, left=2)
    assert content["left"] == 2
    assert content["detail"].endswith("Still left here: 2.")
    assert told(Reason.SLOT_FULL, "zh-Hans", left=2)["detail"].endswith("这里还剩 2 个。")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_owner_of_a_reservation_reads_words_of_their_own(language: Language) -> None:
    for word in ("cancelled", "expired", "already_picked_up", "not_confirmed", "too_many_tries", "paused", "slot_full"):
        to_owner = told(word, language, reader="owner", state="rejected", pharmacy="p-1", when="12:00")
        assert to_owner["detail"] == texts(language)[word].owner != texts(language)[word].detail
        assert to_owner["title"] == told(word, language)["title"]
        assert "reader" not in to_owner
    # Where there are none of their own, the words are everybody's.
    assert told(Reason.SAME_SLOT, language, reader="owner") == told(Reason.SAME_SLOT, language)


def test_without_the_member_the_words_are_whole_all_the_same() -> None:
    assert told(Reason.SLOT_FULL)["detail"] == texts("en")["slot_full"].detail


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_wrong_with_a_whole_body_is_told_without_an_empty_name(language: Language) -> None:
    told = json.loads(problem(DoorReason.MALFORMED, language, field="", expected="EXPECTED"))
    assert told["detail"].endswith((". EXPECTED", "。EXPECTED"))


def test_a_detail_of_ones_own_replaces_the_standard_words() -> None:
    assert told(Reason.PAUSED, detail="Back at noon.")["detail"] == "Back at noon."


def test_a_refused_person_hears_how_to_appeal() -> None:
    contact = {"phone": "12345", "place": "Town hall"}
    assert told(Reason.ALREADY_RESERVED, how_to_appeal=contact)["how_to_appeal"] == contact
    assert "how_to_appeal" not in told(Reason.ALREADY_RESERVED)


@pytest.mark.parametrize("reason", [DoorReason.OVERLOADED, DoorReason.CATCHING_UP, DoorReason.TERMINAL_LOCKED])
def test_who_should_come_back_hears_when(reason: DoorReason) -> None:
    answer = problem_answer(reason, "en")
    assert answer.status in (429, 503)
    assert b"Retry-After: 2\r\n" in answer.headers


def test_a_retry_after_of_ones_own_is_kept() -> None:
    answer = problem_answer(DoorReason.OVERLOADED, "en", headers=b"Retry-After: 7\r\n")
    assert answer.headers.count(b"Retry-After") == 1


def test_who_has_not_signed_in_hears_how() -> None:
    assert b"WWW-Authenticate: Bearer" in problem_answer(DoorReason.UNAUTHORIZED, "en").headers


def test_a_raised_problem_becomes_the_same_answer() -> None:
    raised = Problem(Reason.SLOT_FULL, left=2, how_to_appeal="call").answer("zh-Hant")
    assert raised.body == problem(Reason.SLOT_FULL, "zh-Hant", left=2, how_to_appeal="call")
    assert raised.content_type == b"application/problem+json"


def test_words_out_of_the_log_and_enums_are_the_same_reason() -> None:
    assert word_of(Reason.SOLD_OUT) == word_of("sold_out") == "sold_out"
    assert status_of(DoorReason.TOO_LARGE) == 413
