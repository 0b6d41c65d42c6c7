"""Runs contract tests in this process, on a world of one's choice: a pytest for each of a thousand takes hours.

What tests ask for is little: `world` (a partition that has its genesis record), `lua` (one that has not), and what
their module makes of these.
"""

import inspect
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from services.state.library import Library
from tests.contract.watched_world import WatchedWorld
from tests.contract.worlds import begin, lua_world

Test = Callable[..., Any]
Given = Callable[[], AbstractAsyncContextManager[dict[str, Any]]]
"""Makes anew what a test may ask for, by name."""

RULES = "test_fold_rules_*.py"
CALLS = ("test_fold_call.py", "test_fold_recorded.py")


class Noticed(Exception):
    """A contract test fails."""


def the_library(url: str, library: Library) -> Given:
    """The rules in Lua, in an empty Valkey."""
    return partial(_the_library, url, library)


@asynccontextmanager
async def _the_library(url: str, library: Library) -> AsyncIterator[dict[str, Any]]:
    async with lua_world(url, library) as lua:
        yield {"redis_url": url, "lua": lua}


@asynccontextmanager
async def the_model() -> AsyncIterator[dict[str, Any]]:
    """The rules in Python."""
    world = WatchedWorld()
    await begin(world)
    yield {"world": world}


def library_tests(*patterns: str) -> dict[str, Test]:
    """By name: the tests of these files that can be run on a library of one's choice."""
    return _contract_tests(patterns, lambda asked: bool(asked & {"world", "lua"}))


def model_tests() -> dict[str, Test]:
    """By name: the tests of the rules that need no Valkey."""
    return _contract_tests((RULES,), lambda asked: "lua" not in asked)


def _contract_tests(patterns: Iterable[str], is_wanted: Callable[[set[str]], bool]) -> dict[str, Test]:
    found: dict[str, Test] = {}
    for path in sorted(path for pattern in patterns for path in Path(__file__).parent.glob(pattern)):
        for name, test in vars(import_module(f"tests.contract.{path.stem}")).items():
            if name.startswith("test_") and inspect.isfunction(test) and is_wanted(_asks_for(test)):
                assert name not in found, f"two contract tests have the name {name}"
                found[name] = test
    return found


async def run(test: Test, given: Given) -> None:
    """Raises `Noticed` where a contract test fails, with any of its parameters."""
    for parameters in _sets_of_parameters(test):
        async with AsyncExitStack() as world:
            known = {**await world.enter_async_context(given()), **parameters}
            try:
                await _made(test, known, world)
            except (Exception, pytest.fail.Exception) as error:
                raise Noticed(repr(error)[:500]) from error


async def _made(test: Test, known: dict[str, Any], world: AsyncExitStack) -> Any:
    """What a test or a fixture gives when it has all that it asks for."""
    for name in inspect.signature(test).parameters:
        if name in known:
            continue
        if name == "world":
            await begin(known["lua"])
            known[name] = known["lua"]
        elif name == "monkeypatch":
            known[name] = world.enter_context(pytest.MonkeyPatch.context())
        else:
            known[name] = await _made(_fixture(test, name), known, world)
    made = test(**{name: known[name] for name in inspect.signature(test).parameters})
    return await made if inspect.isawaitable(made) else made


def _asks_for(test: Test) -> set[str]:
    """Names of what it asks for, and of what that asks for."""
    names = set(inspect.signature(test).parameters)
    ours = names & set(vars(inspect.getmodule(test)))
    return names.union(*(_asks_for(_fixture(test, name)) for name in ours))


def _fixture(test: Test, name: str) -> Test:
    fixture: Test = inspect.unwrap(vars(inspect.getmodule(test))[name])
    return fixture


def _sets_of_parameters(test: Test) -> list[dict[str, Any]]:
    """All that `parametrize` says, each with each."""
    sets = []
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
            rows = [row if len(names) > 1 else (row,) for row in mark.args[1]]
            sets.append([dict(zip(names, row, strict=True)) for row in rows])
    return [{name: value for one in chosen for name, value in one.items()} for chosen in itertools.product(*sets)]
