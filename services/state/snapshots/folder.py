"""The snapshots of an installation, in one private folder: `p00-00000000000000012345.snapshot` is partition 0 there."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from services.platform.private_files import delete_private, make_private_folder

SNAPSHOTS: Final = "snapshots"
"""Their folder, in the data folder."""
SUFFIX: Final = ".snapshot"
POSITION_DIGITS: Final = 20
DRAFT_AGE_S: Final = 86_400.0
"""A file that is still being written is younger."""


class SnapshotFolder:
    """Names say partition and position, so the newest of a partition is the last."""

    def __init__(self, path: Path, *, now_s: Callable[[], float] = time.time) -> None:
        self.path: Final = path
        self._now_s: Final = now_s

    def prepare(self) -> None:
        """Make it, or check the one that is there. Raises OthersCanRead."""
        make_private_folder(self.path)

    def name(self, partition: int, position: int) -> Path:
        """Where the snapshot of a position stands."""
        return self.path / f"p{partition:02d}-{position:0{POSITION_DIGITS}d}{SUFFIX}"

    def newest_first(self, partition: int) -> list[Path]:
        """All of a partition; none where there is no folder."""
        return sorted(self.path.glob(f"p{partition:02d}-*{SUFFIX}"), reverse=True)

    def age_s(self, partition: int) -> float | None:
        """Seconds since the newest was made; None where there is none."""
        newest = self.newest_first(partition)
        return self._now_s() - newest[0].stat().st_mtime if newest else None

    def tidy(self, partition: int, *, keep: int, max_age_s: float) -> list[Path]:
        """Delete all but the `keep` newest, whatever is too old, and what was never finished. What is gone.

        A snapshot from before a deletion day has what was deleted then: it must not stay for ever.
        """
        found = self.newest_first(partition)
        drafts = [path for path in self.path.glob(f".p{partition:02d}-*") if self._is_older(path, DRAFT_AGE_S)]
        old = [path for at, path in enumerate(found) if at >= keep or self._is_older(path, max_age_s)]
        return [path for path in old + drafts if delete_private(path)]

    def _is_older(self, path: Path, age_s: float) -> bool:
        try:
            return self._now_s() - path.stat().st_mtime > age_s
        except FileNotFoundError:
            return False
