"""Runs a program that is not ours so that it cannot outlive the launcher, even when that is killed with -9.

    python guard.py PARENT_PID PROGRAM ARGUMENT…

On Linux the kernel is asked to kill it with its parent, and this process becomes the program: nothing stays between.
Elsewhere this process stays, looks for the parent four times a second, and takes the program with it.

Our own services do the same for themselves (`services.platform.lifecycle`). A `preexec_fn` would do without this
module, but runs Python between fork and exec, which is not safe in a launcher with threads (the live view has one).
"""

import ctypes
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LOOK_S: Final = 0.25


def guarded(program: list[str]) -> list[str]:
    """The command that runs `program` for as long as this process lives. -S and -I: started in 15 ms, not 40."""
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), *program]


def main(arguments: list[str]) -> int:
    """Exit code of the program, where this process lives to see it."""
    parent, program = int(arguments[0]), arguments[1:]
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            return 1
        os.execv(program[0], program)  # noqa: S606  # the launcher's own command, no shell
    return _watch(parent, program)


def _watch(parent: int, program: list[str]) -> int:
    child = subprocess.Popen(program)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.terminate())
    while True:
        try:
            return child.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
