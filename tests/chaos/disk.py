"""A disk that is full, for one process and for those that it starts from then on (Linux)."""

import subprocess
from pathlib import Path


def fill(pid: int) -> None:
    """Whatever it writes to a file fails; what is mapped into memory stays."""
    _limit_files(pid, "0:unlimited")


def free(pid: int) -> None:
    """There is room again."""
    _limit_files(pid, "unlimited:unlimited")


def _limit_files(pid: int, limit: str) -> None:
    """As whoever owns it: being root need not be enough where capabilities were taken away."""
    owner = Path(f"/proc/{pid}").stat()
    command = ["prlimit", f"--pid={pid}", f"--fsize={limit}"]
    subprocess.run(command, check=True, user=owner.st_uid, group=owner.st_gid, extra_groups=[])
