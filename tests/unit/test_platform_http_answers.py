"""Answers are whole bytes that many requests can share."""

from __future__ import annotations

import pytest

from services.platform.http_answers import Answer, header, json_answer, retry_after


def test_a_header_line_cannot_start_another_one() -> None:
    with pytest.raises(ValueError, match="Location"):
        header("Location", "/x\r\nSet-Cookie: a=b")


def test_a_header_line_is_ascii() -> None:
    assert header("Location", "/v1/x") == b"Location: /v1/x\r\n"
    with pytest.raises(ValueError, match="ETag"):
        header("ETag", "口罩")


def test_who_should_come_back_waits_at_least_a_second() -> None:
    assert retry_after(0) == b"Retry-After: 1\r\n"


def test_an_answer_is_not_stored_by_anybody_unless_it_says_so() -> None:
    assert b"no-store" in json_answer(200, {}).headers
    assert b"no-store" not in Answer(200, headers=b"Cache-Control: max-age=2\r\n").headers


def test_json_is_utf8_as_it_is() -> None:
    assert json_answer(200, {"title": "口罩"}).body == '{"title":"口罩"}'.encode()
