"""What `make demo` says on a machine where something is missing: what it is, and the command that installs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make")
MAKE_TIMEOUT_S = 20.0

pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make here")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone, as far as make looks at it."""
    folder = tmp_path / "clone"
    (folder / "requirements").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements/runtime.txt", "requirements/embedded.txt"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "bin").mkdir()
    return folder


def python(folder: Path, name: str, module: str, content: str) -> None:
    """An interpreter under this name on the PATH that has one module of its own, found before all others."""
    modules = folder.parent / f"modules of {name}"
    modules.mkdir()
    (modules / f"{module}.py").write_text(content, "utf-8")
    program = folder.parent / "bin" / name
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{modules}" exec "{sys.executable}" "$@"\n', "utf-8")
    program.chmod(0o755)


def make_demo(clone: Path, *arguments: str) -> tuple[int, str]:
    """How `make demo` ends on a machine whose PATH has the interpreters made above and nothing else."""
    assert MAKE is not None
    ended = subprocess.run(
        [MAKE, "demo", *arguments],
        cwd=clone,
        env={"PATH": str(clone.parent / "bin"), "HOME": str(clone.parent)},
        capture_output=True,
        text=True,
        timeout=MAKE_TIMEOUT_S,
        check=False,
    )
    return ended.returncode, ended.stderr


def test_without_any_python_the_commands_that_install_one_are_named(clone: Path) -> None:
    code, told = make_demo(clone)
    assert code == 2
    assert "Python 3.11 or newer is missing" in told
    assert "make deps-debian" in told
    assert "brew install python" in told
    assert not (clone / ".venv").exists()


def test_a_python_that_is_too_old_counts_as_missing(clone: Path) -> None:
    python(clone, "python3", "sitecustomize", "import sys\nsys.version_info = (3, 10, 12, 'final', 0)\n")
    code, told = make_demo(clone)
    assert code == 2
    assert "Python 3.11 or newer is missing (looked for: python3 python3.14" in told


def test_the_way_to_name_another_python_is_told_and_works_for_the_search(clone: Path) -> None:
    assert "make PYTHON=/path/to/python3 demo" in make_demo(clone)[1]
    assert "(looked for: /nowhere/python3)" in make_demo(clone, "PYTHON=/nowhere/python3")[1]


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_named_with_the_package_that_brings_it(clone: Path, module: str) -> None:
    python(clone, "python3", module, "raise ImportError('taken out, as Debian does')\n")
    code, told = make_demo(clone)
    assert code == 2
    assert "python3 has no venv module. Debian, Ubuntu: make deps-debian" in told
    assert f"apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in told
    assert not (clone / ".venv").exists()
