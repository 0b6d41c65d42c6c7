"""What people see of a rebuild while it goes on: bars where somebody looks on, and now and then a line where not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from services.ledger.rebuild import OnProgress

LINE_EVERY_S: Final = 5.0


@contextmanager
def shown(tell: Callable[[str], None]) -> Iterator[OnProgress]:
    """Bars on stderr if it is a terminal, else lines by `tell`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(tell)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[int, TaskID] = {}

        def progress(partition: int, done: int, end: int) -> None:
            if partition not in tasks:
                tasks[partition] = bars.add_task(f"partition {partition}")
            bars.update(tasks[partition], completed=done, total=end)

        yield progress


def _lines(tell: Callable[[str], None]) -> OnProgress:
    told_s: dict[int, float] = {}

    def progress(partition: int, done: int, end: int) -> None:
        now_s = time.monotonic()
        if now_s - told_s.get(partition, 0.0) >= LINE_EVERY_S:
            told_s[partition] = now_s
            tell(f"partition {partition}: {done:,} of {end:,} events")

    return progress
