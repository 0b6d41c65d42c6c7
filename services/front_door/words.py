"""What residents read besides reasons, one file a language in `texts`; reasons have theirs in `platform/texts`."""

import functools

from services.platform.languages import Language
from services.platform.texts import words_of

NAMES: dict[Language, str] = {"zh-Hans": "简体中文", "zh-Hant": "繁體中文", "en": "English"}
words = functools.partial(words_of, __package__)
