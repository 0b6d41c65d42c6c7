"""What people and programs see of a rebuild while it goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from services.audit.rebuild import Progress

LINE_EVERY_S: Final = 0.5


@contextmanager
def bars() -> Iterator[Progress]:
    """A bar for each partition on stderr, where a person looks on."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as shown:
        tasks = {}

        def progress(partition: int, position: int, end: int) -> None:
            if partition not in tasks:
                tasks[partition] = shown.add_task(f"partition {partition}")
            shown.update(tasks[partition], completed=position, total=end)

        yield progress


@contextmanager
def lines(tell: Callable[[str], None]) -> Iterator[Progress]:
    """One JSON object a line: the first and the last of each partition, and two a second between them."""
    told_s: dict[int, float] = {}

    def progress(partition: int, position: int, end: int) -> None:
        now_s = time.monotonic()
        if position >= end or now_s - told_s.get(partition, 0.0) >= LINE_EVERY_S:
            told_s[partition] = now_s
            tell(msgspec.json.encode({"partition": partition, "position": position, "end": end}).decode())

    yield progress
