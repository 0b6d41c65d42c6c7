"""What comes in over HTTP: the body as a struct, and the contract's few headers. Everything wrong is a `Problem`."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from services.domain.reasons import DoorReason
from services.platform.languages import DEFAULT_LANGUAGE, Language, language_of
from services.platform.problems import Problem

MAX_BODY_BYTES = 16 * 1024
"""Of the contract; a route that takes more (pick-up batches, campaign files) says so where it reads."""
MAX_WAIT_S = 30

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,64}")
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_WHERE = re.compile(r"(?P<what>.*?)(?: - at `\$?\.?(?P<field>.*)`)?", re.DOTALL)
_GOT_FLOAT = "Expected `int`, got `float`"
_NAMED = re.compile(r"(?:unknown|required) field `(?P<name>[^`]*)`")

Body = TypeVar("Body")
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


async def read_body(request: web.BaseRequest, max_body_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. Raises Problem 413 as soon as it is known to be too long, before reading on."""
    payload = request.content
    if payload.is_eof():  # it came with the header, as small bodies do: nothing to wait for
        body = payload.read_nowait(-1)
        if len(body) > max_body_bytes:
            raise _too_large(max_body_bytes)
        return body
    if (request.content_length or 0) > max_body_bytes:
        raise _too_large(max_body_bytes)
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(_CONTINUE)
    pieces = bytearray()
    while piece := await payload.readany():
        pieces += piece
        if len(pieces) > max_body_bytes:
            raise _too_large(max_body_bytes)
    return bytes(pieces)


async def read_json(request: web.BaseRequest, kind: type[Body], max_body_bytes: int = MAX_BODY_BYTES) -> Body:
    """The body as this struct, which should forbid unknown fields. Raises Problem 400 naming the field, or 413."""
    return decode_json(await read_body(request, max_body_bytes), kind)


def decode_json(body: bytes, kind: type[Body]) -> Body:
    """Bytes as this struct; 5.0 is the integer 5. Raises Problem 400 `malformed` with `field` and `expected`."""
    try:
        return _decoded(body, kind)
    except msgspec.MsgspecError as error:
        raise malformed_by(error) from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise malformed("", "nested too deeply" if isinstance(error, RecursionError) else "not UTF-8") from error


def malformed(field: str, expected: str) -> Problem:
    """400: this field of the request is not what the contract says."""
    return Problem(DoorReason.MALFORMED, field=field, expected=expected)


def malformed_by(error: msgspec.MsgspecError) -> Problem:
    """The same, from the words of msgspec."""
    match = _WHERE.fullmatch(str(error))
    what, path = (match["what"], match["field"] or "") if match else (str(error), "")
    if named := _NAMED.search(what):
        path = f"{path}.{named['name']}" if path else named["name"]
    return malformed(path, what)


def idempotency_key(request: web.BaseRequest) -> str:
    """1 to 64 visible ASCII characters. Raises Problem 400 where it is missing or another thing."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        raise Problem(DoorReason.IDEMPOTENCY_KEY_REQUIRED)
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise malformed("Idempotency-Key", "1 to 64 visible ASCII characters")
    return key


def language(request: web.BaseRequest) -> Language:
    """The language of the answer."""
    accepted = request.headers.get("Accept-Language")
    return DEFAULT_LANGUAGE if accepted is None else language_of(accepted)


def prefer_wait_s(request: web.BaseRequest) -> int:
    """Seconds that the client wants to wait for the decision: `Prefer: wait=N` (RFC 7240) or `?wait=N`, at most 30.

    What cannot be read is no preference, as the RFC has it; in the URL it is a mistake and a Problem 400.
    """
    prefer = request.headers.get("Prefer")
    if prefer is not None and (match := _PREFER_WAIT.search(prefer)):
        return min(int(match[1]), MAX_WAIT_S)
    if "?" not in request.raw_path:
        return 0
    asked = request.query.get("wait")
    if asked is None:
        return 0
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 9):
        raise malformed("wait", f"a whole number of seconds, at most {MAX_WAIT_S}")
    return min(int(asked), MAX_WAIT_S)


def _too_large(max_body_bytes: int) -> Problem:
    """The rest is not worth reading: after this answer the connection is closed."""
    return Problem(DoorReason.TOO_LARGE, max_bytes=max_body_bytes, close=True)


def _decoded(body: bytes, kind: type[Body]) -> Body:
    """JSON has one kind of number, and JSON Schema, in which we describe ourselves, calls 5.0 an integer: languages
    without integers write it so. Who writes 5 pays nothing for it."""
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        if not str(error).startswith(_GOT_FLOAT):
            raise
        return msgspec.convert(_with_integers(msgspec.json.decode(body)), kind)


def _with_integers(content: Any) -> Any:
    """JSON with every number that is whole as an int."""
    match content:
        case float() if content.is_integer():
            return int(content)
        case dict():
            return {name: _with_integers(value) for name, value in content.items()}
        case list():
            return [_with_integers(value) for value in content]
    return content


def _decoder(kind: type[Body]) -> msgspec.json.Decoder[Body]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder
