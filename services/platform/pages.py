"""Pages for a browser: the headers that each has, and where it is sent after a form."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from services.platform.http_answers import HTML, NO_STORE, Answer, header, retry_after
from services.platform.problems import RETRY_AFTER_S, Problem, status_of
from services.platform.router import Router

POLICY: Final = header(
    "Content-Security-Policy",
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
)
PAGE_HEADERS: Final = NO_STORE + POLICY
FOR_EVER: Final = b"Cache-Control: public, max-age=31536000, immutable\r\n"
CSS: Final = b"text/css; charset=utf-8"


def page(content: bytes, refused: Problem | None = None, headers: bytes = b"") -> Answer:
    """A whole page, with the status of what was refused on it."""
    status = (refused.status or status_of(refused.reason)) if refused else 200
    lines = PAGE_HEADERS + headers + (refused.headers if refused else b"")
    if status in (429, 503) and b"Retry-After" not in lines:
        lines += retry_after(RETRY_AFTER_S)
    return Answer(status, content, HTML, lines)


def see_other(path: str, headers: bytes = b"") -> Answer:
    """Where a browser looks next, by GET."""
    return Answer(303, b"", HTML, PAGE_HEADERS + header("Location", path) + headers)


def add_stylesheet(router: Router, stylesheet: tuple[str, bytes]) -> None:
    """A stylesheet under its path, which changes with its content, so that it is kept for ever."""
    path, content = stylesheet

    async def css(_request: web.BaseRequest) -> Answer:
        return Answer(200, content, CSS, FOR_EVER)

    router.get(path, css)
