"""What is wrong with a campaign file, all of it at once: where, what, and what to do."""

from collections.abc import Mapping
from typing import NamedTuple

from services.domain.errors import MasklineError

MAX_PROBLEMS_SHOWN = 100
MAX_KEY_SHOWN_CHARS = 60

Path = tuple[str | int, ...]  # the way to a value in a document: keys and list places


class Problem(NamedTuple):
    """One mistake. `line` counts from 1; 0 where there are no lines (a document that came as JSON)."""

    file: str
    line: int
    field: str
    what: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{where}: {self.field}: {self.what}" if self.field else f"{where}: {self.what}"
        # What stood in a file reaches a terminal here: control characters and half characters are spelled out.
        return text if text.isprintable() else "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


class Problems(tuple[Problem, ...]):
    """Problems as a message lists them, a line each."""

    __slots__ = ()

    def __str__(self) -> str:
        lines = [f"  {problem}" for problem in self[:MAX_PROBLEMS_SHOWN]]
        if len(self) > MAX_PROBLEMS_SHOWN:
            lines.append(f"  … and {len(self) - MAX_PROBLEMS_SHOWN} more")
        return "\n".join(lines)


class CampaignInvalid(MasklineError):
    """The campaign cannot be used as it is. Mend what is listed here and check it again.

    {problems}
    """

    exit_code = 1  # it was looked at, and something was found

    @property
    def problems(self) -> Problems:
        """All of them, also those that the message leaves out."""
        return Problems(self.values["problems"])


class Report:
    """Collects problems of one document: a check goes on after a mistake, so that a file is mended in one go."""

    def __init__(self, file: str, lines: Mapping[Path, int]) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines = lines

    def document(self, path: Path, what: str) -> None:
        """A mistake at a place of the document."""
        field = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step[:MAX_KEY_SHOWN_CHARS]}" for step in path)
        self.problems.append(Problem(self.file, self.line_of(path), field.removeprefix("."), what))

    def row(self, file: str, line: int, column: str, what: str) -> None:
        """A mistake in a row of a table."""
        self.problems.append(Problem(file, line, column, what))

    def line_of(self, path: Path) -> int:
        """The line of a value, or of the nearest thing around it that has one."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def raise_if_any(self) -> None:
        """Raises CampaignInvalid with what was collected, in the order of the files."""
        if self.problems:
            files = {self.file: 0} | {problem.file: 1 for problem in self.problems if problem.file != self.file}
            found = sorted(self.problems, key=lambda problem: (files[problem.file], problem.file, problem.line))
            raise CampaignInvalid(problems=Problems(found))
