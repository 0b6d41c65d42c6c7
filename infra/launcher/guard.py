"""Runs a program that is not ours so that it cannot outlive the launcher, even when that is killed with -9.

    python guard.py PARENT_PID USER SIGNAL FOLDER PROGRAM ARGUMENT…

Where a USER is named (not empty) the program runs as that one: PostgreSQL refuses to be root, and what the public
reaches should not be. It stays in the folder where it was begun, which that user need not be able to walk to.

On Linux the kernel is asked to send it SIGNAL at its parent's death, and this process becomes the program: nothing
stays between. Elsewhere this process stays, looks for the parent four times a second, and takes the program with it.

Our own services do the same for themselves (`services.platform.lifecycle`). A `preexec_fn` would do without this
module, but runs Python between fork and exec, which is not safe in a launcher with threads (the live view has one).
"""

import ctypes
import fcntl
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LOOK_S: Final = 0.25
FOLDER_FD: Final = 9
"""The folder stays open under this number, for programs that want an absolute path: on Linux /proc/self/fd/9."""


def guarded(
    program: list[str], *, user: str = "", folder: Path | None = None, at_our_death: signal.Signals = signal.SIGKILL
) -> list[str]:
    """The command that runs `program` for as long as this process lives. -S and -I: started in 15 ms, not 40.

    `user` (root only) and `folder` are whom it runs as and where, `at_our_death` what it hears when this process dies:
    a program that has children which do not look for it needs one that it can catch.
    """
    own = [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), user, str(int(at_our_death))]
    return [*own, str(folder or ""), *program]


@contextmanager
def opened_for_program(path: Path) -> Iterator[int]:
    """A file that a guarded program is to be handed (`pass_fds`) by its number, which is never the folder's."""
    with path.open("rb") as opened:
        number = fcntl.fcntl(opened, fcntl.F_DUPFD, FOLDER_FD + 1)
    try:
        yield number
    finally:
        os.close(number)


def main(arguments: list[str]) -> int:
    """Exit code of the program, where this process lives to see it."""
    parent, user, at_its_death, folder, program = int(arguments[0]), *arguments[1:4], arguments[4:]
    if folder:
        os.chdir(folder)  # before the user: it may not be able to walk there
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.dup2(opened, FOLDER_FD, inheritable=True)
    if user:
        become(user)
    last_signal = signal.Signals(int(at_its_death))
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, last_signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked
            return 1
        os.execv(program[0], program)  # noqa: S606  # the launcher's own command, no shell
    return _watch(parent, program, last_signal)


def become(user: str) -> None:
    """Groups first: who is no longer root may not change them."""
    import pwd

    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ |= {"USER": user, "LOGNAME": user, "HOME": entry.pw_dir}


def _watch(parent: int, program: list[str], last_signal: signal.Signals) -> int:
    child = subprocess.Popen(program)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.terminate())
    while True:
        try:
            return child.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.send_signal(last_signal)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
