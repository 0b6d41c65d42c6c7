"""Runs tests on a change, in a process that is forked for it and imports the changed text.

What tests need from outside this house is imported before the fork, and nothing of the house: so a trial takes a
fraction of a second, and finds no module that knows the text of before.
"""

import asyncio
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

import coverage
import hypothesis  # noqa: F401  # this and the next ones: see above
import msgspec  # noqa: F401
import pytest  # noqa: F401
import redis.asyncio  # noqa: F401

CPU_LIMIT_S: Final = 30.0  # ten times what all tests take: a loop that has become endless is noticed as well
ALIVE, NOTICED, BROKEN = 0, 1, 70


class Verdict(StrEnum):
    """What became of a change."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"


class Trials:
    """The contract tests of the rules on the model, and which of them come by which line of which file."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        """Runs all tests once. RuntimeError where one fails: nothing can be learnt from the others then."""
        self._root = root
        self._seen: dict[str, dict[str, list[str]]]  # file, line: the tests that run it
        self._cpu_s: dict[str, float]  # of each test
        self._noticed_by: Counter[str] = Counter()
        code, told = _in_a_fork(lambda: _watched([str(root / path) for path in paths]))
        if code != ALIVE:
            raise RuntimeError(f"the tests fail on the text as it is:\n{told}")
        self._seen, self._cpu_s = json.loads(told)
        broken = "raise ImportError('so the tests do import the changed text')\n"
        if self.judge(paths[0], range(1, 2), broken) is not Verdict.KILLED:
            raise RuntimeError(f"the tests do not import the changed text of {paths[0]}")

    def judge(self, path: str, lines: range, text: str) -> Verdict:
        """What the tests that come by these lines say to this text instead of the file's."""
        by_line = self._seen[str(self._root / path)]
        tests = {test for line in lines for test in by_line.get(str(line), [])}
        if not tests:
            return Verdict.SURVIVED
        # What runs when the module is imported is everybody's. Who noticed most so far is asked first, the slow last.
        order = sorted(self._cpu_s, key=lambda test: (-self._noticed_by[test], self._cpu_s[test]))
        chosen = [test for test in order if test in tests or "" in tests]
        code, told = _in_a_fork(lambda: _run_with(path, text, chosen))
        if code == -signal.SIGPROF:
            return Verdict.TIMED_OUT
        if code not in (ALIVE, NOTICED):
            raise RuntimeError(f"the tests ended with {code}:\n{told}")
        self._noticed_by[told] += code == NOTICED
        return Verdict.KILLED if code == NOTICED else Verdict.SURVIVED


def _in_a_fork(work: Callable[[], tuple[int, str]]) -> tuple[int, str]:
    """What work gives there: a code and words. A negative code is the signal that ended it."""
    with tempfile.TemporaryFile() as answer:
        pid = os.fork()
        if pid == 0:
            code = BROKEN
            try:
                signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)
                code, told = work()
                answer.write(told.encode())
            except BaseException:  # noqa: BLE001  # this process ends here, and its parent is told why
                answer.write(traceback.format_exc().encode())
            finally:
                answer.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        answer.seek(0)
        return os.waitstatus_to_exitcode(status), answer.read().decode()


def _run_with(path: str, text: str, tests: Sequence[str]) -> tuple[int, str]:
    """Who notices the text, if anybody does."""
    name = path.removesuffix(".py").replace("/", ".")
    assert name not in sys.modules, f"{name} is imported before the fork"
    sys.meta_path.insert(0, _Changed(name, path, text))
    try:
        return _run(tests, lambda _: None)
    except Exception:  # noqa: BLE001  # whatever a changed module raises when it is imported
        return NOTICED, "import"


def _run(tests: Sequence[str], begins: Callable[[str], None]) -> tuple[int, str]:
    """Runs these tests, or all, until one fails, which is named."""
    from tests.contract import without_pytest as contract

    known = contract.model_tests()
    for name in tests or known:
        begins(name)
        try:
            asyncio.run(contract.run(known[name], contract.the_model))
        except contract.Noticed:
            return NOTICED, name
    return ALIVE, ""


def _watched(paths: list[str]) -> tuple[int, str]:
    """As JSON: which tests run which line, what runs without a test being told as ""; the time that each test takes."""
    watch = coverage.Coverage(data_file=None, config_file=False, include=paths)
    began_s: dict[str, float] = {}

    def begins(test: str) -> None:
        began_s[test] = time.process_time()
        watch.switch_context(test)

    watch.start()
    code, told = _run([], begins)
    watch.stop()
    if code != ALIVE:
        return code, told
    data, names = watch.get_data(), list(began_s)
    ends_s = [*list(began_s.values())[1:], time.process_time()]
    cpu_s = {name: end - began_s[name] for name, end in zip(names, ends_s, strict=True)}
    return code, json.dumps([{path: data.contexts_by_lineno(path) for path in paths}, cpu_s])


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module the changed text."""

    def __init__(self, name: str, path: str, text: str) -> None:
        self._name = name
        self._path = path
        self._text = text

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=self._path)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._text, self._path, "exec"), vars(module))  # noqa: S102  # our own text, changed in one place
