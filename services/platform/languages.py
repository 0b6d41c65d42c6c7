"""Which of the three languages somebody reads, from `Accept-Language` (RFC 9110, section 12.5.4)."""

from __future__ import annotations

import functools
from typing import Literal, get_args

Language = Literal["zh-Hans", "zh-Hant", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT_LANGUAGE: Language = "en"

MAX_HEADER_CHARACTERS = 256
"""Browsers send about 50; what is longer is not read further."""
MAX_REMEMBERED_HEADERS = 1_024

_TRADITIONAL = {"hant", "tw", "hk", "mo"}


@functools.lru_cache(maxsize=MAX_REMEMBERED_HEADERS)
def language_of(accept_language: str) -> Language:
    """The language with the highest weight that we have; of equal ones the first named. None of ours: English."""
    best: Language = DEFAULT_LANGUAGE
    best_weight = 0.0
    for item in accept_language[:MAX_HEADER_CHARACTERS].split(","):
        tag, _, parameters = item.strip().partition(";")
        language = _spoken(tag.strip().lower())
        weight = _weight(parameters)
        if language is not None and weight > best_weight:
            best, best_weight = language, weight
    return best


def _spoken(tag: str) -> Language | None:
    subtags = tag.replace("_", "-").split("-")
    if subtags[0] in ("en", "*"):
        return "en"
    if subtags[0] in ("zh", "cmn", "yue"):
        # A script that is named wins over what the region usually writes: zh-Hans-HK is simplified.
        if "hans" in subtags:
            return "zh-Hans"
        return "zh-Hant" if _TRADITIONAL.intersection(subtags) or subtags[0] == "yue" else "zh-Hans"
    return None


def _weight(parameters: str) -> float:
    """`q=0.8`; absent 1, unreadable 0 (then the language counts as not wanted)."""
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    digits = value.strip()
    if name.strip().lower() != "q" or not digits or not digits.replace(".", "", 1).isdigit() or not digits.isascii():
        return 0.0
    return min(1.0, float(digits))
