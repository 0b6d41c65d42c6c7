"""The surge, as it happens, in a terminal."""

import time
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loadtests.surge import Surge
from loadtests.tally import percentile_ms
from services.domain.stock import Band

BAR_WIDTH: Final = 44
MAX_REASONS: Final = 5
BAND_STYLES: Final = {Band.PLENTY: "bold green", Band.SOME: "bold cyan", Band.FEW: "bold yellow", Band.NONE: "bold red"}


class LiveView:
    """Redrawn a few times a second from a tally that others count in."""

    def __init__(self, surge: Surge, residents: int, units: int) -> None:
        self._surge = surge
        self._tally = surge.tally
        self._residents = residents
        self._units = units
        self._began_s = time.monotonic()
        self._last = (self._began_s, 0)
        self._per_s = 0.0
        self.phase = "The window is open"

    def __rich__(self) -> RenderableType:
        """Everything in one panel."""
        tally = self._tally
        self._count_rate()
        bars = Table.grid(padding=(0, 2))
        bars.add_row("people who came", self._bar(tally.arrived, self._residents, "cyan"), f"{tally.arrived:,}")
        bars.add_row("and have heard", self._bar(tally.gone, self._residents, "green"), f"{tally.gone:,}")
        bars.add_row(
            "masks given", self._bar(tally.confirmed_units, self._units, "magenta"), f"{tally.confirmed_units:,}"
        )
        seconds = time.monotonic() - self._began_s
        title = f"{self.phase} · {self._residents:,} residents for {self._units:,} masks · {seconds:.0f} s"
        return Panel(
            Group(bars, Text(), self._stock(), Text(), self._numbers()),
            title=title,
            border_style="cyan",
            padding=(1, 2),
        )

    def _stock(self) -> Text:
        """The slots as the public sees them, in bands."""
        bands = self._surge.bands
        told = Text("slots with  ", style="dim")
        for band, style in BAND_STYLES.items():
            told.append(f"{band} ", style="dim").append(f"{bands[band]:,}   ", style=style)
        return told

    def _numbers(self) -> Table:
        tally = self._tally
        numbers = Table.grid(padding=(0, 3))
        for _ in range(4):
            numbers.add_column()
        left = [
            ("decisions a second", f"{self._per_s:,.0f}"),
            ("half of them within", f"{percentile_ms(tally.recent_s, 0.5):,.0f} ms"),
            ("99 of 100 within", f"{percentile_ms(tally.recent_s, 0.99):,.0f} ms"),
            ("told to come back", f"{tally.shed:,}"),
            ("fate not heard yet", f"{tally.unanswered:,}"),
        ]
        right = [("confirmed", f"{tally.confirmed:,}")]
        right += [(reason.replace("_", " "), f"{count:,}") for reason, count in tally.reasons.most_common(MAX_REASONS)]
        for number in range(max(len(left), len(right))):
            row = [*(left[number] if number < len(left) else ("", ""))]
            row += right[number] if number < len(right) else ("", "")
            numbers.add_row(*(Text(text, style="bold" if at % 2 else "dim") for at, text in enumerate(row)))
        return numbers

    def _bar(self, done: int, of: int, style: str) -> ProgressBar:
        return ProgressBar(
            total=max(1, of), completed=done, width=BAR_WIDTH, complete_style=style, finished_style=style
        )

    def _count_rate(self) -> None:
        now_s, decided = time.monotonic(), len(self._tally.latencies_s)
        then_s, before = self._last
        if now_s - then_s >= 0.5:
            self._per_s = (decided - before) / (now_s - then_s)
            self._last = (now_s, decided)
