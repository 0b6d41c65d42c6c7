"""Reads values out of a campaign document by their path; a mistake is reported, and reading goes on."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from services.domain.campaign_problems import Path, Report
from services.domain.campaign_tables import NAME, NAME_FORM, is_printable
from services.domain.days import TimeUnreadable, instant_ms

MAX_TEXT_CHARS = 200


def as_text(value: object) -> str:
    """A scalar as the text that a file would have; nothing is the empty text."""
    return "" if value is None else str(value).strip()


class DocumentReader:
    """One document and the report of what is wrong with it."""

    def __init__(self, document: Mapping[str, Any], report: Report) -> None:
        self.report = report
        self._document = document

    def problem(self, path: Path, what: str) -> None:
        self.report.document(path, what)

    def value(self, path: Path, default: object) -> Any:
        found: Any = self._document
        for step in path:
            if isinstance(step, str) and not isinstance(found, Mapping):
                return default
            found = found[step] if isinstance(step, int) else found.get(step)
        return default if found is None else found

    def known_keys(self, path: Path, known: Sequence[str]) -> None:
        """Reports what is no mapping, and every key that nobody reads: a typo must not switch a rule off."""
        part = self.value(path, {})
        if not isinstance(part, Mapping):
            self.problem(path, f"has to be a group of keys: {', '.join(known)}")
            return
        for key in part:
            if key not in known:
                near = get_close_matches(str(key), known, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
                self.problem((*path, str(key)), f"is unknown here; {hint}")

    def name(self, key: str) -> str:
        text = self.text((key,))
        if text and not NAME.fullmatch(text):
            self.problem((key,), f"{text[:60]!r} is no name; it has {NAME_FORM}")
        return text

    def text(self, path: Path, default: str | None = None) -> str:
        """A line of text; a number counts as its digits. Without a default it has to be there."""
        value = self.value(path, default)
        text = as_text(value)
        if isinstance(value, (Mapping, list, bool, float)) or len(text) > MAX_TEXT_CHARS or not is_printable(text):
            self.problem(path, f"has to be a line of text of at most {MAX_TEXT_CHARS} characters")
            return ""
        if not text and default is None:
            self.problem(path, "is missing; write it")
        return text

    def integer(self, path: Path, least: int, most: int, default: int | None = None) -> int:
        value = self.value(path, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.problem(path, f"has to be a whole number from {least} to {most}")
        return least

    def instant(self, path: Path) -> int | None:
        text = self.text(path)
        try:
            return instant_ms(text) if text else None
        except TimeUnreadable as error:
            self.problem(path, f"{text[:60]!r} {error}")
            return None
