"""A program that this machine does not have, and the command that installs it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from services.platform.errors import MasklineError


class PartMissing(MasklineError):
    """{part} is missing: {why}. Install it: {command}

    On Debian and Ubuntu `make deps-debian` installs everything that the real tier needs.
    """


class PartsMissing(PartMissing):
    """The real tier needs {count} things that this machine lacks:

        {told}

    On Debian and Ubuntu `make deps-debian` installs all of them.
    """


def check_all(finders: Sequence[Callable[[], Path]]) -> None:
    """Look for every part, so that all that is missing is told at once. Raises PartsMissing, PartMissing for one."""
    missing: list[PartMissing] = []
    for find in finders:
        try:
            find()
        except PartMissing as each:
            missing.append(each)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        told = "\n    ".join("{part}: {why}. Install it: {command}".format(**each.values) for each in missing)
        raise PartsMissing(count=len(missing), told=told)
