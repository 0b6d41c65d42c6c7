"""What comes in over HTTP, and the words for what is wrong with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.platform.http_requests import decode_json, idempotency_key, language, prefer_wait_s
from services.platform.problems import Problem


class Resident(msgspec.Struct, forbid_unknown_fields=True):
    document_type: Literal["passport"]
    document_number: Annotated[str, msgspec.Meta(max_length=10)]


class Booking(msgspec.Struct, forbid_unknown_fields=True):
    slot: str
    units: int
    resident: Resident
    note: Any = None


RIGHT = b'{"slot": "s", "units": 1, "resident": {"document_type": "passport", "document_number": "E1"}}'


def request(path: str = "/", **headers: str) -> web.BaseRequest:
    return make_mocked_request("POST", path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def problem_of(body: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        decode_json(body, Booking)
    return caught.value


def test_a_right_body_is_a_struct() -> None:
    assert decode_json(RIGHT, Booking).resident.document_number == "E1"


@pytest.mark.parametrize(
    ("wrong", "by", "field"),
    [
        (b'"units": 1', b'"units": "1"', "units"),
        (b'"units": 1', b'"units": 1.5', "units"),
        (b'"units": 1', b'"units": null', "units"),
        (b'"units": 1, ', b"", "units"),
        (b'"slot"', b'"colour": 1, "slot"', "colour"),
        (b'"document_number": "E1"', b'"number": "E1"', "resident.number"),
        (b'"E1"', b'"E1234567890"', "resident.document_number"),
        (b'"passport"', b'"ticket"', "resident.document_type"),
        (b', "document_number": "E1"', b"", "resident.document_number"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(wrong: bytes, by: bytes, field: str) -> None:
    problem = problem_of(RIGHT.replace(wrong, by))
    assert (problem.reason, problem.members["field"]) == ("malformed", field)
    assert problem.members["expected"]


@pytest.mark.parametrize("number", [b"5.0", b"5e0", b"0.5e1", b"50E-1"])
def test_a_number_without_a_fraction_is_an_integer_however_it_is_written(number: bytes) -> None:
    note = b', "note": [1.5, {"deep": 2.0}, true, null, "3.0"]}'
    booking = decode_json(RIGHT.replace(b'"units": 1', b'"units": ' + number)[:-1] + note, Booking)
    assert (booking.units, type(booking.units)) == (5, int)
    assert booking.note == [1.5, {"deep": 2}, True, None, "3.0"]


def test_beside_such_a_number_everything_else_is_judged_as_ever() -> None:
    body = RIGHT.replace(b'"units": 1', b'"units": 5.0')
    for wrong, field in ((b'"E1234567890"', "resident.document_number"), (b"1.0", "resident.document_number")):
        assert problem_of(body.replace(b'"E1"', wrong)).members["field"] == field
    assert problem_of(body.replace(b'"slot"', b'"colour": 1, "slot"')).members["field"] == "colour"
    assert problem_of(RIGHT.replace(b'"units": 1', b'"units": 1e400')).reason == "malformed"
    assert problem_of(body.replace(b'"s"', b"[" * 900 + b"1" + b"]" * 900)).reason == "malformed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"slot": "\xff"}',
        RIGHT + b"x",
        b'{"slot": NaN}',
        b"\x00",
        "口罩".encode(),
    ],
)
def test_what_is_no_json_of_this_shape_is_malformed(body: bytes) -> None:
    assert problem_of(body).reason == "malformed"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_that_is_nested_without_end_is_malformed(opening: bytes) -> None:
    problem = problem_of(RIGHT[:-1] + b', "note": ' + opening * 100_000)
    assert (problem.reason, problem.members["expected"]) == ("malformed", "nested too deeply")


@pytest.mark.parametrize("key", ["a", "k-1", "!~" * 32])
def test_a_visible_key_of_up_to_64_characters_is_taken(key: str) -> None:
    assert idempotency_key(request(Idempotency_Key=key)) == key


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 65, "ключ", "a\tb"])
def test_another_key_is_malformed(key: str) -> None:
    with pytest.raises(Problem, match="malformed"):
        idempotency_key(request(Idempotency_Key=key))


def test_a_missing_key_has_a_reason_of_its_own() -> None:
    with pytest.raises(Problem, match="idempotency_key_required"):
        idempotency_key(request())


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("wait=100", 30),
        ("respond-async, wait=10", 10),
        ("return=minimal; foo, wait = 7", 7),
        ('wait="3"', 3),
        ("wait=", 0),
        ("wait=-1", 0),
        ("await=5", 0),
        ("respond-async", 0),
    ],
)
def test_the_wish_to_wait_is_read_from_prefer(prefer: str, seconds: int) -> None:
    assert prefer_wait_s(request(Prefer=prefer)) == seconds


@pytest.mark.parametrize(("path", "seconds"), [("/x", 0), ("/x?wait=8", 8), ("/x?wait=99", 30), ("/x?place=1.a", 0)])
def test_the_wish_to_wait_is_read_from_the_url(path: str, seconds: int) -> None:
    assert prefer_wait_s(request(path)) == seconds


@pytest.mark.parametrize("wait", ["", "x", "-1", "1.5", "²", "9" * 20])
def test_a_wait_in_the_url_that_is_no_number_is_malformed(wait: str) -> None:
    with pytest.raises(Problem, match="malformed") as caught:
        prefer_wait_s(request(f"/x?wait={wait}"))
    assert caught.value.members["field"] == "wait"


def test_the_language_is_english_where_nobody_says() -> None:
    assert language(request()) == "en"
    assert language(request(Accept_Language="zh-TW")) == "zh-Hant"
