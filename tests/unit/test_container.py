"""The Containerfile, read (no engine is here): what it copies exists, what it runs is ours, who runs it is nobody."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from services import cli

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = ROOT / "infra/container/Containerfile"
IGNORED: Final = ROOT / ".containerignore"


class Step(NamedTuple):
    """One instruction."""

    word: str
    rest: str


def steps() -> list[Step]:
    lines = [line for line in FILE.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    assert not any(line.endswith("\\") for line in lines), "one instruction a line, so that these tests can read it"
    return [Step(*line.split(maxsplit=1)) for line in lines]


def stages() -> list[list[Step]]:
    found: list[list[Step]] = []
    for step in steps():
        if step.word == "FROM":
            found.append([])
        if found:
            found[-1].append(step)
    return found


def said(word: str, stage: list[Step]) -> list[str]:
    return [step.rest for step in stage if step.word == word]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_what_is_copied_from_here_is_here_and_is_not_ignored() -> None:
    allowed = [line[1:].removesuffix("/**") for line in IGNORED.read_text("utf-8").splitlines() if line.startswith("!")]
    copied = [
        source
        for rest in said("COPY", steps())
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert "services" in copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in allowed), f"{source} is not let in by .containerignore"


def test_all_packages_of_the_project_are_copied() -> None:
    patterns = project()["tool"]["setuptools"]["packages"]["find"]["include"]
    copied = " ".join(said("COPY", stages()[0]))
    for pattern in patterns:
        assert f" {pattern.removesuffix('*')}" in f" {copied}"


def test_nothing_private_comes_into_an_image() -> None:
    lines = IGNORED.read_text("utf-8").splitlines()
    assert next(line for line in lines if line and not line.startswith("#")) == "*", "everything is outside at first"
    assert {"**/*.pem", "**/*.key", "**/admin-token"} <= set(lines)
    for word, rest in steps():
        if word in {"ENV", "ARG"}:
            assert not re.search(r"(?i)secret|password|token|pepper|key", rest), f"{word} {rest}"


def test_every_package_is_locked_and_comes_with_its_hash() -> None:
    installs = [json.loads(rest) for rest in said("RUN", stages()[0]) if '"install"' in rest]
    fetching = [command for command in installs if "--no-index" not in command]
    (locked,) = fetching
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(locked)
    text = (ROOT / locked[locked.index("-r") + 1]).read_text("utf-8")
    names = re.findall(r"^([a-z0-9.-]+)==\S+(.*)$", text, re.MULTILINE)
    assert len(names) > 20
    assert all(rest.endswith("\\") for _, rest in names), "a version without a hash"
    assert any(name == "setuptools" for name, _ in names), "the second install has no index to fetch it from"


def test_the_last_stage_runs_as_nobody_and_has_no_builder_in_it() -> None:
    *_, last = stages()
    user, group = said("USER", last)[-1].split(":")
    assert int(user) > 999
    assert int(group) > 999
    assert said("RUN", last) == [], "nothing is installed where it runs"
    assert [rest for rest in said("COPY", last) if not rest.startswith("--from=builder ")] == []
    first = said("FROM", stages()[0])[0]
    assert first.endswith(" AS builder")


def test_the_entry_point_is_our_command_and_needs_no_shell() -> None:
    *_, last = stages()
    (entry,) = json.loads(said("ENTRYPOINT", last)[0])
    (command,) = json.loads(said("CMD", last)[0])
    assert Path(entry).name in project()["project"]["scripts"]
    assert Path(entry).is_relative_to("/opt/maskline/bin")
    assert command == "--help"
    for word, rest in steps():
        if word in {"RUN", "ENTRYPOINT", "CMD"}:
            assert rest.startswith("["), f"{word} {rest} is for a shell"


@pytest.mark.parametrize("name", [*cli.PROCESSES, "ledger"])
def test_every_service_is_a_command_of_the_entry_point(name: str) -> None:
    assert name in cli.maskline.commands


def test_the_base_has_a_python_that_the_project_supports() -> None:
    (default,) = [rest for rest in said("ARG", steps()) if rest.startswith("PYTHON_IMAGE=")]
    major, minor = re.search(r"python:(\d+)\.(\d+)-", default).groups()  # type: ignore[union-attr]
    least = re.search(r"(\d+)\.(\d+)", project()["project"]["requires-python"]).groups()  # type: ignore[union-attr]
    assert (int(major), int(minor)) >= tuple(map(int, least))
    assert all(rest.startswith("${PYTHON_IMAGE}") for rest in said("FROM", steps()))
