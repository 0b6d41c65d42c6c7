"""What residents read besides reasons, one file a language in `texts`; reasons have theirs in `platform/texts`."""

import functools
from importlib import resources

import msgspec
import yaml

from services.platform.languages import Language

NAMES: dict[Language, str] = {"zh-Hans": "简体中文", "zh-Hant": "繁體中文", "en": "English"}


@functools.cache
def words(spoken: Language) -> dict[str, str]:
    """All words of one language."""
    source = resources.files(__package__).joinpath("texts", f"{spoken}.yaml").read_bytes()
    return msgspec.convert(yaml.load(source, Loader=yaml.CSafeLoader), dict[str, str])
