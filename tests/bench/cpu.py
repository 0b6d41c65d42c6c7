"""CPU time of other processes, user plus system."""

import os
from pathlib import Path


def cpu_s(pid: int) -> float:
    """Seconds that the threads which run have used so far, to the nanosecond. Raises OSError without such a /proc."""
    return sum(int(path.read_text("ascii").split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def cpu_with_ended_threads_s(pid: int) -> float:
    """Seconds to the hundredth, for a process whose threads come and go, as those of Java do. Raises OSError."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
