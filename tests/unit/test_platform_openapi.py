"""The description of a service comes from the table that routes it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from aiohttp import web
from msgspec import Meta

from services.platform.http_answers import Answer
from services.platform.openapi import Call, Media, Parameter, document, mount
from services.platform.router import Router


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    units: Annotated[int, Meta(ge=1, le=5)]


class OtherWish(msgspec.Struct, forbid_unknown_fields=True):
    masks: int


class Granted(msgspec.Struct):
    wish: Wish


async def grant(_request: web.BaseRequest, *_: str) -> Answer:
    return Answer(200)


ID = Parameter(name="id", place="path", kind=str, description="Which one.")
GRANT = Call(
    method="POST",
    path="/v1/wishes/{id}",
    name="grant",
    summary="Grants a wish.",
    handler=grant,
    body=(Wish, OtherWish),
    answers={200: Granted, 204: None},
    parameters=(ID,),
    reasons=("sold_out", "unknown_slot"),
    needs_key=True,
    may_wait=True,
    sign_in="terminal",
)
PICTURE = Call(
    method="GET",
    path="/v1/picture",
    name="picture",
    summary="A picture.",
    handler=grant,
    answers={200: Media(content_type="image/svg+xml")},
)


def described(*calls: Call) -> Any:
    return msgspec.json.decode(document(title="Wishes", version="1", description="…", calls=calls))


def operation(call: Call) -> Any:
    return described(call)["paths"][call.path][call.method.lower()]


def test_the_types_that_read_and_write_are_the_schemas() -> None:
    schemas = described(GRANT)["components"]["schemas"]
    assert schemas["Wish"]["properties"]["units"] == {"type": "integer", "minimum": 1, "maximum": 5}
    assert schemas["Wish"]["additionalProperties"] is False
    assert operation(GRANT)["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Granted")


def test_a_body_of_several_kinds_is_one_of_them() -> None:
    schema = operation(GRANT)["requestBody"]["content"]["application/json"]["schema"]
    assert [each["$ref"].rpartition("/")[2] for each in schema["oneOf"]] == ["Wish", "OtherWish"]


def test_each_reason_stands_under_the_status_that_it_is_answered_with() -> None:
    responses = operation(GRANT)["responses"]
    assert "sold_out" in responses["409"]["description"]
    assert "unknown_slot" in responses["404"]["description"]
    assert responses["404"]["content"].keys() == {"application/problem+json"}


def test_what_comes_with_a_form_is_described_without_being_named_again() -> None:
    responses = operation(GRANT)["responses"]
    assert "idempotency_key_required" in responses["400"]["description"]
    assert responses["401"]["headers"].keys() == {"WWW-Authenticate"}
    assert responses["503"]["headers"].keys() == {"Retry-After"}
    assert {each["name"] for each in operation(GRANT)["parameters"]} == {"id", "Idempotency-Key", "Prefer", "wait"}


def test_an_answer_that_is_no_json_says_what_it_is() -> None:
    assert operation(PICTURE)["responses"]["200"]["content"].keys() == {"image/svg+xml"}


def test_a_parameter_of_the_path_that_nobody_described_is_found() -> None:
    call = Call(method="GET", path="/v1/{id}", name="x", summary="…", handler=grant, answers={200: None})
    with pytest.raises(ValueError, match="describes"):
        described(call)


async def test_the_same_table_makes_the_routes() -> None:
    router = Router()
    mount(router, [GRANT, PICTURE])
    with pytest.raises(ValueError, match="already"):
        router.get("/v1/picture", grant)
