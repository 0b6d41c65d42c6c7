"""HTML out of templates: whatever is filled in is escaped, unless it is `Html` already."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources


class Html(str):
    """Markup that was made here and is safe as it stands."""

    __slots__ = ()


NOTHING = Html("")


def fill(template: str, words: Mapping[str, str], **values: object) -> Html:
    """The template `<template>.html` with words and values in its `{places}`; values come before words."""
    filled = {name: _safe(value) for name, value in {**words, **values}.items()}
    return Html(_template(template).format_map(filled))


def joined(pieces: Iterable[Html]) -> Html:
    """Markup, one piece after the other."""
    return Html("\n".join(pieces))


@functools.cache
def stylesheet() -> tuple[str, bytes]:
    """Its path, which changes with its content so that it may be kept for ever, and its bytes."""
    content = resources.files(__package__).joinpath("console.css").read_bytes()
    return f"/console-{hashlib.sha256(content).hexdigest()[:12]}.css", content


@functools.cache
def _template(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.html").read_text("utf-8")


def _safe(value: object) -> str:
    return value if isinstance(value, Html) else escape(str(value))
