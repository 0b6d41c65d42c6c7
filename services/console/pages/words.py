"""The pages' own words, one file a language; reasons of refusals have theirs in `platform/texts`."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec
import yaml

from services.platform.languages import Language

NAMES: dict[Language, str] = {"zh-Hans": "简体", "zh-Hant": "繁體", "en": "English"}


@functools.cache
def words(language: Language) -> dict[str, str]:
    """All words of one language."""
    source = resources.files(__package__).joinpath("texts", f"{language}.yaml").read_bytes()
    return msgspec.convert(yaml.load(source, Loader=yaml.CSafeLoader), dict[str, str])
