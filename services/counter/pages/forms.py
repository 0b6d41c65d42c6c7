"""What a browser sends: forms, and the cookie that says which terminal it is.

Every form carries a nonce: it is the `Idempotency-Key` (a reload or a second click does nothing twice; the command's id
also holds the reservation, so Back and another pass is another wish) and, signed for the terminal, the proof that the
form is ours: no other site can make a till hand something out.
"""

from __future__ import annotations

import os
import unicodedata
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from services.counter.terminals import Terminal
from services.platform.crypto import KeyedDigest, base64url, equal
from services.platform.http_answers import header
from services.platform.http_requests import language, malformed, read_body
from services.platform.languages import LANGUAGES, Language
from services.platform.secrets import Secrets

TERMINAL_COOKIE = "maskline_terminal"
LANGUAGE_COOKIE = "maskline_language"
COOKIE_LIFE_S = 366 * 86_400
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 20
NONCE_BYTES = 12
SIGNATURE_CHARACTERS = 16

Body = TypeVar("Body", bound=msgspec.Struct)


class FormOld(Exception):
    """The nonce was not made for this terminal: the form is from before it was paired, or not ours."""


class FormIncomplete(Exception):
    """A field is missing, or holds what it cannot hold."""


class Nonces:
    """Makes and checks the nonces of forms."""

    def __init__(self, secrets: Secrets) -> None:
        self._digest = KeyedDigest(secrets.id_key)

    def make(self, terminal: Terminal | None) -> str:
        """A new one; at most 64 visible ASCII characters."""
        random = base64url(os.urandom(NONCE_BYTES))
        return f"{random}.{self._signature(terminal, random)}"

    def check(self, terminal: Terminal | None, nonce: str) -> str:
        """The same, where it was made for this terminal. Raises FormOld."""
        random, _, signature = nonce.partition(".")
        if not nonce.isascii() or not equal(signature, self._signature(terminal, random)):
            raise FormOld
        return nonce

    def _signature(self, terminal: Terminal | None, random: str) -> str:
        who = f"{terminal.partition}\x1f{terminal.name}" if terminal else ""
        return self._digest.text(f"counter form\x1f{who}\x1f{random}".encode(), SIGNATURE_CHARACTERS)


async def read_form(request: web.BaseRequest) -> dict[str, str]:
    """The fields of a form, by name. Raises Problem `malformed` or `too_large`."""
    if request.content_type != FORM_TYPE:
        raise malformed("Content-Type", FORM_TYPE)
    body = await read_body(request)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError as error:
        raise malformed("", "the fields of a form") from error


def fields(form: dict[str, str], kind: type[Body], **changes: Any) -> Body:
    """The struct's fields out of a form; `changes` are taken instead. Raises FormIncomplete."""
    given = {name: form[name].strip() for name in kind.__struct_encode_fields__ if name in form}
    try:
        return msgspec.convert(given | changes, kind)
    except msgspec.ValidationError as error:
        raise FormIncomplete from error


def digits_of(typed: str) -> str:
    """A short code as it may be typed: full-width digits, spaces, hyphens."""
    return "".join(character for character in unicodedata.normalize("NFKC", typed) if character.isalnum())


def language_of(request: web.BaseRequest) -> Language:
    """The language that was chosen on the page, else that of the browser."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return next((each for each in LANGUAGES if each == chosen), None) or language(request)


def cookie(name: str, value: str, *, secure: bool) -> bytes:
    """A cookie that no script reads and no other site makes a browser send; an empty value takes it back."""
    life_s = COOKIE_LIFE_S if value else 0
    attributes = f"Path=/; Max-Age={life_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return header("Set-Cookie", f"{name}={value}; {attributes}")
