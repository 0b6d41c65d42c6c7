"""CPU time of other processes, user plus system, all threads that run."""

from pathlib import Path


def cpu_s(pid: int) -> float:
    """Seconds that a process has used so far, to the nanosecond. Raises OSError where there is no such /proc."""
    return sum(int(path.read_text("ascii").split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
