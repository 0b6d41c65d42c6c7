"""The types that read requests: a form is what a whole text has, not what stands before its last line break."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import inspect as types

from services.console import contract as console
from services.console import users
from services.counter import contract as counter
from services.domain import command_fields, commands
from services.front_door import messages as front_door

READING = (counter, console, users, command_fields, commands, front_door)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (counter.PassNo, "AbC_-6UZvbbbYyiX"),
        (counter.ShortCode, "12345678"),
        (counter.Instant, "2020-02-01T12:30:00+08:00"),
        (console.TerminalName, "till-1"),
        (users.UserName, "lin"),
        (command_fields.Name, "gz-2020-02"),
    ],
)
def test_a_line_break_at_the_end_is_part_of_the_text(kind: Any, text: str) -> None:
    assert msgspec.convert(text, kind) == text
    for longer in (f"{text}\n", f"\n{text}", f"{text}\r\n", f"{text}\n\n", f"{text}\u2028"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(longer, kind)


def test_a_nonce_of_an_offline_record_has_no_line_break_at_its_end() -> None:
    record = {"picked_up_at": "2020-02-01T12:30:00+08:00"}
    assert msgspec.convert(record | {"nonce": "n-1"}, counter.OfflineRecord).nonce == "n-1"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(record | {"nonce": "n-1\n"}, counter.OfflineRecord)


@pytest.mark.parametrize("module", READING, ids=lambda module: module.__name__)
def test_no_pattern_ends_before_a_last_line_break(module: ModuleType) -> None:
    lone = [pattern for pattern in patterns_of(module) if pattern.endswith("$")]
    assert lone == []


def test_the_search_for_patterns_finds_them() -> None:
    assert len(set(patterns_of(counter))) >= 4


def patterns_of(module: ModuleType) -> Iterator[str]:
    """Every pattern that a struct of the module holds a text against."""
    for _, kind in inspect.getmembers(module, lambda one: isinstance(one, type) and issubclass(one, msgspec.Struct)):
        for field in types.type_info(kind).fields:  # type: ignore[attr-defined]  # a struct has fields
            yield from _patterns(field.type)


def _patterns(kind: Any) -> Iterator[str]:
    if isinstance(kind, types.StrType) and kind.pattern:
        yield kind.pattern
    for name in ("type", "item_type", "key_type", "value_type"):
        if hasattr(kind, name):
            yield from _patterns(getattr(kind, name))
    for each in getattr(kind, "types", ()):
        yield from _patterns(each)
