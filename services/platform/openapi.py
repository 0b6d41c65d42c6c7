"""OpenAPI 3.1 out of the table that also makes the routes, so that the description cannot drift from the service.

    CALLS = [Call(method="POST", path="/v1/pickups", name="pick_up", summary="…", handler=pick_up,
                  body=(PassShown, CodeShown), answers={200: PickedUp}, reasons=("unknown_pass", …), needs_key=True)]
    mount(router, CALLS)
    add_document_route(router, document(title="…", calls=CALLS, …))

Schemas come from the same msgspec types that read requests and write answers. `reasons` are the words of API.md; their
status comes from the one table in `problems.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from services.domain.reasons import DoorReason
from services.platform.http_answers import JSON, Answer, header
from services.platform.http_requests import MAX_WAIT_S
from services.platform.problems import AnyReason, status_of, word_of
from services.platform.router import RouteHandler, Router

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. Further members say more, as far as the reason needs it.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string", "description": "In the language of `Accept-Language`."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "In the language of `Accept-Language`."},
        "reason": {"type": "string", "description": "A stable word."},
        "how_to_appeal": {"description": "Whom to ask, where a person was refused."},
    },
    "required": ["type", "title", "status", "detail", "reason"],
}
_REF = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Something outside the body. `kind` is a type that msgspec knows, with its bounds."""

    name: str
    place: Literal["path", "query", "header"]
    kind: Any
    description: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Media:
    """An answer that is not JSON of ours."""

    content_type: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a service: what is needed to route it, and all that is told about it."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    name: str
    summary: str
    handler: RouteHandler
    answers: Mapping[int, Any]
    """Status → type of the JSON answer, `Media`, or None for no body."""
    description: str = ""
    body: tuple[Any, ...] = ()
    """The struct that the body holds; of several, one."""
    parameters: tuple[Parameter, ...] = ()
    """Every parameter of the path has to be among them."""
    reasons: tuple[AnyReason, ...] = ()
    answer_headers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    needs_key: bool = False
    may_wait: bool = False
    sign_in: str | None = None
    """Name of the security scheme."""

    @property
    def all_reasons(self) -> tuple[str, ...]:
        """Those of the call, and those that come with its form."""
        words = [word_of(reason) for reason in self.reasons]
        if self.needs_key:
            words += [DoorReason.IDEMPOTENCY_KEY_REQUIRED, DoorReason.MALFORMED]
        if self.body:
            words += [DoorReason.MALFORMED, DoorReason.TOO_LARGE, DoorReason.TOO_SLOW]
        if self.parameters or self.may_wait:
            words += [DoorReason.MALFORMED]
        if any(parameter.place == "path" for parameter in self.parameters):
            words += [DoorReason.NOT_FOUND]
        if self.sign_in:
            words += [DoorReason.UNAUTHORIZED]
        return tuple(dict.fromkeys([*words, DoorReason.OVERLOADED, DoorReason.INTERNAL]))


IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    place="header",
    kind=Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,64}$(?!\n)", min_length=1, max_length=64)],
    description="Names this wish: sent again with the same key it is done once, and answered as the first time.",
    required=True,
)
PREFER = Parameter(
    name="Prefer",
    place="header",
    kind=str,
    description=f"`wait=N`: hold the answer until the decision, at most N seconds (N up to {MAX_WAIT_S}).",
)
WAIT = Parameter(
    name="wait",
    place="query",
    kind=Annotated[int, Meta(ge=0, le=MAX_WAIT_S)],
    description="The same as `Prefer: wait=N`, in the URL.",
)


def mount(router: Router, calls: Iterable[Call]) -> None:
    """Adds the routes."""
    for call in calls:
        router.add(call.method, call.path, call.handler)


def document(
    *,
    title: str,
    version: str,
    description: str,
    calls: Sequence[Call],
    security: Mapping[str, Mapping[str, Any]] | None = None,
) -> bytes:
    """The whole description as JSON. Raises ValueError where a call does not describe the parameters of its path."""
    kinds = [kind for call in calls for kind in _kinds(call)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    remaining = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, remaining)
    content = {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {**components, "Problem": PROBLEM_SCHEMA}, "securitySchemes": dict(security or {})},
    }
    return msgspec.json.encode(content)


def add_document_route(router: Router, content: bytes) -> None:
    """`GET /openapi.json`."""
    headers = b"Cache-Control: public, max-age=60\r\n" + header("ETag", f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    answer = Answer(200, content, JSON, headers)

    async def openapi(_request: web.BaseRequest) -> Answer:
        return answer

    router.get("/openapi.json", openapi)


def _parameters(call: Call) -> tuple[Parameter, ...]:
    named = {parameter.name for parameter in call.parameters if parameter.place == "path"}
    if named != set(_PARAMETER.findall(call.path)):
        raise ValueError(f"{call.method} {call.path} describes the parameters {sorted(named)}")
    return (
        *call.parameters,
        *((IDEMPOTENCY_KEY,) if call.needs_key else ()),
        *((PREFER, WAIT) if call.may_wait else ()),
    )


def _kinds(call: Call) -> list[Any]:
    """The types of a call, in the order in which `_operation` asks for their schemas."""
    answers = [kind for kind in call.answers.values() if kind is not None and not isinstance(kind, Media)]
    return [*(parameter.kind for parameter in _parameters(call)), *call.body, *answers]


def _operation(call: Call, schemas: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": call.name, "summary": call.summary}
    if call.description:
        operation["description"] = call.description
    if call.sign_in:
        operation["security"] = [{call.sign_in: []}]
    parameters = [
        {
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.required or parameter.place == "path",
            "description": parameter.description,
            "schema": next(schemas),
        }
        for parameter in _parameters(call)
    ]
    if parameters:
        operation["parameters"] = parameters
    bodies = [next(schemas) for _ in call.body]
    if bodies:
        schema = bodies[0] if len(bodies) == 1 else {"oneOf": bodies}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    responses = {str(status): _answer(call, status, kind, schemas) for status, kind in call.answers.items()}
    operation["responses"] = {**responses, **_problems(call)}
    return operation


def _answer(call: Call, status: int, kind: Any, schemas: Any) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(kind, Media):
        response["content"] = {kind.content_type: {"schema": dict(kind.schema)}}
    elif kind is not None:
        response["content"] = {"application/json": {"schema": next(schemas)}}
    if names := call.answer_headers.get(status):
        response["headers"] = {name: {"schema": {"type": "string"}} for name in names}
    return response


def _problems(call: Call) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for word in call.all_reasons:
        by_status.setdefault(status_of(word), []).append(word)
    return {str(status): _problem(status, words) for status, words in sorted(by_status.items())}


def _problem(status: int, words: list[str]) -> dict[str, Any]:
    of_these = {"type": "object", "properties": {"reason": {"enum": words}, "status": {"const": status}}}
    schema = {"allOf": [{"$ref": _REF.format(name="Problem")}, of_these]}
    response: dict[str, Any] = {
        "description": ", ".join(words),
        "content": {"application/problem+json": {"schema": schema}},
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}
    if status == 401:
        response["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return response
