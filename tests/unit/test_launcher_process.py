"""A process that the launcher started, and what it had started itself."""

import os
import signal
import sys
from pathlib import Path

import pytest

from infra.launcher.process import ProcessSpec, RunningProcess
from tests.integration.launcher_worlds import lives, until

PROGRAM = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
WITHIN_S = 10.0


async def killed_with_a_child(folder: Path) -> int:
    """A process that has started another one is killed, and waited for; the other one's number."""

    async def is_ready() -> bool:
        return output.read_text().endswith("\n")

    output = folder / "output"
    spec = ProcessSpec(name="parent", service="parent", command=[sys.executable, "-c", PROGRAM], is_ready=is_ready)
    process = await RunningProcess.start(spec, output)
    await process.ready(WITHIN_S)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    return int(output.read_text())


@pytest.mark.safety
async def test_what_a_killed_process_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    child = await killed_with_a_child(tmp_path)
    await until(lambda: not lives(child), WITHIN_S)


@pytest.mark.control
async def test_else_it_stays_and_keeps_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "killpg", lambda *_: None)
    child = await killed_with_a_child(tmp_path)
    assert lives(child)
    os.kill(child, signal.SIGKILL)
