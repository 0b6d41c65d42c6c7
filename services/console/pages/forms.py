"""What a browser sends: forms, the cookie of its session, and the language it chose.

Every form of a session carries a nonce: it is the `Idempotency-Key` (a reload or a second click does nothing twice; the
command's id also holds what was chosen, so Back and another choice is another wish) and, signed for the session, the
proof that the form is ours: no other site can make an operator's browser close a campaign.
"""

from __future__ import annotations

import os
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from services.console.sign_in import SignIn
from services.platform.crypto import base64url, equal
from services.platform.http_answers import header
from services.platform.http_requests import language, malformed, read_body
from services.platform.languages import LANGUAGES, Language

LANGUAGE_COOKIE = "maskline_language"
LANGUAGE_LIFE_S = 366 * 86_400
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 20
NONCE_BYTES = 12
SIGNATURE_CHARACTERS = 24

Body = TypeVar("Body", bound=msgspec.Struct)


class FormOld(Exception):
    """The nonce was not made for this session: the form is from before it, or not ours."""


class FormIncomplete(Exception):
    """A field is missing, or holds what it cannot hold."""


def new_nonce(sign_in: SignIn, token: str) -> str:
    """A nonce for the forms of one page; at most 64 visible ASCII characters."""
    random = base64url(os.urandom(NONCE_BYTES))
    return f"{random}.{_signature(sign_in, token, random)}"


def checked_nonce(sign_in: SignIn, token: str, nonce: str) -> str:
    """The same, where it was made for this session. Raises FormOld."""
    random, _, signature = nonce.partition(".")
    if not nonce.isascii() or not equal(signature, _signature(sign_in, token, random)):
        raise FormOld
    return nonce


def _signature(sign_in: SignIn, token: str, random: str) -> str:
    return sign_in.form_token(f"{token}\x1f{random}")[:SIGNATURE_CHARACTERS]


async def read_form(request: web.BaseRequest) -> dict[str, str]:
    """The fields of a form, by name. Raises Problem `malformed` or `too_large`, and FormOld for one of another site."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise FormOld
    if request.content_type != FORM_TYPE:
        raise malformed("Content-Type", FORM_TYPE)
    body = await read_body(request)
    try:
        found = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise malformed("", "the fields of a form") from error
    return {name: value.strip() if name != "password" else value for name, value in found}


def fields(form: dict[str, str], kind: type[Body]) -> Body:
    """The struct's fields out of a form; an empty one counts as not given. Raises FormIncomplete."""
    given = {name: form[name] for name in kind.__struct_encode_fields__ if form.get(name)}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise FormIncomplete from error


def language_of(request: web.BaseRequest) -> Language:
    """The language that was chosen on the page, else that of the browser."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return next((each for each in LANGUAGES if each == chosen), None) or language(request)


def cookie(name: str, value: str, *, life_s: int, secure: bool) -> bytes:
    """A cookie that no script reads and no other site makes a browser send; 0 s takes it back."""
    attributes = f"Path=/; Max-Age={life_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return header("Set-Cookie", f"{name}={value}; {attributes}")
