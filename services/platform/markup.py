"""HTML out of templates: whatever is filled in is escaped, unless it is `Html` already.

    _templates = Templates(__package__, "counter.css")
    _templates.fill("card", words, title=name)      # card.html beside the module, its {places} filled
"""

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


def safe(value: object) -> Html:
    """Text as markup."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def joined(pieces: Iterable[Html]) -> Html:
    """Markup, one piece after the other."""
    return Html("\n".join(pieces))


class Templates:
    """The `.html` files of a package, and its stylesheet."""

    def __init__(self, package: str, stylesheet: str) -> None:
        self._package = package
        self._stylesheet = stylesheet
        self._template = functools.cache(lambda name: self._file(f"{name}.html").decode("utf-8"))
        self.stylesheet = functools.cache(self._read_stylesheet)

    def fill(self, template: str, words: Mapping[str, str], **values: object) -> Html:
        """The template `<template>.html` with words and values in its `{places}`; values come before words."""
        filled = {name: safe(value) for name, value in {**words, **values}.items()}
        return Html(self._template(template).format_map(filled))

    def _read_stylesheet(self) -> tuple[str, bytes]:
        """Its path, which changes with its content so that it may be kept for ever, and its bytes."""
        content = self._file(self._stylesheet)
        return f"/{self._stylesheet.removesuffix('.css')}-{hashlib.sha256(content).hexdigest()[:12]}.css", content

    def _file(self, name: str) -> bytes:
        return resources.files(self._package).joinpath(name).read_bytes()
