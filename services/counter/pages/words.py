"""The page's own words, one file a language; reasons of refusals have theirs in `platform/texts`."""

from __future__ import annotations

import functools

from services.platform.languages import Language
from services.platform.texts import words_of

NAMES: dict[Language, str] = {"zh-Hans": "简体", "zh-Hant": "繁體", "en": "English"}
words = functools.partial(words_of, __package__)
