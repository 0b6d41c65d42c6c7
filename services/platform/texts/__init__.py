"""What people read, one file a language: each reason has a title, a detail that says what to do next, and often `more`.

`more` is a sentence with {names}; it is added where the answer has those members (`left`, `when`, …). `owner` stands in
for both where the reader is the resident whose reservation it is, and the other words speak to whoever serves them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

import msgspec
import yaml

from services.platform.languages import Language

Reader = Literal["anybody", "owner"]
"""Whom the words are for: the owner of the reservation that they are about, or anybody."""


class Text(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words for one reason."""

    title: str
    detail: str
    more: str = ""
    owner: str = ""


def text_of(word: str, language: Language, members: Mapping[str, Any], reader: Reader = "anybody") -> Text:
    """The text of a reason. Raises KeyError for a word that has none (a test finds those)."""
    text = texts(language)[word]
    if reader == "owner" and text.owner:
        return Text(text.title, text.owner)
    if not text.more:
        return text
    try:
        more = text.more.format_map(members).lstrip(": ：")  # where a whole body is wrong there is no field to name
    except KeyError:
        return text
    between = "" if text.detail.endswith("。") else " "
    return Text(text.title, f"{text.detail}{between}{more}")


@functools.cache
def texts(language: Language) -> dict[str, Text]:
    """Every reason of one language."""
    return msgspec.convert(_read(__name__, f"{language}.yaml"), dict[str, Text])


@functools.cache
def words_of(package: str, language: Language) -> dict[str, str]:
    """The words of a service's own pages: `texts/<language>.yaml` in that package."""
    return msgspec.convert(_read(package, "texts", f"{language}.yaml"), dict[str, str])


def _read(package: str, *path: str) -> Any:
    source = resources.files(package).joinpath(*path).read_bytes()
    return yaml.load(source, Loader=yaml.CSafeLoader)
