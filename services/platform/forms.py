"""What a browser sends: the fields of a form, the nonce in it, the language and the cookies beside it.

Every form carries a nonce: it is the `Idempotency-Key` (a reload or a second click does nothing twice; the command's id
also holds what was chosen, so Back and another choice is another wish) and, signed for whoever is signed in, the proof
that the form is ours: no other site can make a till hand something out, or an operator's browser close a campaign.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from services.platform.crypto import KeyedDigest, base64url, equal
from services.platform.http_answers import header
from services.platform.http_requests import language, malformed, read_body
from services.platform.languages import LANGUAGES, Language

LANGUAGE_COOKIE = "maskline_language"
LANGUAGE_LIFE_S = 366 * 86_400
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 20
NONCE_BYTES = 12
SIGNATURE_CHARACTERS = 16

Body = TypeVar("Body", bound=msgspec.Struct)


class FormOld(Exception):
    """The nonce was not made for who is signed in now: the form is from before, or not ours."""


class FormIncomplete(Exception):
    """Fields are missing, or hold what they cannot hold; `fields` names them all, so that all are mended in one go."""

    def __init__(self, fields: Sequence[str] = ()) -> None:
        super().__init__(", ".join(fields))
        self.fields = tuple(fields)


class Nonces:
    """Makes and checks the nonces of one service's forms, under the id key."""

    def __init__(self, key: bytes, service: str) -> None:
        self._digest = KeyedDigest(key)
        self._service = service

    def make(self, who: str) -> str:
        """A new one for whoever is signed in (empty: nobody); at most 64 visible ASCII characters."""
        random = base64url(os.urandom(NONCE_BYTES))
        return f"{random}.{self._signature(who, random)}"

    def check(self, who: str, nonce: str) -> str:
        """The same, where it was made for them. Raises FormOld."""
        random, _, signature = nonce.partition(".")
        if not nonce.isascii() or not equal(signature, self._signature(who, random)):
            raise FormOld
        return nonce

    def _signature(self, who: str, random: str) -> str:
        return self._digest.text(f"{self._service} form\x1f{who}\x1f{random}".encode(), SIGNATURE_CHARACTERS)


async def read_form(request: web.BaseRequest) -> dict[str, str]:
    """The fields of a form, by name. Raises Problem `malformed` or `too_large`, and FormOld for one of another site."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise FormOld
    if request.content_type != FORM_TYPE:
        raise malformed("Content-Type", FORM_TYPE)
    body = await read_body(request)
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError as error:
        raise malformed("", "the fields of a form") from error


def fields(form: Mapping[str, str], kind: type[Body], **known: Any) -> Body:
    """The struct's fields out of a form; an empty one counts as not given, `known` ones are taken as they are.

    Raises FormIncomplete.
    """
    if wrong := wrong_fields(form, kind, known):
        raise FormIncomplete(wrong)
    return msgspec.convert(_given(form, kind, known) | known, kind, strict=False)


def wrong_fields(form: Mapping[str, str], kind: type[msgspec.Struct], known: Collection[str] = ()) -> list[str]:
    """All fields of the struct that a form lacks or that hold what they cannot hold, but for those that are known."""
    given = _given(form, kind, known)
    wrong = []
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name in known:
            continue
        if name in given:
            if not _fits(given[name], field.type):
                wrong.append(name)
        elif field.required:
            wrong.append(name)
    return wrong


def language_of(request: web.BaseRequest) -> Language:
    """The language that was chosen on the page, else that of the browser."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return next((each for each in LANGUAGES if each == chosen), None) or language(request)


def cookie(name: str, value: str, *, life_s: int, secure: bool) -> bytes:
    """A cookie that no script reads and no other site makes a browser send; 0 s takes it back."""
    attributes = f"Path=/; Max-Age={life_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return header("Set-Cookie", f"{name}={value}; {attributes}")


def _given(form: Mapping[str, str], kind: type[msgspec.Struct], known: Collection[str]) -> dict[str, str]:
    """What was filled in: a password as it was typed, the rest without blanks around it, a number as one is written."""
    given = {}
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        typed = form.get(name, "")
        text = typed if name == "password" else typed.strip()
        if text and name not in known:
            given[name] = text if _fits(text, field.type) else unicodedata.normalize("NFKC", text).removeprefix("+")
    return given


def _fits(value: str, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True
